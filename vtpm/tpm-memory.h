/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Storage for a TPM that lives in this process's memory only: for making one,
 * and for looking into one without changing its file.
 */
#ifndef VTPM_TPM_MEMORY_H
#define VTPM_TPM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

/* Sets up libtpms (once per process) and powers the TPM on. state NULL: a new
 * one is manufactured. The bytes are copied. */
int tpm_memory_power_on(const uint8_t *state, size_t size, struct err *err);
/* Again, with what the TPM has stored. */
int tpm_memory_power_cycle(struct err *err);
/* What it has stored; its own until the next command. */
const struct secret *tpm_memory_state(void);
/* Powers off and forgets. */
void tpm_memory_free(void);

#endif
