/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a helper program: one request on its standard input, the answer from its
 * standard output, words for people from its standard error. For libraries that
 * must not be mapped into a daemon, and devices that may never answer: only a
 * process can be ended in the middle of a read. Nothing of what goes through
 * its pipes is in an argument, an environment or a file.
 */
#ifndef BASE_HELPER_H
#define BASE_HELPER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct helper {
	const char *program;		/* path */
	const char *name;		/* with which its messages begin */
	const char *missing;		/* what to do where it cannot be run */
	const char *const *arguments;	/* NULL at their end; no secrets */
	int timeout_ms;
};

/* Blocks until the helper has ended, or is killed at its time's end; a daemon
 * calls it from a thread. The input is at most 64 KiB, more than one may wait
 * for the helper to read it. Errors are the helper's own by its exit status
 * (err_exit_status; 1 and signals are ERR_TPM), its first line the text. */
int helper_run(const struct helper *h, const void *input, size_t input_size,
    uint8_t *answer, size_t room, size_t *size, struct err *err);

#endif
