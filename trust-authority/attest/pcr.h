/* SPDX-License-Identifier: BSD-3-Clause */
/* PCR banks: which PCRs are selected, and their values. */
#ifndef ATTEST_PCR_H
#define ATTEST_PCR_H

#include "base/buf.h"
#include "trust-authority/attest/hash.h"

#define PCR_COUNT 24	/* PC Client Platform TPM Profile, 4.6 */
#define PCR_BANKS_MAX 4	/* the algorithms that hash.h knows */

struct pcr_bank {
	const struct hash_alg *alg;
	uint32_t mask;		/* bit n: PCR n is selected */
	uint8_t value[PCR_COUNT][HASH_MAX];
};

struct pcr_set {
	size_t count;
	struct pcr_bank bank[PCR_BANKS_MAX];
};

/* A TPML_PCR_SELECTION (TPM 2.0 Part 2, 10.9.7); values become zero. A bank
 * that is listed twice, or whose algorithm we do not know, is refused. */
int pcr_selection_read(struct buf *in, struct pcr_set *set, struct err *err);
/* The selected PCRs' values, bank by bank, ascending: exactly size bytes. */
int pcr_values_read(struct pcr_set *set, const uint8_t *data, size_t size,
    struct err *err);
/* TPMS_QUOTE_INFO.pcrDigest: of all selected values in the selection's order
 * (TPM 2.0 Part 3, 18.4). */
int pcr_set_digest(const struct pcr_set *set, const struct hash_alg *alg,
    uint8_t out[HASH_MAX], struct err *err);

/* NULL where the bank is not selected. */
const struct pcr_bank *pcr_bank_find(const struct pcr_set *set,
    const struct hash_alg *alg);
/* NULL where the PCR (or the bank, which may be NULL) is not selected. */
const uint8_t *pcr_bank_value(const struct pcr_bank *bank, uint32_t pcr);
/* The value after TPM2_Startup(CLEAR): zero, PCRs 17 to 22 all ones. */
void pcr_reset_value(uint8_t *out, const struct hash_alg *alg, uint32_t pcr);

#endif
