# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# A booted guest as a host of the authority: shim, GRUB and a kernel whose IMA
# measures what is run, under orders of the test, one line each. Source it
# after tap.sh; it sources guest.sh.
#
# The guest's programs are copied to a ramfs, /host, and run from there: what
# the kernel's IMA policy "tcb" measures is everything that is opened by root
# in a real file system, but nothing in a tmpfs, such as the initramfs and /tmp
# are. The host's own files (/tmp/state) are what stays from boot to boot.
# shellcheck source=tests/guest/guest.sh
. "$top_srcdir/tests/guest/guest.sh"

# shellcheck disable=SC2034 # for guest.sh
GUEST_BOOT=chain
GUEST_CMDLINE="$GUEST_CMDLINE ima_policy=tcb ima_template=ima-ng"

# host_init PROGRAM...: the image, the host's TPM and its empty state.
host_init() {
	guest_init "$tap_dir" && image_extend "$tap_dir/image" "$@" &&
	    guest_tpm_create "$tap_dir/host.tpm" sha256 || return 1
	mkfifo "$tap_dir/orders.in" "$tap_dir/orders.out"
	# Open for both, so that no side waits for the other or hears of an
	# end; nothing comes out of the guest here.
	exec {host_in}<>"$tap_dir/orders.in" {host_out}<>"$tap_dir/orders.out"
	mkdir "$tap_dir/kept.d"
	tar -C "$tap_dir/kept.d" -czf "$tap_dir/kept" .
	cat >"$tap_dir/host-script" <<'EOF'
mkdir /host /tmp/state
tar -C /tmp/state -xzf /sys/firmware/qemu_fw_cfg/by_name/opt/vtpmd/state/raw
mount -t ramfs ramfs /host
mkdir /host/proc /host/sys /host/dev /host/tmp /host/run
cp -a /bin /lib /lib64 /usr /host
for name in proc sys dev tmp; do
	mount --bind /$name /host/$name
done
mount -t securityfs securityfs /host/sys/kernel/security
mount -t tmpfs tmpfs /host/run
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
exec 4</dev/vport0p2
cat >/tmp/orders <<'EOT'
echo ready
while read -r number order <&4; do
	echo "begin order $number"
	eval "$order" </dev/null
	status=$?
	echo "end order $number"
	echo "done $number $status"
done
EOT
exec chroot /host /bin/sh /tmp/orders
EOF
}

# host_boot [vtpm-qemu's options]: until it takes orders.
host_boot() {
	GUEST_QEMU=(-chardev "pipe,id=orders,path=$tap_dir/orders"
	    -device virtserialport,chardev=orders,name=orders
	    -netdev "user,id=net${host_forward:+,hostfwd=$host_forward}"
	    -device virtio-net-pci,netdev=net,romfile=
	    -fw_cfg "name=opt/vtpmd/state,file=$tap_dir/kept")
	guest_start "$tap_dir/host.tpm" "$tap_dir/host-script" "$@"
	guest_wait_line '^ready' 120 || { guest_explain; return 1; }
}

# host_do COMMAND: in the host; what it printed, and its status. One line.
host_do() {
	local number status

	# Often run in a subshell, where a variable would not count.
	number=$(($(cat "$tap_dir/number" 2>/dev/null || echo 0) + 1))
	echo $number >"$tap_dir/number"
	printf '%s %s\n' "$number" "$1" >&"$host_in"
	guest_wait_line "^done $number " "${2:-60}" ||
	    { echo "no answer to: $1"; guest_explain; return 99; }
	guest_section "order $number"
	status=$(sed -n "s/^done $number //p" "$GUEST_RESULTS")
	return "$status"
}

# host_get FILE HERE, host_put HERE FILE
host_get() {
	host_do "base64 $1" | base64 -d >"$2"
}

host_put() {
	host_do "echo $(base64 -w0 "$1") | base64 -d >$2"
}

# host_off: in order; its files are kept for the next boot.
host_off() {
	host_do "tar -C /tmp/state -czf - . | base64" | base64 -d \
	    >"$tap_dir/kept.new" && mv "$tap_dir/kept.new" "$tap_dir/kept"
	printf '0 exit 0\n' >&"$host_in"
	guest_wait 60
}
