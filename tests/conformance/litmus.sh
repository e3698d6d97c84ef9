#!/bin/bash
# suite: quick
# sanitizers: asan
# metadata: sqlite postgresql pair:all
# litmus, every suite: 0 failures, 0 warnings; then again while eight others run it in other tenants at the same time.
. "$(dirname "$0")/gh.sh"
need litmus

# run NAME USER: its output in $TOP/NAME.out; fails unless all of it passed without a warning
run() {
	local out=$TOP/$1.out work=$TOP/$1.d
	mkdir -p "$work"
	(cd "$work" && litmus -k "http://$HTTP/dav/" "$2" "$PASSWORD" >"$out" 2>&1 </dev/null)
	if [ "$(grep -c '^<- summary for' "$out")" -lt 5 ]; then
		echo "litmus $1: not all suites ran:" >&2
		tail -n 20 "$out" >&2
		return 1
	fi
	if grep -qE 'FAIL|WARNING|^<- summary for .* [1-9][0-9]* failed' "$out"; then
		echo "litmus $1:" >&2
		grep -E 'FAIL|WARNING|summary' "$out" >&2
		return 1
	fi
}

gh_start
run alone admin || fail "litmus alone"
grep -c '\. pass$' "$TOP/alone.out" | sed 's/$/ tests passed/'

for n in 1 2 3 4 5 6 7 8; do
	gh_tenant "crowd$n" >/dev/null
done
pids=
for n in 1 2 3 4 5 6 7 8; do
	run "crowd$n" "crowd$n/admin" &
	pids="$pids $!"
done
run company admin || fail "litmus in company"
for pid in $pids; do
	wait "$pid" || fail "litmus of one of the eight others"
done
echo "nine at the same time passed"
