/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Get (KMIP 1.4, 4.11): an AES-256 key, in clear or wrapped by another key of
 * the KMS with the AES key wrap of RFC 3394. The bytes stay where they came
 * in, in locked memory, until they are in a secret of their own.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "trust-authority/kmip/operations.h"
#include "trust-authority/kmip/protocol.h"
#include "trust-authority/kmip/ttlv.h"

/* RFC 3394 puts one block of eight bytes before what it wraps. */
#define WRAP_OVERHEAD 8

/* KMIP 1.4, 2.1.6. No Encoding (since 1.1): the key's bytes are wrapped, not a
 * TTLV structure around them. */
static void
put_wrapping(struct buf *out, const char *wrapping_id)
{
	size_t spec = ttlv_begin(out, TAG_KEY_WRAPPING_SPECIFICATION);
	size_t info, parameters;

	(void)ttlv_put_enumeration(out, TAG_WRAPPING_METHOD,
	    WRAPPING_METHOD_ENCRYPT);
	info = ttlv_begin(out, TAG_ENCRYPTION_KEY_INFORMATION);
	(void)ttlv_put_text(out, TAG_UNIQUE_IDENTIFIER, wrapping_id);
	parameters = ttlv_begin(out, TAG_CRYPTOGRAPHIC_PARAMETERS);
	(void)ttlv_put_enumeration(out, TAG_BLOCK_CIPHER_MODE,
	    BLOCK_CIPHER_MODE_NIST_KEY_WRAP);
	(void)ttlv_end(out, parameters);
	(void)ttlv_end(out, info);
	(void)ttlv_put_enumeration(out, TAG_ENCODING_OPTION,
	    ENCODING_OPTION_NONE);
	(void)ttlv_end(out, spec);
}

static void
put_get(struct buf *out, struct kmip_version version, const void *in)
{
	const struct get_request *r = in;

	(void)version;
	(void)ttlv_put_text(out, TAG_UNIQUE_IDENTIFIER, r->id);
	(void)ttlv_put_enumeration(out, TAG_KEY_FORMAT_TYPE, KEY_FORMAT_RAW);
	if (r->wrapping_id != NULL)
		put_wrapping(out, r->wrapping_id);
}

static struct secret *
secret_make(size_t size, struct err *err)
{
	struct secret *s = secret_new(size);

	if (s == NULL)
		err_sys(err, errno, "cannot lock %zu bytes of memory for a "
		    "key (raise the memlock limit)", size);
	return s;
}

/* RFC 3394, 2.2.2: fails where the integrity check value is not as it must
 * be. */
static int
unwrap(const struct get_request *r, const uint8_t *wrapped, size_t size,
    struct secret **out, struct err *err)
{
	EVP_CIPHER_CTX *ctx = NULL;
	EVP_CIPHER *cipher = NULL;
	struct secret *plain = NULL;
	int n = 0, rc;

	if (size < 3 * WRAP_OVERHEAD || size % 8 != 0 || size > INT32_MAX)
		return err_set(err, ERR_FORMAT, "the wrapped key %s has %zu "
		    "bytes, which RFC 3394 cannot have made", r->id, size);
	/* OpenSSL writes no more than it is given. */
	if ((plain = secret_make(size, err)) == NULL)
		return err != NULL ? err->code : ERR_SYSTEM;
	cipher = EVP_CIPHER_fetch(r->libctx, "AES-256-WRAP", NULL);
	ctx = EVP_CIPHER_CTX_new();
	if (cipher == NULL || ctx == NULL) {
		rc = err_set(err, ERR_CRYPTO, "OpenSSL has no AES-256-WRAP");
		goto out;
	}
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_DecryptInit_ex2(ctx, cipher, secret_bytes(r->wrapping_key),
	    NULL, NULL) != 1) {
		rc = err_set(err, ERR_CRYPTO, "AES-256-WRAP cannot be set up");
		goto out;
	}
	if (EVP_DecryptUpdate(ctx, secret_data(plain), &n, wrapped,
	    (int)size) != 1 || n != (int)size - WRAP_OVERHEAD) {
		rc = err_set(err, ERR_AUTH, "the key %s does not unwrap with "
		    "the key %s: the KMS wraps with another, or altered it",
		    r->id, r->wrapping_id);
		goto out;
	}
	secret_truncate(plain, (size_t)n);
	*out = plain;
	plain = NULL;
	rc = 0;
out:
	ERR_clear_error();
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	secret_free(plain);
	return rc;
}

static int
key_from(const struct get_request *r, const uint8_t *bytes, size_t size,
    struct secret **key, struct err *err)
{
	if (size != KMIP_KEY_SIZE)
		return err_set(err, ERR_FORMAT, "the key %s has %zu bytes, "
		    "AES-256 has %d", r->id, size, KMIP_KEY_SIZE);
	if ((*key = secret_make(size, err)) == NULL)
		return err != NULL ? err->code : ERR_SYSTEM;
	memcpy(secret_data(*key), bytes, size);
	return 0;
}

/* A server that has no No Encoding wraps the whole Key Value structure, and
 * its wrapped form is a Byte String (KMIP 1.4, 2.1.5). */
static int
key_from_encoded(const struct get_request *r, const uint8_t *wrapped,
    size_t size, struct secret **key, struct err *err)
{
	struct secret *plain = NULL;
	const uint8_t *material;
	struct buf in, value;
	int rc;

	if ((rc = unwrap(r, wrapped, size, &plain, err)) < 0)
		return rc;
	in = buf_reader(secret_bytes(plain), secret_size(plain));
	(void)ttlv_get_structure(&in, TAG_KEY_VALUE, &value);
	if (ttlv_get_bytes(&value, TAG_KEY_MATERIAL, &material, &size) < 0)
		rc = err_set(err, ERR_FORMAT, "the key %s unwraps to no KMIP "
		    "key value", r->id);
	else
		rc = key_from(r, material, size, key, err);
	secret_free(plain);
	return rc;
}

static int
key_from_wrapped(const struct get_request *r, const uint8_t *wrapped,
    size_t size, struct secret **key, struct err *err)
{
	struct secret *plain = NULL;
	int rc;

	if ((rc = unwrap(r, wrapped, size, &plain, err)) < 0)
		return rc;
	rc = key_from(r, secret_bytes(plain), secret_size(plain), key, err);
	secret_free(plain);
	return rc;
}

struct key_block {
	uint32_t format, algorithm;
	int32_t length;
	bool wrapped;		/* there is Key Wrapping Data */
	bool encoded;		/* the value is a Byte String */
	const uint8_t *bytes;
	size_t size;
};

/* KMIP 1.4, 2.1.3. Nothing of it is believed that is not checked after. */
static int
key_block_read(struct buf *payload, struct key_block *b)
{
	struct buf object, block, value;

	memset(b, 0, sizeof(*b));
	b->algorithm = ALGORITHM_AES;	/* where the block leaves it out */
	b->length = KMIP_KEY_SIZE * 8;
	(void)ttlv_get_structure(payload, TAG_SYMMETRIC_KEY, &object);
	(void)ttlv_get_structure(&object, TAG_KEY_BLOCK, &block);
	(void)ttlv_get_enumeration(&block, TAG_KEY_FORMAT_TYPE, &b->format);
	if (ttlv_next_is(&block, TAG_KEY_COMPRESSION_TYPE))
		(void)ttlv_skip(&block);
	b->encoded = ttlv_next_type(&block) == TTLV_BYTES;
	if (b->encoded) {
		(void)ttlv_get_bytes(&block, TAG_KEY_VALUE, &b->bytes,
		    &b->size);
	} else {
		(void)ttlv_get_structure(&block, TAG_KEY_VALUE, &value);
		if (ttlv_get_bytes(&value, TAG_KEY_MATERIAL, &b->bytes,
		    &b->size) < 0)
			block.failed = true;
	}
	if (ttlv_next_is(&block, TAG_CRYPTOGRAPHIC_ALGORITHM))
		(void)ttlv_get_enumeration(&block, TAG_CRYPTOGRAPHIC_ALGORITHM,
		    &b->algorithm);
	if (ttlv_next_is(&block, TAG_CRYPTOGRAPHIC_LENGTH))
		(void)ttlv_get_integer(&block, TAG_CRYPTOGRAPHIC_LENGTH,
		    &b->length);
	b->wrapped = ttlv_next_is(&block, TAG_KEY_WRAPPING_DATA);
	if (!buf_ok(&block)) {
		payload->failed = true;
		return ERR_FORMAT;
	}
	return 0;
}

static int
key_block_judge(const struct get_request *r, const struct key_block *b,
    struct err *err)
{
	if (b->algorithm != ALGORITHM_AES || b->length != KMIP_KEY_SIZE * 8)
		return err_set(err, ERR_FORMAT, "the key %s is of %d bits and "
		    "KMIP's algorithm %u, not AES-256", r->id, b->length,
		    b->algorithm);
	if (b->format != KEY_FORMAT_RAW)
		return err_set(err, ERR_FORMAT, "the key %s came in KMIP's "
		    "key format %u, not raw", r->id, b->format);
	if (b->wrapped != (r->wrapping_id != NULL))
		return err_set(err, ERR_FORMAT, b->wrapped ?
		    "the key %s came wrapped, which it was not asked to be" :
		    "the key %s came in clear, it was asked for wrapped",
		    r->id);
	if (b->encoded && !b->wrapped)
		return err_set(err, ERR_FORMAT, "the key %s has no key "
		    "material", r->id);
	return 0;
}

static int
take_get(struct buf *payload, struct kmip_version version, const void *in,
    void *out, struct err *err)
{
	const struct get_request *r = in;
	struct secret **key = out;
	struct key_block block;
	uint32_t type;
	int rc;

	(void)version;
	*key = NULL;
	(void)ttlv_get_enumeration(payload, TAG_OBJECT_TYPE, &type);
	if ((rc = take_same_id(payload, r->id, err)) < 0)
		return rc;
	if (type != OBJECT_TYPE_SYMMETRIC_KEY)
		return err_set(err, ERR_FORMAT, "the object %s is of KMIP's "
		    "type %u, no symmetric key", r->id, type);
	if ((rc = key_block_read(payload, &block)) < 0 ||
	    (rc = key_block_judge(r, &block, err)) < 0)
		return rc;
	if (block.encoded)
		return key_from_encoded(r, block.bytes, block.size, key, err);
	if (block.wrapped)
		return key_from_wrapped(r, block.bytes, block.size, key, err);
	return key_from(r, block.bytes, block.size, key, err);
}

const struct operation operation_get = {
	OPERATION_GET, true, put_get, take_get,
};
