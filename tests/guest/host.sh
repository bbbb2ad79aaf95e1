# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# A booted guest as a host of the trust authority: shim, GRUB and a kernel whose
# IMA measures what is run, under orders of the test. Source it first.
#
# The guest's programs are copied to a ramfs, /host, and run from there, and so
# are its files: what the kernel's IMA policy "tcb" measures is all that root
# opens or anybody runs in a real file system, but nothing in a tmpfs, such as
# the initramfs and /tmp are. What the host keeps from boot to boot is /state;
# where that has an ima-policy.conf, it is loaded instead of tcb.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/integration/tap.sh"

# shellcheck disable=SC2034 # for guest.sh
GUEST_BUILD=$top_builddir
# shellcheck source=tests/guest/guest.sh
. "$top_srcdir/tests/guest/guest.sh"
# shellcheck disable=SC2034 # for guest.sh
GUEST_BOOT=chain
GUEST_CMDLINE="$GUEST_CMDLINE ima_policy=tcb ima_template=ima-ng"
# What /state has in the first boot.
HOST_FILES=$tap_dir/host-files
# hostfwd of QEMU's user network: how the authority reaches the agent.
HOST_FORWARD=

# host_init PROGRAM...: the image with these programs, and the host's TPM.
host_init() {
	guest_init "$tap_dir" && image_extend "$tap_dir/image" "$@" &&
	    guest_tpm_create "$tap_dir/host.tpm" sha256 || return 1
	mkfifo "$tap_dir/orders.in" "$tap_dir/orders.out" &&
	    mkdir "$HOST_FILES" || return 1
	# Open for both, so that no side waits for the other or hears of an
	# end. Nothing comes out of the guest this way.
	exec {host_in}<>"$tap_dir/orders.in"
	host_script >"$tap_dir/host-script"
}

# What the guest runs: it takes lines, a number and an order each.
host_script() {
	cat <<'EOF'
mkdir /host
mount -t ramfs ramfs /host
mkdir /host/state /host/proc /host/sys /host/dev /host/tmp /host/run /host/etc
echo "root:x:0:0::/:/bin/sh" >/host/etc/passwd
echo "nobody:x:65534:65534::/:/bin/false" >>/host/etc/passwd
cp -a /bin /lib /lib64 /usr /host
tar -C /host/state -xzf /sys/firmware/qemu_fw_cfg/by_name/opt/vtpmd/state/raw
[ ! -e /host/state/ima-policy.conf ] ||
	echo /host/state/ima-policy.conf >/sys/kernel/security/ima/policy
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
	[ "$order" != off ] || exit 0
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

# host_boot [vtpm-qemu's options]: until it takes orders. Not in a subshell.
host_boot() {
	[ -e "$tap_dir/kept" ] ||
	    tar -C "$HOST_FILES" -czf "$tap_dir/kept" . || return 1
	# shellcheck disable=SC2054 # QEMU's commas
	GUEST_QEMU=(-chardev "pipe,id=orders,path=$tap_dir/orders"
	    -device virtserialport,chardev=orders,name=orders
	    -netdev "user,id=net${HOST_FORWARD:+,hostfwd=$HOST_FORWARD}"
	    -device virtio-net-pci,netdev=net,romfile=
	    -fw_cfg "name=opt/vtpmd/state,file=$tap_dir/kept")
	guest_start "$tap_dir/host.tpm" "$tap_dir/host-script" "$@"
	guest_wait_line '^ready' 150 || { guest_explain; return 1; }
}

# host_do ORDER: a line of shell in the host; what it printed, its status.
host_do() {
	local number status

	# Often run in a subshell, where a variable would not count.
	number=$(($(cat "$tap_dir/number" 2>/dev/null || echo 0) + 1))
	echo $number >"$tap_dir/number"
	printf '%s %s\n' "$number" "$1" >&"$host_in"
	guest_wait_line "^done $number " 120 ||
	    { echo "no answer to: $1"; return 99; }
	guest_section "order $number"
	status=$(sed -n "s/^done $number //p" "$GUEST_RESULTS")
	return "$status"
}

# host_get FILE HERE
host_get() {
	host_do "base64 $1" | base64 -d >"$2"
}

# host_off: in order; its files are kept for the next boot.
host_off() {
	host_do "tar -C /state -czf - . | base64" | base64 -d \
	    >"$tap_dir/kept.new" && mv "$tap_dir/kept.new" "$tap_dir/kept"
	printf '0 off\n' >&"$host_in"
	guest_wait 60
}
