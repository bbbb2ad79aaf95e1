#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make lint: cppcheck, clang-tidy, mandoc and shellcheck over all that git (or
# an unpacked release) has. The Makefile gives $top_srcdir, $top_builddir and
# $lint_cflags (what pkg-config said).
set -u
: "${top_srcdir:?run me by make lint}" "${top_builddir:?}"
top_builddir=$(cd "$top_builddir" && pwd) || exit 1
cd "$top_srcdir" || exit 1
failed=0

for tool in cppcheck clang-tidy mandoc shellcheck; do
	command -v $tool >/dev/null || {
		echo "lint: $tool is not installed (see build-aux/packages)" >&2
		exit 1
	}
done

files=$(git ls-files --cached --others --exclude-standard 2>/dev/null) ||
	files=$(find . -path './build*' -prune -o -type f -print |
		sed 's,^\./,,')

# pick PATTERN: the files of that name that are there and not empty.
pick()
{
	printf '%s\n' "$files" | grep -E "$1" | while read -r file; do
		[ ! -s "$file" ] || printf '%s\n' "$file"
	done
}

# lint NAME FILES COMMAND...: a few files at a time.
lint()
{
	name=$1
	list=$2
	shift 2
	echo "lint: $name"
	printf '%s\n' "$list" >"$top_builddir/lint/files"
	xargs -r -P 2 -n 8 "$@" <"$top_builddir/lint/files" || failed=1
}

# Programs and their tools; not the Criterion tests, whose Test() macro is
# opaque to both (gcc's warnings and the sanitizers look after those).
sources=$(pick '\.c$' | grep -v '^tests/unit/')

# clang-tidy takes its flags from here.
mkdir -p "$top_builddir/lint"
{
	printf '%s\n' -std=gnu17 "-I$PWD" "-I$top_builddir" -DHAVE_CONFIG_H \
		-D_GNU_SOURCE '-DSYSCONFDIR=""' '-DLOCALSTATEDIR=""' \
		'-DLIBEXECDIR=""' '-DBINDIR=""'
	# "if (a && (rc = f()) < 0) return other" is not a dead store.
	printf '%s\n' -Xclang -analyzer-config -Xclang \
		deadcode.DeadStores:WarnForDeadNestedAssignments=false
	# One flag a line.
	# shellcheck disable=SC2086
	printf '%s\n' ${lint_cflags:-}
} >"$top_builddir/lint/compile_flags.txt"

# Whether variables are set is clang's to say, which follows pointers.
lint cppcheck "$sources" cppcheck --quiet --error-exitcode=1 \
	--inline-suppr --std=c11 --enable=warning,performance,portability \
	--suppress=missingIncludeSystem --suppress=uninitvar \
	--suppress=ctuuninitvar --library=build-aux/cppcheck.cfg -I. -I"$top_builddir" \
	-D_GNU_SOURCE '-DSYSCONFDIR=""' '-DLOCALSTATEDIR=""' \
	'-DLIBEXECDIR=""' '-DBINDIR=""'
# One file each: over several, clang-tidy 14 takes va_start for missing. Its
# counts of warnings in system headers are not shown.
# shellcheck disable=SC2016
lint clang-tidy "$sources" sh -c 'for file; do
	out=$(clang-tidy --quiet -p "$0" "$file" 2>&1) ||
		{ printf "%s\n" "$out"; bad=1; }
	done; exit ${bad:-0}' "$top_builddir/lint"
lint mandoc "$(pick '^man/.*\.[1-8]$')" mandoc -T lint -W warning
# Some tests are in other languages.
scripts=$(pick '(\.(sh|test)|^data/completions/.*|^check|^demo|^\.ci/run)$' | while read -r file; do
	head -n 1 "$file" | grep -q python || printf '%s\n' "$file"
done)
lint shellcheck "$scripts" shellcheck -x -P SCRIPTDIR
exit $failed
