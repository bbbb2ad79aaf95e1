/* SPDX-License-Identifier: BSD-3-Clause */
/* A quote with the PCR values that it is over. */
#ifndef AGENT_TPM_HOST_QUOTE_H
#define AGENT_TPM_HOST_QUOTE_H

#include "nvram-crypt/hostkey/hosttpm.h"
#include "trust-authority/attest/evidence.h"

#define QUOTE_ATTEST_MAX 4096
#define QUOTE_SIGNATURE_MAX 1024
#define QUOTE_VALUES_MAX (PCR_BANKS_MAX * PCR_COUNT * HASH_MAX)

struct host_quote {
	uint8_t attest[QUOTE_ATTEST_MAX];
	uint8_t signature[QUOTE_SIGNATURE_MAX];
	uint8_t values[QUOTE_VALUES_MAX];
	size_t attest_size, signature_size, values_size;
};

/* Fills the values that pcrs selects. ERR_UNSUPPORTED: no such bank. */
int host_pcr_read(struct hosttpm *t, struct pcr_set *pcrs, struct err *err);
/* ERR_BUSY where the PCRs change all the time. */
int host_quote(struct hosttpm *t, ESYS_TR ak,
    const uint8_t binding[QUOTE_BINDING_SIZE], struct pcr_set *pcrs,
    struct host_quote *out, struct err *err);

#endif
