# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What both interfaces have to do, each with both sets of PCR banks. Run by
# crb.test and tis.test, which set MODEL.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/integration/tap.sh"
need qemu-system-x86_64 tpm2_eventlog mtools sfdisk cpio zstd socat jq

# shellcheck disable=SC2034 # for guest.sh
GUEST_BUILD=$top_builddir
# shellcheck source=tests/guest/guest.sh
. "$top_srcdir/tests/guest/guest.sh"
guest_init "$tap_dir" || skip_all "the guest's image cannot be made"
cleanup() {
	guest_stop
}

SECRET="the horse is a zebra"
DATA="forty-two"

scenario_script() {
	cat >"$tap_dir/$1.sh"
}

# Each uses the TPM in the first boot and shows in later ones what was kept.
use="if kept; then recall; else keep '$SECRET' '$DATA'; fi"
scenario_script once <<EOF
$use && report_measurements
EOF
scenario_script linger <<EOF
$use && echo ready
sleep 1000
EOF
# The counter is 1 in the first boot; three more boots make it 4.
scenario_script reboot <<EOF
$use || exit
[ "\$(nv_counter)" -ge 4 ] || { exec 3>&- >&-; reboot -f; sleep 100; }
report_measurements
EOF
scenario_script reset <<EOF
$use || exit
[ "\$(nv_counter)" -ge 4 ] || { echo "ready \$(nv_counter)"; sleep 1000; }
report_measurements
EOF

# measured BANK: every PCR is what the event log says.
measured() {
	is "$MODEL $banks: PCR replay equals tpm2_eventlog's, $1" \
	    "$(guest_pcrs_explain "$1")" "" || guest_explain
}

# recalled COUNT: the last boot showed what was kept.
recalled() {
	is "$MODEL $banks: the secret sealed to PCR 7 opens" \
	    "$(guest_value secret)" "$SECRET" || guest_explain
	is "$MODEL $banks: the NV index is there" "$(guest_value data)" "$DATA"
	is "$MODEL $banks: the counter has counted" "$(guest_value counter)" \
	    "$1"
}

boots() {
	local what=$1

	shift
	if guest_run "$nvram" "$tap_dir/$1.sh" --tpm-model "$MODEL"; then
		pass "$MODEL $banks: $what"
	else
		fail "$MODEL $banks: $what"
		guest_explain
	fi
}

tpm() {
	banks=$1
	nvram=$tap_dir/${1//,/-}.tpm
	ok "$MODEL $banks: make a vTPM" guest_tpm_create "$nvram" "$banks"
}

power_cut() {
	guest_start "$nvram" "$tap_dir/linger.sh" --tpm-model "$MODEL"
	ok "$MODEL $banks: the guest uses its TPM" \
	    guest_wait_line '^ready' 90 || guest_explain
	guest_power_cut
	guest_wait 30
	is "$MODEL $banks: QEMU is killed" $? 137
}

# Three resets from outside, each as soon as the guest is ready for it.
three_resets() {
	local n

	guest_start "$nvram" "$tap_dir/reset.sh" --tpm-model "$MODEL"
	for n in 1 2 3; do
		ok "$MODEL $banks: boot $n" guest_wait_line "^ready $n" 90 ||
		    guest_explain
		guest_qmp system_reset >/dev/null
	done
	guest_wait 90
	is "$MODEL $banks: after the third it powers off" $? 0 || guest_explain
}

# The processes of the guest's vTPM, children of the one that was started.
vtpmd_pid() {
	pgrep -P "$GUEST_PID" -x vtpmd
}

monitor_pid() {
	pgrep -P "$(vtpmd_pid)" -x vtpmd-monitor
}

worker_pid() {
	pgrep -P "$(vtpmd_pid)" -x vtpmd-worker 2>/dev/null
}

# Counts in $kills.
kills=0
kill_worker() {
	local worker

	worker=$(worker_pid) && kill -KILL "$worker" 2>/dev/null &&
	    kills=$((kills + 1))
}
