# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# In front of every script that runs in the guest (busybox sh, tpm2-tools).
GUEST_SECRET_HANDLE=0x81000100
GUEST_DATA_INDEX=0x1500100
GUEST_COUNTER_INDEX=0x1500101

# What the host needs to check the measurements.
report_measurements() {
	echo "begin pcrs"
	tpm2_pcrread
	echo "end pcrs"
	echo "begin eventlog"
	base64 /sys/kernel/security/tpm0/binary_bios_measurements
	echo "end eventlog"
}

# Seals $1 to PCR 7, stores $2 in an NV index, starts a counter.
keep() {
	printf %s "$1" >secret
	tpm2_createprimary -Q -C o -G ecc -c primary.ctx &&
	    tpm2_createpolicy -Q --policy-pcr -l sha256:7 -L policy &&
	    tpm2_create -Q -C primary.ctx -i secret -L policy \
	    -u sealed.pub -r sealed.priv &&
	    tpm2_load -Q -C primary.ctx -u sealed.pub -r sealed.priv \
	    -c sealed.ctx &&
	    tpm2_evictcontrol -Q -C o -c sealed.ctx $GUEST_SECRET_HANDLE &&
	    tpm2_nvdefine -Q -C o -s ${#2} -a "ownerread|ownerwrite" \
	    $GUEST_DATA_INDEX &&
	    printf %s "$2" | tpm2_nvwrite -Q -C o -i - $GUEST_DATA_INDEX &&
	    tpm2_nvdefine -Q -C o -a "ownerread|ownerwrite|nt=counter" \
	    $GUEST_COUNTER_INDEX && count
}

nv_counter() {
	echo $((0x$(tpm2_nvread -s 8 -C o $GUEST_COUNTER_INDEX | xxd -p)))
}

count() {
	tpm2_nvincrement -Q -C o $GUEST_COUNTER_INDEX &&
	    echo "counter=$(nv_counter)"
}

kept() {
	tpm2_getcap handles-persistent | grep -q $GUEST_SECRET_HANDLE
}

# Shows what keep stored, and counts.
recall() {
	echo "secret=$(tpm2_unseal -c $GUEST_SECRET_HANDLE -p pcr:sha256:7)" &&
	    echo "data=$(tpm2_nvread -C o $GUEST_DATA_INDEX 2>/dev/null)" && count
}
