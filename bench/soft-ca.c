/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/soft-ca.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/https.h"

static bool
add(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	bool good;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	if ((e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value)) == NULL)
		return false;
	good = X509_add_ext(cert, e, -1) == 1;
	X509_EXTENSION_free(e);
	return good;
}

static X509 *
draft(EVP_PKEY *key, const char *name, X509 *issuer)
{
	static long serial = 1;
	X509 *cert = X509_new();
	X509_NAME *subject = cert != NULL ? X509_get_subject_name(cert) : NULL;

	if (cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 &&
	    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(cert), 86400) != NULL &&
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0) == 1 &&
	    X509_set_issuer_name(cert, issuer != NULL ?
	    X509_get_subject_name(issuer) : subject) == 1 &&
	    X509_set_pubkey(cert, key) == 1)
		return cert;
	X509_free(cert);
	return NULL;
}

static X509 *
seal(X509 *cert, EVP_PKEY *by)
{
	if (cert != NULL && X509_sign(cert, by, EVP_sha256()) > 0)
		return cert;
	X509_free(cert);
	return NULL;
}

static X509 *
make_ca(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *by)
{
	X509 *cert = draft(key, name, issuer);

	if (cert != NULL && add(cert, issuer != NULL ? issuer : cert,
	    NID_basic_constraints, "critical,CA:TRUE") &&
	    add(cert, cert, NID_subject_key_identifier, "hash") &&
	    add(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign"))
		return seal(cert, by);
	X509_free(cert);
	return NULL;
}

X509 *
soft_ca_certify(const struct soft_ca *ca, EVP_PKEY *key, bool rsa)
{
	X509 *cert = draft(key, "a TPM", ca->cert);

	if (cert != NULL && add(cert, ca->cert, NID_basic_constraints,
	    "critical,CA:FALSE") && add(cert, ca->cert, NID_key_usage, rsa ?
	    "critical,keyEncipherment" : "critical,keyAgreement") &&
	    add(cert, ca->cert, NID_ext_key_usage, "2.23.133.8.1") &&
	    add(cert, ca->cert, NID_authority_key_identifier, "keyid"))
		return seal(cert, ca->key);
	X509_free(cert);
	return NULL;
}

int
soft_ca_new(struct soft_ca *ca, struct err *err)
{
	*ca = (struct soft_ca){ NULL, NULL, NULL, NULL };
	if ((ca->root_key = EVP_RSA_gen(2048)) == NULL ||
	    (ca->key = EVP_RSA_gen(2048)) == NULL ||
	    (ca->root = make_ca(ca->root_key, "TPM root", NULL,
	    ca->root_key)) == NULL ||
	    (ca->cert = make_ca(ca->key, "TPM issuing", ca->root,
	    ca->root_key)) == NULL)
		return openssl_error(err, "making a CA");
	return 0;
}

void
soft_ca_free(struct soft_ca *ca)
{
	EVP_PKEY_free(ca->root_key);
	EVP_PKEY_free(ca->key);
	X509_free(ca->root);
	X509_free(ca->cert);
	*ca = (struct soft_ca){ NULL, NULL, NULL, NULL };
}

static int
import(X509 *cert, struct https *admin, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	unsigned char digest[HASH_MAX];
	unsigned int size = sizeof(digest);
	char path[160], hex[HASH_HEX_SIZE], *pem = NULL, *body = NULL;
	json_t *json = NULL;
	long length;
	int rc;

	if (bio == NULL || PEM_write_bio_X509(bio, cert) != 1 ||
	    X509_digest(cert, EVP_sha256(), digest, &size) != 1) {
		rc = openssl_error(err, "writing a certificate");
		goto out;
	}
	length = BIO_get_mem_data(bio, &pem);
	hash_hex(digest, size, hex);
	snprintf(path, sizeof(path), "/v1/ek-cas/%s", hex);
	json = json_pack("{ss%}", "pem", pem, (size_t)length);
	body = json_dumps(json, JSON_COMPACT);
	rc = body != NULL ? https_call(admin, "PUT", path, NULL, body, NULL,
	    err) : err_set(err, ERR_INTERNAL, "out of memory");
out:
	free(body);
	json_decref(json);
	BIO_free(bio);
	return rc;
}

int
soft_ca_import(const struct soft_ca *ca, const struct place *p,
    struct err *err)
{
	struct https *admin = NULL;
	int rc;

	if ((rc = https_connect(p->admin, p->attestd_port, &admin, err)) == 0 &&
	    (rc = import(ca->root, admin, err)) == 0)
		rc = import(ca->cert, admin, err);
	https_close(admin);
	return rc;
}
