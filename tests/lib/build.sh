#!/bin/sh
# Configures where needed, and builds, for ./runtests:  build.sh prepare | build.sh all|tests VARIANT [CONFIGURE-ARGUMENT...]
# in build-VARIANT/ at the top. One test program that does not build keeps no other from running.
set -eu
cd "$(dirname "$0")/../.."
jobs=$(nproc 2>/dev/null || echo 2)
what=$1
shift

if [ "$what" = prepare ]; then
	[ -x configure ] && [ ! configure.ac -nt configure ] || autoreconf -fi
	exit
fi
mkdir -p "build-$1"
cd "build-$1"
shift
if [ "$what" = tests ]; then
	exec make -k -j"$jobs" test-programs
fi
if [ ! -f Makefile ] || [ ../configure -nt config.status ]; then
	../configure --enable-developer "$@"
fi
exec make -j"$jobs" all
