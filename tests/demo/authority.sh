# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# ./demo authority: a KMS, a trust authority and three hosts. Who gets the key
# of a VM's virtual TPM, who does not, and why. Sourced by ./demo, after
# steps.sh:
: "${build:?}" "${work:?}" "${bold?}" "${green?}" "${plain?}"

# Sockets have short paths, and vtpmd's user has to get to them.
lab=$(mktemp -d /tmp/vta-demo.XXXXXX) || exit 1
services=()
lab_pid=

demo_end() {
	local pid

	for pid in "${services[@]}"; do
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	if [ -n "$lab_pid" ]; then
		# The end of its orders is the end of its hosts.
		exec {orders}>&-
		wait "$lab_pid" 2>/dev/null
	fi
	rm -rf "$lab"
}

# lab_do ORDER...: $answer has what came of it.
lab_do() {
	echo "$*" >&"$orders"
	read -r -t 60 answer <&"$answers" || die "the lab has ended:" \
	    "$(tail -n 3 "$lab/lab.log")"
	case $answer in
	ok*) answer=${answer#ok} answer=${answer# } ;;
	*) die "$* $answer" ;;
	esac
}

# say COMMAND...: shown, run, its output shown.
say() {
	run_shown "\$ $*" "$@"
}

# say_on HOST PROGRAM...: there, with its configuration and state.
say_on() {
	local name=$1 program=$2 line

	shift
	line="$name\$ $*"
	shift
	run_shown "$line" "$program" --config "$lab/$name/vtpmd.conf" \
	    --state-dir "$lab/$name/vtpmd" "$@"
}

run_shown() {
	local status line=$1

	shift
	sed "s,$lab/,,g; s,/tmp/vtpmd-kms[^/]*/,kms/,g" <<<"    $line"
	timeout 60 "$@" >"$work/said" 2>&1
	status=$?
	sed "s,$lab/,,g" "$work/said" | cut -c 1-120 | show
	return $status
}

has() {
	grep -q -- "$1" "$work/said" || die "that should say: $1"
}

serve() {
	"$build/$1" --config "$lab/etc/$1.conf" 2>"$lab/$1.log" &
	services+=($!)
	for ((i = 0; i < 200; i++)); do
		! grep -q 'listens on' "$lab/$1.log" || return 0
		sleep 0.05
	done
	die "$1: $(cat "$lab/$1.log")"
}

# host NAME: its directory is $lab/NAME; what its vtpmd and vtpmctl read.
host() {
	lab_do host "$1"
	printf '[authority]\nsocket = %s\n' "${answer#* }" >"$lab/$1/vtpmd.conf"
	mkdir "$lab/$1/vtpmd"
}

# refused_on HOST FILE STATUS PATTERN WHAT
refused_on() {
	refused "$5" "$3" timeout 30 "$build/vtpmd" --config \
	    "$lab/$1/vtpmd.conf" --state-dir "$lab/$1/vtpmd" --nvram "$2" \
	    --ctrl "unix:$lab/refused.sock,mode=0600" --terminate
	tr -d '\n' <"$work/refused" | grep -q -- "$4" ||
	    die "the refusal does not say: $4"
}

rm -rf "$work"
mkdir -p "$work" || exit 1

step "Install and build"
# shellcheck disable=SC2034 # for steps.sh
demo_packages='build|guest|test'
demo_programs+=(vtactl vta-attestd vta-kmxd vta-kmxa vta-kmxa-tpm)
install_packages
build_all
good "vtpmd, vta-attestd, vta-kmxd, vta-kmxa and vtactl are in build/demo"
# shellcheck disable=SC2034 # for guest.sh
GUEST_BUILD=$build GUEST_BOOT=kernel
# shellcheck source=tests/guest/guest.sh
. tests/guest/guest.sh
guest_init "$work" || die "the guest's image"
unset VTPMD_STATE_DIR
PATH=$build:$PATH
# shellcheck disable=SC2034 # for steps.sh
demo_ends=yes
began=$SECONDS
export VTACTL_CONFIG=$lab/etc/vtactl.conf
export top_builddir=$build top_srcdir=$PWD
coproc LAB { exec python3 tests/demo/lab.py "$lab" 2>"$lab/lab.log"; }
# shellcheck disable=SC2153 # the shell's own, of the coproc
lab_pid=$LAB_PID
exec {orders}>&"${LAB[1]}" {answers}<&"${LAB[0]}"
eval "exec ${LAB[1]}>&-"

step "A key management server, and a trust authority in front of it" \
    "The KMS speaks KMIP over TLS. One command makes the authority: its CA," \
    "the services' certificates, the first administrator, the configuration."
lab_do ports
read -r attestd_port kmxd_port <<<"$answer"
user=()
[ "$(id -u)" != 0 ] || user=(--user root)
say vtactl init --name demo --address localhost --dir "$lab/etc" \
    --state-dir "$lab/state" --attestd-port "$attestd_port" \
    --kmxd-port "$kmxd_port" "${user[@]}" --json || die "vtactl init"
# Keys of the KMS are held for seconds; here for two, so that a KMS that is
# stopped is missed at once.
printf '\n[keys]\nkek_seconds = 2\n' >>"$lab/etc/vta-kmxd.conf"
serve vta-attestd
serve vta-kmxd
lab_do kms
read -r node kms_dir <<<"$answer"
say vtactl kms add main --node "$node" --ca "$kms_dir/ca.pem" \
    --certificate "$kms_dir/client.pem" --key "$kms_dir/client.key" \
    --default || die "vtactl kms add"
good "the services run; the KMS answers them"

step "Two hosts, each with a TPM" \
    "Their firmware, boot loader and kernel are in the TPM's PCRs, as a real" \
    "boot with Secure Boot left them; the kernel's IMA log lists every file" \
    "that was run. Each one says who it is; an administrator lets it in."
say vtactl group add prod --description "the hosts of this demo" ||
    die "vtactl group add"
for name in h1 h2; do
	host $name
	say vtactl host export --agent "$lab/$name/agent.sock" \
	    --out "$lab/$name.json" || die "vtactl host export"
done
# The maker's CA: swtpm's, here.
say vtactl ek-ca import "$lab/ca/issuercert.pem" || die "vtactl ek-ca import"
for name in h1 h2; do
	say vtactl host import "$lab/$name.json" --group prod ||
	    die "vtactl host import"
done

step "What they may run: the first one is the reference" \
    "Its boot and its files become a policy, which is read, then approved."
say vtactl policy capture h1 base --out "$lab/base.json" ||
    die "vtactl policy capture"
jq -r '"it approves \(.event_log.boot_applications // [] | length) boot " +
    "applications, \(.event_log.kernel_command_lines // [] | length) " +
    "command lines, \(.ima.digests | length) files; Secure Boot " +
    (if .event_log.secure_boot then "on" else "off" end)' \
    "$lab/base.json" | show
say vtactl policy import "$lab/base.json" || die "vtactl policy import"
say vtactl policy approve prod base || die "vtactl policy approve"
for name in h1 h2; do
	say vtactl host attest $name || die "$name does not attest"
done
say vtactl status || die "an alarm"
has attested

step "A VM's virtual TPM, made on the first host" \
    "Its file's key is wrapped by a key of this VM in the KMS."
say_on h1 vtpmctl create --protector authority --name web --pcr-banks sha256 \
    "$lab/web.tpm" || die "vtpmctl create"
[ "$(id -u)" != 0 ] || chmod 0755 "$lab"
say vtactl vm list || die "vtactl vm list"
has web

step "It starts there: a real guest boots with it, under Secure Boot" \
    "\$ vtpm-qemu --nvram web.tpm --vbs -- qemu-system-x86_64 ..."
secret="sealed-$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')"
printf 'keep "%s" "data"\n' "$secret" >"$work/first.sh"
guest_run "$lab/web.tpm" "$work/first.sh" --config "$lab/h1/vtpmd.conf" \
    --state-dir "$lab/h1/vtpmd" || { guest_explain; die "the guest"; }
good "the guest has booted, sealed a secret in its TPM and powered off"
say vtactl vm show web || die "vtactl vm show"
cp "$lab/web.tpm" "$lab/stolen.tpm"

step "Somebody copies the file to a third host, which nobody let in" \
    "It has a TPM, the agent and the authority's address, and that is all."
host h3
refused_on h3 "$lab/stolen.tpm" 1 'host' "a host that the authority does not know"

step "Unapproved software on the second host" \
    "Somebody runs /usr/local/bin/miner. The kernel has measured it before."
lab_do run h2 /usr/local/bin/miner
if say vtactl host attest h2; then
	die "that is to be refused"
fi
has /usr/local/bin/miner
refused_on h2 "$lab/web.tpm" 1 '/usr/local/bin/miner' \
    "a host that is not as approved"
say vtactl status
has ALARM
good "the security page says which host, since when, and which file"

step "The KMS is gone" \
    "A running VM keeps its TPM. The first host keeps keys, sealed in its" \
    "TPM, and may start what it ran last."
say_on h1 vtpmctl create --protector authority --name db \
    "$lab/db.tpm" || die "vtpmctl create"
# As a service would run it, with tpm2-tools in the guest's place.
"$build/vtpmd" --config "$lab/h1/vtpmd.conf" --state-dir "$lab/h1/vtpmd" \
    --nvram "$lab/db.tpm" --ctrl "unix:$lab/db.sock" \
    2>"$lab/db.log" &
services+=($!)
db=$!
for ((i = 0; i < 200; i++)); do
	[ ! -S "$lab/db.sock" ] || break
	sleep 0.05
done
python3 -B tests/integration/tpm-bridge.py serve "$lab/db.sock" \
    "$lab/db.tpm.sock" 2>"$lab/bridge.log" &
services+=($!)
for ((i = 0; i < 200; i++)); do
	[ ! -S "$lab/db.tpm.sock" ] || break
	sleep 0.05
done
export TPM2TOOLS_TCTI="cmd:python3 -B $PWD/tests/integration/tpm-bridge.py pipe $lab/db.tpm.sock"
tpm2_nvdefine -Q -C o -s 8 0x1500001 2>"$work/said" ||
    die "$(cat "$work/said" "$lab/db.log")"
lab_do stop-kms
sleep 3
echo 12345678 | head -c 8 | tpm2_nvwrite -Q -C o -i - 0x1500001 ||
    die "the running TPM"
good "the running one has just stored what its guest told it"
# Power on and off: QEMU is stopped before its guest.
echo quit | timeout 60 "$build/vtpm-qemu" --nvram "$lab/web.tpm" --config \
    "$lab/h1/vtpmd.conf" --state-dir "$lab/h1/vtpmd" -- qemu-system-x86_64 \
    -S -nodefaults -display none -monitor stdio >"$work/last.log" 2>&1 ||
    { cat "$work/last.log"; die "a kept key"; }
grep -q 'event=agent.kept_key_used' "$lab/h1/agent.log" ||
    die "the key came from elsewhere"
good "the other one starts with the key that its host had kept"
if say vtactl status; then
	die "a KMS that is gone is an alarm"
fi
has 'ALARM: kms.unreachable'
lab_do start-kms
kill $db 2>/dev/null

step "The VM is shredded" \
    "Its key is destroyed in the KMS: every copy and every backup is dead."
say vtactl vm shred web --yes || die "vtactl vm shred"
for file in web stolen; do
	refused_on h1 "$lab/$file.tpm" 1 'shred' "$file.tpm, where it ran,"
done
say vtactl ca crl || die "vtactl ca crl"

step "Who did what" \
    "Each record is chained to the one before it; vtactl checks the chain."
say vtactl audit --verify --from 10 || die "vtactl audit"
has 'None is missing'
good "and nobody has taken one out"

printf '\n%sAll shown in %d seconds after the build.%s\n' "$bold$green" \
    $((SECONDS - began)) "$plain"
