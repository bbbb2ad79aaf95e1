/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/x509.h"

#include <string.h>

#include <openssl/rand.h>

#include "nvram-crypt/crypto.h"
#include "vtpm/der.h"

int
x509_serial(OSSL_LIB_CTX *ctx, uint8_t serial[X509_SERIAL_SIZE],
    struct err *err)
{
	if (RAND_bytes_ex(ctx, serial, X509_SERIAL_SIZE, 0) != 1)
		return crypto_error(err, "cannot draw a serial number");
	/* Positive, and with no leading zero octet: DER stays canonical. */
	serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
	return 0;
}

int
x509_begin(X509 **out, OSSL_LIB_CTX *ctx, struct err *err)
{
	uint8_t serial[X509_SERIAL_SIZE];
	BIGNUM *bn = NULL;
	X509 *x = NULL;
	int rc;

	if ((rc = x509_serial(ctx, serial, err)) < 0)
		goto out;
	if ((x = X509_new_ex(ctx, NULL)) == NULL ||
	    X509_set_version(x, X509_VERSION_3) != 1 ||
	    (bn = BN_bin2bn(serial, sizeof(serial), NULL)) == NULL ||
	    BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x)) == NULL ||
	    X509_gmtime_adj(X509_getm_notBefore(x), 0) == NULL ||
	    ASN1_TIME_set_string(X509_getm_notAfter(x), X509_FOREVER) != 1) {
		rc = crypto_error(err, "cannot begin a certificate");
		goto out;
	}
	*out = x;
	x = NULL;
out:
	BN_free(bn);
	X509_free(x);
	return rc;
}

int
x509_add_extension(X509 *x, const char *oid, bool critical,
    const struct buf *value, struct err *err)
{
	ASN1_OCTET_STRING *octets = NULL;
	X509_EXTENSION *extension = NULL;
	ASN1_OBJECT *object = NULL;
	int rc = 0;

	if (!buf_ok(value)) {
		rc = err_set(err, ERR_INTERNAL,
		    "the extension %s does not fit", oid);
		goto out;
	}
	if ((object = OBJ_txt2obj(oid, 1)) == NULL ||
	    (octets = ASN1_OCTET_STRING_new()) == NULL ||
	    ASN1_OCTET_STRING_set(octets, value->data,
		(int)value->pos) != 1 ||
	    (extension = X509_EXTENSION_create_by_OBJ(NULL, object, critical,
		octets)) == NULL ||
	    X509_add_ext(x, extension, -1) != 1)
		rc = crypto_error(err, "cannot add a certificate extension");
out:
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(octets);
	ASN1_OBJECT_free(object);
	return rc;
}

int
x509_add_key_usage(X509 *x, unsigned int bits, struct err *err)
{
	uint8_t room[8], octet = 0, unused = 8;
	struct buf b = buf_writer(room, sizeof(room));

	/* A named bit list (X.690 11.2.2): bit 0 is the octet's highest, and
	 * trailing zero bits are not sent. */
	for (unsigned int i = 0; i < 8; i++)
		if (bits & 1u << i) {
			octet |= (uint8_t)(0x80 >> i);
			unused = (uint8_t)(7 - i);
		}
	der_bytes(&b, DER_BIT_STRING, (uint8_t[]){ unused, octet }, 2);
	return x509_add_extension(x, "2.5.29.15", true, &b, err);
}

int
x509_add_basic_constraints(X509 *x, bool ca, int path_length, struct err *err)
{
	uint8_t room[16];
	struct buf b = buf_writer(room, sizeof(room));
	size_t mark = der_mark(&b);

	/* FALSE is the default and must not be written (X.690 11.5). */
	if (ca)
		der_true(&b);
	if (ca && path_length >= 0)
		der_integer(&b, (uint32_t)path_length);
	der_wrap(&b, mark, DER_SEQUENCE);
	return x509_add_extension(x, "2.5.29.19", true, &b, err);
}

int
x509_add_authority_key_id(X509 *x, const uint8_t id[X509_KEY_ID_SIZE],
    struct err *err)
{
	uint8_t room[X509_KEY_ID_SIZE + 8];
	struct buf b = buf_writer(room, sizeof(room));
	size_t mark = der_mark(&b);

	der_bytes(&b, DER_CONTEXT_PRIMITIVE(0), id, X509_KEY_ID_SIZE);
	der_wrap(&b, mark, DER_SEQUENCE);
	return x509_add_extension(x, "2.5.29.35", false, &b, err);
}

int
x509_key_id(const X509 *x, OSSL_LIB_CTX *ctx, uint8_t id[X509_KEY_ID_SIZE],
    struct err *err)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	const unsigned char *key;
	size_t n;
	int size;

	if (X509_PUBKEY_get0_param(NULL, &key, &size, NULL,
		X509_get_X509_PUBKEY(x)) != 1 ||
	    EVP_Q_digest(ctx, "SHA256", NULL, key, (size_t)size, digest,
		&n) != 1)
		return crypto_error(err, "cannot compute a key identifier");
	memcpy(id, digest, X509_KEY_ID_SIZE);
	return 0;
}

int
x509_sign(X509 *x, EVP_PKEY *key, OSSL_LIB_CTX *ctx, struct err *err)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int rc = 0;

	if (md == NULL || EVP_DigestSignInit_ex(md, NULL, "SHA384", ctx, NULL,
		key, NULL) != 1 || X509_sign_ctx(x, md) <= 0)
		rc = crypto_error(err, "cannot sign a certificate");
	EVP_MD_CTX_free(md);
	return rc;
}
