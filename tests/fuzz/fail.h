/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes memory, locked memory, system calls on files and sockets, and OpenSSL
 * fail pseudo-randomly, by the input's own seed (reads and writes also do only
 * a part), and random numbers and the time the same in every run: so an input
 * that finds something finds it again. Works by the linker's --wrap, which catches
 * the calls of our own code only; fuzz.am lists the functions. What a process
 * does once, at its start (fetching OpenSSL's algorithms, making the shared
 * memory), does not fail: nothing could be tried after it.
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
/* While the harness itself needs what might fail. */
unsigned int fail_pause(void);
void fail_resume(unsigned int paused);
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
