#!/bin/sh
# Gets the third-party modules of the console:  fetch.sh SOURCE-FOLDER OUTPUT-FOLDER yes|no|auto
# Afterwards OUTPUT-FOLDER/vendor has them, ready to be served, or is not there: then the program is built with a page
# that says so. They come from SOURCE-FOLDER/vendor where that is (a release has it), else from npm. `auto` lets a build
# without npm or network go on, `yes` does not.
set -eu
source=$1
out=$2
mode=$3
rm -rf "$out"
mkdir -p "$out"
[ "$mode" != no ] || exit 0

if [ -d "$source/vendor" ]; then
	mkdir "$out/vendor"
	for file in "$source"/vendor/*; do
		cat "$file" >"$out/vendor/${file##*/}"
	done
	exit 0
fi

give_up() {
	rm -rf "$out/vendor" "$out/npm"
	[ "$mode" = auto ] || {
		echo "console: $1" >&2
		exit 1
	}
	echo "console: $1." >&2
	echo "console: building without it. With npm and a network: make console-again all" >&2
	exit 0
}

command -v npm >/dev/null 2>&1 || give_up "npm is not installed"
mkdir "$out/npm"
cat "$source/package.json" >"$out/npm/package.json"
cat "$source/package-lock.json" >"$out/npm/package-lock.json"
(cd "$out/npm" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --fetch-retries=1 --loglevel=error \
	>npm.log 2>&1 </dev/null) || {
	tail -n 5 "$out/npm/npm.log" >&2 || :
	give_up "npm could not fetch its modules"
}

# Browsers know modules by address and not by name, and the content security policy allows no inline import map: the one
# bare name among them becomes an address. uPlot's small form is a script; one line makes it a module.
modules=$out/npm/node_modules
mkdir "$out/vendor"
plain() {
	sed '/^\/\/# sourceMappingURL=/d' "$1"
}
plain "$modules/preact/dist/preact.mjs" >"$out/vendor/preact.mjs"
plain "$modules/preact/hooks/dist/hooks.mjs" | sed 's/from *"preact"/from".\/preact.mjs"/' >"$out/vendor/hooks.mjs"
plain "$modules/htm/dist/htm.mjs" >"$out/vendor/htm.mjs"
{
	plain "$modules/uplot/dist/uPlot.iife.min.js"
	echo 'export default uPlot;'
} >"$out/vendor/uplot.mjs"
cat "$modules/uplot/dist/uPlot.min.css" >"$out/vendor/uplot.css"
for name in preact htm uplot; do
	echo "==== $name ===="
	cat "$modules/$name/LICENSE"
	echo
done >"$out/vendor/licenses.txt"
if grep -q 'from *"preact"' "$out"/vendor/*.mjs; then
	give_up "a module is imported by its bare name"
fi
rm -rf "$out/npm"
