/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/nvram-internal.h"

/* A key that has one purpose, for this file and this DEK only. */
static int
derive(const struct secret *dek, const char *label, const uint8_t *context,
    size_t context_size, struct xaes **out, struct err *err)
{
	struct secret *key = secret_new(XAES_KEY_SIZE);
	int rc;

	if (key == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	if ((rc = crypto_kbkdf(secret_bytes(dek), secret_size(dek), label,
	    context, context_size, secret_data(key), XAES_KEY_SIZE, err)) == 0)
		rc = xaes_new(out, secret_bytes(key), err);
	secret_free(key);
	return rc;
}

int
nvram_derive_key(const struct nvram *nv, const char *label,
    const void *context, size_t context_size, uint8_t key[DEK_SIZE],
    struct err *err)
{
	if (!nv->unlocked)
		return err_set(err, ERR_REFUSED, "%s is not unlocked",
		    nv->name);
	return crypto_kbkdf(secret_bytes(nv->keys.dek),
	    secret_size(nv->keys.dek), label, context, context_size, key,
	    DEK_SIZE, err);
}

int
nvram_keys_make(struct nvram_keys *keys, struct secret *dek,
    const uint8_t uuid[UUID_SIZE], const uint8_t dek_id[DEK_ID_SIZE],
    struct err *err)
{
	uint8_t context[UUID_SIZE + DEK_ID_SIZE];
	int rc;

	memset(keys, 0, sizeof(*keys));
	keys->dek = dek;
	memcpy(context, uuid, UUID_SIZE);
	memcpy(context + UUID_SIZE, dek_id, DEK_ID_SIZE);
	if ((rc = derive(dek, "vtpmd nvram superblock", context,
	    sizeof(context), &keys->superblock, err)) < 0 ||
	    (rc = derive(dek, "vtpmd nvram slot", context, sizeof(context),
	    &keys->slot, err)) < 0 ||
	    (rc = crypto_kbkdf(secret_bytes(dek), secret_size(dek),
	    "vtpmd nvram commitment", context, sizeof(context),
	    keys->commitment, sizeof(keys->commitment), err)) < 0)
		nvram_keys_free(keys);
	return rc;
}

void
nvram_keys_free(struct nvram_keys *keys)
{
	secret_free(keys->dek);
	xaes_free(keys->superblock);
	xaes_free(keys->slot);
	memset(keys, 0, sizeof(*keys));
}

int
nvram_dek_new(struct secret **dek, uint8_t dek_id[DEK_ID_SIZE],
    struct err *err)
{
	int rc;

	if ((*dek = secret_new(DEK_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	if ((rc = crypto_random(secret_data(*dek), DEK_SIZE, err)) < 0 ||
	    (rc = crypto_random(dek_id, DEK_ID_SIZE, err)) < 0) {
		secret_free(*dek);
		*dek = NULL;
	}
	return rc;
}
