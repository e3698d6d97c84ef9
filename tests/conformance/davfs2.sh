#!/bin/bash
# suite: default
# metadata: sqlite postgresql:all
# davfs2: the tree mounted as a file system, with its locks.
. "$(dirname "$0")/gh.sh"
need mount.davfs
[ "$(id -u)" = 0 ] || skip "mounting needs root"
[ -c /dev/fuse ] || skip "no /dev/fuse"

gh_start
mnt=$TOP/mnt
mkdir -p "$mnt"
cat >"$TOP/davfs.conf" <<END
secrets $TOP/secrets
ask_auth 0
use_locks 1
delay_upload 0
buf_size 64
END
# buf_size: with less, davfs2 lists nothing on Linux 6.16 and newer.
(umask 077; printf 'http://%s/dav/ admin "%s"\n' "$HTTP" "$PASSWORD" >"$TOP/secrets")
mount.davfs "http://$HTTP/dav/" "$mnt" -o "conf=$TOP/davfs.conf,uid=0" >"$TOP/mount.out" 2>&1 ||
	{ cat "$TOP/mount.out"; skip "this machine does not let davfs2 mount"; }
GH_AT_EXIT="cd /; umount '$mnt' 2>/dev/null"

echo hello >"$mnt/a.txt" || fail "write"
mkdir "$mnt/d" || fail "mkdir"
head -c 300000 /dev/urandom >"$TOP/source"
cp "$TOP/source" "$mnt/d/data" || fail "copy in"
mv "$mnt/a.txt" "$mnt/d/b.txt" || fail "rename"
cmp "$TOP/source" "$mnt/d/data" || fail "compare"
echo more >>"$mnt/d/b.txt" || fail "append"
for i in $(seq 40); do echo "$i" >"$mnt/d/n$i" || fail "write n$i"; done
[ "$(ls "$mnt/d" | wc -l)" = 42 ] || fail "a folder of 42 lists as: $(ls "$mnt/d" 2>&1 | head -5)"
[ "$(ls "$mnt" | grep -v lost+found)" = d ] || fail "the top lists as: $(ls "$mnt" 2>&1 | head -5)"
umount "$mnt" || fail "umount"
get() { curl -sf -u "admin:$PASSWORD" "http://$HTTP/dav/d/$1"; }
[ "$(get b.txt)" = "$(printf 'hello\nmore')" ] || fail "b.txt is not what was written"
get data | cmp - "$TOP/source" || fail "data is not what was written"
gh_cli locks list | grep -q '/d/' && fail "a lock was left behind"
echo "davfs2 mounted, wrote, renamed and let go"
