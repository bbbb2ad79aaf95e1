/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/own-cert.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "trust-authority/attest/hash.h"

#define CERTIFICATE "https.pem"
#define KEY "https.key"
#define PEM_MAX 65536
/* It is pinned, not judged by its dates. */
#define DAYS 36500

static int
add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	int ok = e != NULL && X509_add_ext(x, e, -1) == 1;

	X509_EXTENSION_free(e);
	return ok;
}

static int
fill(X509 *x, EVP_PKEY *key, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(x);
	char alt[80];
	uint8_t serial[16];
	BIGNUM *n = NULL;
	int ok;

	snprintf(alt, sizeof(alt), "DNS:%s", name);
	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return 0;
	serial[0] = (serial[0] & 0x7f) | 0x40;
	n = BN_bin2bn(serial, sizeof(serial), NULL);
	ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) !=
	    NULL && X509_set_version(x, X509_VERSION_3) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL &&
	    X509_time_adj_ex(X509_getm_notAfter(x), DAYS, 0, NULL) != NULL &&
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0) == 1 &&
	    X509_set_issuer_name(x, subject) == 1 &&
	    X509_set_pubkey(x, key) == 1 &&
	    add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(x, NID_key_usage, "critical,digitalSignature") &&
	    add_extension(x, NID_ext_key_usage, "serverAuth") &&
	    add_extension(x, NID_subject_alt_name, alt) &&
	    X509_sign(x, key, EVP_sha256()) > 0;
	BN_free(n);
	return ok;
}

static int
write_bio(const struct state_dir *d, const char *name, BIO *bio,
    struct err *err)
{
	char *data = NULL;
	long size = BIO_get_mem_data(bio, &data);
	int rc;

	rc = state_file_write(d, name, data, (size_t)size, err);
	cleanse(data, (size_t)size);
	return rc;
}

/* The key first: a certificate is there only with its key. */
static int
make(const struct state_dir *d, const char *name, struct err *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *cert_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());
	X509 *x = X509_new();
	int rc;

	if (key == NULL || cert_pem == NULL || key_pem == NULL || x == NULL ||
	    !fill(x, key, name) || PEM_write_bio_X509(cert_pem, x) != 1 ||
	    PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL,
	    NULL) != 1)
		rc = openssl_error(err, "cannot make a certificate");
	else if ((rc = write_bio(d, KEY, key_pem, err)) == 0)
		rc = write_bio(d, CERTIFICATE, cert_pem, err);
	BIO_free(cert_pem);
	BIO_free(key_pem);
	X509_free(x);
	EVP_PKEY_free(key);
	return rc;
}

int
own_cert_get(const struct state_dir *d, const char *name, char **pem,
    struct err *err)
{
	uint8_t *data = NULL;
	size_t size = 0;
	int rc;

	rc = state_file_read(d, CERTIFICATE, PEM_MAX, &data, &size, err);
	if (rc == ERR_NOTFOUND && (rc = make(d, name, err)) == 0)
		rc = state_file_read(d, CERTIFICATE, PEM_MAX, &data, &size,
		    err);
	if (rc < 0)
		return rc;
	data[size] = '\0';	/* there is a byte more */
	*pem = (char *)data;
	return 0;
}

void
own_cert_paths(const struct state_dir *d, char *certificate, char *key,
    size_t room)
{
	snprintf(certificate, room, "%s/" CERTIFICATE, d->path);
	snprintf(key, room, "%s/" KEY, d->path);
}

int
own_cert_read_pem(const char *path, char **pem, struct err *err)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, PEM_MAX + 2);
	size_t size;

	if (f == NULL || text == NULL) {
		int sys = errno;

		if (f != NULL)
			fclose(f);
		free(text);
		return err_sys(err, sys, "cannot read %s", path);
	}
	size = fread(text, 1, PEM_MAX + 1, f);
	fclose(f);
	if (size == 0 || size > PEM_MAX ||
	    strstr(text, "-----BEGIN CERTIFICATE-----") == NULL) {
		free(text);
		return err_set(err, ERR_USAGE, "%s is no file of PEM "
		    "certificates of at most %d bytes", path, PEM_MAX);
	}
	*pem = text;
	return 0;
}
