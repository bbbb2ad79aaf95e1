#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# run.sh SECONDS TARGET...: all libFuzzer targets, one after the other, for
# SECONDS in all. New inputs go to tests/fuzz/found in the build folder, where
# the next run goes on from; a finding is kept there and the status is 1.
set -u
: "${top_srcdir:?run me by make fuzz}" "${top_builddir:?}"
seconds=$1
shift
each=$((seconds / $#))
[ "$each" -gt 0 ] || each=1
source=$(cd "$top_srcdir/tests/fuzz" && pwd)
found=$top_builddir/tests/fuzz/found
status=0

# What is known to be libtpms's own is contained and handled by the targets,
# see README.md; anything that comes up here is new.
for target; do
	name=${target##*/fuzz-}
	dict=()
	case $name in
	tpm) dict=(-dict="$source/dict/tpm.dict") ;;
	control | needs) dict=(-dict="$source/dict/control.dict") ;;
	esac
	if ! "$target" -help=1 2>&1 | grep -q max_total_time; then
		echo "$target is not a libFuzzer program: configure with" \
			"--enable-fuzz CC=clang"
		exit 1
	fi
	mkdir -p "$found/$name"
	printf '%-12s %d s ... ' "$name" "$each"
	if timeout $((each + 120)) "$target" -max_total_time="$each" \
		-max_len=4096 -timeout=60 -rss_limit_mb=2048 "${dict[@]}" \
		-artifact_prefix="$found/$name-" "$found/$name" \
		"$source/corpus/$name" >"$found/$name.log" 2>&1; then
		tail -n 1 "$found/$name.log"
	else
		echo "FOUND something: $found/$name.log"
		grep -E 'ERROR|SUMMARY|broken:|runtime error|written to' \
			"$found/$name.log"
		status=1
	fi
done
exit "$status"
