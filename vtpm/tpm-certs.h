/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The certificates in a TPM's NV indices, read from its permanent state in
 * this process's memory: nothing is written back.
 */
#ifndef VTPM_TPM_CERTS_H
#define VTPM_TPM_CERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vtpm/ek-cert.h"

#define TPM_CERTS_MAX 16u

struct tpm_cert {
	uint32_t index;
	const char *kind;	/* "rsa2048", ..., "platform", "other" */
	bool attribute;		/* an attribute certificate, not X.509 */
	struct ek_cert cert;
};

/* All that are there, by index. Once per process. */
int tpm_certs_read(const uint8_t *state, size_t size,
    struct tpm_cert certs[TPM_CERTS_MAX], size_t *n, struct err *err);

#endif
