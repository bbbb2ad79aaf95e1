#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# run.sh SECONDS ENGINE TARGET...: all targets, one after the other, for SECONDS
# in all, by the engine that they were built for: libfuzzer or afl; an empty
# ENGINE takes either. New inputs go to tests/fuzz/found in the build folder,
# where the next run goes on from; a finding is kept there and the status is 1.
set -u
: "${top_srcdir:?run me by make fuzz}" "${top_builddir:?}"
seconds=$1
engine=$2
shift 2
each=$((seconds / $#))
[ "$each" -gt 0 ] || each=1
source=$(cd "$top_srcdir/tests/fuzz" && pwd)
found=$top_builddir/tests/fuzz/found
status=0

built_for()
{
	if grep -q '##SIG_AFL_PERSISTENT##' "$1"; then
		echo afl
	elif "$1" -help=1 2>&1 | grep -q max_total_time; then
		echo libfuzzer
	fi
}

run_libfuzzer()
{
	mkdir -p "$found/$name"
	timeout $((each + 120)) "$target" -max_total_time="$each" \
		-max_len=4096 -timeout=60 -rss_limit_mb=2048 \
		${dict:+"-dict=$dict"} -artifact_prefix="$found/$name-" \
		"$found/$name" "$source/corpus/$name" >"$found/$name.log" 2>&1
}

# The corpus's inputs are tried first; what a former run found is gone on with.
run_afl()
{
	local output=$found/afl-$name input=$source/corpus/$name

	[ -d "$output/default/queue" ] && input=-
	mkdir -p "$found"
	AFL_NO_UI=1 AFL_NO_AFFINITY=1 AFL_SKIP_CPUFREQ=1 \
		AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 \
		timeout $((each + 120)) afl-fuzz -V "$each" -m none -t 20000 \
		-G 4096 ${dict:+-x "$dict"} -i "$input" -o "$output" \
		-- "$target" >"$found/afl-$name.log" 2>&1 || return 1
	[ -z "$(find "$output/default/crashes" "$output/default/hangs" \
		-name 'id:*' -print -quit)" ]
}

tell()
{
	if [ "$engine" = libfuzzer ]; then
		tail -n 1 "$found/$name.log"
	else
		sed -n -E 's/^(execs_done|corpus_count|edges_found) *: /\1 /p' \
			"$found/afl-$name/default/fuzzer_stats" |
			paste -s -d,
	fi
}

tell_finding()
{
	if [ "$engine" = libfuzzer ]; then
		echo "FOUND something: $found/$name.log"
		grep -E 'ERROR|SUMMARY|broken:|runtime error|written to' \
			"$found/$name.log"
	else
		echo "FOUND something: $found/afl-$name/default/{crashes,hangs}"
		tail -n 3 "$found/afl-$name.log"
	fi
}

# What is known to be libtpms's own is contained and handled by the targets,
# see README.md; anything that comes up here is new.
for target; do
	name=${target##*/fuzz-}
	dict=
	case $name in
	tpm) dict=$source/dict/tpm.dict ;;
	control | needs) dict=$source/dict/control.dict ;;
	esac
	built=$(built_for "$target")
	: "${engine:=$built}"
	if [ -z "$built" ] || [ "$engine" != "$built" ]; then
		echo "$target is built for ${built:-no} engine: configure with" \
			"--enable-fuzz and CC=clang for libfuzzer or" \
			"CC=afl-clang-fast for afl"
		exit 1
	fi
	printf '%-12s %d s ... ' "$name" "$each"
	if "run_$engine"; then
		tell
	else
		tell_finding
		status=1
	fi
done
exit "$status"
