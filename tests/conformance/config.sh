#!/bin/bash
# suite: quick
# sanitizers: asan
# Configuration as an operator meets it: what is wrong is refused with file and line before anything starts; a second
# serve is refused with the pid of the first; SIGHUP reloads; SIGTERM ends at once; manual and table agree.
. "$(dirname "$0")/gh.sh"
need /usr/bin/python3

top=$(mktemp -d) || exit 1
GH_AT_EXIT='rm -rf "$top"'
conf=$top/gatehouse.conf

# refused LINE WORDS TEXT: serve and serve --check both refuse it, name file and line, and leave no data behind.
refused() {
	printf '%b' "$3" >"$conf"
	for mode in --check ''; do
		# shellcheck disable=SC2086
		out=$("$GATEHOUSE" serve -c "$conf" -D "$top/none" $mode 2>&1 </dev/null) && fail "taken: $3"
		case $out in *"$conf:$1: "*"$2"*) ;; *) fail "for \"$3\" it says: $out" ;; esac
		[ ! -e "$top/none" ] || fail "something was started for: $3"
	done
}
refused 2 'unknown key "lisen"' 'drain: 1s\nlisen:\n  http: :80\n'
refused 2 'unknown unit' 'http:\n  pool: 64KB\n'
refused 1 'no unit' 'drain: 10\n'
refused 3 'No such file' 'log:\n  level: info\n  path: /no/such/folder/x.log\n'
refused 1 'no system user' 'user: nobody-of-that-name\n'
refused 2 'given twice' 'drain: 1s\ndrain: 2s\n'
refused 2 'no rule could name' "gateway:\\n  pod: $(printf 'p%.0s' {1..65})\\n"
refused 2 'nothing but zeros' 'proxy:\n  trusted: 10.0.0.7, 10.0.0.1/8\n'
refused 2 'ADDR:PORT' 'listen:\n  http: here\n'

out=$("$GATEHOUSE" serve -c "$top/missing.conf" --check 2>&1) && fail "a missing file is taken"
case $out in *"$top/missing.conf"*) ;; *) fail "the missing file is not named: $out" ;; esac
out=$("$GATEHOUSE" serve --http nonsense --check 2>&1) && fail "a bad option is taken"
case $out in *"--http: "*) ;; *) fail "the bad option is not named: $out" ;; esac
"$GATEHOUSE" serve --colour red >/dev/null 2>&1
[ $? = 2 ] || fail "an unknown option is not a usage error"

# The sample, and an empty file, are good.
"$GATEHOUSE" serve -c "$GATEHOUSE_SOURCE/etc/gatehouse.conf" --check >/dev/null || fail "the sample is refused"
: >"$conf"
"$GATEHOUSE" serve -c "$conf" --check >/dev/null || fail "an empty file is refused"

# Every key of the table is in the manual with its default, and every key of the manual is in the table.
/usr/bin/python3 - "$GATEHOUSE_SOURCE" <<'PY' || fail "gatehouse.conf(5) and the table differ"
import re, sys
table = open(sys.argv[1] + '/frontends/main/config_keys.tbl.h').read()
manual = open(sys.argv[1] + '/etc/gatehouse.conf.5').read()
keys = dict(re.findall(r'^X\("([a-z_.]+)", \w+, "([^"]*)"', table, re.M))
told = dict(re.findall(r'^\.It Ic ([a-z_.]+) .*\n((?:(?!\.It|\.El).*\n)*)', manual, re.M))
bad = set(keys) ^ set(told)
bad |= {k for k, v in keys.items() if k in told and v and not re.search(r'\b(Default|sqlite|local)\b', told[k])}
bad |= {k for k, v in keys.items() if k in told and v and v not in told[k]}
for k in sorted(bad):
    print(k)
sys.exit(bool(bad) or len(keys) < 20)
PY

# A key that a door asks for is in the table.
for key in $(grep -rhoE '"(http|ftp|rest|webdav|web|limits|listen)\.[a-z_]+"' "$GATEHOUSE_SOURCE/frontends" --include='*.c' |
	tr -d '"' | sort -u); do
	grep -q "^X(\"$key\"" "$GATEHOUSE_SOURCE/frontends/main/config_keys.tbl.h" || fail "a door asks for $key"
done

# ---- a running one ----
printf 'drain: 5s\nlog: {level: debug}\n' >"$conf"
gh_start -c "$conf"
out=$("$GATEHOUSE" serve -D "$DATA" --http off --ftp off --admin off 2>&1) && fail "a second serve is let in"
case $out in *"pid $GH_PID"*) ;; *) fail "the pid of the first is not named: $out" ;; esac
gh_cli status >/dev/null

/usr/bin/python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert set(d)=={"http","ftp","admin"}, d' \
	"$DATA/run/addresses.json" || fail "addresses.json"
# A listener that is off is not in it.
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$ADMIN/healthz")" = 200 ] || fail "/healthz"
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$ADMIN/readyz")" = 200 ] || fail "/readyz"
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$HTTP/healthz")" = 200 ] || fail "/healthz on the HTTP listener"
curl -s "http://$ADMIN/metrics" | grep -q '^gatehouse_connections{' || fail "/metrics"

# wait_for WORDS: until the log says it
wait_for() {
	local tries=$((${GH_SLOW:-1} * 200))
	until grep -q "$1" "$TOP/serve.log"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "the log does not say $1"
		sleep 0.05
	done
}
printf 'drain: 6s\nloops: 7\n' >"$conf"
kill -HUP "$GH_PID"
wait_for 'event=config.reloaded'
wait_for 'event=config.needs_restart key=loops'
printf 'drain: 6 parsecs\n' >"$conf"
kill -HUP "$GH_PID"
wait_for 'event=config.refused'
gh_cli status >/dev/null

# SIGTERM ends an idle server within a second (sanitizers get more), and leaves nothing that says it runs.
exec 9<>"/dev/tcp/${HTTP%:*}/${HTTP##*:}" # an idle connection does not hold it up
start=$(date +%s%N)
gh_stop || exit 1
took=$((($(date +%s%N) - start) / 1000000))
exec 9>&-
limit=1000
[ "${GATEHOUSE_VARIANT:-test}" = test ] || limit=5000
[ $took -le $limit ] || fail "SIGTERM took $took ms"
[ ! -e "$DATA/run/addresses.json" ] || fail "addresses.json is still there"
[ ! -e "$DATA/admin.sock" ] || fail "admin.sock is still there"
out=$("$GATEHOUSE" -D "$DATA" status 2>&1) && fail "status of a gateway that is gone"
case $out in *"no gatehouse serves"*) ;; *) fail "it says: $out" ;; esac

# The first password is made and told once, and works.
rm -rf "$DATA"
(cd "$TOP" && exec env -u GATEHOUSE_ADMIN_PASSWORD "$GATEHOUSE" serve -D "$DATA" --http 127.0.0.1:0 --ftp off \
	--admin off </dev/null >"$TOP/first.log" 2>>"$TOP/serve.log") &
GH_PID=$!
for _ in $(seq 400); do
	[ -s "$DATA/run/addresses.json" ] && grep -q 'password' "$TOP/first.log" && break
	sleep 0.05
done
HTTP=$(gh_address http)
first=$(sed -n 's/^User admin, password \([^ ]*\) .*/\1/p' "$TOP/first.log")
[ -n "$first" ] || fail "no first password was told"
code=$(curl -s -o /dev/null -w '%{http_code}' -u "admin:$first" "http://$HTTP/api/v1/content/none")
[ "$code" = 404 ] || fail "the first password gives $code"
for hint in Windows macOS Linux curl; do
	grep -q "$hint" "$TOP/first.log" || fail "no word on $hint"
done
gh_stop || exit 1
exit 0
