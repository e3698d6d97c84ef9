#!/bin/sh
# suite: quick
# The borders between rooms, in the source and in the archives: includes run one way, each external header has one
# home, policy is pure, and what a room calls of another is declared in that room's contract.
set -u
cd "$GATEHOUSE_SOURCE" || exit 1
bad=0
complain() {
	echo "$*"
	bad=1
}

# includes_of FOLDER...: "FILE HEADER" for each #include "..." and <...>
includes_of() {
	find "$@" -name '*.[ch]' -exec grep -HE '^[[:space:]]*#[[:space:]]*include' {} + |
		sed -E 's/^([^:]*):[^"<]*["<]([^">]*)[">].*/\1 \2/'
}

# may FOLDER ALLOWED-REGEX: our own headers that files in FOLDER include must match
may() {
	folder=$1
	includes_of "$folder" | grep -E ' (core|policy|backends|frontends)/' | grep -vE "$3" | grep -vE " ($2)" |
		while read -r file what; do echo "$file includes $what"; done
}
check() {
	found=$(may "$@")
	[ -z "$found" ] || complain "$found"
}
none='^$'
check policy 'policy/|core/base/status\.h$' "$none"
check core/base 'core/base/' "$none"
check core/run 'core/(base|run)/|core/vfs\.h$' "$none"
check core 'core/|policy/' "$none"
check backends/metadata 'core/(base/|meta\.h$|blob\.h$)|backends/metadata/' "$none"
check backends/cache 'core/(base/|cache\.h$)|backends/cache/' "$none"
check backends/blob 'core/(base/|blob\.h$)|backends/blob/' "$none"
door='core/(vfs\.h$|fe_api\.h$|base/|run/)|policy/acl_trie\.h$'
check frontends/http "$door|frontends/http/|frontends/(webdav|rest|web)/[a-z_]*\.h$" "$none"
check frontends/webdav "$door|frontends/(webdav|http)/" "$none"
check frontends/rest "$door|frontends/(rest|http)/" "$none"
check frontends/web "$door|frontends/(web|http)/" "$none"
check frontends/ftp "$door|frontends/ftp/" "$none"
check frontends/admin "$door|core/(control|core|live|operators)\.h$|frontends/admin/|frontends/http/(exchange|door)\.h$" "$none"

# home HEADER FOLDER-REGEX
home() {
	found=$(includes_of core policy backends frontends | grep -E " $1" | grep -vE "^($2)" || true)
	[ -z "$found" ] || complain "outside its home: $found"
}
home 'microhttpd\.h' 'frontends/http/'
home 'sqlite3\.h' 'backends/metadata/'
home 'libpq-fe\.h' 'backends/metadata/pgsql'
home 'libmemcached/' 'backends/cache/memcached\.c'
home 'libxml/' 'frontends/webdav/'
home 'yaml\.h' 'frontends/main/'
home 'event2/' 'core/run/'
home 'urcu' 'core/'
home 'utf8proc\.h' 'core/base/'
home 'argon2\.h' 'core/people/'
home 'openssl/' 'core/people/'

# Policy: no I/O, clock, threads, randomness. What it needs from outside itself must be on this list.
pure='malloc|calloc|realloc|free|mem(cpy|move|set|cmp|chr)|str(len|cmp|ncmp|chr|rchr|nlen|cat|ncat|cpy|ncpy|spn|cspn|pbrk)|qsort|bsearch|abort|snprintf|log|exp|pow|exp2|log2|sqrt'
# what the compiler calls for wide arithmetic
pure="$pure|__u?(div|mod|divmod|mul)ti[34]|__udivmodti4|__popcountdi2"
pure="$pure|__stack_chk_fail|__(mem|str|snprintf|vsnprintf)[a-z]*_chk|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan|sanitizer)_.*"
undefined() {
	nm -u "$1" 2>/dev/null | sed -n 's/^ *[UwW] //p' | sort -u
}
defined() {
	nm -g --defined-only "$1" 2>/dev/null | sed -nE 's/^[0-9a-f]+ [TDBRVWC] //p' | sort -u
}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$GATEHOUSE_BUILD" || exit 1
undefined libghpolicy.a >"$tmp/want"
defined libghpolicy.a >"$tmp/have"
impure=$(comm -23 "$tmp/want" "$tmp/have" | grep -vE "^($pure)$")
[ -z "$impure" ] || complain "policy calls: $impure"

# contract LIBRARY PROVIDER HEADER...: of PROVIDER, LIBRARY calls only what the headers declare.
contract() {
	undefined "$1" >"$tmp/want"
	defined "$2" >"$tmp/have"
	user=$1
	provider=$2
	shift 2
	for symbol in $(comm -12 "$tmp/want" "$tmp/have"); do
		(cd "$GATEHOUSE_SOURCE" && grep -qw -- "$symbol" "$@") || complain "$user calls $symbol of $provider"
	done
}
contract libghcore.a libghmeta.a core/meta.h
contract libghcore.a libghblob.a core/blob.h
contract libghcore.a libghcache.a core/cache.h
contract libghpeople.a libghcache.a /dev/null
contract libghpeople.a libghmeta.a core/meta.h
for door in http dav rest web ftp; do
	contract libgh$door.a libghcore.a core/vfs.h core/fe_api.h
	contract libgh$door.a libghpeople.a core/vfs.h
	contract libgh$door.a libghmeta.a /dev/null
	contract libgh$door.a libghblob.a /dev/null
	contract libgh$door.a libghcache.a /dev/null
	contract libgh$door.a libghpolicy.a /dev/null
done
contract libghadmin.a libghcore.a core/vfs.h core/fe_api.h core/control.h core/core.h core/live.h core/operators.h
contract libghadmin.a libghmeta.a /dev/null
contract libghadmin.a libghblob.a /dev/null

# No operation calls a store past its breaker (core/breakers.h). Left out: what runs inside of such a call, or at the start, and
# what calls none (words to other gateways).
asked='meta_(say|tenants|rights_load|rights_mark|locks|commit_later)'
past=$(cd "$GATEHOUSE_SOURCE" && awk -v asked="$asked" '
	FNR == 1 { before = "" }
	/(meta_[a-z_]+|ops->(put|put_ahead|stage_begin|stage_flush|stage_commit))\(.*(->meta|->blobs|stage),/ &&
		(before $0) !~ /ASK\(|leave\(ask/ && $0 !~ asked { print FILENAME ":" FNR }
	{ before = $0 }' core/op_*.c core/place.c core/change.c core/content.c core/upload.c core/compact.c core/tenant.c \
	core/session.c core/quota_*.c core/people/login.c)
[ -z "$past" ] || complain "calls past a breaker: $past"

# Each of our headers compiles alone.
cd "$GATEHOUSE_SOURCE" || exit 1
cc=${CC:-cc}
flags="$(pkg-config --cflags libmicrohttpd libxml-2.0 jansson 2>/dev/null) $(pkg-config --cflags libpq 2>/dev/null)"
for header in $(find core policy backends frontends -name '*.h' ! -name '*.tbl.h'); do
	case $header in */pgsql.h) pkg-config --exists libpq || continue ;; esac # may be left out
	# shellcheck disable=SC2086
	echo "#include \"$header\"" | $cc -std=gnu17 -D_GNU_SOURCE -I. $flags -fsyntax-only -xc - 2>"$tmp/err" ||
		complain "$header does not compile alone: $(head -n 3 "$tmp/err")"
done
exit $bad
