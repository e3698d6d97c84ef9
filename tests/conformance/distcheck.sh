#!/bin/sh
# suite: all
# timeout: 1800
# A release, as somebody who has only the tarball builds, tests, installs and removes it.
set -eu
[ "$GATEHOUSE_VARIANT" = test ] || { echo "one build is enough"; exit 77; }
mkdir -p "$TEST_TMP/dist"
cd "$TEST_TMP/dist"
"$GATEHOUSE_SOURCE/configure"
make -j"$(nproc)" distcheck
# What is installed runs by itself, and its manuals are where man looks.
tar -xf gatehouse-*.tar.xz
cd gatehouse-*/
mkdir build && cd build
../configure --prefix="$TEST_TMP/installed"
make -j"$(nproc)" install
"$TEST_TMP/installed/bin/gatehouse" --version
"$TEST_TMP/installed/bin/gatehouse" serve --check
for page in man1/gatehouse.1 man5/gatehouse.conf.5; do
	[ -s "$TEST_TMP/installed/share/man/$page" ]
done
grep -q "^ExecStart=$TEST_TMP/installed/bin/gatehouse serve" "$TEST_TMP/installed/lib/systemd/system/gatehouse.service"
