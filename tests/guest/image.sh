# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The guest's kernel, initramfs and boot disk, made from what Debian ships and
# cached under the digest of everything that goes in. No root, no loop mount:
# mtools writes the EFI system partition straight into the disk image.

# Kernel modules that the guest needs, in the order of their dependencies; and
# those for image_extend.
GUEST_NET_MODULES="failover net_failover virtio_net"
GUEST_MODULES="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev
    virtio_pci virtio_console qemu_fw_cfg"
GUEST_SHIM=/usr/lib/shim/shimx64.efi.signed
GUEST_GRUB=/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed
GUEST_CMDLINE="console=ttyS0 panic=-1"

# Prints "KERNEL MODULES-DIRECTORY VERSION". Where the kernel package's files
# are not installed (a container without /boot), the package is unpacked
# under $1.
image_find_kernel() {
	local where=$1 kernel version root

	for root in "" "$where/kernel"; do
		for kernel in "$root"/boot/vmlinuz-*-cloud-amd64; do
			[ -r "$kernel" ] || continue
			version=${kernel##*/vmlinuz-}
			[ -d "$root/lib/modules/$version" ] || continue
			echo "$kernel $root/lib/modules/$version $version"
			return 0
		done
	done
	return 1
}

image_fetch_kernel() {
	local where=$1 package

	package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
	    sed -n 's/^ *Depends: \(linux-image-.*-cloud-amd64\)$/\1/p' |
	    head -n 1)
	[ -n "$package" ] || return 1
	mkdir -p "$where/kernel" "$where/fetch"
	(cd "$where/fetch" && apt-get download -q "$package" >&2) || return 1
	dpkg-deb -x "$where"/fetch/*.deb "$where/kernel" || return 1
	rm -rf "$where/fetch"
}

# A program and the libraries that it loads, under the same paths.
image_add_program() {
	local root=$1 program=$2 file

	cp -L "$program" "$root/bin/" || return 1
	ldd "$program" | grep -o '/[^ ]*' | while read -r file; do
		mkdir -p "$root${file%/*}"
		cp -nL "$file" "$root$file"
	done
}

# image_add_tcti ROOT NAME: tpm2-tss's way to a TPM of that name.
image_add_tcti() {
	# sfdisk and ldconfig are not in every user's PATH.
	local root=$1 tcti PATH=$PATH:/usr/sbin:/sbin

	tcti=$(ldconfig -p |
	    sed -n "s/.*libtss2-tcti-$2\\.so\\.0.* => //p" | head -n 1)
	if [ -z "$tcti" ]; then
		echo "guest image: ldconfig knows no libtss2-tcti-$2.so.0;" \
		    "install libtss2-tcti-${2}0" >&2
		return 1
	fi
	mkdir -p "$root${tcti%/*}"
	cp -L "$tcti" "$root$tcti"
}

# image_add_modules ROOT MODULES-DIRECTORY NAME...: to be loaded in that order.
image_add_modules() {
	local root=$1 modules=$2 name file

	shift 2
	for name; do
		file=$(find "$modules" -name "$name.ko" | head -n 1)
		if [ -z "$file" ]; then
			echo "guest image: no module $name in $modules" >&2
			return 1
		fi
		cp "$file" "$root/modules/"
		echo "$name.ko" >>"$root/modules/order"
	done
}

image_pack() {
	find "$1" -exec touch -h -d @0 {} +
	(cd "$1" && find . | LC_ALL=C sort | cpio --quiet -o -H newc \
	    -R 0:0 --reproducible | zstd -q -3 -T2)
}

image_make_initramfs() {
	local work=$1 modules=$2 out=$3 root=$1/root file name

	mkdir -p "$root"/{bin,proc,sys,dev,tmp,modules,etc}
	cp "$GUEST_SOURCE/init" "$root/init"
	chmod 755 "$root/init"
	cp /bin/busybox "$root/bin/busybox"
	for name in $(/bin/busybox --list | grep -vx busybox); do
		ln -sf busybox "$root/bin/$name"
	done
	image_add_program "$root" "$(command -v tpm2)"
	for file in /usr/bin/tpm2_*; do
		ln -sf tpm2 "$root/bin/${file##*/}"
	done
	image_add_tcti "$root" device || return 1
	# shellcheck disable=SC2086 # names
	image_add_modules "$root" "$modules" $GUEST_MODULES || return 1
	image_pack "$root" >"$out"
	rm -rf "$root"
}

image_grub_config() {
	cat <<-CFG
	set timeout=0
	linux /vmlinuz $GUEST_CMDLINE
	initrd /initramfs
	boot
	CFG
}

# A GPT disk with one EFI system partition: shim where removable media have
# their loader, GRUB beside it (shim looks there), the rest at the root.
image_make_disk() {
	local kernel=$1 initramfs=$2 disk=$3 cfg=$3.cfg
	local part="$3@@1M" size PATH=$PATH:/usr/sbin:/sbin

	size=$(cat "$kernel" "$initramfs" "$GUEST_SHIM" "$GUEST_GRUB" | wc -c)
	size=$((size / 1048576 + 8))
	image_grub_config >"$cfg"
	truncate -s $((size + 2))M "$disk" &&
	    printf 'label: gpt\nstart=1MiB,size=%dMiB,type=uefi\n' "$size" |
	    sfdisk -q "$disk" &&
	    mformat -i "$part" -T $((size * 2048)) -h 64 -s 32 -F :: &&
	    mmd -i "$part" ::/EFI ::/EFI/BOOT ::/EFI/debian &&
	    mcopy -i "$part" "$GUEST_SHIM" ::/EFI/BOOT/BOOTX64.EFI &&
	    mcopy -i "$part" "$GUEST_GRUB" ::/EFI/BOOT/grubx64.efi &&
	    mcopy -i "$part" "$cfg" ::/EFI/debian/grub.cfg &&
	    mcopy -i "$part" "$kernel" ::/vmlinuz &&
	    mcopy -i "$part" "$initramfs" ::/initramfs &&
	    rm -f "$cfg"
}

# image_build CACHE: sets GUEST_KERNEL, GUEST_INITRAMFS, GUEST_DISK.
image_build() {
	local cache=$1 found modules version digest dir work

	mkdir -p "$cache"
	found=$(image_find_kernel "$cache") ||
	    { image_fetch_kernel "$cache" &&
	    found=$(image_find_kernel "$cache"); } || {
		echo "guest image: no Debian cloud kernel; install" \
		    "linux-image-cloud-amd64" >&2
		return 1
	}
	read -r GUEST_KERNEL modules version <<<"$found"
	digest=$({ cat "$GUEST_SOURCE/init" "$GUEST_SOURCE/image.sh" \
	    "$GUEST_KERNEL" "$GUEST_SHIM" "$GUEST_GRUB" /bin/busybox \
	    "$(command -v tpm2)" &&
	    dpkg-query -W libc6 libssl3 libtss2-tcti-device0 2>/dev/null
	    echo "$version"; } | sha256sum | cut -c 1-16)
	dir=$cache/$digest
	if [ ! -e "$dir/disk.img" ]; then
		work=$(mktemp -d "$cache/work.XXXXXX") || return 1
		if ! { image_make_initramfs "$work" "$modules" \
		    "$work/initramfs" && image_make_disk "$GUEST_KERNEL" \
		    "$work/initramfs" "$work/disk.img"; }; then
			rm -rf "$work"
			return 1
		fi
		# Two builds at a time make the same: the first one wins.
		mv -T "$work" "$dir" 2>/dev/null || rm -rf "$work"
	fi
	# shellcheck disable=SC2034 # for the callers
	GUEST_INITRAMFS=$dir/initramfs GUEST_DISK=$dir/disk.img
	GUEST_KERNEL_MODULES=$modules
}

# image_extend DIR PROGRAM...: after image_build, an initramfs with these
# programs, the network and tpm2-tss's TCTI "cmd" besides, and a boot disk, both
# in DIR and not cached: the programs are those under development.
image_extend() {
	local dir=$1 root=$1/root program

	shift
	mkdir -p "$root/bin" "$root/modules"
	for program; do
		image_add_program "$root" "$(command -v "$program")" ||
		    return 1
	done
	image_add_tcti "$root" cmd || return 1
	# The kernel unpacks one archive after the other; this file stands for
	# that of the first.
	# shellcheck disable=SC2086 # names
	image_add_modules "$root" "$GUEST_KERNEL_MODULES" $GUEST_MODULES \
	    $GUEST_NET_MODULES || return 1
	{ cat "$GUEST_INITRAMFS" && image_pack "$root"; } >"$dir/initramfs" ||
	    return 1
	rm -rf "$root"
	image_make_disk "$GUEST_KERNEL" "$dir/initramfs" "$dir/disk.img" ||
	    return 1
	# shellcheck disable=SC2034 # for the callers
	GUEST_INITRAMFS=$dir/initramfs GUEST_DISK=$dir/disk.img
}

# image_command_line DISK: what GRUB there gives the kernel is $GUEST_CMDLINE
# from now on.
image_command_line() {
	image_grub_config >"$1.cfg" &&
	    mcopy -o -i "$1@@1M" "$1.cfg" ::/EFI/debian/grub.cfg &&
	    rm -f "$1.cfg"
}
