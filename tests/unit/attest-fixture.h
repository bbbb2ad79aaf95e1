/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests of trust-authority/attest: golden boots, a key of our own that
 * signs what a TPM never would, and a writer of event logs.
 */
#ifndef TESTS_UNIT_ATTEST_FIXTURE_H
#define TESTS_UNIT_ATTEST_FIXTURE_H

#include "trust-authority/attest/judge.h"

struct bytes {
	uint8_t *data;
	size_t size;
};

/* A file of tests/unit/golden/attest, with a NUL behind it. */
struct bytes golden_file(const char *boot, const char *file);
void bytes_free(struct bytes *b);

struct golden {
	struct bytes eventlog, ima, attest, signature, values;
	struct tpm_key *ak, *ek;
};

#define GOLDEN_BINDING "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb" \
	"\xcc\xdd\xee\xff\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb" \
	"\xcc\xdd\xee\xff"

struct golden golden_read(const char *boot, const struct hash_alg *bank);
void golden_free(struct golden *g);
struct evidence golden_evidence(const struct golden *g);
/* The kernel's value of a PCR; fails the test where there is none. */
void golden_pcr(const char *boot, const char *bank, uint32_t pcr,
    uint8_t out[HASH_MAX]);
bool golden_has_bank(const char *boot, const char *bank);

/* A key as in a TPM, but ours. */
struct soft_ak {
	EVP_PKEY *pkey;
	struct tpm_key *key;
};
#define SOFT_AK_ATTRIBUTES 0x00050072u	/* of a proper AK */

/* type: "P-256", "P-384" or "RSA"; scheme TPM_ALG_ECDSA and so on. */
struct soft_ak soft_ak_new(const char *type, uint16_t scheme, uint16_t hash,
    uint32_t attributes);
void soft_ak_free(struct soft_ak *ak);
struct bytes soft_ak_sign(const struct soft_ak *ak, const uint8_t *data,
    size_t size);

/* What is in a quote; zeroed, then changed by the test. */
struct soft_quote {
	uint32_t magic;
	uint16_t type;
	struct pcr_set pcrs;
	struct tpm_clock clock;
	bool wrong_signer, wrong_digest, trailing;
};
struct soft_quote soft_quote_new(const struct hash_alg *bank, uint32_t mask);
/* Signed by ak as a primary object of the endorsement hierarchy, with
 * GOLDEN_BINDING. The parts are the caller's to free. */
struct soft_parts {
	struct bytes attest, signature, values;
};
struct soft_parts soft_quote_sign(const struct soft_quote *q,
    const struct soft_ak *ak);
void soft_parts_free(struct soft_parts *p);

/* A log for SHA-256 alone. */
struct log_maker {
	uint8_t data[65536];
	struct buf out;
};
void log_begin(struct log_maker *m);
/* measured: what the digest is over; NULL: the data. */
void log_event(struct log_maker *m, uint32_t pcr, uint32_t type,
    const void *data, size_t size, const void *measured,
    size_t measured_size);
void log_copy(struct log_maker *m, const struct eventlog *log, size_t i);
void log_separator(struct log_maker *m, uint32_t pcr);
/* An EFI variable of the guid "global" or "security". */
void log_variable(struct log_maker *m, uint32_t type, bool security,
    const char *name, const void *value, size_t size);

/* A quote that explains this event log, and the attestation of both; IMA log
 * and its PCR 10 may be NULL. */
struct attestation *soft_attest(const uint8_t *log, size_t log_size,
    const uint8_t *ima, size_t ima_size, const uint8_t *pcr10);

#endif
