/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/ek-cert.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/attest/ek-maker.h"
#include "trust-authority/attest/spki.h"

#define CERTS_MAX 64	/* in one PEM text */

/* tcg-kp-EKCertificate, EK Credential Profile, Extended Key Usage. */
#define OID_EK_CERTIFICATE "2.23.133.8.1"

struct ek_trust {
	X509_STORE *store;
	size_t count;
};

struct ek_trust *
ek_trust_new(struct err *err)
{
	struct ek_trust *trust = calloc(1, sizeof(*trust));

	if (trust == NULL || (trust->store = X509_STORE_new()) == NULL) {
		err_set(err, ERR_INTERNAL, "out of memory");
		free(trust);
		return NULL;
	}
	return trust;
}

void
ek_trust_free(struct ek_trust *trust)
{
	if (trust == NULL)
		return;
	X509_STORE_free(trust->store);
	free(trust);
}

size_t
ek_trust_count(const struct ek_trust *trust)
{
	return trust->count;
}

/* All certificates of a PEM text. NULL and *err on failure. */
static STACK_OF(X509) *
pem_read(const char *pem, size_t size, struct err *err)
{
	STACK_OF(X509) *list = sk_X509_new_null();
	BIO *bio = BIO_new_mem_buf(pem, (int)size);
	X509 *cert;
	int n = 0;

	if (list == NULL || bio == NULL || size > CERTS_MAX * EK_CERT_MAX) {
		err_set(err, ERR_FORMAT, "certificates cannot be read");
		goto failed;
	}
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (++n > CERTS_MAX || sk_X509_push(list, cert) <= 0) {
			X509_free(cert);
			err_set(err, ERR_FORMAT,
			    "more than %d certificates at once", CERTS_MAX);
			goto failed;
		}
	}
	/* The end of the text is an error to OpenSSL, too. */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE ||
	    n == 0) {
		err_set(err, ERR_FORMAT, "no certificate in PEM, or a damaged "
		    "one after %d good ones", n);
		goto failed;
	}
	ERR_clear_error();
	BIO_free(bio);
	return list;
failed:
	ERR_clear_error();
	BIO_free(bio);
	sk_X509_pop_free(list, X509_free);
	return NULL;
}

static void
subject_text(const X509 *cert, char *out, size_t size)
{
	if (X509_NAME_oneline(X509_get_subject_name(cert), out,
	    (int)size) == NULL)
		out[0] = '\0';
}

int
ek_trust_add_pem(struct ek_trust *trust, const char *pem, size_t size,
    struct err *err)
{
	STACK_OF(X509) *list = pem_read(pem, size, err);
	char subject[256];
	int rc = 0;

	if (list == NULL)
		return ERR_FORMAT;
	for (int i = 0; i < sk_X509_num(list); i++) {
		X509 *cert = sk_X509_value(list, i);

		if (X509_check_ca(cert) == 0) {
			subject_text(cert, subject, sizeof(subject));
			rc = err_set(err, ERR_REFUSED, "the certificate of "
			    "\"%s\" is not one of a CA", subject);
			goto out;
		}
	}
	for (int i = 0; i < sk_X509_num(list); i++)
		if (X509_STORE_add_cert(trust->store,
		    sk_X509_value(list, i)) != 1) {
			rc = openssl_error(err, "adding a CA");
			goto out;
		}
	trust->count += (size_t)sk_X509_num(list);
out:
	sk_X509_pop_free(list, X509_free);
	return rc;
}

static int
chain_verify(const struct ek_trust *trust, X509 *cert,
    STACK_OF(X509) *helpers, time_t now, struct err *err)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	char issuer[256] = "";
	int rc = 0;

	if (ctx == NULL || X509_STORE_CTX_init(ctx, trust->store, cert,
	    helpers) != 1) {
		rc = openssl_error(err, "preparing to verify a certificate");
		goto out;
	}
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, now);
	/* Every imported certificate is an anchor; no purpose of TLS. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	X509_VERIFY_PARAM_set_depth(param, 8);
	if (X509_verify_cert(ctx) != 1) {
		X509_NAME_oneline(X509_get_issuer_name(cert), issuer,
		    sizeof(issuer));
		rc = err_set(err, ERR_REFUSED, "the EK certificate issued by "
		    "\"%s\" does not lead to an imported CA: %s (at depth %d)",
		    issuer, X509_verify_cert_error_string(
		    X509_STORE_CTX_get_error(ctx)),
		    X509_STORE_CTX_get_error_depth(ctx));
	}
out:
	ERR_clear_error();
	X509_STORE_CTX_free(ctx);
	return rc;
}

static bool
has_ek_usage(X509 *cert)
{
	EXTENDED_KEY_USAGE *list;
	bool found = false;
	char oid[32];

	list = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	for (int i = 0; i < sk_ASN1_OBJECT_num(list); i++)
		if (OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(list,
		    i), 1) > 0 && strcmp(oid, OID_EK_CERTIFICATE) == 0)
			found = true;
	EXTENDED_KEY_USAGE_free(list);
	return found;
}

static int
usage_check(X509 *cert, const struct tpm_key *ek, struct err *err)
{
	/* Profile, Key Usage: keyEncipherment for RSA, keyAgreement for ECC. */
	uint32_t want = ek->type == TPM_ALG_RSA ? KU_KEY_ENCIPHERMENT :
	    KU_KEY_AGREEMENT;

	if (X509_check_ca(cert) != 0)
		return err_set(err, ERR_REFUSED,
		    "the EK certificate is one of a CA");
	if (!has_ek_usage(cert))
		return err_set(err, ERR_REFUSED, "the certificate is not for "
		    "an endorsement key: its extended key usage lacks "
		    OID_EK_CERTIFICATE);
	if (!(X509_get_key_usage(cert) & want))
		return err_set(err, ERR_REFUSED, "the EK certificate's key "
		    "usage lacks %s", want == KU_KEY_AGREEMENT ?
		    "keyAgreement" : "keyEncipherment");
	return 0;
}

static int
key_check(X509 *cert, const struct tpm_key *ek, struct err *err)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);

	ERR_clear_error();
	if (key == NULL)
		return err_set(err, ERR_UNSUPPORTED, "the key in the EK "
		    "certificate cannot be read; import the EK's public key "
		    "instead");
	if (EVP_PKEY_eq(key, ek->pkey) != 1)
		return err_set(err, ERR_REFUSED, "the EK certificate is "
		    "another key's than the host's endorsement key");
	return 0;
}

int
ek_cert_verify(const struct ek_trust *trust, const uint8_t *cert, size_t size,
    const char *intermediates, const struct tpm_key *ek, time_t now,
    struct ek_maker *maker, struct err *err)
{
	STACK_OF(X509) *helpers = NULL;
	const uint8_t *at = cert;
	X509 *x = NULL;
	int rc;

	memset(maker, 0, sizeof(*maker));
	if (size > EK_CERT_MAX || (x = d2i_X509(NULL, &at, (long)size)) ==
	    NULL) {
		ERR_clear_error();
		return err_set(err, ERR_FORMAT,
		    "the EK certificate of %zu bytes is not X.509 in DER",
		    size);
	}
	if (intermediates != NULL && (helpers = pem_read(intermediates,
	    strlen(intermediates), err)) == NULL) {
		rc = ERR_FORMAT;
		goto out;
	}
	if ((rc = chain_verify(trust, x, helpers, now, err)) < 0 ||
	    (rc = key_check(x, ek, err)) < 0 ||
	    (rc = usage_check(x, ek, err)) < 0)
		goto out;
	ek_maker_read(x, maker);
out:
	sk_X509_pop_free(helpers, X509_free);
	X509_free(x);
	return rc;
}

int
ek_imported_verify(const char *pem, size_t size, const struct tpm_key *ek,
    struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)size);
	EVP_PKEY *key = NULL;
	int rc = 0;

	if (bio != NULL)
		key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	ERR_clear_error();
	if (key == NULL)
		rc = err_set(err, ERR_FORMAT,
		    "the imported endorsement key is not a public key in PEM");
	else if (EVP_PKEY_eq(key, ek->pkey) != 1)
		rc = err_set(err, ERR_REFUSED, "the host's endorsement key is "
		    "not the one that was imported for it");
	ERR_clear_error();
	EVP_PKEY_free(key);
	BIO_free(bio);
	return rc;
}

/* The same for any kind of key, the slow way. */
static int
fingerprint_any(const struct tpm_key *ek, uint8_t out[HASH_MAX],
    struct err *err)
{
	struct hash_part part = { NULL, 0 };
	uint8_t *der = NULL;
	int n, rc;

	if ((n = i2d_PUBKEY(ek->pkey, &der)) <= 0)
		return openssl_error(err, "writing the endorsement key");
	part = (struct hash_part){ der, (size_t)n };
	rc = hash_digest(hash_by_id(TPM_ALG_SHA256), &part, 1, out, err);
	OPENSSL_free(der);
	return rc;
}

int
ek_fingerprint(const struct tpm_key *ek, uint8_t out[HASH_MAX],
    struct err *err)
{
	uint8_t der[SPKI_MAX];
	struct buf spki = buf_writer(der, sizeof(der));
	struct hash_part part = { der, 0 };
	int rc = spki_write(ek, &spki, err);

	/* A key that was imported as PEM does not say its curve. */
	if (rc == ERR_UNSUPPORTED)
		return fingerprint_any(ek, out, err);
	if (rc < 0)
		return rc;
	part.size = spki.pos;
	return hash_digest(hash_by_id(TPM_ALG_SHA256), &part, 1, out, err);
}
