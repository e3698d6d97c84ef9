#!/bin/bash
# suite: quick
# sanitizers: asan
# metadata: sqlite postgresql
# The command line: every command, its exit status, --json, --help; and that what it sets decides at the doors.
. "$(dirname "$0")/gh.sh"
need curl /usr/bin/python3

# expect STATUS COMMAND...: exit status; output in $out
expect() {
	local want=$1 got
	shift
	out=$("$GATEHOUSE" -D "$DATA" "$@" 2>&1 </dev/null)
	got=$?
	[ $got = "$want" ] || fail "gatehouse $*: exit $got, not $want: $out"
}
says() { case $out in *"$1"*) ;; *) fail "no \"$1\" in: $out" ;; esac; }
json() { # EXPRESSION on the parsed answer d; $out must be JSON
	printf '%s' "$out" | /usr/bin/python3 -c "import json,sys; d=json.load(sys.stdin); assert $1, d" || fail "not so: $1"
}
code() { curl -s -o /dev/null -w '%{http_code}' -u "$1:$PASSWORD" "${@:3}" "http://$HTTP/api/v1/content$2"; }

# ---- without a server ----
DATA=$(mktemp -d)/none
expect 1 status
says 'No such file'
expect 2 frobnicate
expect 2 tenant
expect 2 tenant frobnicate
expect 2 tenant add
expect 2 tenant add a b
expect 2 tenant add acme --colour
expect 2 user add acme/
expect 2 user token add acme/ann --days many
expect 2 acl inherit acme / maybe
expect 2 user add acme/ann # no terminal, no --password-stdin
expect 2
expect 0 --help
says 'user token add'
expect 0 --version
for command in serve 'tenant add' 'tenant list' 'user add' 'user list' 'user passwd' 'user token add' 'group add' \
	'acl grant' 'acl revoke' 'acl list' 'acl explain' 'locks list' 'locks break' status fsck; do
	# shellcheck disable=SC2086
	expect 0 $command --help
	says "usage: gatehouse $command"
done
rmdir "$(dirname "$DATA")"

# ---- tenants and users ----
gh_start
expect 0 tenant add acme --json
json 'isinstance(d, dict)'
expect 1 tenant add acme
says acme
expect 1 tenant add acme --json
expect 0 tenant list
says acme
says default
expect 0 --json tenant list
json '{"acme","default"} <= {t["tenant"] for t in d["items"]}'
out=$("$GATEHOUSE" tenant list -D "$DATA" --json) || fail "-D behind the command"
json 'len(d["items"]) == 2'
expect 0 tenant add strict --case-sensitive
gh_user acme/boss --owner >/dev/null
gh_user acme/ann >/dev/null
gh_user acme/bob >/dev/null
printf '%s\n' "$PASSWORD" | "$GATEHOUSE" -D "$DATA" user add acme/ann --password-stdin 2>/dev/null &&
	fail "a user is made twice"
printf '%s\n' "$PASSWORD" | "$GATEHOUSE" -D "$DATA" user add nowhere/ann --password-stdin 2>/dev/null &&
	fail "a user of no tenant is made"
expect 0 user list acme --json
json '{"ann","bob","boss"} == {u["user"] for u in d["items"]}'
json '[u["owner"] for u in d["items"] if u["user"] == "boss"] == [True]'
printf 'x' | "$GATEHOUSE" -D "$DATA" user passwd acme/nobody --password-stdin 2>/dev/null && fail "passwd of nobody"
printf '' | "$GATEHOUSE" -D "$DATA" user passwd acme/ann --password-stdin 2>/dev/null
[ $? = 2 ] || fail "an empty password"

# ---- rights decide at the door ----
curl -s -o /dev/null -u "acme/boss:$PASSWORD" -X MKCOL "http://$HTTP/dav/projects"
[ "$(code acme/ann /projects/a.txt -T "$0")" = 409 ] || fail "ann writes into a folder that she may not see"
expect 0 group add acme/staff ann
expect 0 group list acme --json
json '[g["members"] for g in d["items"] if g["group"] == "staff"] == [["ann"]]'
expect 0 acl grant acme /projects group:staff list,read,write,create
[ "$(code acme/ann /projects/a.txt -T "$0")" = 201 ] || fail "ann of staff cannot write"
expect 0 acl explain acme/ann /projects/a.txt delete --json
json 'd["allowed"] is False'
expect 0 acl explain acme/ann /projects/a.txt read --json
json 'd["allowed"] is True and "staff" in str(d["entry"])'
expect 0 acl explain acme/ann /projects/a.txt read
says staff
expect 0 acl deny acme /projects user:ann write
[ "$(code acme/ann /projects/a.txt -T "$0")" = 403 ] || fail "a deny does not deny"
expect 0 acl list acme --json
json 'len(d["items"]) >= 1'
expect 0 acl list acme /projects
says staff
expect 0 acl revoke acme /projects user:ann
[ "$(code acme/ann /projects/a.txt -T "$0")" = 204 ] || fail "a revoked deny still denies"
expect 0 group leave acme/staff ann
[ "$(code acme/ann /projects/a.txt)" = 404 ] || fail "who left the group still reads"
expect 0 group join acme/staff ann bob
expect 0 acl inherit acme /projects off
expect 0 acl inherit acme /projects on
expect 1 acl grant acme /projects user:nobody read
expect 1 acl grant acme /projects user:ann flying
says rights
expect 1 acl grant acme /no/such/folder user:ann read

# ---- app passwords ----
expect 0 user token add acme/ann --name laptop --scope rest --days 90 --json
token=$(printf '%s' "$out" | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["password"])')
[ "$(curl -s -o /dev/null -w '%{http_code}' -u "acme/ann:$token" "http://$HTTP/api/v1/content/projects/a.txt")" = 200 ] ||
	fail "the token does not open its door"
[ "$(curl -s -o /dev/null -w '%{http_code}' -u "acme/ann:$token" "http://$HTTP/dav/projects/a.txt")" = 401 ] ||
	fail "the token opens a door that is not in its scope"
expect 0 user token list acme/ann --json
json '[t["name"] for t in d["items"]] == ["laptop"]'
id=$(printf '%s' "$out" | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["items"][0]["id"])')
expect 0 user token revoke acme/ann "$id"
[ "$(curl -s -o /dev/null -w '%{http_code}' -u "acme/ann:$token" "http://$HTTP/api/v1/content/projects/a.txt")" = 401 ] ||
	fail "a revoked token still opens"

# ---- passwords and switching off ----
printf 'another one 7\n' | gh_cli user passwd acme/bob --password-stdin >/dev/null
[ "$(code acme/bob /projects/a.txt)" = 401 ] || fail "the old password still works"
expect 0 user set acme/ann --disable
[ "$(code acme/ann /projects/a.txt)" = 401 ] || fail "a disabled user logs in"
expect 0 user set acme/ann --enable
[ "$(code acme/ann /projects/a.txt)" = 200 ] || fail "an enabled user does not log in"
expect 0 user remove acme/bob
expect 1 user remove acme/bob
expect 0 defender clear acme

# ---- locks ----
curl -s -o /dev/null -u "acme/boss:$PASSWORD" -X LOCK -H 'Content-Type: text/xml' --data-binary '<?xml version="1.0"?>
<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>' \
	"http://$HTTP/dav/projects/a.txt"
expect 0 locks list --json
json 'len(d["items"]) == 1'
lock=$(printf '%s' "$out" | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["items"][0]["token"])')
[ "$(code acme/ann /projects/a.txt -T "$0")" = 423 ] || fail "a lock does not hold"
expect 0 locks list acme
says "$lock"
expect 0 locks break acme "$lock"
[ "$(code acme/ann /projects/a.txt -T "$0")" = 204 ] || fail "a broken lock still holds"
expect 1 locks break acme "$lock"

# ---- operation ----
expect 0 events list acme --json
json 'len(d["items"]) > 5'
expect 0 events list --limit 2 --json
json 'len(d["items"]) == 2'
expect 0 status
says ':'
expect 0 status --json
json 'isinstance(d, dict) and d'
expect 0 fsck --json
json 'd["loss"] == 0'
expect 0 fsck --verify
expect 1 fsck -D /nowhere
gh_stop || exit 1
if [ "${TEST_METADATA:-}" = postgresql ]; then
	expect 1 fsck --json # the folder alone does not tell where its metadata is
	says '-c FILE'
	expect 0 fsck --verify --json -c "$TOP/gatehouse.conf"
else
	expect 0 fsck --verify --json # nobody serves it
fi
json 'd["loss"] == 0'
expect 1 fsck -D "$TOP"
[ ! -e "$TOP/run" ] || fail "fsck made something in a folder that is no data directory"

# No command without the right user, where there is another one to try.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	gh_start
	chmod 711 "$TOP" "$DATA"
	chmod 666 "$DATA/admin.sock"
	out=$(setpriv --reuid 65534 --clear-groups "$GATEHOUSE" -D "$DATA" status 2>&1) && fail "a stranger is let in"
	gh_stop || exit 1
fi
exit 0
