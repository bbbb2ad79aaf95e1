# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Runs in the guest, by its init: does what the host says, line by line, and
# answers with the output and "=STATUS". A port whose other end is away, as
# while libvirt restores the VM, reads as if it were at its end.
waited=0
while [ ! -c /dev/vport0p2 ] && [ $waited -lt 50 ]; do
	usleep 100000
	waited=$((waited + 1))
done
exec 4<>/dev/vport0p2
while :; do
	if read -r line <&4; then
		# shellcheck disable=SC2034 # the host's words use it
		out=$(eval "$line" 2>&1)
		status=$?
		printf '%s\n=%s\n' "$out" "$status" >&4
	else
		usleep 50000
	fi
done
