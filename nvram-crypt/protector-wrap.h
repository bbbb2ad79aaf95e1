/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kinds of protector share: sealing a DEK under a key of their own,
 * bound to the file and to the protector's plain fields.
 */
#ifndef NVRAM_CRYPT_PROTECTOR_WRAP_H
#define NVRAM_CRYPT_PROTECTOR_WRAP_H

#include "nvram-crypt/protector.h"

extern const struct protector_ops protector_native_ops;
extern const struct protector_ops protector_passphrase_ops;
extern const struct protector_ops protector_authority_ops;

/* Bytes that a kind may put before the wrapped DEK. */
#define PROTECTOR_PARAMS_MAX (2u + AGENT_WRAPPED_MAX)

/* The wrapping key is KBKDF(secret, purpose, uuid || dek_id || p->id). wrap
 * appends nonce, ciphertext and tag to the parameters of the kind that are in
 * p->body already (params_size bytes), and sets body_size. */
int protector_wrap(const uint8_t *key, size_t key_size, const char *purpose,
    const struct protector_binding *binding, const struct secret *dek,
    struct protector *p, size_t params_size, struct err *err);
/* ERR_AUTH when the tag does not fit, ERR_FORMAT when the body's size is not
 * what params_size makes it. */
int protector_unwrap(const uint8_t *key, size_t key_size, const char *purpose,
    const struct protector_binding *binding, const struct protector *p,
    size_t params_size, struct secret **dek, struct err *err);

#endif
