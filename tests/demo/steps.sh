# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What ./demo and ./demo authority share: steps and what they show, packages,
# build, a guest. The caller has set these:
: "${build:?}" "${work:?}" "${demo_packages:?}" "${demo_programs[0]:?}"

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
	bold='' dim='' green='' red='' plain=''
fi
step_number=0 demo_ends=

step() {
	step_number=$((step_number + 1))
	printf '\n%s%2d. %s%s\n' "$bold" $step_number "$1" "$plain"
	shift
	[ $# -eq 0 ] || printf '%s' "$dim$(printf '    %s\n' "$@")$plain" $'\n'
}

show() {
	sed "s/^/    /"
}

good() {
	echo "    ${green}ok${plain}  $*"
}

die() {
	echo "    ${red}not as it should be:${plain} $*" >&2
	exit 1
}

cleanup() {
	local status=$?

	trap - EXIT
	[ -z "$demo_ends" ] || guest_stop
	[ "$(type -t demo_end)" != function ] || demo_end
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

install_packages() {
	local packages missing apt=()

	packages=$(sed -n -E "s/^($demo_packages): *//p" \
	    build-aux/packages)
	# shellcheck disable=SC2086 # a list
	missing=$(for p in $packages; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null |
		    grep -q 'ok installed' || echo "$p"
	done)
	[ -n "$missing" ] || return 0
	[ "$(id -u)" = 0 ] || apt=(sudo)
	# An apt that somebody else runs is waited for; nothing ever asks.
	apt+=(env DEBIAN_FRONTEND=noninteractive apt-get -q
	    -o DPkg::Lock::Timeout=300)
	"${apt[@]}" update >"$build/apt.log" 2>&1 </dev/null
	# shellcheck disable=SC2086
	"${apt[@]}" install -y --no-install-recommends $missing \
	    >>"$build/apt.log" 2>&1 </dev/null || {
		tail "$build/apt.log"
		die "apt-get cannot install" $missing
	}
}

compile() {
	[ -x configure ] || autoreconf -fi || return 1
	cd "$build" || return 1
	[ -f Makefile ] || ../../configure --prefix="$build/inst" || return 1
	make -j"$(nproc)" "${demo_programs[@]}"
}

build_all() {
	(compile) >"$build/build.log" 2>&1 && return 0
	tail -n 20 "$build/build.log"
	die "the build (log: $build/build.log)"
}

boot() {
	guest_run "$work/vm.tpm" "$work/$1.sh" || {
		guest_explain
		die "the guest did not end well"
	}
	grep -h 'lacks' "$work/stderr" | sed 's/^vtpm-qemu: //' | sort -u |
	    show
}

# refused WHAT STATUS COMMAND...: the command has to fail so, and say why.
refused() {
	local what=$1 want=$2 status
	shift 2

	timeout 30 "$@" >"$work/refused" 2>&1
	status=$?
	sed 's/^[0-9TZ:.-]* vtpmd\[[0-9]*\] //' "$work/refused" | fold -s -w 72 |
	    show
	[ $status -eq "$want" ] || die "$what: status $status, not $want"
	good "$what is refused (exit status $status)"
}

open_with() {
	local state=$1 file=$2

	shift 2
	refused "$@" "$build/vtpmd" --state-dir "$state" --nvram "$file" \
	    --ctrl "unix:$work/refused.sock,mode=0600" --terminate
}

