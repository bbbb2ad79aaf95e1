/* SPDX-License-Identifier: BSD-3-Clause */
/* Recipients with a key pair: how a key-encryption key is agreed on (EC, SP
 * 800-56A) or transported (RSA-OAEP, SP 800-56B). Only bundle-recipient.c
 * calls. */
#ifndef MIGRATION_BUNDLE_PUBLIC_H
#define MIGRATION_BUNDLE_PUBLIC_H

#include "base/buf.h"
#include "migration/bundle-recipient.h"

#define BUNDLE_WRAPPED_SIZE 40		/* RFC 3394: the key and 8 bytes */

struct bundle_public;
int bundle_public_load(struct bundle_public **out, const char *path,
    struct err *err);
void bundle_public_free(struct bundle_public *p);
/* Fills out's kind, fingerprint and label, and the parameters in its body, over
 * which b is a writer. *kek is new. */
int bundle_public_wrap(const struct bundle_public *p,
    const uint8_t id[BUNDLE_ID_SIZE], struct bundle_recipient *out,
    struct buf *b, struct secret **kek, struct err *err);
/* b reads the parameters, which are anybody's. k may be NULL. */
int bundle_key_unwrap(const struct bundle_key *k,
    const uint8_t id[BUNDLE_ID_SIZE], const struct bundle_recipient *r,
    struct buf *b, struct secret **kek, struct err *err);

#endif
