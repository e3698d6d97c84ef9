#!/bin/sh
# What the console's tests need: a browser, what drives it (fetched once into the build folder by its lock file), and the
# modules that this build embeds. Pictures go to CONSOLE_SHOTS, else beside them. Prints shell assignments to be evaluated; exits 77 with the reason where it cannot be.
set -u
skip() {
	echo "SKIP: $*" >&2
	exit 77
}
for p in node npm; do command -v "$p" >/dev/null || skip "$p is not installed"; done
browser=$(command -v chromium || command -v chromium-browser) || skip "chromium is not installed"
vendor=$GATEHOUSE_BUILD/frontends/admin/console/fetched/vendor
[ -f "$vendor/preact.mjs" ] || vendor=$GATEHOUSE_SOURCE/frontends/admin/console/vendor
[ -f "$vendor/preact.mjs" ] || skip "this build is without the console's modules"
modules=$GATEHOUSE_BUILD/console-test
mkdir -p "$modules" || exit 1
(
	flock 9 # two tests at once
	for f in package.json package-lock.json .npmrc; do cp "$GATEHOUSE_SOURCE/tests/console/$f" "$modules/" || exit 1; done
	[ -d "$modules/node_modules/playwright-core" ] ||
		(cd "$modules" && npm ci --ignore-scripts --no-audit --no-fund >&2) || exit 1
) 9>"$modules/lock" || { echo "FAIL: npm ci" >&2; exit 1; }
echo "CONSOLE_SHOTS='${CONSOLE_SHOTS:-$modules/shots}' CONSOLE_MODULES='$modules' CONSOLE_BROWSER='$browser' CONSOLE_VENDOR='$vendor'"
