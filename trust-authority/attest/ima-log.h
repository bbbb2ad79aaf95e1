/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's IMA log, /sys/kernel/security/ima/binary_runtime_measurements
 * (Documentation/security/IMA-templates.rst), integers little-endian as on the
 * machines that we know. Templates: ima, ima-ng, ima-ngv2, ima-sig, ima-sigv2,
 * ima-buf, ima-modsig. The template data of an entry are what is measured, so
 * once the log has been replayed, digest and path are as the kernel saw them.
 */
#ifndef ATTEST_IMA_LOG_H
#define ATTEST_IMA_LOG_H

#include <stdbool.h>

#include "trust-authority/attest/pcr.h"

#define IMA_LOG_SIZE_MAX (64u << 20)
#define IMA_PCR 10

struct ima_entry {
	uint32_t pcr;
	bool violation;		/* the file changed while it was measured */
	const char *template_name;	/* of our own table */
	const uint8_t *data;	/* what is measured, all but in "ima" */
	size_t size;
	const struct hash_alg *alg;	/* of the file's digest */
	const uint8_t *digest;
	const uint8_t *path;	/* without final zero; bytes of anybody's */
	size_t path_size;
	bool buffer;		/* ima-buf: not a file but kernel data */
};

struct ima_log;
int ima_log_read(const uint8_t *data, size_t size, struct ima_log **out,
    struct err *err);
void ima_log_free(struct ima_log *log);
size_t ima_log_count(const struct ima_log *log);
const struct ima_entry *ima_log_at(const struct ima_log *log, size_t i);

/* How the kernel extends banks other than SHA-1: each with its own hash (since
 * 5.8), or with the SHA-1 digest and zeros behind it: before 5.8, and later for
 * a bank whose hash the kernel does not have yet when IMA begins, as SHA-384 in
 * Debian 12 (ima_calc_field_array_hash). The second is as weak as SHA-1. */
enum ima_extend { IMA_EXTEND_BANK, IMA_EXTEND_SHA1_PADDED };

/* The log grows while the quote is made, so it may be longer: *count becomes
 * the number of entries that explain PCR 10's quoted value. ERR_REFUSED where
 * none does, or where an entry before that is for another PCR. */
int ima_log_replay(const struct ima_log *log, const struct hash_alg *bank,
    enum ima_extend how, const uint8_t *quoted, size_t *count,
    struct err *err);

/* The entry that the kernel begins the log with, and not a violation. */
bool ima_is_boot_aggregate(const struct ima_entry *entry);
/* The digest that "boot_aggregate" must have: over PCRs 0 to 7, and for banks
 * other than SHA-1 also 8 and 9 (ima_calc_boot_aggregate_tfm, since 5.8).
 * ERR_NOTFOUND where these PCRs were not quoted. */
int ima_boot_aggregate(const struct pcr_set *pcrs, const struct hash_alg *alg,
    uint8_t out[HASH_MAX], struct err *err);

#endif
