#!/bin/sh
# A private PostgreSQL for a test: one cluster in DIR, reached by the socket there, as superuser `gatehouse`, with an empty
# database `gatehouse`. Run as root it belongs to user postgres, since the server refuses root.
#
#   pgcluster.sh start DIR [NAME=VALUE...]   makes it if it is not there; prints its conninfo. Settings are added
#   pgcluster.sh stop DIR                    at once, as in a crash of the server
#   pgcluster.sh database DIR NAME           an empty database in the cluster that runs there, if it is not there yet
#                                            prints its conninfo
#   pgcluster.sh standby DIR OF [NAME=VALUE...]   a standby of the cluster in OF, called `standby` there; prints its conninfo
#   pgcluster.sh promote DIR                 makes a standby the primary; returns when it takes writes
#
# Exit status 77: PostgreSQL is not installed. fsync is off unless a setting turns it on: a test's data need not outlive
# the machine.
set -eu
verb=$1
dir=$2
shift 2

bin=$(find /usr/lib/postgresql /usr/pgsql-* -maxdepth 2 -name bin -type d 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || bin=$(dirname "$(command -v pg_ctl 2>/dev/null || echo /none/pg_ctl)")
if [ ! -x "$bin/initdb" ]; then
	echo "PostgreSQL's server is not installed" >&2
	exit 77
fi
as() {
	if [ "$(id -u)" = 0 ]; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

if [ "$verb" = stop ]; then
	cd /
	as "$bin/pg_ctl" -D "$dir/data" -m immediate -w -s stop
	exit
fi

if [ "$verb" = database ]; then
	cd /
	psql -h "$dir" -U gatehouse -d postgres -Atqc "SELECT 1 FROM pg_database WHERE datname = '$1'" | grep -q 1 ||
		"$bin/createdb" -h "$dir" -U gatehouse "$1"
	echo "host=$dir user=gatehouse dbname=$1"
	exit
fi

if [ "$verb" = promote ]; then
	cd /
	as "$bin/pg_ctl" -D "$dir/data" -w -s promote
	exit
fi

of=
[ "$verb" != standby ] || { of=$1; shift; }
options="-c listen_addresses= -c unix_socket_directories=$dir -c fsync=off -c shared_buffers=32MB -c max_connections=100"
for setting; do
	options="$options -c $setting"
done
mkdir -p "$dir"
[ "$(id -u)" != 0 ] || chown postgres: "$dir"
chmod 755 "$dir"
cd / # where user postgres may not be is no place to start from
made=
if [ -n "$of" ]; then
	as "$bin/pg_basebackup" -d "host=$of user=gatehouse application_name=standby" -D "$dir/data" -R -X stream -c fast \
		--no-sync >"$dir/basebackup.log" 2>&1
elif [ ! -d "$dir/data" ]; then
	as "$bin/initdb" -D "$dir/data" -A trust -U gatehouse --no-sync -E UTF8 --locale=C >"$dir/initdb.log" 2>&1
	made=yes
fi
if [ -z "$made" ] && "$bin/pg_isready" -q -h "$dir"; then
	echo "host=$dir user=gatehouse dbname=gatehouse"
	exit
fi
# After a kill the lock file stays until the server's children are gone.
tries=0
until as "$bin/pg_ctl" -D "$dir/data" -w -s -l "$dir/server.log" -o "$options" start >"$dir/start.log" 2>&1; do
	tries=$((tries + 1))
	[ "$tries" -lt 20 ] || { cat "$dir/start.log" "$dir/server.log" >&2; exit 1; }
	sleep 0.3
done
[ -z "$made" ] || "$bin/createdb" -h "$dir" -U gatehouse gatehouse
echo "host=$dir user=gatehouse dbname=gatehouse"
