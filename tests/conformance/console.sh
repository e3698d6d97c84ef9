#!/bin/bash
# suite: default
# The administrator's console in headless Chromium, every page in every look, against a server that is none
# (tests/console/mock.mjs): what a real gateway seldom shows. Against a real one: console_gateway.py. Pictures go to
# CONSOLE_SHOTS, or into the build folder, console-test/shots.
set -u
if ! found=$("$GATEHOUSE_SOURCE/tests/console/modules.sh" 2>&1); then
	echo "$found"
	case $found in *SKIP:*) exit 77 ;; *) exit 1 ;; esac
fi
set -a
eval "${found##*$'\n'}"
exec node "$GATEHOUSE_SOURCE/tests/console/pages.mjs"
