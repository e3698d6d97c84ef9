#!/bin/sh
# Writes the table of frontends/admin/assets.h as C:  embed.sh SOURCE-FOLDER FETCHED-FOLDER FILE... > assets.c
# FILE: below SOURCE-FOLDER. The bytes are taken in by the assembler from where the files lie, so paths must be right for
# the folder that the compiler runs in.
set -eu
source=$1
fetched=$2
shift 2

digest() {
	if command -v sha256sum >/dev/null 2>&1; then
		sha256sum <"$1" | cut -c 1-24
	else
		cksum <"$1" | tr ' ' -
	fi
}
type_of() {
	case $1 in
	*.html) echo 'text/html; charset=utf-8' ;;
	*.mjs) echo 'text/javascript; charset=utf-8' ;;
	*.css) echo 'text/css; charset=utf-8' ;;
	*.svg) echo 'image/svg+xml' ;;
	*) echo 'text/plain; charset=utf-8' ;;
	esac
}
count=0
rows=
asset() { # URL-PATH FILE
	len=$(($(wc -c <"$2")))
	cat <<-EOF
		__asm__(".pushsection .rodata\n"
			".balign 16\n"
			".globl admin_asset_$count\n"
			".hidden admin_asset_$count\n"
			"admin_asset_$count:\n"
			".incbin \"$2\"\n"
			".byte 0\n"
			".popsection");
		extern const unsigned char admin_asset_$count[];

	EOF
	rows="$rows	{ \"$1\", \"$(type_of "$2")\", admin_asset_$count, $len, \"\\\"$(digest "$2")\\\"\" },
"
	count=$((count + 1))
}

echo '/* Made by frontends/admin/console/embed.sh. */'
echo '#include "frontends/admin/assets.h"'
echo
if [ -d "$fetched/vendor" ]; then
	for file in "$@"; do
		case $file in
		index.html) asset / "$source/$file" ;;
		without.html) ;;
		*) asset "/console/$file" "$source/$file" ;;
		esac
	done
	for file in "$fetched"/vendor/*; do
		asset "/console/vendor/${file##*/}" "$file"
	done
else
	asset / "$source/without.html"
	asset /console/console.css "$source/console.css"
	asset /console/icon.svg "$source/icon.svg"
fi
echo 'const struct admin_asset admin_assets[] = {'
printf '%s' "$rows"
echo '	{ NULL, NULL, NULL, 0, NULL },'
echo '};'
