/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration/bundle-public.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define PURPOSE "vtpmd bundle"
#define INFO_SIZE(point) (sizeof(PURPOSE) - 1 + BUNDLE_ID_SIZE + \
	SHA256_SIZE + (point))
#define RSA_BITS_MIN 3072
#define RSA_BITS_MAX 8192		/* whose ciphertext fits a body */
#define POINT_MAX 97u			/* of P-384, uncompressed */
#define SHARED_MAX 48u

struct bundle_public {
	EVP_PKEY *key;
	uint16_t kind;
	const char *curve;		/* of kind BUNDLE_EC */
	uint8_t fingerprint[SHA256_SIZE];
	char label[BUNDLE_LABEL_SIZE];
};

struct bundle_key {
	struct bundle_public half;	/* key is the whole pair */
};

/* -- loading -- */

static int
classify_ec(struct bundle_public *p, const char *path, struct err *err)
{
	char group[32] = "";
	size_t n = 0;

	(void)EVP_PKEY_get_group_name(p->key, group, sizeof(group), &n);
	if (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0)
		p->curve = "P-256";
	else if (strcmp(group, "secp384r1") == 0 ||
	    strcmp(group, "P-384") == 0)
		p->curve = "P-384";
	else
		return err_set(err, ERR_UNSUPPORTED, "the key in %s is on a "
		    "curve other than P-256 and P-384", path);
	p->kind = BUNDLE_EC;
	return 0;
}

static int
classify_rsa(struct bundle_public *p, const char *path, struct err *err)
{
	int bits = EVP_PKEY_get_bits(p->key);

	if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
		return err_set(err, ERR_UNSUPPORTED, "the RSA key in %s has "
		    "%d bits: it must have %d to %d", path, bits,
		    RSA_BITS_MIN, RSA_BITS_MAX);
	p->kind = BUNDLE_RSA;
	return 0;
}

static int
classify(struct bundle_public *p, const char *path, struct err *err)
{
	uint8_t *der = NULL;
	int size, rc;

	if (EVP_PKEY_is_a(p->key, "EC"))
		rc = classify_ec(p, path, err);
	else if (EVP_PKEY_is_a(p->key, "RSA"))
		rc = classify_rsa(p, path, err);
	else
		rc = err_set(err, ERR_UNSUPPORTED, "the key in %s is neither "
		    "EC nor RSA", path);
	if (rc < 0)
		return rc;
	if ((size = i2d_PUBKEY(p->key, &der)) <= 0)
		return crypto_error(err, "encoding a public key");
	rc = crypto_sha256(der, (size_t)size, p->fingerprint, err);
	OPENSSL_free(der);
	snprintf(p->label, sizeof(p->label), "%s%s key %02x%02x%02x%02x"
	    "%02x%02x%02x%02x", p->kind == BUNDLE_EC ? "EC " : "RSA",
	    p->kind == BUNDLE_EC ? p->curve : "", p->fingerprint[0],
	    p->fingerprint[1], p->fingerprint[2], p->fingerprint[3],
	    p->fingerprint[4], p->fingerprint[5], p->fingerprint[6],
	    p->fingerprint[7]);
	return rc;
}

static int
open_file(BIO **file, const char *path, struct err *err)
{
	int rc;

	if ((rc = crypto_init(err)) < 0)
		return rc;
	errno = 0;
	if ((*file = BIO_new_file(path, "r")) != NULL)
		return 0;
	ERR_clear_error();
	return err_sys(err, errno != 0 ? errno : ENOMEM, "cannot open %s",
	    path);
}

int
bundle_public_load(struct bundle_public **out, const char *path,
    struct err *err)
{
	struct bundle_public *p = calloc(1, sizeof(*p));
	BIO *file = NULL;
	int rc;

	*out = NULL;
	if (p == NULL)
		return err_sys(err, ENOMEM, "cannot keep a key");
	if ((rc = open_file(&file, path, err)) < 0)
		goto out;
	p->key = PEM_read_bio_PUBKEY_ex(file, NULL, NULL, NULL,
	    crypto_context(), NULL);
	if (p->key == NULL) {
		ERR_clear_error();
		rc = err_set(err, ERR_FORMAT, "%s holds no public key in PEM. "
		    "Of a private key or a certificate it is made by: openssl "
		    "pkey -pubout, openssl x509 -pubkey -noout", path);
		goto out;
	}
	if ((rc = classify(p, path, err)) < 0)
		goto out;
	*out = p;
	p = NULL;
out:
	BIO_free(file);
	bundle_public_free(p);
	return rc;
}

void
bundle_public_free(struct bundle_public *p)
{
	if (p == NULL)
		return;
	EVP_PKEY_free(p->key);
	free(p);
}

/* OpenSSL asks for the passphrase of an encrypted file. */
static int
give_passphrase(char *out, int size, int writing, void *arg)
{
	const struct secret *passphrase = arg;

	(void)writing;
	if (passphrase == NULL || size < 0 ||
	    secret_size(passphrase) > (size_t)size)
		return -1;
	memcpy(out, secret_bytes(passphrase), secret_size(passphrase));
	return (int)secret_size(passphrase);
}

int
bundle_key_load(struct bundle_key **out, const char *path,
    const struct secret *passphrase, struct err *err)
{
	struct bundle_key *k = calloc(1, sizeof(*k));
	BIO *file = NULL;
	int rc;

	*out = NULL;
	if (k == NULL)
		return err_sys(err, ENOMEM, "cannot keep a key");
	if ((rc = open_file(&file, path, err)) < 0)
		goto out;
	k->half.key = PEM_read_bio_PrivateKey_ex(file, NULL, give_passphrase,
	    (void *)(uintptr_t)passphrase, crypto_context(), NULL);
	if (k->half.key == NULL) {
		ERR_clear_error();
		rc = err_set(err, ERR_KEY, "%s holds no private key in PEM "
		    "that can be read%s", path, passphrase != NULL ?
		    " with this passphrase" : "; the passphrase of an "
		    "encrypted one comes by --passphrase-fd");
		goto out;
	}
	if ((rc = classify(&k->half, path, err)) < 0)
		goto out;
	*out = k;
	k = NULL;
out:
	BIO_free(file);
	bundle_key_free(k);
	return rc;
}

void
bundle_key_free(struct bundle_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->half.key);
	free(k);
}

/* -- EC: SP 800-56A, ephemeral with static -- */

/* SP 800-56C, 4: one step, SHA-256, one block: SHA-256(00000001 || Z || info).
 */
static int
kek_of_shared(const uint8_t *z, size_t z_size, const uint8_t *info,
    size_t info_size, struct secret **kek, struct err *err)
{
	uint8_t bytes[4 + SHARED_MAX + INFO_SIZE(POINT_MAX)];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	int rc;

	buf_put_u32be(&b, 1);
	buf_put_bytes(&b, z, z_size);
	buf_put_bytes(&b, info, info_size);
	if (!buf_ok(&b))
		return err_set(err, ERR_INTERNAL, "a shared secret of %zu "
		    "bytes", z_size);
	if ((*kek = secret_new(BUNDLE_KEY_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	rc = crypto_sha256(bytes, b.pos, secret_data(*kek), err);
	cleanse(bytes, sizeof(bytes));
	if (rc < 0) {
		secret_free(*kek);
		*kek = NULL;
	}
	return rc;
}

/* own: with a private part. Checks that the peer's point is on the curve
 * (EVP_PKEY_derive_set_peer does). */
static int
agree(EVP_PKEY *own, EVP_PKEY *peer, const uint8_t id[BUNDLE_ID_SIZE],
    const uint8_t fingerprint[SHA256_SIZE], const uint8_t *point,
    size_t point_size, struct secret **kek, struct err *err)
{
	uint8_t z[SHARED_MAX], info[INFO_SIZE(POINT_MAX)];
	struct buf b = buf_writer(info, sizeof(info));
	size_t z_size = sizeof(z);
	EVP_PKEY_CTX *ctx;
	int rc = 0;

	buf_put_bytes(&b, PURPOSE, sizeof(PURPOSE) - 1);
	buf_put_bytes(&b, id, BUNDLE_ID_SIZE);
	buf_put_bytes(&b, fingerprint, SHA256_SIZE);
	buf_put_bytes(&b, point, point_size);
	ctx = EVP_PKEY_CTX_new_from_pkey(crypto_context(), own, NULL);
	if (!buf_ok(&b) || ctx == NULL || EVP_PKEY_derive_init(ctx) != 1)
		rc = crypto_error(err, "ECDH");
	else if (EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
	    EVP_PKEY_derive(ctx, z, &z_size) != 1) {
		ERR_clear_error();
		rc = err_set(err, ERR_KEY, "the keys do not go together");
	}
	if (rc == 0)
		rc = kek_of_shared(z, z_size, info, b.pos, kek, err);
	cleanse(z, sizeof(z));
	EVP_PKEY_CTX_free(ctx);
	return rc;
}

static int
ec_wrap(const struct bundle_public *p, const uint8_t id[BUNDLE_ID_SIZE],
    struct buf *b, struct secret **kek, struct err *err)
{
	EVP_PKEY *ephemeral = EVP_PKEY_Q_keygen(crypto_context(), NULL, "EC",
	    p->curve);
	uint8_t *point = NULL;
	size_t size = 0;
	int rc;

	if (ephemeral != NULL)
		size = EVP_PKEY_get1_encoded_public_key(ephemeral, &point);
	if (size == 0 || size > POINT_MAX) {
		rc = crypto_error(err, "making an ephemeral key");
		goto out;
	}
	buf_put_tpm2b(b, point, size);
	rc = agree(ephemeral, p->key, id, p->fingerprint, point, size, kek,
	    err);
out:
	OPENSSL_free(point);
	EVP_PKEY_free(ephemeral);
	return rc;
}

/* Compressed points and others of a length that we do not write are refused. */
static int
ec_unwrap(const struct bundle_public *p, const uint8_t id[BUNDLE_ID_SIZE],
    struct buf *b, struct secret **kek, struct err *err)
{
	size_t size, want = strcmp(p->curve, "P-256") == 0 ? 65 : 97;
	EVP_PKEY *peer = NULL;
	const uint8_t *point;
	int rc;

	if (buf_get_tpm2b(b, &point, &size) < 0 || size != want)
		return err_set(err, ERR_FORMAT, "a recipient's part has the "
		    "wrong length");
	if ((peer = EVP_PKEY_new()) == NULL ||
	    EVP_PKEY_copy_parameters(peer, p->key) != 1) {
		rc = crypto_error(err, "reading an ephemeral key");
		goto out;
	}
	if (EVP_PKEY_set1_encoded_public_key(peer, point, size) != 1) {
		ERR_clear_error();
		rc = err_set(err, ERR_FORMAT, "the ephemeral key is not a "
		    "point on its curve");
		goto out;
	}
	rc = agree(p->key, peer, id, p->fingerprint, point, size, kek, err);
out:
	EVP_PKEY_free(peer);
	return rc;
}

/* -- RSA: SP 800-56B, 9.2, OAEP with SHA-256 throughout -- */

static EVP_PKEY_CTX *
rsa_context(const struct bundle_public *p, const uint8_t id[BUNDLE_ID_SIZE],
    int (*init)(EVP_PKEY_CTX *, const OSSL_PARAM *), struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_context(),
	    p->key, NULL);
	char padding[] = OSSL_PKEY_RSA_PAD_MODE_OAEP, digest[] = "SHA256";
	uint8_t label[sizeof(PURPOSE) - 1 + BUNDLE_ID_SIZE];
	OSSL_PARAM params[5];

	memcpy(label, PURPOSE, sizeof(PURPOSE) - 1);
	memcpy(label + sizeof(PURPOSE) - 1, id, BUNDLE_ID_SIZE);
	params[0] = OSSL_PARAM_construct_utf8_string(
	    OSSL_ASYM_CIPHER_PARAM_PAD_MODE, padding, 0);
	params[1] = OSSL_PARAM_construct_utf8_string(
	    OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, digest, 0);
	params[2] = OSSL_PARAM_construct_utf8_string(
	    OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, digest, 0);
	params[3] = OSSL_PARAM_construct_octet_string(
	    OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, label, sizeof(label));
	params[4] = OSSL_PARAM_construct_end();
	if (ctx != NULL && init(ctx, params) == 1)
		return ctx;
	(void)crypto_error(err, "RSA-OAEP");
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

static int
rsa_wrap(const struct bundle_public *p, const uint8_t id[BUNDLE_ID_SIZE],
    struct buf *b, struct secret **kek, struct err *err)
{
	EVP_PKEY_CTX *ctx = rsa_context(p, id, EVP_PKEY_encrypt_init_ex, err);
	uint8_t sealed[RSA_BITS_MAX / 8];
	size_t size = sizeof(sealed);
	int rc;

	if (ctx == NULL)
		return ERR_CRYPTO;
	if ((*kek = secret_new(BUNDLE_KEY_SIZE)) == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for a key");
		goto out;
	}
	if ((rc = crypto_random(secret_data(*kek), BUNDLE_KEY_SIZE, err)) < 0)
		goto out;
	if (EVP_PKEY_encrypt(ctx, sealed, &size, secret_bytes(*kek),
	    BUNDLE_KEY_SIZE) != 1)
		rc = crypto_error(err, "RSA-OAEP");
	else
		buf_put_tpm2b(b, sealed, size);
out:
	EVP_PKEY_CTX_free(ctx);
	return rc;
}

static int
rsa_unwrap(const struct bundle_public *p, const uint8_t id[BUNDLE_ID_SIZE],
    struct buf *b, struct secret **kek, struct err *err)
{
	uint8_t plain[RSA_BITS_MAX / 8];
	size_t size, n = sizeof(plain);
	const uint8_t *sealed;
	EVP_PKEY_CTX *ctx;
	int rc = 0;

	if (buf_get_tpm2b(b, &sealed, &size) < 0 || size > sizeof(plain))
		return err_set(err, ERR_FORMAT, "a recipient's part has the "
		    "wrong length");
	if ((ctx = rsa_context(p, id, EVP_PKEY_decrypt_init_ex, err)) == NULL)
		return ERR_CRYPTO;
	if (EVP_PKEY_decrypt(ctx, plain, &n, sealed, size) != 1 ||
	    n != BUNDLE_KEY_SIZE) {
		ERR_clear_error();
		rc = err_set(err, ERR_KEY, "the key does not fit");
	} else if ((*kek = secret_from(plain, n)) == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for a key");
	}
	cleanse(plain, sizeof(plain));
	EVP_PKEY_CTX_free(ctx);
	return rc;
}

int
bundle_public_wrap(const struct bundle_public *p,
    const uint8_t id[BUNDLE_ID_SIZE], struct bundle_recipient *out,
    struct buf *b, struct secret **kek, struct err *err)
{
	out->kind = p->kind;
	memcpy(out->fingerprint, p->fingerprint, SHA256_SIZE);
	memcpy(out->label, p->label, sizeof(out->label));
	return p->kind == BUNDLE_EC ? ec_wrap(p, id, b, kek, err) :
	    rsa_wrap(p, id, b, kek, err);
}

int
bundle_key_unwrap(const struct bundle_key *k,
    const uint8_t id[BUNDLE_ID_SIZE], const struct bundle_recipient *r,
    struct buf *b, struct secret **kek, struct err *err)
{
	if (k == NULL || k->half.kind != r->kind ||
	    memcmp(k->half.fingerprint, r->fingerprint, SHA256_SIZE) != 0)
		return err_set(err, ERR_KEY, "no private key for %.63s was "
		    "given", r->label);
	return r->kind == BUNDLE_EC ? ec_unwrap(&k->half, id, b, kek, err) :
	    rsa_unwrap(&k->half, id, b, kek, err);
}
