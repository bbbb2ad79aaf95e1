# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# For tests of whole programs: TAP, a temporary directory, processes that are
# ended by pid, waiting that ends. A test starts with
#
#	#!/bin/bash
#	# SPDX-License-Identifier: BSD-3-Clause
#	. "${top_srcdir:-$(dirname "$0")/../..}/tests/integration/tap.sh"
#	plan 3
#
# and runs from make check or by hand (then out of build/, or $top_builddir).

set -u
export LC_ALL=C

tap_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top_srcdir=$(cd "$tap_here/../.." && pwd)
top_builddir=$(cd "${top_builddir:-$top_srcdir/build}" && pwd) || exit 99
# The programs that were just built, before any installed ones.
export top_srcdir top_builddir PATH="$top_builddir:$PATH:/usr/sbin:/sbin"

tap_count=0
tap_failed=0
tap_planned=
tap_pids=()
tap_dir=$(mktemp -d "${TMPDIR:-/tmp}/vtpmd-test.XXXXXX") || exit 99
# Programs under test must not find this machine's own state.
export HOME="$tap_dir" XDG_STATE_HOME="$tap_dir/xdg-state"
unset VTPMD_STATE_DIR TPM2TOOLS_TCTI

# Ends a process that spawn started: TERM (or the signal given), after five
# seconds KILL. Its exit status is in $stop_status.
stop()
{
	local pid=$1 signal=${2:-TERM} i
	local -a rest=()

	kill -s "$signal" "$pid" 2>/dev/null
	for ((i = 0; i < 100; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		[ "$(tap_state "$pid")" = Z ] && break
		sleep 0.05
	done
	kill -s KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	# Read by tests.
	# shellcheck disable=SC2034
	stop_status=$?
	for i in "${tap_pids[@]}"; do
		[ "$i" = "$pid" ] || rest+=("$i")
	done
	tap_pids=("${rest[@]}")
}

tap_state()
{
	sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null
}

tap_end()
{
	local status=$? pid

	trap - EXIT
	for pid in "${tap_pids[@]}"; do
		stop "$pid"
	done
	if [ "$(type -t cleanup)" = function ]; then
		cleanup
	fi
	rm -rf "$tap_dir"
	if [ "$status" -ne 0 ]; then
		exit "$status"
	fi
	# The plan tells make check of a test that ended early; this tells a
	# person who ran it by hand.
	[ "$tap_failed" -eq 0 ] && [ "$tap_count" = "${tap_planned:-0}" ]
	# Without a number, exit in a trap takes the status of before the trap.
	exit $?
}
trap tap_end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

plan()
{
	tap_planned=$1
	echo "1..$1"
}

diag()
{
	printf '%s\n' "$*" | sed 's/^/# /'
}

pass()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}

fail()
{
	tap_count=$((tap_count + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_count - $1"
}

# ok DESCRIPTION COMMAND...: the command succeeds.
ok()
{
	local what=$1 out status

	shift
	out=$("$@" 2>&1)
	status=$?
	if [ "$status" -eq 0 ]; then
		pass "$what"
	else
		fail "$what"
		diag "$* ended with $status:"
		diag "$out"
	fi
	return "$status"
}

# fails DESCRIPTION STATUS REGEX COMMAND...: it ends with exactly STATUS and
# says what matches REGEX.
fails()
{
	local what=$1 want=$2 regex=$3 out status

	shift 3
	out=$("$@" 2>&1)
	status=$?
	if [ "$status" -eq "$want" ] && [[ $out =~ $regex ]]; then
		pass "$what"
		return 0
	fi
	fail "$what"
	diag "$* ended with $status (expected $want and /$regex/):"
	diag "$out"
	return 1
}

# is DESCRIPTION GOT WANTED
is()
{
	if [ "$2" = "$3" ]; then
		pass "$1"
		return 0
	fi
	fail "$1"
	diag "got:    $2"
	diag "wanted: $3"
	return 1
}

# like DESCRIPTION GOT REGEX
like()
{
	if [[ $2 =~ $3 ]]; then
		pass "$1"
		return 0
	fi
	fail "$1"
	diag "got:                 $2"
	diag "wanted a match of:   $3"
	return 1
}

# unlike DESCRIPTION GOT REGEX
unlike()
{
	if [[ ! $2 =~ $3 ]]; then
		pass "$1"
		return 0
	fi
	fail "$1"
	diag "got:                 $2"
	diag "wanted no match of:  $3"
	return 1
}

# skip N REASON: N tests are not run here.
skip()
{
	local i

	for ((i = 0; i < $1; i++)); do
		tap_count=$((tap_count + 1))
		echo "ok $tap_count # SKIP $2"
	done
}

# Instead of plan.
skip_all()
{
	tap_planned=0
	echo "1..0 # SKIP $*"
	exit 0
}

bail()
{
	echo "Bail out! $*"
	exit 99
}

# need PROGRAM...: skips the whole test where one is missing.
need()
{
	local program

	for program in "$@"; do
		command -v "$program" >/dev/null ||
			skip_all "$program is not installed"
	done
}

# spawn LOG COMMAND...: in the background, output to LOG; its pid is in
# $spawned, and it is ended with the test.
spawn()
{
	local log=$1

	shift
	"$@" >"$log" 2>&1 </dev/null &
	spawned=$!
	tap_pids+=("$spawned")
}

# wait_for SECONDS COMMAND...: until it succeeds; 1 when time is over.
wait_for()
{
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))

	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# A software TPM as the host's: host_tpm_start DIR leaves TPM2TOOLS_TCTI and
# the pid in $host_tpm. There is no resource manager.
host_tpm_start()
{
	mkdir -p "$1"
	rm -f "$1/s" "$1/s.ctrl"
	spawn "$1/log" swtpm socket --tpm2 --tpmstate "dir=$1" \
		--server "type=unixio,path=$1/s" \
		--ctrl "type=unixio,path=$1/s.ctrl" \
		--flags startup-clear
	# Read by tests.
	# shellcheck disable=SC2034
	host_tpm=$spawned
	wait_for 5 test -S "$1/s" || bail "swtpm does not listen: $(cat "$1/log")"
	export TPM2TOOLS_TCTI="swtpm:path=$1/s"
}
