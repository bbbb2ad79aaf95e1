/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/platform-cert.h"

#include <config.h>

#include <string.h>
#include <time.h>

#include <openssl/x509.h>

#include "nvram-crypt/crypto.h"
#include "vtpm/der.h"
#include "vtpm/x509.h"

#define ECDSA_SHA384 "1.2.840.10045.4.3.3"
#define SIGNATURE_MAX 160

/* SEQUENCE of an object identifier and nothing else. */
static void
put_oid_sequence(struct buf *b, const char *oid)
{
	size_t mark = der_mark(b);

	der_oid(b, oid);
	der_wrap(b, mark, DER_SEQUENCE);
}

/* GeneralNames with one directoryName. */
static int
put_general_names(struct buf *b, const X509_NAME *name, struct err *err)
{
	const unsigned char *der;
	size_t size, mark = der_mark(b);

	if (X509_NAME_get0_der(name, &der, &size) != 1)
		return crypto_error(err, "cannot encode a name");
	buf_put_bytes(b, der, size);
	der_wrap(b, mark, DER_CONTEXT(4));
	der_wrap(b, mark, DER_SEQUENCE);
	return 0;
}

/* Holder: baseCertificateID [0] IssuerSerial (RFC 5755 4.2.2). */
static int
put_holder(struct buf *b, const struct ek_cert *ek, struct err *err)
{
	const unsigned char *p = ek->der;
	size_t mark = der_mark(b);
	const ASN1_INTEGER *serial;
	X509 *x;
	int rc;

	if ((x = d2i_X509(NULL, &p, (long)ek->size)) == NULL)
		return crypto_error(err, "cannot read the EK certificate");
	if ((rc = put_general_names(b, X509_get_issuer_name(x), err)) < 0)
		goto out;
	/* Ours are positive with no sign octet needed: x509_serial. */
	serial = X509_get0_serialNumber(x);
	der_bytes(b, DER_INTEGER, ASN1_STRING_get0_data(serial),
	    (size_t)ASN1_STRING_length(serial));
	der_wrap(b, mark, DER_CONTEXT(0));
	der_wrap(b, mark, DER_SEQUENCE);
out:
	X509_free(x);
	return rc;
}

/* v2Form [0] with issuerName (RFC 5755 4.2.3). */
static int
put_issuer(struct buf *b, struct ek_ca *ca, struct err *err)
{
	size_t mark = der_mark(b);
	int rc;

	rc = put_general_names(b, X509_get_subject_name(ek_ca_issuing(ca)),
	    err);
	der_wrap(b, mark, DER_CONTEXT(0));
	return rc;
}

static void
put_validity(struct buf *b)
{
	size_t mark = der_mark(b);
	time_t now = time(NULL);
	char text[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm);
	der_text(b, DER_GENERALIZED_TIME, text);
	der_text(b, DER_GENERALIZED_TIME, X509_FOREVER);
	der_wrap(b, mark, DER_SEQUENCE);
}

/* Platform Certificate Profile v1.1, 3.1: what kind of certificate this is,
 * and which version of the profile it follows. */
static void
put_attributes(struct buf *b)
{
	size_t all = der_mark(b), attribute = all, value;

	der_oid(b, "2.23.133.2.25");	/* tcg-at-tcgCredentialType */
	value = der_mark(b);
	put_oid_sequence(b, "2.23.133.8.2");
	der_wrap(b, value, DER_SET);
	der_wrap(b, attribute, DER_SEQUENCE);

	attribute = der_mark(b);
	der_oid(b, "2.23.133.2.23");	/* tcg-at-tcgCredentialSpecification */
	value = der_mark(b);
	der_integer(b, 1);
	der_integer(b, 1);
	der_integer(b, 19);
	der_wrap(b, value, DER_SEQUENCE);
	der_wrap(b, value, DER_SET);
	der_wrap(b, attribute, DER_SEQUENCE);
	der_wrap(b, all, DER_SEQUENCE);
}

static void
put_rdn(struct buf *b, const char *oid, const char *text)
{
	size_t mark = der_mark(b);

	der_oid(b, oid);
	der_text(b, DER_UTF8, text);
	der_wrap(b, mark, DER_SEQUENCE);
	der_wrap(b, mark, DER_SET);
}

/* Wraps the contents of an extension written since mark. */
static void
end_extension(struct buf *b, size_t mark, size_t value)
{
	der_wrap(b, value, DER_OCTET_STRING);
	der_wrap(b, mark, DER_SEQUENCE);
}

static void
put_names(struct buf *b, const uint8_t uuid[UUID_SIZE])
{
	size_t mark = der_mark(b), value;
	char text[UUID_TEXT_SIZE];

	uuid_format(uuid, text);
	der_oid(b, "2.5.29.17");
	value = der_mark(b);
	put_rdn(b, "2.23.133.5.1.1", "vtpmd");	/* platformManufacturerStr */
	put_rdn(b, "2.23.133.5.1.4", "virtual machine");    /* platformModel */
	put_rdn(b, "2.23.133.5.1.5", PACKAGE_VERSION);	/* platformVersion */
	put_rdn(b, "2.23.133.5.1.6", text);		/* platformSerial */
	der_wrap(b, value, DER_SEQUENCE);
	der_wrap(b, value, DER_CONTEXT(4));
	der_wrap(b, value, DER_SEQUENCE);
	end_extension(b, mark, value);
}

/* The profile wants policies and has none of its own: any policy (RFC 5280
 * 4.2.1.4), with the profile's text as the notice. */
static void
put_policies(struct buf *b)
{
	size_t mark = der_mark(b), value, qualifiers, notice;

	der_oid(b, "2.5.29.32");
	value = der_mark(b);
	der_oid(b, "2.5.29.32.0");
	qualifiers = der_mark(b);
	der_oid(b, "1.3.6.1.5.5.7.2.2");	/* id-qt-unotice */
	notice = der_mark(b);
	der_text(b, DER_UTF8, "TCG Trusted Platform Endorsement");
	der_wrap(b, notice, DER_SEQUENCE);	/* UserNotice */
	der_wrap(b, qualifiers, DER_SEQUENCE);	/* PolicyQualifierInfo */
	der_wrap(b, qualifiers, DER_SEQUENCE);
	der_wrap(b, value, DER_SEQUENCE);	/* PolicyInformation */
	der_wrap(b, value, DER_SEQUENCE);
	end_extension(b, mark, value);
}

static int
put_authority_key_id(struct buf *b, struct ek_ca *ca, struct err *err)
{
	size_t mark = der_mark(b), value;
	uint8_t id[X509_KEY_ID_SIZE];
	int rc;

	rc = x509_key_id(ek_ca_issuing(ca), ek_ca_context(ca), id, err);
	if (rc < 0)
		return rc;
	der_oid(b, "2.5.29.35");
	value = der_mark(b);
	der_bytes(b, DER_CONTEXT_PRIMITIVE(0), id, sizeof(id));
	der_wrap(b, value, DER_SEQUENCE);
	end_extension(b, mark, value);
	return 0;
}

/* AttributeCertificateInfo (RFC 5755 4.1). */
static int
put_info(struct buf *b, struct ek_ca *ca, const struct ek_cert *ek,
    const uint8_t uuid[UUID_SIZE], struct err *err)
{
	size_t mark = der_mark(b), extensions;
	uint8_t serial[X509_SERIAL_SIZE];
	int rc;

	der_integer(b, 1);	/* v2 */
	if ((rc = put_holder(b, ek, err)) < 0 ||
	    (rc = put_issuer(b, ca, err)) < 0 ||
	    (rc = x509_serial(ek_ca_context(ca), serial, err)) < 0)
		return rc;
	put_oid_sequence(b, ECDSA_SHA384);
	der_bytes(b, DER_INTEGER, serial, sizeof(serial));
	put_validity(b);
	put_attributes(b);
	extensions = der_mark(b);
	put_policies(b);
	put_names(b, uuid);
	if ((rc = put_authority_key_id(b, ca, err)) < 0)
		return rc;
	der_wrap(b, extensions, DER_SEQUENCE);
	der_wrap(b, mark, DER_SEQUENCE);
	return 0;
}

static int
put_signature(struct buf *b, size_t mark, struct ek_ca *ca, struct err *err)
{
	uint8_t signature[SIGNATURE_MAX];
	size_t n = sizeof(signature);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int rc = 0;

	if (md == NULL || EVP_DigestSignInit_ex(md, NULL, "SHA384",
		ek_ca_context(ca), NULL, ek_ca_key(ca), NULL) != 1 ||
	    EVP_DigestSign(md, signature, &n, b->data + mark,
		b->pos - mark) != 1)
		rc = crypto_error(err, "cannot sign the platform certificate");
	EVP_MD_CTX_free(md);
	if (rc < 0)
		return rc;
	put_oid_sequence(b, ECDSA_SHA384);
	der_bit_string(b, signature, n);
	return 0;
}

int
platform_cert_make(struct ek_ca *ca, const struct ek_cert *ek,
    const uint8_t uuid[UUID_SIZE], struct ek_cert *out, struct err *err)
{
	struct buf b = buf_writer(out->der, sizeof(out->der));
	size_t mark = der_mark(&b);
	int rc;

	if ((rc = put_info(&b, ca, ek, uuid, err)) < 0)
		return rc;
	if (buf_ok(&b) && (rc = put_signature(&b, mark, ca, err)) < 0)
		return rc;
	der_wrap(&b, mark, DER_SEQUENCE);
	if (!buf_ok(&b))
		return err_set(err, ERR_INTERNAL, "the platform certificate "
		    "does not fit into an NV index of %u bytes", EK_CERT_MAX);
	out->size = b.pos;
	return 0;
}
