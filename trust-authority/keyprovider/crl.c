/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/crl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "nvram-crypt/crypto.h"
#include "trust-authority/keyprovider/ek-issuer.h"
#include "trust-authority/keyprovider/record.h"

static int
add_one(X509_CRL *crl, const char *serial, time_t when, struct err *err)
{
	X509_REVOKED *r = X509_REVOKED_new();
	ASN1_TIME *date = ASN1_TIME_set(NULL, when);
	ASN1_INTEGER *number = NULL;
	BIGNUM *bn = NULL;
	int rc = 0;

	if (r == NULL || date == NULL || BN_hex2bn(&bn, serial) !=
	    (int)strlen(serial) || (number = BN_to_ASN1_INTEGER(bn, NULL)) ==
	    NULL || X509_REVOKED_set_serialNumber(r, number) != 1 ||
	    X509_REVOKED_set_revocationDate(r, date) != 1 ||
	    X509_CRL_add0_revoked(crl, r) != 1) {
		X509_REVOKED_free(r);
		rc = crypto_error(err, "cannot put a serial number into the "
		    "revocation list");
	}
	BN_free(bn);
	ASN1_INTEGER_free(number);
	ASN1_TIME_free(date);
	return rc;
}

static int
add_all(X509_CRL *crl, struct store *store, struct err *err)
{
	struct store_query query = { .kind = EK_REVOKED_KIND };
	struct store_list list = { 0 };
	char after[EK_SERIAL_SIZE];
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		rc = store_list(store, &query, &list, err);
		more = list.more;
		for (size_t i = 0; rc == 0 && i < list.count; i++) {
			json_t *json = NULL;

			rc = record_parse(EK_REVOKED_KIND, &list.records[i],
			    &json, err);
			if (rc == 0)
				rc = add_one(crl, list.records[i].key,
				    (time_t)json_integer_value(json_object_get(
				    json, "revoked")), err);
			json_decref(json);
		}
		if (rc == 0 && more) {
			snprintf(after, sizeof(after), "%s",
			    list.records[list.count - 1].key);
			query.after = after;
		}
		store_list_reset(&list);
	}
	return rc;
}

static int
add_issuer_id(X509_CRL *crl, const struct ek_ca *ca, struct err *err)
{
	uint8_t room[80];
	struct buf b = buf_writer(room, sizeof(room));
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
	X509_EXTENSION *x = NULL;
	int rc = ek_ca_put_issuer_id(ca, &b, err);

	if (rc == 0 && (octets == NULL || !buf_ok(&b) ||
	    ASN1_OCTET_STRING_set(octets, room, (int)b.pos) != 1 ||
	    (x = X509_EXTENSION_create_by_NID(NULL,
	    NID_authority_key_identifier, 0, octets)) == NULL ||
	    X509_CRL_add_ext(crl, x, -1) != 1))
		rc = crypto_error(err, "cannot name the issuer of the "
		    "revocation list");
	X509_EXTENSION_free(x);
	ASN1_OCTET_STRING_free(octets);
	return rc;
}

/* CRL Number (5.2.3): grows with time, also over nodes that know nothing of
 * each other. */
static int
add_number(X509_CRL *crl, struct err *err)
{
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	struct timespec t;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &t);
	if (n == NULL || ASN1_INTEGER_set_uint64(n, (uint64_t)t.tv_sec *
	    1000000 + (uint64_t)t.tv_nsec / 1000) != 1 ||
	    X509_CRL_add1_ext_i2d(crl, NID_crl_number, n, 0, 0) != 1)
		rc = crypto_error(err, "cannot number the revocation list");
	ASN1_INTEGER_free(n);
	return rc;
}

static int
sign(X509_CRL *crl, const struct ek_ca *ca, struct err *err)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int rc = 0;

	if (md == NULL || X509_CRL_sort(crl) != 1 ||
	    EVP_DigestSignInit_ex(md, NULL, "SHA384", ek_ca_context(ca), NULL,
	    ek_ca_key(ca), NULL) != 1 || X509_CRL_sign_ctx(crl, md) <= 0)
		rc = crypto_error(err, "cannot sign the revocation list");
	EVP_MD_CTX_free(md);
	return rc;
}

int
crl_make(const struct ek_ca *ca, struct store *store, time_t now, time_t next,
    uint8_t **out, size_t *size, struct err *err)
{
	ASN1_TIME *this_update = ASN1_TIME_set(NULL, now);
	ASN1_TIME *next_update = ASN1_TIME_set(NULL, next);
	X509_CRL *crl = X509_CRL_new_ex(ek_ca_context(ca), NULL);
	unsigned char *p;
	int rc, n;

	if (crl == NULL || this_update == NULL || next_update == NULL ||
	    X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
	    X509_CRL_set_issuer_name(crl,
	    X509_get_subject_name(ek_ca_issuing(ca))) != 1 ||
	    X509_CRL_set1_lastUpdate(crl, this_update) != 1 ||
	    X509_CRL_set1_nextUpdate(crl, next_update) != 1) {
		rc = crypto_error(err, "cannot begin a revocation list");
		goto out;
	}
	if ((rc = add_all(crl, store, err)) < 0 ||
	    (rc = add_issuer_id(crl, ca, err)) < 0 ||
	    (rc = add_number(crl, err)) < 0 ||
	    (rc = sign(crl, ca, err)) < 0)
		goto out;
	n = i2d_X509_CRL(crl, NULL);
	if (n <= 0 || (*out = p = malloc((size_t)n)) == NULL) {
		rc = crypto_error(err, "cannot encode the revocation list");
		goto out;
	}
	*size = (size_t)i2d_X509_CRL(crl, &p);
out:
	X509_CRL_free(crl);
	ASN1_TIME_free(this_update);
	ASN1_TIME_free(next_update);
	return rc;
}
