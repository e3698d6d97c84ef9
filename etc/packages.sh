# What Gatehouse needs from the distribution, in one place; sourced by ./quickstart and ./runtests.
# Names are Debian's (bookworm, trixie) and Ubuntu's. need COMMAND-OR-HEADER is what is looked for elsewhere.

# shellcheck shell=sh disable=SC2034
packages_build="build-essential autoconf automake pkg-config libmicrohttpd-dev libevent-dev libsqlite3-dev libpq-dev libmemcached-dev liburcu-dev
libutf8proc-dev libyaml-dev libxml2-dev libjansson-dev libargon2-dev libssl-dev"

# npm fetches the modules of the web console. A Node that is not the distribution's own has it with it.
command -v npm >/dev/null 2>&1 || packages_build="$packages_build nodejs npm"

# unit tests, sanitizers, real clients, a browser for the console
packages_test="check postgresql memcached haproxy fonts-dejavu-core python3 curl litmus cadaver lftp rclone util-linux binutils mandoc"

# Ubuntu has Chromium as a snap only; there the console's test skips, if no other of its kind is installed.
grep -qs '^ID=ubuntu' /etc/os-release || packages_test="$packages_test chromium"

# --all: the second compiler, fuzzing, the peer for the benchmark
packages_all="clang nginx-light apache2-utils shellcheck"

# What the packages give, for systems without apt: pkg-config modules and commands.
modules_build="libmicrohttpd libevent_core sqlite3 libpq libmemcached liburcu-qsbr liburcu-cds libutf8proc yaml-0.1 libxml-2.0 jansson libargon2 libcrypto"
commands_build="make autoreconf automake pkg-config"

# packages_missing NAME...: those that dpkg does not have installed.
packages_missing() {
	for package_name in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package_name" 2>/dev/null | grep -qx installed ||
			printf '%s ' "$package_name"
	done
}

# packages_install NAME...: installs what is missing with apt; fails with a list where it cannot.
packages_install() {
	package_list=$(packages_missing "$@")
	[ -n "$package_list" ] || return 0
	if [ "$(id -u)" = 0 ]; then
		package_sudo=
	elif command -v sudo >/dev/null 2>&1; then
		package_sudo=sudo
	else
		echo "These packages are missing, and installing them needs root: $package_list" >&2
		return 1
	fi
	echo "Installing: $package_list" >&2
	package_log=$(mktemp)
	# A service that a package brings must not start by itself: only the programs are wanted.
	# shellcheck disable=SC2086
	if { $package_sudo apt-get update -q -o DPkg::Lock::Timeout=900 &&
		$package_sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends \
			-o DPkg::Lock::Timeout=900 $package_list; } >"$package_log" 2>&1 </dev/null; then
		rm -f "$package_log"
	else
		tail -n 20 "$package_log" >&2
		rm -f "$package_log"
		echo "Could not install: $package_list" >&2
		return 1
	fi
}

packages_have_apt() {
	command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1
}

# packages_say_missing: where there is no apt; what the build lacks, by what it looks for.
packages_say_missing() {
	lacking=
	for command_name in $commands_build; do
		command -v "$command_name" >/dev/null 2>&1 || lacking="$lacking $command_name"
	done
	command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 ||
		lacking="$lacking C-compiler(gcc-or-clang)"
	if command -v pkg-config >/dev/null 2>&1; then
		for module_name in $modules_build; do
			pkg-config --exists "$module_name" || lacking="$lacking $module_name(development-files)"
		done
	fi
	[ -z "$lacking" ] && return 0
	echo "This system has no apt-get, so please install these with its own package manager, then run this again:" >&2
	for lacking_name in $lacking; do
		echo "  $lacking_name" >&2
	done
	return 1
}
