/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes memory, locked memory, sockets and OpenSSL fail pseudo-randomly, by the
 * input's own seed, and random numbers and the time the same in every run: so
 * an input that finds something finds it again. Works by the linker's --wrap,
 * which catches the calls of our own code only; fuzz.am lists the functions.
 */
#ifndef TESTS_FUZZ_FAIL_H
#define TESTS_FUZZ_FAIL_H

#include <stdbool.h>

#include "base/buf.h"

/* Takes four bytes of the input: the first is how rare failures are (0: none,
 * n: one call in n), the others seed them. */
void fail_begin(struct buf *in);
/* Nothing fails from here on. True when something did. */
bool fail_end(void);
/* Whether the next one is to fail, for what a harness replaces itself. */
bool fail_now(void);

/* The input has shown that a promise is broken: ends the program such that the
 * fuzzer keeps the input. */
#define FUZZ_ASSERT(what) do { \
	if (!(what)) \
		fail_assertion(#what, __FILE__, __LINE__); \
} while (0)
_Noreturn void fail_assertion(const char *what, const char *file, int line);

#endif
