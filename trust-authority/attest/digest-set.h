/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of digests, for hundreds of thousands of approved files: a table with
 * open addressing for each algorithm, two to four places for a digest. */
#ifndef ATTEST_DIGEST_SET_H
#define ATTEST_DIGEST_SET_H

#include <stdbool.h>

#include "trust-authority/attest/hash.h"

struct digest_set;
struct digest_set *digest_set_new(void);
void digest_set_free(struct digest_set *set);
/* Adding one twice is no error. */
int digest_set_add(struct digest_set *set, const struct hash_alg *alg,
    const uint8_t *digest, struct err *err);
bool digest_set_has(const struct digest_set *set, const struct hash_alg *alg,
    const uint8_t *digest);
size_t digest_set_count(const struct digest_set *set);

#endif
