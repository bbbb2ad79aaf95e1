#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# make bench: a work directory on the build's own disk, a certificate authority
# for swtpm_setup in it, the measurements, and bench/results.md with what they
# were made on. Nothing of the machine's own vTPMs is touched.
set -u
export LC_ALL=C
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
top_builddir=${top_builddir:-$top_srcdir/build}
results=${BENCH_RESULTS:-$top_builddir/bench/results.md}

for program in swtpm swtpm_setup; do
	command -v $program >/dev/null || {
		echo "bench: $program is not installed (Debian: swtpm-tools)" >&2
		exit 1
	}
done
localca=$(command -v swtpm_localca || echo /usr/bin/swtpm_localca)

# The file system under it is part of what is measured: BENCH_DIR to choose.
work=$(mktemp -d "${BENCH_DIR:-$top_builddir/bench}/work.XXXXXX") || exit 1
# Memory with a file system, for what a durable write costs without a disk.
memory=$(mktemp -d "${BENCH_TMPFS:-/dev/shm}/vtpm-bench.XXXXXX") || exit 1
bench=
# The program ends what it started when it ends itself; --terminate does where
# it could not.
finish()
{
	[ -z "$bench" ] || { kill "$bench" 2>/dev/null; wait "$bench"; }
	rm -rf "$work" "$memory"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# vtpmd started by root works as another user, to which this must be open.
chmod 711 "$work" "$memory"
ln -s "$memory" "$work/tmpfs"
mkdir "$work/ca"
cat >"$work/swtpm_setup.conf" <<CONF
create_certs_tool = $localca
create_certs_tool_config = $work/ca.conf
create_certs_tool_options = $work/ca.options
active_pcr_banks = sha256
CONF
cat >"$work/ca.conf" <<CONF
statedir = $work/ca
signingkey = $work/ca/key.pem
issuercert = $work/ca/cert.pem
certserial = $work/ca/serial
CONF
cat >"$work/ca.options" <<CONF
--platform-manufacturer bench
--platform-version 1
--platform-model bench
CONF

cd "$work" || exit 1
export VTPMD_STATE_DIR="$work/state" HOME="$work" XDG_CONFIG_HOME="$work"
measure()
{
	local status

	"$@" &
	bench=$!
	wait "$bench"
	status=$?
	bench=
	[ "$status" -ne 0 ] || return 0
	echo "bench: the end of the log:" >&2
	tail -n 15 log >&2
	exit "$status"
}

# The trust authority is a program of its own: vtpm-bench forks what it
# measures, and stays small.
smoke=() parts=() authority=no
for word in "$@"; do
	case $word in
	--smoke) smoke=("$word") ;;
	authority) authority=yes ;;
	*) parts+=("$word") ;;
	esac
done
# No part named: all.
all=no
if [ "$authority" = no ] && [ "${#parts[@]}" -eq 0 ]; then
	all=yes
fi
if [ "$all" = yes ] || [ "${#parts[@]}" -gt 0 ]; then
	measure "$top_builddir/bench/vtpm-bench" "$top_builddir/vtpmd" \
		"$top_builddir/vtpmctl" \
		"$top_builddir/bench/vtpmd-nocapture" "${smoke[@]}" \
		"${parts[@]}"
fi
if [ "$all" = yes ] || [ "$authority" = yes ]; then
	measure "$top_builddir/bench/vta-bench" "$top_builddir/vtpmd" \
		"$top_builddir/vtpmctl" "${smoke[@]}"
fi

{
	echo "$(date -u +%Y-%m-%d), $(sed -n 's/^model name[^:]*: //p' \
		/proc/cpuinfo | head -n 1), $(nproc) CPUs, Linux $(uname -r)," \
		"$(stat -f -c %T .) on $(df --output=source . | tail -n 1)."
	echo "swtpm $(swtpm --version | sed 's/.*version \([^,]*\).*/\1/')," \
		"load $(cut -d' ' -f1 /proc/loadavg) at the end."
	echo
	cat results 2>/dev/null
	if [ -e results-authority ]; then
		printf '\nThe trust authority:\n\n'
		cat results-authority
	fi
} >"$results"
echo "written to $results"
