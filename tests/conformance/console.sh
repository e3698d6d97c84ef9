#!/bin/bash
# suite: default
# The administrator's console in headless Chromium, every page in every look, against a server that is none
# (tests/console/mock.mjs): what a real gateway seldom shows. Pictures go to CONSOLE_SHOTS, where that is set.
set -u
skip() { echo "SKIP: $*"; exit 77; }
for p in node npm; do command -v "$p" >/dev/null || skip "$p is not installed"; done
browser=$(command -v chromium || command -v chromium-browser) || skip "chromium is not installed"
vendor=$GATEHOUSE_BUILD/frontends/admin/console/fetched/vendor
[ -f "$vendor/preact.mjs" ] || vendor=$GATEHOUSE_SOURCE/frontends/admin/console/vendor
[ -f "$vendor/preact.mjs" ] || skip "this build is without the console's modules"

# Once a build folder; what drives the browser stays there.
modules=$GATEHOUSE_BUILD/tests/console
mkdir -p "$modules" || exit 1
cp "$GATEHOUSE_SOURCE"/tests/console/{package.json,package-lock.json,.npmrc} "$modules/"
if [ ! -d "$modules/node_modules/playwright-core" ]; then
	(cd "$modules" && npm ci --ignore-scripts --no-audit --no-fund) || { echo "FAIL: npm ci"; exit 1; }
fi
CONSOLE_MODULES=$modules CONSOLE_BROWSER=$browser CONSOLE_VENDOR=$vendor exec node "$GATEHOUSE_SOURCE/tests/console/pages.mjs"
