/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/ek-issuer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "nvram-crypt/crypto.h"
#include "trust-authority/common/base64url.h"
#include "trust-authority/keyprovider/crl.h"

#define CHAIN_MAX 8
#define CRL_SECONDS 60		/* one is served so long */

struct ek_issuer {
	struct store *store;
	struct ek_ca *ca;
	const struct ek_issuer_config *config;
	char *pem;
	json_t *chain;
	pthread_mutex_t lock;		/* of the list */
	uint8_t *crl;
	size_t crl_size;
	time_t made;			/* 0: to be made */
};

static void
put_chain(struct ek_issuer *e, BIO *pem, const X509 *x)
{
	unsigned char *der = NULL;
	int size = i2d_X509(x, &der);
	char *text;

	PEM_write_bio_X509(pem, (X509 *)(uintptr_t)x);
	if (size > 0 && (text = malloc(BASE64URL_SIZE((size_t)size) + 1)) !=
	    NULL) {
		base64url_encode(der, (size_t)size, text);
		json_array_append_new(e->chain, json_string(text));
		free(text);
	}
	OPENSSL_free(der);
}

/* *issuing is the first, *root the last, which may be the same. */
static int
read_chain(struct ek_issuer *e, X509 **issuing, X509 **root, struct err *err)
{
	const char *file = e->config->certificate;
	BIO *in = BIO_new_file(file, "r"), *pem = BIO_new(BIO_s_mem());
	char *text;
	long size;
	int rc = 0;

	e->chain = json_array();
	if (in == NULL || pem == NULL) {
		ERR_clear_error();
		rc = err_sys(err, errno, "cannot open the EK CA's certificate "
		    "%s", file);
		goto out;
	}
	for (int i = 0; i < CHAIN_MAX; i++) {
		X509 *x = X509_new_ex(crypto_context(), NULL);

		if (x == NULL || PEM_read_bio_X509(in, &x, NULL, NULL) ==
		    NULL) {
			X509_free(x);
			break;
		}
		put_chain(e, pem, x);
		if (*issuing == NULL) {
			*issuing = x;
			X509_up_ref(x);
		}
		X509_free(*root);
		*root = x;
	}
	ERR_clear_error();
	size = BIO_get_mem_data(pem, &text);
	if (*issuing == NULL || X509_check_ca(*issuing) == 0)
		rc = err_set(err, ERR_USAGE, "%s does not begin with the PEM "
		    "of a CA's certificate", file);
	else if ((e->pem = strndup(text, (size_t)size)) == NULL)
		rc = err_sys(err, errno, "no memory for the EK CA");
out:
	BIO_free(in);
	BIO_free(pem);
	return rc;
}

static int
no_passphrase(char *buffer, int size, int writing, void *arg)
{
	(void)buffer, (void)size, (void)writing, (void)arg;
	return -1;
}

static int
read_key(const char *file, const X509 *issuing, EVP_PKEY **key,
    struct err *err)
{
	FILE *f = fopen(file, "re");
	struct stat st;
	int rc = 0;

	if (f == NULL || fstat(fileno(f), &st) < 0) {
		rc = err_sys(err, errno, "cannot open the EK CA's key %s",
		    file);
		goto out;
	}
	if (st.st_mode & S_IRWXO) {
		rc = err_set(err, ERR_REFUSED, "others may read %s (mode "
		    "%04o), the key that vouches for the VMs' TPMs: run chmod "
		    "0600, and think of who has read it", file,
		    (unsigned int)st.st_mode & 07777);
		goto out;
	}
	*key = PEM_read_PrivateKey_ex(f, NULL, no_passphrase, NULL,
	    crypto_context(), NULL);
	if (*key == NULL)
		rc = err_set(err, ERR_USAGE, "%s is not a private key in PEM, "
		    "without a passphrase", file);
	else if (X509_check_private_key(issuing, *key) != 1)
		rc = err_set(err, ERR_USAGE, "%s is not the key of the EK "
		    "CA's certificate", file);
	ERR_clear_error();
out:
	if (f != NULL)
		fclose(f);
	return rc;
}

int
ek_issuer_new(const struct ek_issuer_config *config, struct store *store,
    struct ek_issuer **out, struct err *err)
{
	struct ek_issuer *e = calloc(1, sizeof(*e));
	X509 *issuing = NULL, *root = NULL;
	EVP_PKEY *key = NULL;
	int rc;

	if (e == NULL)
		return err_sys(err, errno, "no memory for the EK CA");
	e->config = config;
	e->store = store;
	pthread_mutex_init(&e->lock, NULL);
	if ((rc = crypto_init(err)) < 0 ||
	    (rc = read_chain(e, &issuing, &root, err)) < 0 ||
	    (rc = read_key(config->key, issuing, &key, err)) < 0)
		goto out;
	rc = ek_ca_from(&e->ca, issuing, root, key, err);
	issuing = root = NULL;
	key = NULL;
	if (rc < 0)
		goto out;
	if (config->crl_url[0] != '\0')
		ek_ca_set_crl_url(e->ca, config->crl_url);
	*out = e;
	e = NULL;
out:
	X509_free(issuing);
	X509_free(root);
	EVP_PKEY_free(key);
	ek_issuer_free(e);
	return rc;
}

void
ek_issuer_free(struct ek_issuer *e)
{
	if (e == NULL)
		return;
	ek_ca_free(e->ca);
	json_decref(e->chain);
	pthread_mutex_destroy(&e->lock);
	free(e->pem);
	free(e->crl);
	free(e);
}

static bool
kind_good(const EVP_PKEY *key)
{
	char group[32] = "";
	size_t size = 0;
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_is_a(key, "RSA"))
		return bits >= 2048 && bits <= 4096;
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group,
	    sizeof(group), &size) == 1 &&
	    (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0 ||
	    strcmp(group, "secp384r1") == 0 || strcmp(group, "P-384") == 0);
}

static int
read_serial(const struct ek_cert *cert, char serial[EK_SERIAL_SIZE],
    struct err *err)
{
	const unsigned char *p = cert->der;
	X509 *x = d2i_X509(NULL, &p, (long)cert->size);
	BIGNUM *n = x != NULL ? ASN1_INTEGER_to_BN(X509_get0_serialNumber(x),
	    NULL) : NULL;
	uint8_t raw[(EK_SERIAL_SIZE - 1) / 2];
	int size = n != NULL ? BN_num_bytes(n) : 0, rc = 0;

	if (size <= 0 || size > (int)sizeof(raw))
		rc = crypto_error(err, "cannot read a serial number");
	else
		BN_bn2bin(n, raw);
	for (int i = 0; rc == 0 && i < size; i++)
		snprintf(serial + 2 * i, 3, "%02x", raw[i]);
	BN_free(n);
	X509_free(x);
	return rc;
}

int
ek_issuer_make(struct ek_issuer *e, const uint8_t *spki, size_t size,
    const struct ek_cert_tpm *tpm, struct ek_cert *out,
    char serial[EK_SERIAL_SIZE], struct err *err)
{
	const unsigned char *p = spki;
	EVP_PKEY *key = d2i_PUBKEY_ex(NULL, &p, (long)size, crypto_context(),
	    NULL);
	int rc;

	if (key == NULL || p != spki + size || !kind_good(key))
		rc = err_set(err, ERR_USAGE, "an EK is the DER of a "
		    "SubjectPublicKeyInfo, RSA of 2048 to 4096 bits, P-256 or "
		    "P-384");
	else if ((rc = ek_cert_make_for(e->ca, tpm, key, out, err)) == 0)
		rc = read_serial(out, serial, err);
	ERR_clear_error();
	EVP_PKEY_free(key);
	return rc;
}

const char *
ek_issuer_pem(const struct ek_issuer *e)
{
	return e->pem;
}

json_t *
ek_issuer_chain(const struct ek_issuer *e)
{
	return json_deep_copy(e->chain);
}

const char *
ek_issuer_crl_url(const struct ek_issuer *e)
{
	return e->config->crl_url;
}

int
ek_issuer_crl(struct ek_issuer *e, uint8_t **out, size_t *size,
    struct err *err)
{
	uint8_t *made = NULL;
	time_t now = time(NULL);
	int rc = 0;

	pthread_mutex_lock(&e->lock);
	if (e->made == 0 || now < e->made || now - e->made >= CRL_SECONDS) {
		rc = crl_make(e->ca, e->store, now,
		    now + e->config->crl_hours * 3600, &made, size, err);
		if (rc == 0) {
			free(e->crl);
			e->crl = made;
			e->crl_size = *size;
			e->made = now;
		}
	}
	if (rc == 0 && (*out = malloc(e->crl_size)) == NULL)
		rc = err_sys(err, errno, "no memory for a revocation list");
	if (rc == 0) {
		memcpy(*out, e->crl, e->crl_size);
		*size = e->crl_size;
	}
	pthread_mutex_unlock(&e->lock);
	return rc;
}

void
ek_issuer_revoked(struct ek_issuer *e)
{
	pthread_mutex_lock(&e->lock);
	e->made = 0;
	pthread_mutex_unlock(&e->lock);
}
