# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Runs scripts in a real guest (OVMF with Secure Boot, Debian's signed kernel)
# whose TPM vtpm-qemu gives it. Source it; README.md tells how it works.
#
# The caller may set, before guest_init: GUEST_BUILD (the build folder, by
# default the current one), GUEST_PEER=swtpm, GUEST_BOOT=kernel|chain; before
# guest_start: GUEST_QEMU, an array of more arguments for QEMU.

GUEST_SOURCE=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
# shellcheck source=tests/guest/image.sh
. "$GUEST_SOURCE/image.sh"
GUEST_PID=
GUEST_QEMU=()

# guest_init WORK: WORK is a directory of the caller's, for all files.
guest_init() {
	GUEST_WORK=$1
	GUEST_BUILD=${GUEST_BUILD:-$PWD}
	GUEST_RESULTS=$GUEST_WORK/results
	export VTPMD_STATE_DIR=$GUEST_WORK/state
	image_build "$GUEST_BUILD/guest"
}

# guest_tpm_create FILE BANKS
guest_tpm_create() {
	if [ "${GUEST_PEER:-}" = swtpm ]; then
		mkdir -p "$1.d"
		swtpm_setup --tpm2 --tpmstate "$1.d" \
		    --create-ek-cert --create-platform-cert --lock-nvram \
		    --pcr-banks "$2" --overwrite >"$GUEST_WORK/setup.log" 2>&1
	else
		"$GUEST_BUILD/vtpmctl" create --pcr-banks "$2" "$1" \
		    >"$GUEST_WORK/create.log" 2>&1
	fi || { cat "$GUEST_WORK"/{setup,create}.log; return 1; } 2>/dev/null
}

# guest_start FILE SCRIPT [vtpm-qemu's options]: returns while it boots.
guest_start() {
	local nvram=$1 script=$2 boot
	shift 2

	if [ "${GUEST_BOOT:-kernel}" = chain ]; then
		boot=(-drive "file=$GUEST_DISK,format=raw,if=virtio,readonly=on")
	else
		boot=(-kernel "$GUEST_KERNEL" -initrd "$GUEST_INITRAMFS"
		    -append "$GUEST_CMDLINE")
	fi
	[ "${GUEST_PEER:-}" != swtpm ] ||
	    set -- --vtpmd "$GUEST_SOURCE/swtpm-as-vtpmd" "$@"
	rm -f "$GUEST_RESULTS" "$GUEST_WORK/qemu.pid"
	cat "$GUEST_SOURCE/prelude.sh" "$script" >"$GUEST_WORK/script"
	"$GUEST_BUILD/vtpm-qemu" --nvram "$nvram" --vbs "$@" -- \
	    qemu-system-x86_64 -accel tcg -m 512 -nodefaults -display none \
	    -pidfile "$GUEST_WORK/qemu.pid" \
	    -qmp "unix:$GUEST_WORK/qmp,server=on,wait=off" \
	    -serial "file:$GUEST_WORK/console" -device virtio-serial-pci \
	    -chardev "file,id=results,path=$GUEST_RESULTS" \
	    -device virtserialport,chardev=results,name=results \
	    -fw_cfg "name=opt/vtpmd/script,file=$GUEST_WORK/script" \
	    "${GUEST_QEMU[@]}" "${boot[@]}" 2>"$GUEST_WORK/stderr" &
	GUEST_PID=$!
}

guest_running() {
	[ -n "$GUEST_PID" ] && kill -0 "$GUEST_PID" 2>/dev/null
}

# guest_wait SECONDS: until the guest has powered off. Its status is that of
# vtpm-qemu; a guest that takes too long is ended, and it is 124.
guest_wait() {
	local deadline=$((SECONDS + $1)) status

	while guest_running && [ $SECONDS -lt $deadline ]; do
		sleep 0.2
	done
	if guest_running; then
		guest_stop
		return 124
	fi
	wait "$GUEST_PID"
	status=$?
	GUEST_PID=
	return $status
}

# guest_wait_line PATTERN SECONDS: until the results have such a line.
guest_wait_line() {
	local deadline=$((SECONDS + $2))

	while [ $SECONDS -lt $deadline ]; do
		grep -q "$1" "$GUEST_RESULTS" 2>/dev/null && return 0
		guest_running || return 1
		sleep 0.2
	done
	return 1
}

# guest_run FILE SCRIPT [vtpm-qemu's options]: from power on to power off.
# What the script printed is in $GUEST_RESULTS.
guest_run() {
	guest_start "$@"
	# A boot takes 16 s on an idle machine, ten times that on a busy one.
	guest_wait "${GUEST_TIMEOUT:-300}" &&
	    grep -q '^guest-exit=0$' "$GUEST_RESULTS"
}

# Every boot writes this; for a failed test's diagnostics.
guest_explain() {
	sed 's/^/# stderr: /' "$GUEST_WORK/stderr"
	tail -n 20 "$GUEST_RESULTS" | sed 's/^/# results: /'
	# awk also ends a line that the console has left open, or the next
	# test's result would be glued to it.
	tail -n 5 "$GUEST_WORK/console" | tr -d '\033\r' |
	    awk '{ print "# console: " $0 }'
} 2>/dev/null

# The last value that the guest printed as NAME=VALUE.
guest_value() {
	sed -n "s/^$1=//p" "$GUEST_RESULTS" | tail -n 1
}

# guest_qmp COMMAND [ARGUMENTS]: what it returns, as JSON.
guest_qmp() {
	local line returns=0

	coproc QMP { exec socat - "UNIX-CONNECT:$GUEST_WORK/qmp"; }
	# shellcheck disable=SC2153 # coproc sets it
	local pid=$QMP_PID
	printf '{"execute":"qmp_capabilities"}\n%s\n' \
	    "{\"execute\":\"$1\"${2:+,\"arguments\":$2}}" >&"${QMP[1]}"
	while read -r -t 20 line; do
		[[ $line == *'"return":'* ]] || continue
		returns=$((returns + 1))
		[ $returns -lt 2 ] || break
	done <&"${QMP[0]}"
	kill "$pid"
	wait "$pid"
	[ $returns -eq 2 ] && jq -c .return <<<"$line"
} 2>/dev/null

# A power cut: QEMU gets no chance to tell anyone.
guest_power_cut() {
	kill -KILL "$(cat "$GUEST_WORK/qemu.pid")"
}

guest_stop() {
	[ -n "$GUEST_PID" ] || return 0
	kill -TERM "$GUEST_PID" 2>/dev/null
	wait "$GUEST_PID" 2>/dev/null
	GUEST_PID=
}

# The lines that the guest printed between "begin NAME" and "end NAME", the
# last time it did.
guest_section() {
	awk -v name="$1" '$0 == "begin " name { text = ""; on = 1; next }
	    $0 == "end " name { on = 0 }
	    on { text = text $0 "\n" } END { printf "%s", text }' \
	    "$GUEST_RESULTS"
}

# guest_pcrs_seen BANK, guest_pcrs_replayed BANK: "PCR digest" lines, of the
# guest's own TPM2_PCR_Read and of tpm2_eventlog's replay of the guest's log.
guest_pcrs_seen() {
	guest_section pcrs | pcr_lines "$1"
}

guest_pcrs_replayed() {
	guest_section eventlog | base64 -d >"$GUEST_WORK/eventlog"
	tpm2_eventlog "$GUEST_WORK/eventlog" | sed -n '/^pcrs:/,$p' |
	    pcr_lines "$1"
}

# Both tools print a bank's name and a colon, then "  7 : 0x...".
pcr_lines() {
	sed -n -E "s/^ *(sha[0-9]+):\$/bank \1/p
	    s/^ *([0-9]+) *: *0x([0-9A-Fa-f]+)\$/\1 \2/p" |
	    awk -v bank="$1" '$1 == "bank" { on = $2 == bank; next }
	    on { print $1, tolower($2) }'
}

# guest_pcrs_explain BANK: empty when every PCR is explained: those with
# events have the replay's value, the others their value at reset (TCG PC
# Client Platform TPM Profile, 4.6: zero, 17 to 22 ones). PCR 10 is left
# out: the kernel's IMA extends it after ExitBootServices, which the
# firmware's log does not cover.
guest_pcrs_explain() {
	{ guest_pcrs_replayed "$1"; echo seen; guest_pcrs_seen "$1"; } |
	    awk '$1 == "seen" { seen = 1; next }
	    !seen { replay[$1] = $2; next }
	    { count++ } $1 == 10 { next }
	    $1 in replay { if (replay[$1] != $2)
	        print "PCR", $1, $2, "replayed", replay[$1]; used++; next }
	    $2 !~ ($1 >= 17 && $1 <= 22 ? "^f+$" : "^0+$") {
	        print "PCR", $1, $2, "has no event" }
	    END { if (count != 24 || used < 8)
	        print count + 0, "PCRs read,", used + 0, "replayed" }'
}
