/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/kept-record.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define MAGIC "VTAKEPT1"
#define MAGIC_SIZE 8
#define MAC_SIZE 32
#define BODY_SIZE (KEPT_RECORD_SIZE - MAC_SIZE)

enum { OWNED = 1, CONFIRMED = 2, CLEAN = 4, SYNCED = 8, DIRTY = 16,
	HELD = 32, ALL = 63 };

static int
mac_of(const struct secret *key, const uint8_t *body, uint8_t out[MAC_SIZE],
    struct err *err)
{
	unsigned int size = 0;

	if (HMAC(EVP_sha256(), secret_bytes(key), (int)secret_size(key), body,
	    BODY_SIZE, out, &size) != NULL && size == MAC_SIZE)
		return 0;
	ERR_clear_error();
	return err_set(err, ERR_CRYPTO, "OpenSSL cannot authenticate a "
	    "record");
}

int
kept_record_write(const struct kept_record *r, const struct secret *mac,
    uint8_t out[KEPT_RECORD_SIZE], struct err *err)
{
	struct buf w = buf_writer(out, BODY_SIZE);

	buf_put_bytes(&w, MAGIC, MAGIC_SIZE);
	buf_put_bytes(&w, r->vm, UUID_SIZE);
	buf_put_bytes(&w, r->hash, KEYS_HASH_SIZE);
	buf_put_u8(&w, (uint8_t)((r->owned ? OWNED : 0) |
	    (r->confirmed ? CONFIRMED : 0) | (r->clean ? CLEAN : 0) |
	    (r->synced ? SYNCED : 0) | (r->dirty ? DIRTY : 0) |
	    (r->held ? HELD : 0)));
	buf_put_zero(&w, 1);
	buf_put_u64be(&w, r->epoch);
	buf_put_bytes(&w, r->digest, KEPT_DIGEST_SIZE);
	buf_put_bytes(&w, r->instance, KEPT_INSTANCE_SIZE);
	buf_put_u32be(&w, r->local);
	buf_put_u64be(&w, r->base_epoch);
	buf_put_bytes(&w, r->base_digest, KEPT_DIGEST_SIZE);
	buf_put_bytes(&w, r->base_instance, KEPT_INSTANCE_SIZE);
	if (!buf_ok(&w))
		return err_set(err, ERR_INTERNAL, "a record is too long");
	return mac_of(mac, out, out + BODY_SIZE, err);
}

int
kept_record_read(const uint8_t *data, size_t size, const struct secret *mac,
    struct kept_record *r, struct err *err)
{
	struct buf in = buf_reader(data, BODY_SIZE);
	uint8_t want[MAC_SIZE], flags = 0;
	int rc;

	if (size != KEPT_RECORD_SIZE ||
	    memcmp(data, MAGIC, MAGIC_SIZE) != 0)
		return err_set(err, ERR_FORMAT, "no record of a kept key");
	if ((rc = mac_of(mac, data, want, err)) < 0)
		return rc;
	if (CRYPTO_memcmp(want, data + BODY_SIZE, MAC_SIZE) != 0)
		return err_set(err, ERR_AUTH, "the record of a kept key was "
		    "altered, or is another host's");
	buf_get_bytes(&in, NULL, MAGIC_SIZE);
	buf_get_bytes(&in, r->vm, UUID_SIZE);
	buf_get_bytes(&in, r->hash, KEYS_HASH_SIZE);
	buf_get_u8(&in, &flags);
	buf_get_bytes(&in, NULL, 1);
	buf_get_u64be(&in, &r->epoch);
	buf_get_bytes(&in, r->digest, KEPT_DIGEST_SIZE);
	buf_get_bytes(&in, r->instance, KEPT_INSTANCE_SIZE);
	buf_get_u32be(&in, &r->local);
	buf_get_u64be(&in, &r->base_epoch);
	buf_get_bytes(&in, r->base_digest, KEPT_DIGEST_SIZE);
	buf_get_bytes(&in, r->base_instance, KEPT_INSTANCE_SIZE);
	r->owned = (flags & OWNED) != 0;
	r->confirmed = (flags & CONFIRMED) != 0;
	r->clean = (flags & CLEAN) != 0;
	r->synced = (flags & SYNCED) != 0;
	r->dirty = (flags & DIRTY) != 0;
	r->held = (flags & HELD) != 0;
	return buf_ok(&in) && (flags & ~ALL) == 0 ? 0 :
	    err_set(err, ERR_FORMAT, "no record of a kept key");
}
