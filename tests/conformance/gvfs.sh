#!/bin/bash
# suite: default
# metadata: sqlite postgresql:all
# gvfs, as GNOME's file manager uses it: mount, list, copy both ways, rename, remove.
. "$(dirname "$0")/gh.sh"
need gio dbus-run-session
gio help mount >/dev/null 2>&1 || skip "this gio cannot mount"

gh_start
printf 'hello gvfs' >"$TOP/in.txt"
export HOME=$TOP/home XDG_RUNTIME_DIR=$TOP/run
mkdir -p "$HOME" "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
cat >"$TOP/session.sh" <<END
set -e
U=dav://admin@$HTTP/dav
printf '%s\n' '$PASSWORD' | gio mount "\$U/" || exit 77
gio mkdir "\$U/odd (name)'s"
gio copy "$TOP/in.txt" "\$U/odd (name)'s/a & b.txt"
gio list "\$U/odd (name)'s" | grep -qx 'a & b.txt'
[ "\$(gio cat "\$U/odd (name)'s/a & b.txt")" = "hello gvfs" ]
gio rename "\$U/odd (name)'s/a & b.txt" "c%20d.txt"
gio info "\$U/odd (name)'s/c%2520d.txt" | grep -q 'standard::size: 10'
gio copy "\$U/odd (name)'s/c%2520d.txt" "$TOP/out.txt"
gio remove "\$U/odd (name)'s/c%2520d.txt"
[ -z "\$(gio list "\$U/odd (name)'s")" ]
gio mount -u "\$U/"
END
timeout 60 dbus-run-session -- bash "$TOP/session.sh" >"$TOP/gvfs.out" 2>&1
status=$?
[ $status -ne 77 ] || { cat "$TOP/gvfs.out"; skip "gvfs does not mount here"; }
[ $status -eq 0 ] || { cat "$TOP/gvfs.out"; fail "gvfs: exit $status"; }
cmp "$TOP/in.txt" "$TOP/out.txt" || fail "what came back is not what went in"
echo "gvfs mounted, copied, renamed and removed"
