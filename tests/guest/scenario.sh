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
scenario_script once <<EOF
if kept; then recall; else keep "$SECRET" "$DATA"; fi && report_measurements
