/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The passphrase protector, for escrow and recovery. Body: iterations (u32),
 * salt (32), nonce, wrapped DEK, tag.
 */
#include <errno.h>
#include <stdio.h>

#include "nvram-crypt/crypto.h"
#include "nvram-crypt/protector-wrap.h"

#define PURPOSE "vtpmd passphrase protector"
#define SALT_SIZE 32u		/* SP 800-132, 5.1: at least 16 */
#define PARAMS_SIZE (4u + SALT_SIZE)
#define KEK_SIZE 32u

/* OWASP's Password Storage Cheat Sheet asks for at least 210,000 of PBKDF2
 * with HMAC-SHA-512. A file may ask for more or less, but not for so little
 * that it is no protection, nor for so much that opening never ends. */
#define ITERATIONS 250000u
#define ITERATIONS_MIN 100000u
#define ITERATIONS_MAX 10000000u

static int
make_kek(const struct secret *passphrase, const uint8_t *salt,
    uint32_t iterations, struct secret **kek, struct err *err)
{
	int rc;

	if ((*kek = secret_new(KEK_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	rc = crypto_pbkdf2(secret_bytes(passphrase), secret_size(passphrase),
	    salt, SALT_SIZE, iterations, secret_data(*kek), KEK_SIZE, err);
	if (rc < 0) {
		secret_free(*kek);
		*kek = NULL;
	}
	return rc;
}

static int
passphrase_wrap(const struct protector_creds *creds,
    const struct protector_binding *binding, const struct secret *dek,
    struct protector *p, struct err *err)
{
	struct buf b = buf_writer(p->body, sizeof(p->body));
	struct secret *kek = NULL;
	uint8_t salt[SALT_SIZE];
	int rc;

	if (creds->passphrase == NULL)
		return err_set(err, ERR_KEY, "no passphrase was given");
	if (p->label[0] == '\0')
		snprintf(p->label, sizeof(p->label), "passphrase");
	if ((rc = crypto_random(salt, sizeof(salt), err)) < 0 ||
	    (rc = make_kek(creds->passphrase, salt, ITERATIONS, &kek,
	    err)) < 0)
		return rc;
	buf_put_u32be(&b, ITERATIONS);
	buf_put_bytes(&b, salt, sizeof(salt));
	rc = protector_wrap(secret_bytes(kek), KEK_SIZE, PURPOSE, binding, dek,
	    p, PARAMS_SIZE, err);
	secret_free(kek);
	return rc;
}

static int
passphrase_unwrap(const struct protector_creds *creds,
    const struct protector_binding *binding, const struct protector *p,
    struct secret **dek, struct err *err)
{
	struct buf b = buf_reader(p->body, p->body_size);
	struct secret *kek = NULL;
	const uint8_t *salt;
	uint32_t iterations;
	int rc;

	*dek = NULL;
	if (creds->passphrase == NULL)
		return err_set(err, ERR_KEY, "no passphrase was given");
	if (buf_get_u32be(&b, &iterations) < 0 ||
	    buf_get_ref(&b, &salt, SALT_SIZE) < 0 ||
	    iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX)
		return err_set(err, ERR_FORMAT, "the protector asks for an "
		    "iteration count outside %u..%u", ITERATIONS_MIN,
		    ITERATIONS_MAX);
	if ((rc = make_kek(creds->passphrase, salt, iterations, &kek,
	    err)) < 0)
		return rc;
	rc = protector_unwrap(secret_bytes(kek), KEK_SIZE, PURPOSE, binding, p,
	    PARAMS_SIZE, dek, err);
	if (rc == ERR_AUTH)
		rc = err_set(err, ERR_KEY, "the passphrase does not fit");
	secret_free(kek);
	return rc;
}

const struct protector_ops protector_passphrase_ops = {
	.kind = PROTECTOR_PASSPHRASE,
	.name = "passphrase",
	.wrap = passphrase_wrap,
	.unwrap = passphrase_unwrap,
};
