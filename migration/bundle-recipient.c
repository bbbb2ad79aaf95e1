/* SPDX-License-Identifier: BSD-3-Clause */
/* The bundle's key, wrapped (RFC 3394) under a key-encryption key that each
 * kind of recipient comes by in its own way; bundle-public.c does public
 * keys. */
#include "migration/bundle-recipient.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/buf.h"
#include "migration/bundle-public.h"

#define SALT_SIZE 32u		/* SP 800-132, 5.1: at least 16 */
/* As in nvram-crypt/protector-passphrase.c: OWASP's Password Storage Cheat
 * Sheet asks for 210,000 of PBKDF2 with HMAC-SHA-512. */
#define ITERATIONS 250000u
#define ITERATIONS_MIN 100000u
#define ITERATIONS_MAX 10000000u

struct recipient {
	struct secret *passphrase;	/* or */
	struct bundle_public *public;
};

/* SP 800-38F, 6.2 (KW); seal or open by encrypt. */
static int
key_wrap(const struct secret *kek, bool encrypt, const uint8_t *in, int size,
    uint8_t *out, int expected, struct err *err)
{
	EVP_CIPHER *cipher = NULL;
	EVP_CIPHER_CTX *ctx = NULL;
	int n = 0, rc = 0;

	if ((rc = crypto_init(err)) < 0)
		return rc;
	cipher = EVP_CIPHER_fetch(crypto_context(), "AES-256-WRAP", NULL);
	if (cipher == NULL || (ctx = EVP_CIPHER_CTX_new()) == NULL) {
		rc = crypto_error(err, "AES key wrap");
		goto out;
	}
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_CipherInit_ex2(ctx, cipher, secret_bytes(kek), NULL, encrypt,
	    NULL) != 1) {
		rc = crypto_error(err, "AES key wrap");
		goto out;
	}
	if (EVP_CipherUpdate(ctx, out, &n, in, size) != 1 || n != expected) {
		ERR_clear_error();
		rc = encrypt ? crypto_error(err, "AES key wrap") :
		    err_set(err, ERR_KEY, "the key does not fit");
	}
out:
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	return rc;
}

static int
append_wrapped(struct buf *b, const struct secret *kek,
    const struct secret *key, struct err *err)
{
	uint8_t wrapped[BUNDLE_WRAPPED_SIZE];
	int rc = key_wrap(kek, true, secret_bytes(key), BUNDLE_KEY_SIZE,
	    wrapped, BUNDLE_WRAPPED_SIZE, err);

	if (rc == 0 && buf_put_bytes(b, wrapped, sizeof(wrapped)) < 0)
		rc = err_set(err, ERR_INTERNAL, "a recipient's part is longer "
		    "than its room");
	return rc;
}

/* The wrapped key is the last of a body. */
static int
read_wrapped(struct buf *b, const struct secret *kek, struct secret **key,
    struct err *err)
{
	const uint8_t *wrapped;
	int rc;

	if (buf_get_ref(b, &wrapped, BUNDLE_WRAPPED_SIZE) < 0 ||
	    buf_left(b) != 0)
		return err_set(err, ERR_FORMAT, "a recipient's part has the "
		    "wrong length");
	if ((*key = secret_new(BUNDLE_KEY_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	rc = key_wrap(kek, false, wrapped, BUNDLE_WRAPPED_SIZE,
	    secret_data(*key), BUNDLE_KEY_SIZE, err);
	if (rc < 0) {
		secret_free(*key);
		*key = NULL;
	}
	return rc;
}

static int
passphrase_kek(const struct secret *passphrase, const uint8_t *salt,
    uint32_t iterations, struct secret **kek, struct err *err)
{
	int rc;

	if ((*kek = secret_new(BUNDLE_KEY_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	rc = crypto_pbkdf2(secret_bytes(passphrase), secret_size(passphrase),
	    salt, SALT_SIZE, iterations, secret_data(*kek), BUNDLE_KEY_SIZE,
	    err);
	if (rc < 0) {
		secret_free(*kek);
		*kek = NULL;
	}
	return rc;
}

int
recipient_from_passphrase(struct recipient **out, struct secret *passphrase,
    struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL) {
		secret_free(passphrase);
		return err_sys(err, ENOMEM, "cannot keep a recipient");
	}
	(*out)->passphrase = passphrase;
	return 0;
}

int
recipient_from_pem(struct recipient **out, const char *path, struct err *err)
{
	int rc;

	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return err_sys(err, ENOMEM, "cannot keep a recipient");
	rc = bundle_public_load(&(*out)->public, path, err);
	if (rc < 0) {
		free(*out);
		*out = NULL;
	}
	return rc;
}

void
recipient_free(struct recipient *r)
{
	if (r == NULL)
		return;
	secret_free(r->passphrase);
	bundle_public_free(r->public);
	free(r);
}

static int
passphrase_wrap(const struct secret *passphrase,
    struct bundle_recipient *out, struct buf *b, struct secret **kek,
    struct err *err)
{
	uint8_t salt[SALT_SIZE];
	int rc;

	out->kind = BUNDLE_PASSPHRASE;
	snprintf(out->label, sizeof(out->label), "passphrase");
	if ((rc = crypto_random(salt, sizeof(salt), err)) < 0)
		return rc;
	buf_put_u32be(b, ITERATIONS);
	buf_put_bytes(b, salt, sizeof(salt));
	return passphrase_kek(passphrase, salt, ITERATIONS, kek, err);
}

int
recipient_wrap(const struct recipient *r, const uint8_t id[BUNDLE_ID_SIZE],
    const struct secret *key, struct bundle_recipient *out, struct err *err)
{
	struct buf b = buf_writer(out->body, sizeof(out->body));
	struct secret *kek = NULL;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = r->passphrase != NULL ?
	    passphrase_wrap(r->passphrase, out, &b, &kek, err) :
	    bundle_public_wrap(r->public, id, out, &b, &kek, err);
	if (rc == 0 && (rc = append_wrapped(&b, kek, key, err)) == 0)
		out->body_size = (uint16_t)b.pos;
	secret_free(kek);
	return rc;
}

static int
passphrase_unwrap(const struct secret *passphrase, struct buf *b,
    struct secret **kek, struct err *err)
{
	const uint8_t *salt;
	uint32_t iterations;

	if (passphrase == NULL)
		return err_set(err, ERR_KEY, "no passphrase was given");
	if (buf_get_u32be(b, &iterations) < 0 ||
	    buf_get_ref(b, &salt, SALT_SIZE) < 0 ||
	    iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX)
		return err_set(err, ERR_FORMAT, "the bundle asks for an "
		    "iteration count outside %u..%u", ITERATIONS_MIN,
		    ITERATIONS_MAX);
	return passphrase_kek(passphrase, salt, iterations, kek, err);
}

int
recipient_unwrap(const struct bundle_creds *creds,
    const uint8_t id[BUNDLE_ID_SIZE], const struct bundle_recipient *r,
    struct secret **key, struct err *err)
{
	struct secret *kek = NULL;
	struct buf b;
	int rc;

	*key = NULL;
	if (r->body_size > sizeof(r->body))
		return err_set(err, ERR_FORMAT, "a recipient's part has the "
		    "wrong length");
	b = buf_reader(r->body, r->body_size);
	switch (r->kind) {
	case BUNDLE_PASSPHRASE:
		rc = passphrase_unwrap(creds->passphrase, &b, &kek, err);
		break;
	case BUNDLE_EC:
	case BUNDLE_RSA:
		rc = bundle_key_unwrap(creds->key, id, r, &b, &kek, err);
		break;
	default:
		return err_set(err, ERR_KEY, "this version does not know "
		    "recipients of kind %u", r->kind);
	}
	if (rc == 0)
		rc = read_wrapped(&b, kek, key, err);
	secret_free(kek);
	return rc;
}
