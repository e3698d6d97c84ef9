#!/bin/bash
# suite: default
# metadata: sqlite postgresql pair
# A working session with cadaver: folders, files, properties, locks, copies, moves, and everything read back.
. "$(dirname "$0")/gh.sh"
need cadaver curl

gh_start
export HOME=$TOP/home
mkdir -p "$HOME/here"
cd "$HOME/here" || fail "no working folder"
(umask 077; printf 'machine %s login admin password "%s"\n' "${HTTP%:*}" "$PASSWORD" >"$HOME/.netrc")
printf 'first\n' >one.txt
head -c 500000 /dev/urandom >two.bin

session() {
	cadaver "http://$HTTP/dav/" >"$TOP/out" 2>&1
	if grep -qiE 'failed|error|could not|not allowed|unauthorized' "$TOP/out"; then
		cat "$TOP/out" >&2
		fail "$1"
	fi
}

session "a day's work" <<'END'
mkcol day
cd day
put one.txt
put two.bin
ls
propset one.txt colour blue
propget one.txt colour
propnames one.txt
copy one.txt three.txt
move three.txt four.txt
mkcol sub
copy two.bin sub/two.bin
copy sub sub2
lock one.txt
discover one.txt
put one.txt
unlock one.txt
steal two.bin
get two.bin got.bin
get sub2/two.bin got2.bin
cat four.txt
move sub2 sub3
rmcol sub
delete four.txt
ls
quit
END
cmp two.bin got.bin || fail "what was read is not what was written"
cmp two.bin got2.bin || fail "the copy differs"
grep -q blue "$TOP/out" || { cat "$TOP/out"; fail "the property was not told"; }
get() { curl -sf -u "admin:$PASSWORD" "http://$HTTP/api/v1/content/day/$1"; }
[ "$(get one.txt)" = first ] || fail "one.txt over REST"
get sub3/two.bin | cmp - two.bin || fail "sub3/two.bin over REST"
for gone in sub/two.bin four.txt three.txt sub2/two.bin; do
	get $gone >/dev/null && fail "$gone should be gone"
done
echo "cadaver did a day's work"
