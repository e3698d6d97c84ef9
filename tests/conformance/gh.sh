# A gatehouse of one's own for a shell test; gh.py says the same in Python. Source it with bash:
#
#     . "$(dirname "$0")/gh.sh"
#     gh_start                          # sets HTTP FTP ADMIN (host:port), DATA, TOP; stopped and removed at exit
#     gh_cli tenant list                # a client command; must succeed
#     gh_tenant acme [--case-sensitive] # with owner acme/admin, password $PASSWORD
#     gh_user acme/ann [--owner]
#     fail "what went wrong"            # says it and exits 1
#     skip "why"                        # exits 77
#
# TEST_METADATA=postgresql: on a database of its own, unless gh_start is given a configuration; see gh.py. TEST_METADATA=pair: two
# gateways by turns (pairlib.py), for gh_start without arguments.
# GH_KEEP=1 leaves the data and the log behind; GH_SLOW=N multiplies waiting times.
set -u
PASSWORD='correct horse 9'
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=
GH_PID=

fail() { echo "FAIL: $*" >&2; exit 1; }
skip() { echo "SKIP: $*"; exit 77; }
need() { for p in "$@"; do command -v "$p" >/dev/null || skip "$p is not installed"; done; }

[ -n "${GATEHOUSE:-}" ] || fail "set GATEHOUSE to the executable to test"
GATEHOUSE=$(realpath "$GATEHOUSE")

# More to do at exit: append commands to GH_AT_EXIT.
GH_AT_EXIT=
gh_at_exit() {
	local status=$?
	trap - EXIT
	eval "$GH_AT_EXIT"
	if [ -n "$GH_PID" ]; then
		gh_stop || status=1
	fi
	if [ $status -ne 0 ] && [ $status -ne 77 ] && [ -f "$TOP/serve.log" ]; then
		echo "---- end of the server's log ----" >&2
		tail -n 30 "$TOP/serve.log" >&2
	fi
	if [ -n "${GH_KEEP:-}" ]; then
		echo "kept: $TOP"
	elif [ -n "$TOP" ]; then
		[ ! -d "$TOP/pg" ] || sh "$HERE/../lib/pgcluster.sh" stop "$TOP/pg"
		rm -rf "$TOP"
	fi
	exit $status
}
trap gh_at_exit EXIT
trap 'exit 1' INT TERM

# A configuration that names an empty database on the cluster of the run, or on one of this test's own.
gh_database() {
	local pgcluster=$HERE/../lib/pgcluster.sh conninfo cluster=${TEST_POSTGRESQL:-$TOP/pg} status=0
	chmod 755 "$TOP" # the server belongs to somebody else
	[ -n "${TEST_POSTGRESQL:-}" ] || sh "$pgcluster" start "$cluster" >"$TOP/pg.log" || status=$?
	[ $status -ne 77 ] || skip "PostgreSQL's server is not installed"
	[ $status -eq 0 ] || fail "the cluster does not start"
	conninfo=$(sh "$pgcluster" database "$cluster" "gh_sh_$$") || fail "no database"
	printf 'metadata: postgresql\npostgresql:\n  conninfo: "%s"\n' "$conninfo" >"$TOP/gatehouse.conf"
}

# gh_start [ARGUMENT...]: serve with these; again after gh_stop or gh_kill9 on the same data.
gh_start() {
	[ -n "$TOP" ] || TOP=$(mktemp -d "${TMPDIR:-/tmp}/gatehouse-test-XXXXXX")
	DATA=$TOP/data
	ADDRESSES=$DATA/run/addresses.json
	rm -f "$ADDRESSES"
	if [ "${TEST_METADATA:-}" = postgresql ]; then
		case " $* " in
		*" -c "*) ;;
		*)
			[ -f "$TOP/gatehouse.conf" ] || gh_database
			set -- "$@" -c "$TOP/gatehouse.conf" ;;
		esac
	fi
	if [ "${TEST_METADATA:-}" = pair ]; then
		ADDRESSES=$TOP/pair.json
		rm -f "$ADDRESSES"
		(exec /usr/bin/python3 "$HERE/pairlib.py" "$DATA" "$ADDRESSES" </dev/null >>"$TOP/serve.log" 2>&1) &
	else
		gh_serve "$@"
	fi
	GH_PID=$!
	local tries=$((${GH_SLOW:-1} * 400))
	while [ ! -s "$ADDRESSES" ]; do
		kill -0 "$GH_PID" 2>/dev/null || { GH_PID=; fail "serve ended before it was ready"; }
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "serve was not ready in time"
		sleep 0.05
	done
	HTTP=$(gh_address http)
	FTP=$(gh_address ftp)
	ADMIN=$(gh_address admin)
}

gh_serve() {
	(cd "$TOP" && exec env GATEHOUSE_ADMIN_PASSWORD="$PASSWORD" "$GATEHOUSE" serve -D "$DATA" --http 127.0.0.1:0 \
		--ftp 127.0.0.1:0 --admin 127.0.0.1:0 "$@" </dev/null >>"$TOP/serve.log" 2>&1) &
}

gh_address() {
	/usr/bin/python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2], ""))' \
		"$ADDRESSES" "$1"
}

# SIGTERM; the exit status must be 0 and no sanitizer may have spoken.
gh_stop() {
	local pid=$GH_PID status=0
	GH_PID=
	kill -TERM "$pid" 2>/dev/null
	wait "$pid" || status=$?
	if [ $status -ne 0 ]; then
		echo "FAIL: serve ended with status $status" >&2
		return 1
	fi
	if grep -qE 'ERROR: AddressSanitizer|runtime error:|WARNING: ThreadSanitizer|LeakSanitizer' "$TOP/serve.log"; then
		echo "FAIL: sanitizer report in the server's log" >&2
		return 1
	fi
}

gh_kill9() {
	kill -KILL "$GH_PID" 2>/dev/null
	wait "$GH_PID" 2>/dev/null
	GH_PID=
}

gh_cli() { "$GATEHOUSE" -D "$DATA" "$@" || fail "gatehouse $*: exit $?"; }
gh_user() { printf '%s\n' "$PASSWORD" | gh_cli user add "$1" --password-stdin "${@:2}"; }
gh_tenant() { gh_cli tenant add "$@" && gh_user "$1/admin" --owner; }
