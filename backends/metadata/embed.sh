#!/bin/sh
# Prints migrations.c: every file given, in order, as an array of C strings. Usage: embed.sh NNNN_name.sql...
echo '/* Made by embed.sh from the migrations. */'
echo '#include "backends/metadata/migrations.h"'
echo 'const struct migration migrations[] = {'
for file; do
	name=$(basename "$file" .sql)
	number=$(printf %s "${name%%_*}" | sed 's/^0*//')
	printf '\t{ %s, "%s",\n' "$number" "$name"
	sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&\\n"/' "$file"
	printf '\t},\n'
done
echo '};'
echo 'const unsigned migration_count = sizeof(migrations) / sizeof(migrations[0]);'
