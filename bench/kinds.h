/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A dozen kinds of TPM commands, one after the other in a cycle that leaves the
 * TPM as it was: sessions, objects, sequences come and go. The same cycle runs
 * on any TPM, through a socket or in this process.
 */
#ifndef BENCH_KINDS_H
#define BENCH_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bench/wire.h"

#define KINDS_BLOB 1024

/* What answers of one TPM gave for later commands. */
struct kinds {
	uint32_t parent, key, session, sequence;
	uint8_t private[KINDS_BLOB], context[2 * KINDS_BLOB];
	size_t private_size;	/* TPM2B_PRIVATE and TPM2B_PUBLIC */
	size_t context_size;
	uint8_t count;		/* of NV_Write: another content each time */
};

/* Runs a command to its answer. */
typedef int kinds_ask(void *arg, const struct command *c, struct answer *a,
    struct err *err);

/* Makes the parent, the key and the indices, once after each TPM2_Startup. */
int kinds_prepare(struct kinds *k, kinds_ask *ask, void *arg,
    struct err *err);

size_t kinds_count(void);
/* NULL: a command that only tidies up. */
const char *kind_name(size_t kind);
/* Whether libtpms stores its permanent state. */
bool kind_stores(size_t kind);
void kind_build(size_t kind, struct kinds *k, struct command *c);
/* Takes what later commands need; ERR_TPM for an error response. */
int kind_take(size_t kind, struct kinds *k, const struct answer *a,
    struct err *err);

#endif
