/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fields are named as in section 3 of the TCG EK Credential Profile v2.5. What
 * the profile leaves open, and why:
 *
 * - The subject is empty, so subjectAltName is critical (RFC 5280 4.2.1.6):
 *   an EK certificate says which TPM this is, not whose. The VM's UUID stands
 *   in the platform certificate, where the profile has a field for it.
 * - No certificatePolicies or authorityInfoAccess, and a CRL distribution
 *   point only where the CA has one (the trust authority's): a host's own CA
 *   publishes nothing, and an address that answers nobody makes verifiers
 *   wait.
 * - No tpmSecurityAssertions: optional, and nobody has evaluated this TPM.
 * - No subjectKeyIdentifier: the profile says that it should be left out.
 */
#include "vtpm/ek-cert.h"

#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "nvram-crypt/crypto.h"
#include "vtpm/der.h"
#include "vtpm/x509.h"

#define TPM_MODEL "vtpmd"

#define TPM_ECC_NIST_P256 0x0003u
#define TPM_ECC_NIST_P384 0x0004u

static EVP_PKEY *
pkey_from(OSSL_LIB_CTX *ctx, const char *type, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *kctx = EVP_PKEY_CTX_new_from_name(ctx, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (params == NULL || kctx == NULL ||
	    EVP_PKEY_fromdata_init(kctx) != 1 ||
	    EVP_PKEY_fromdata(kctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(kctx);
	OSSL_PARAM_free(params);
	return pkey;
}

static EVP_PKEY *
pkey_rsa(OSSL_LIB_CTX *ctx, const struct tpm_public *key)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_bin2bn(key->x, (int)key->x_size, NULL);
	EVP_PKEY *pkey = NULL;

	if (build != NULL && n != NULL &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_uint32(build, OSSL_PKEY_PARAM_RSA_E,
		key->rsa_exponent) == 1)
		pkey = pkey_from(ctx, "RSA", build);
	BN_free(n);
	OSSL_PARAM_BLD_free(build);
	return pkey;
}

/* libtpms gives coordinates their full width; the uncompressed point (SEC 1,
 * 2.3.3) needs that too. */
static EVP_PKEY *
pkey_ecc(OSSL_LIB_CTX *ctx, const struct tpm_public *key)
{
	const char *group = key->curve == TPM_ECC_NIST_P384 ? "P-384" :
	    key->curve == TPM_ECC_NIST_P256 ? "P-256" : NULL;
	size_t width = key->curve == TPM_ECC_NIST_P384 ? 48 : 32;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	uint8_t point[1 + 2 * 48] = { 0x04 };
	EVP_PKEY *pkey = NULL;

	if (build == NULL || group == NULL || key->x_size > width ||
	    key->y_size > width)
		goto out;
	memcpy(point + 1 + width - key->x_size, key->x, key->x_size);
	memcpy(point + 1 + 2 * width - key->y_size, key->y, key->y_size);
	if (OSSL_PARAM_BLD_push_utf8_string(build,
		OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY,
		point, 1 + 2 * width) == 1)
		pkey = pkey_from(ctx, "EC", build);
out:
	OSSL_PARAM_BLD_free(build);
	return pkey;
}

static EVP_PKEY *
pkey_of(OSSL_LIB_CTX *ctx, const struct tpm_public *key)
{
	return key->type == TPM_ALG_RSA ? pkey_rsa(ctx, key) :
	    pkey_ecc(ctx, key);
}

int
ek_cert_public_key(OSSL_LIB_CTX *ctx, const struct tpm_public *key,
    uint8_t **der, size_t *size, struct err *err)
{
	EVP_PKEY *pkey = pkey_of(ctx, key);
	int n = pkey != NULL ? i2d_PUBKEY(pkey, der) : -1;

	EVP_PKEY_free(pkey);
	if (n <= 0)
		return crypto_error(err, "cannot write the EK's public key");
	*size = (size_t)n;
	return 0;
}

int
ek_cert_check(OSSL_LIB_CTX *ctx, const struct tpm_public *key,
    const uint8_t *der, size_t size, struct err *err)
{
	const unsigned char *p = der;
	EVP_PKEY *pkey = pkey_of(ctx, key);
	X509 *x = X509_new_ex(ctx, NULL);
	int rc = 0;

	if (size > EK_CERT_MAX)
		rc = err_set(err, ERR_REFUSED, "the EK certificate has %zu "
		    "bytes, and an NV index holds %u", size, EK_CERT_MAX);
	else if (x == NULL || d2i_X509(&x, &p, (long)size) == NULL ||
	    p != der + size || pkey == NULL ||
	    EVP_PKEY_eq(X509_get0_pubkey(x), pkey) != 1)
		rc = err_set(err, ERR_REFUSED, "what came as the EK's "
		    "certificate is none for this EK");
	X509_free(x);
	EVP_PKEY_free(pkey);
	return rc;
}

/* One RelativeDistinguishedName with one attribute. */
static void
put_rdn(struct buf *b, const char *oid, const char *text)
{
	size_t rdn = der_mark(b);

	der_oid(b, oid);
	der_text(b, DER_UTF8, text);
	der_wrap(b, rdn, DER_SEQUENCE);
	der_wrap(b, rdn, DER_SET);
}

/* Subject Alternative Names: manufacturer (vendor id as 8 hexadecimal digits),
 * model and firmware version in a directoryName. */
static int
add_names(X509 *x, const struct ek_cert_tpm *tpm, struct err *err)
{
	char manufacturer[16], firmware[16];
	uint8_t room[256];
	struct buf b = buf_writer(room, sizeof(room));
	size_t mark = der_mark(&b);

	snprintf(manufacturer, sizeof(manufacturer), "id:%08X",
	    tpm->manufacturer);
	snprintf(firmware, sizeof(firmware), "id:%08X", tpm->firmware);
	put_rdn(&b, "2.23.133.2.1", manufacturer);
	put_rdn(&b, "2.23.133.2.2", TPM_MODEL);
	put_rdn(&b, "2.23.133.2.3", firmware);
	der_wrap(&b, mark, DER_SEQUENCE);	/* Name */
	der_wrap(&b, mark, DER_CONTEXT(4));	/* directoryName */
	der_wrap(&b, mark, DER_SEQUENCE);	/* GeneralNames */
	return x509_add_extension(x, "2.5.29.17", true, &b, err);
}

/* Subject Directory Attributes: tpmSpecification. */
static int
add_specification(X509 *x, const struct ek_cert_tpm *tpm, struct err *err)
{
	/* "2.0" and a NUL in the property's four bytes. */
	char family[] = { (char)(tpm->family >> 24), (char)(tpm->family >> 16),
		(char)(tpm->family >> 8), (char)tpm->family, '\0' };
	uint8_t room[64];
	struct buf b = buf_writer(room, sizeof(room));
	size_t mark = der_mark(&b), attribute = mark, value;

	der_oid(&b, "2.23.133.2.16");
	value = der_mark(&b);
	der_text(&b, DER_UTF8, family);
	der_integer(&b, tpm->level);
	der_integer(&b, tpm->revision);
	der_wrap(&b, value, DER_SEQUENCE);
	der_wrap(&b, value, DER_SET);
	der_wrap(&b, attribute, DER_SEQUENCE);
	der_wrap(&b, mark, DER_SEQUENCE);
	return x509_add_extension(x, "2.5.29.9", false, &b, err);
}

/* Extended Key Usage: tcg-kp-EKCertificate. */
static int
add_purpose(X509 *x, struct err *err)
{
	uint8_t room[32];
	struct buf b = buf_writer(room, sizeof(room));
	size_t mark = der_mark(&b);

	der_oid(&b, "2.23.133.8.1");
	der_wrap(&b, mark, DER_SEQUENCE);
	return x509_add_extension(x, "2.5.29.37", false, &b, err);
}

/* CRL Distribution Points (RFC 5280, 4.2.1.13): one, by its address. */
static int
add_crl_url(X509 *x, const char *url, struct err *err)
{
	uint8_t room[512];
	struct buf b = buf_writer(room, sizeof(room));
	size_t mark = der_mark(&b);

	if (url == NULL)
		return 0;
	/* uniformResourceIdentifier */
	der_bytes(&b, DER_CONTEXT_PRIMITIVE(6), url, strlen(url));
	der_wrap(&b, mark, DER_CONTEXT(0));	/* fullName */
	der_wrap(&b, mark, DER_CONTEXT(0));	/* distributionPoint */
	der_wrap(&b, mark, DER_SEQUENCE);
	der_wrap(&b, mark, DER_SEQUENCE);
	return x509_add_extension(x, "2.5.29.31", false, &b, err);
}

static int
add_issuer_id(X509 *x, const struct ek_ca *ca, struct err *err)
{
	uint8_t room[80];
	struct buf b = buf_writer(room, sizeof(room));
	int rc = ek_ca_put_issuer_id(ca, &b, err);

	return rc < 0 ? rc : x509_add_extension(x, "2.5.29.35", false, &b,
	    err);
}

static int
add_extensions(X509 *x, struct ek_ca *ca, const struct ek_cert_tpm *tpm,
    const EVP_PKEY *key, struct err *err)
{
	int rc;

	rc = add_names(x, tpm, err);
	if (rc == 0)
		rc = x509_add_basic_constraints(x, false, -1, err);
	if (rc == 0)
		rc = add_specification(x, tpm, err);
	if (rc == 0)
		rc = add_issuer_id(x, ca, err);
	/* Key Usage: what a decryption key is for. */
	if (rc == 0)
		rc = x509_add_key_usage(x, EVP_PKEY_is_a(key, "RSA") ?
		    X509_KEY_ENCIPHERMENT : X509_KEY_AGREEMENT, err);
	if (rc == 0)
		rc = add_purpose(x, err);
	if (rc == 0)
		rc = add_crl_url(x, ek_ca_crl_url(ca), err);
	return rc;
}

static int
encode(const X509 *x, struct ek_cert *out, struct err *err)
{
	unsigned char *p = out->der;
	int size = i2d_X509(x, NULL);

	if (size < 0)
		return crypto_error(err, "cannot encode an EK certificate");
	if ((size_t)size > sizeof(out->der))
		return err_set(err, ERR_INTERNAL, "the EK certificate has %d "
		    "bytes, an NV index holds %zu", size, sizeof(out->der));
	out->size = (size_t)i2d_X509(x, &p);
	return 0;
}

int
ek_cert_make_for(struct ek_ca *ca, const struct ek_cert_tpm *tpm,
    EVP_PKEY *key, struct ek_cert *out, struct err *err)
{
	X509 *x = NULL;
	int rc;

	if ((rc = x509_begin(&x, ek_ca_context(ca), err)) < 0)
		return rc;
	if (X509_set_issuer_name(x,
		X509_get_subject_name(ek_ca_issuing(ca))) != 1) {
		rc = crypto_error(err,
		    "cannot name the issuer of an EK certificate");
		goto out;
	}
	if (X509_set_pubkey(x, key) != 1) {
		rc = crypto_error(err,
		    "cannot put the EK into its certificate");
		goto out;
	}
	if ((rc = add_extensions(x, ca, tpm, key, err)) < 0 ||
	    (rc = x509_sign(x, ek_ca_key(ca), ek_ca_context(ca), err)) < 0)
		goto out;
	rc = encode(x, out, err);
out:
	X509_free(x);
	return rc;
}

int
ek_cert_make(struct ek_ca *ca, const struct ek_cert_tpm *tpm,
    const struct tpm_public *key, struct ek_cert *out, struct err *err)
{
	EVP_PKEY *pkey = pkey_of(ek_ca_context(ca), key);
	int rc;

	if (pkey == NULL)
		return crypto_error(err,
		    "cannot put the EK into its certificate");
	rc = ek_cert_make_for(ca, tpm, pkey, out, err);
	EVP_PKEY_free(pkey);
	return rc;
}
