/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A quote: TPMS_ATTEST of type TPM_ST_ATTEST_QUOTE (TPM 2.0 Part 2, 10.12) and
 * its TPMT_SIGNATURE. The signature is checked before the quote is parsed.
 */
#ifndef ATTEST_QUOTE_H
#define ATTEST_QUOTE_H

#include <stdbool.h>

#include "trust-authority/attest/pcr.h"
#include "trust-authority/attest/tpm-key.h"

#define QUOTE_BINDING_SIZE 32

/* What the TPM says of itself in each quote (Part 1, 36). */
struct tpm_clock {
	uint64_t clock;		/* ms that the TPM was powered */
	uint32_t resets;	/* TPM2_Startup(CLEAR) after power off */
	uint32_t restarts;	/* since then: resumes from sleep */
	bool safe;		/* no lower value was reported before */
};

struct quote {
	struct tpm_clock clock;
	uint64_t firmware;	/* vendor's firmwareVersion */
	struct pcr_set pcrs;	/* values checked against the quote's digest */
};

struct quote_parts {
	const uint8_t *attest, *signature, *pcr_values;
	size_t attest_size, signature_size, pcr_values_size;
};

/* What the host must put into the quote's qualifyingData: SHA-256 over
 * "vta-quote-1" and a zero byte, u16 size and the nonce, u16 size and the
 * transport key as the host sent it. So the quote is fresh, and vouches for
 * that key. */
int quote_binding(const uint8_t *nonce, size_t nonce_size,
    const uint8_t *transport_key, size_t transport_key_size,
    uint8_t out[QUOTE_BINDING_SIZE], struct err *err);

/* Verifies everything and fills *q. ek is the AK's parent, or NULL where the AK
 * is to be a primary object of the endorsement hierarchy. ERR_AUTH: not signed
 * by this AK; ERR_STALE: another nonce or transport key; ERR_REFUSED:
 * another key's quote, no quote, PCR values that are not the quoted ones. */
int quote_verify(const struct quote_parts *parts, const struct tpm_key *ak,
    const struct tpm_key *ek, const uint8_t binding[QUOTE_BINDING_SIZE],
    struct quote *q, struct err *err);

/* Whether `now` can follow `before` on one TPM: resets never fall, without a
 * reset restarts never fall, without either the clock does not, unless it
 * was said not to be safe. */
int tpm_clock_follows(const struct tpm_clock *before,
    const struct tpm_clock *now, struct err *err);

#endif
