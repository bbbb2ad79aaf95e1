#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs one test for automake's TAP driver: `run.sh unit PROGRAM` a Criterion
# program, `run.sh script FILE` a script that prints TAP. Nothing may hang.
kind=$1
shift
case $kind in
unit)
	out=$(timeout -k 5 "${UNIT_TIMEOUT:-300}" "$1" --tap)
	status=$?
	# Criterion writes a skipped test as "ok - name # SKIP reason" and its
	# failures again into the exit status 1, which the driver would count
	# twice. Any other status is a crash and is told.
	printf '%s\n' "$out"
	if [ "$status" -eq 1 ]; then
		case $out in
		*"not ok "*) status=0 ;;
		esac
	fi
	exit "$status" ;;
script)
	exec timeout -k 15 "${SCRIPT_TIMEOUT:-900}" "$@" ;;
esac
echo "Bail out! run.sh: unknown kind $kind"
exit 99
