/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration/migrate-key.h"

#include <errno.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/buf.h"
#include "nvram-crypt/crypto.h"

#define GROUP "P-256"
#define PURPOSE "vtpmd envelope recipient"
#define SHARED_SIZE 32u
#define UNCOMPRESSED 4u
#define ENCODED_SIZE (1u + MIGRATE_POINT_SIZE)
#define KDF_INPUT_SIZE (4 + 2 * SHARED_SIZE + sizeof(PURPOSE) - 1 + \
	UUID_SIZE + 3 * MIGRATE_POINT_SIZE)

/* -- keys as OpenSSL has them -- */

/* private may be NULL. That the point is on the curve is checked where it is
 * used (EVP_PKEY_derive_set_peer). */
static EVP_PKEY *
load(const struct secret *private, const uint8_t point[MIGRATE_POINT_SIZE])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_context(), "EC",
	    NULL);
	uint8_t encoded[ENCODED_SIZE] = { UNCOMPRESSED };
	uint8_t d[MIGRATE_PRIVATE_SIZE];
	char group[] = GROUP;
	EVP_PKEY *key = NULL;
	OSSL_PARAM params[4];
	size_t n = 0;

	memcpy(encoded + 1, point, MIGRATE_POINT_SIZE);
	params[n++] = OSSL_PARAM_construct_utf8_string(
	    OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	params[n++] = OSSL_PARAM_construct_octet_string(
	    OSSL_PKEY_PARAM_PUB_KEY, encoded, sizeof(encoded));
	if (private != NULL) {
		/* A number's parameter is in the machine's order. */
		for (size_t i = 0; i < sizeof(d); i++)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
			d[i] = secret_bytes(private)[sizeof(d) - 1 - i];
#else
			d[i] = secret_bytes(private)[i];
#endif
		params[n++] = OSSL_PARAM_construct_BN(
		    OSSL_PKEY_PARAM_PRIV_KEY, d, sizeof(d));
	}
	params[n] = OSSL_PARAM_construct_end();
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, private != NULL ? EVP_PKEY_KEYPAIR :
	    EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	cleanse(d, sizeof(d));
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static int
load_own(const struct migrate_own *own, EVP_PKEY **key, struct err *err)
{
	int rc;

	if ((rc = crypto_init(err)) < 0)
		return rc;
	if ((*key = load(own->private, own->point)) == NULL)
		return crypto_error(err, "loading this host's migration key");
	return 0;
}

static int
load_public(const uint8_t point[MIGRATE_POINT_SIZE], EVP_PKEY **key,
    struct err *err)
{
	if ((*key = load(NULL, point)) != NULL)
		return 0;
	ERR_clear_error();
	return err_set(err, ERR_FORMAT, "a migration key is not a point on "
	    "its curve");
}

static EVP_PKEY *
generate(void)
{
	return EVP_PKEY_Q_keygen(crypto_context(), NULL, "EC", GROUP);
}

static int
get_point(EVP_PKEY *key, uint8_t point[MIGRATE_POINT_SIZE], struct err *err)
{
	uint8_t encoded[ENCODED_SIZE];
	size_t size = 0;

	if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY,
	    encoded, sizeof(encoded), &size) != 1 || size != sizeof(encoded) ||
	    encoded[0] != UNCOMPRESSED)
		return crypto_error(err, "reading a public key");
	memcpy(point, encoded + 1, MIGRATE_POINT_SIZE);
	return 0;
}

int
migrate_key_make(struct secret **private, uint8_t point[MIGRATE_POINT_SIZE],
    struct err *err)
{
	EVP_PKEY *key = NULL;
	BIGNUM *d = NULL;
	int rc;

	*private = NULL;
	if ((rc = crypto_init(err)) < 0)
		return rc;
	if ((key = generate()) == NULL || EVP_PKEY_get_bn_param(key,
	    OSSL_PKEY_PARAM_PRIV_KEY, &d) != 1) {
		rc = crypto_error(err, "making a migration key");
		goto out;
	}
	if ((*private = secret_new(MIGRATE_PRIVATE_SIZE)) == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for a key");
		goto out;
	}
	if (BN_bn2binpad(d, secret_data(*private), MIGRATE_PRIVATE_SIZE) < 0)
		rc = crypto_error(err, "making a migration key");
	else
		rc = get_point(key, point, err);
out:
	if (rc < 0) {
		secret_free(*private);
		*private = NULL;
	}
	BN_clear_free(d);
	EVP_PKEY_free(key);
	return rc;
}

void
migrate_key_der(const uint8_t point[MIGRATE_POINT_SIZE],
    uint8_t der[MIGRATE_DER_SIZE])
{
	/* id-ecPublicKey, secp256r1, an uncompressed point. */
	static const uint8_t start[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07,
		0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
		0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
		UNCOMPRESSED };

	memcpy(der, start, sizeof(start));
	memcpy(der + sizeof(start), point, MIGRATE_POINT_SIZE);
}

int
migrate_key_id(const uint8_t point[MIGRATE_POINT_SIZE],
    uint8_t id[MIGRATE_ID_SIZE], struct err *err)
{
	uint8_t der[MIGRATE_DER_SIZE], digest[SHA256_SIZE];
	int rc;

	migrate_key_der(point, der);
	if ((rc = crypto_sha256(der, sizeof(der), digest, err)) == 0)
		memcpy(id, digest, MIGRATE_ID_SIZE);
	return rc;
}

/* -- agreement -- */

static int
agree(EVP_PKEY *own, EVP_PKEY *peer, uint8_t z[SHARED_SIZE], struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_context(), own,
	    NULL);
	size_t size = SHARED_SIZE;
	int rc = 0;

	if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1) {
		rc = crypto_error(err, "ECDH");
	} else if (EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
	    EVP_PKEY_derive(ctx, z, &size) != 1 || size != SHARED_SIZE) {
		ERR_clear_error();
		rc = err_set(err, ERR_FORMAT, "a migration key is not a point "
		    "on its curve");
	}
	EVP_PKEY_CTX_free(ctx);
	return rc;
}

struct points {
	const uint8_t *ephemeral, *from, *to;
};

/* SP 800-56C, 4: one step with SHA-256, of Ze || Zs. */
static int
derive(const uint8_t z[2 * SHARED_SIZE], const uint8_t uuid[UUID_SIZE],
    const struct points *p, uint8_t key[ENVELOPE_KEY_SIZE], struct err *err)
{
	uint8_t bytes[KDF_INPUT_SIZE];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	int rc;

	buf_put_u32be(&b, 1);
	buf_put_bytes(&b, z, 2 * SHARED_SIZE);
	buf_put_bytes(&b, PURPOSE, sizeof(PURPOSE) - 1);
	buf_put_bytes(&b, uuid, UUID_SIZE);
	buf_put_bytes(&b, p->ephemeral, MIGRATE_POINT_SIZE);
	buf_put_bytes(&b, p->from, MIGRATE_POINT_SIZE);
	buf_put_bytes(&b, p->to, MIGRATE_POINT_SIZE);
	rc = buf_ok(&b) ? crypto_sha256(bytes, b.pos, key, err) :
	    err_set(err, ERR_INTERNAL, "a key's derivation is too long");
	cleanse(bytes, sizeof(bytes));
	return rc;
}

static int
send_to(EVP_PKEY *ephemeral, EVP_PKEY *own, const uint8_t uuid[UUID_SIZE],
    const struct points *p, struct envelope_kek *kek, struct err *err)
{
	uint8_t z[2 * SHARED_SIZE];
	EVP_PKEY *peer = NULL;
	int rc;

	kek->protector = ENVELOPE_BY_RECIPIENT;
	if ((rc = migrate_key_id(p->to, kek->id, err)) == 0 &&
	    (rc = load_public(p->to, &peer, err)) == 0 &&
	    (rc = agree(ephemeral, peer, z, err)) == 0 &&
	    (rc = agree(own, peer, z + SHARED_SIZE, err)) == 0)
		rc = derive(z, uuid, p, kek->key, err);
	cleanse(z, sizeof(z));
	EVP_PKEY_free(peer);
	return rc;
}

int
migrate_key_send(const struct migrate_own *own,
    const uint8_t (*to)[MIGRATE_POINT_SIZE], size_t n,
    const uint8_t uuid[UUID_SIZE], struct envelope_kek *keks, struct err *err)
{
	EVP_PKEY *ephemeral = NULL, *key = NULL;
	uint8_t id[MIGRATE_ID_SIZE];
	struct points p = { .from = own->point };
	int rc;

	if (n == 0)
		return 0;
	if ((rc = load_own(own, &key, err)) < 0 ||
	    (rc = migrate_key_id(own->point, id, err)) < 0)
		goto out;
	if ((ephemeral = generate()) == NULL) {
		rc = crypto_error(err, "making an ephemeral key");
		goto out;
	}
	p.ephemeral = keks[0].params;
	if ((rc = get_point(ephemeral, keks[0].params, err)) < 0)
		goto out;
	memcpy(keks[0].params + MIGRATE_POINT_SIZE, id, MIGRATE_SENDER_SIZE);
	keks[0].params_size = MIGRATE_PARAMS_SIZE;
	for (size_t i = 0; i < n && rc == 0; i++) {
		p.to = to[i];
		rc = send_to(ephemeral, key, uuid, &p, &keks[i], err);
	}
out:
	EVP_PKEY_free(ephemeral);
	EVP_PKEY_free(key);
	return rc;
}

int
migrate_key_receive(const struct migrate_own *own,
    const uint8_t from[MIGRATE_POINT_SIZE], const uint8_t uuid[UUID_SIZE],
    struct envelope_kek *kek, struct err *err)
{
	const struct points p = { .ephemeral = kek->params, .from = from,
		.to = own->point };
	EVP_PKEY *key = NULL, *ephemeral = NULL, *sender = NULL;
	uint8_t z[2 * SHARED_SIZE];
	int rc;

	if (kek->params_size != MIGRATE_PARAMS_SIZE)
		return err_set(err, ERR_FORMAT, "a recipient's part has the "
		    "wrong length");
	if ((rc = load_own(own, &key, err)) == 0 &&
	    (rc = load_public(kek->params, &ephemeral, err)) == 0 &&
	    (rc = load_public(from, &sender, err)) == 0 &&
	    (rc = agree(key, ephemeral, z, err)) == 0 &&
	    (rc = agree(key, sender, z + SHARED_SIZE, err)) == 0)
		rc = derive(z, uuid, &p, kek->key, err);
	cleanse(z, sizeof(z));
	EVP_PKEY_free(sender);
	EVP_PKEY_free(ephemeral);
	EVP_PKEY_free(key);
	return rc;
}
