/* SPDX-License-Identifier: BSD-3-Clause */
/* The CA of the virtual TPMs' EK certificates, and its revocation list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/pem.h>

#include "trust-authority/vtactl/identity.h"
#include "trust-authority/vtactl/vtactl.h"

static const char *out_file;

static const struct option options[] = {
	{ "out", "FILE", "write it there, as it came", &out_file, NULL, NULL },
	{ 0 },
};

static int
fetch(struct vtactl *v, const char *path, struct http_reply *reply,
    struct err *err)
{
	int rc;

	rc = vtactl_call_raw(v, SERVICE_KMXD, HTTP_GET, NULL, reply, err, "%s",
	    path);
	if (rc == 0 && (reply->text == NULL || reply->size == 0))
		rc = err_set(err, ERR_FORMAT, "vta-kmxd answered nothing");
	return rc;
}

static int
write_out(struct vtactl *v, const struct http_reply *reply, struct err *err)
{
	int rc;

	if ((rc = file_write_new(out_file, 0644, reply->text, reply->size,
	    err)) < 0 || strcmp(out_file, "-") == 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "file", out_file), err,
	    "Written to %s.", out_file);
}

static void
name_text(const X509_NAME *name, char *out, size_t room)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long n;

	X509_NAME_print_ex(bio, name, 0,
	    XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
	n = BIO_get_mem_data(bio, &data);
	snprintf(out, room, "%.*s", (int)n, data);
	BIO_free(bio);
}

static void
print_ca(const json_t *ca)
{
	char ends[64];

	member_time(ca, "ends", ends, sizeof(ends));
	printf("subject      ");
	print_text(text_of(ca, "subject"));
	printf("\nfingerprint  %s\nends         %s\n\n%s", text_of(ca,
	    "fingerprint"), ends, text_of(ca, "pem"));
}

static int
show(struct vtactl *v, struct err *err)
{
	char fingerprint[IDENTITY_FINGERPRINT_SIZE], subject[256];
	struct http_reply reply = { 0 };
	X509 *cert = NULL;
	BIO *bio = NULL;
	int rc;

	if ((rc = fetch(v, "/v1/ek-ca.pem", &reply, err)) < 0)
		goto out;
	if (out_file != NULL) {
		rc = write_out(v, &reply, err);
		goto out;
	}
	bio = BIO_new_mem_buf(reply.text, (int)reply.size);
	if ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) == NULL) {
		rc = err_set(err, ERR_FORMAT, "vta-kmxd answered something "
		    "else than a certificate");
		goto out;
	}
	if ((rc = identity_fingerprint(cert, fingerprint, err)) < 0)
		goto out;
	name_text(X509_get_subject_name(cert), subject, sizeof(subject));
	rc = print_result(v, json_pack("{s:s, s:s, s:I, s:s}", "subject",
	    subject, "fingerprint", fingerprint, "ends",
	    (json_int_t)identity_ends(cert), "pem", reply.text), print_ca,
	    err);
out:
	X509_free(cert);
	BIO_free(bio);
	http_reply_reset(&reply);
	return rc;
}

static json_int_t
seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ?
	    (json_int_t)timegm(&tm) : 0;
}

static json_t *
revoked_list(X509_CRL *crl)
{
	STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(crl);
	json_t *list = json_array();

	for (int i = 0; i < sk_X509_REVOKED_num(revoked); i++) {
		const X509_REVOKED *r = sk_X509_REVOKED_value(revoked, i);
		BIGNUM *n = ASN1_INTEGER_to_BN(X509_REVOKED_get0_serialNumber(
		    r), NULL);
		char *hex = n != NULL ? BN_bn2hex(n) : NULL;

		json_array_append_new(list, json_pack("{s:s, s:I}", "serial",
		    hex != NULL ? hex : "?", "revoked", seconds_of(
		    X509_REVOKED_get0_revocationDate(r))));
		OPENSSL_free(hex);
		BN_free(n);
	}
	return list;
}

static void
column_revoked(const json_t *row, char *out, size_t room)
{
	member_time(row, "revoked", out, room);
}

static void
print_crl(const json_t *crl)
{
	static const struct column columns[] = {
		{ "SERIAL", "serial", NULL },
		{ "REVOKED", NULL, column_revoked },
	};
	char text[64];

	printf("issuer       ");
	print_text(text_of(crl, "issuer"));
	member_time(crl, "this_update", text, sizeof(text));
	printf("\nof           %s\n", text);
	member_time(crl, "next_update", text, sizeof(text));
	printf("next         %s\n\n", text);
	print_table(json_object_get(crl, "revoked"), columns, 2);
}

static int
show_crl(struct vtactl *v, struct err *err)
{
	struct http_reply reply = { 0 };
	const unsigned char *p;
	X509_CRL *crl = NULL;
	char issuer[256];
	BIO *bio = NULL;
	int rc;

	if ((rc = fetch(v, "/v1/ek-ca.crl", &reply, err)) < 0)
		goto out;
	if (out_file != NULL) {
		rc = write_out(v, &reply, err);
		goto out;
	}
	p = (const unsigned char *)reply.text;
	bio = BIO_new_mem_buf(reply.text, (int)reply.size);
	if ((crl = d2i_X509_CRL(NULL, &p, (long)reply.size)) == NULL &&
	    (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) == NULL) {
		rc = err_set(err, ERR_FORMAT, "vta-kmxd answered something "
		    "else than a revocation list");
		goto out;
	}
	name_text(X509_CRL_get_issuer(crl), issuer, sizeof(issuer));
	rc = print_result(v, json_pack("{s:s, s:I, s:I, s:o}", "issuer",
	    issuer, "this_update", seconds_of(X509_CRL_get0_lastUpdate(crl)),
	    "next_update", seconds_of(X509_CRL_get0_nextUpdate(crl)),
	    "revoked", revoked_list(crl)), print_crl, err);
out:
	X509_CRL_free(crl);
	BIO_free(bio);
	http_reply_reset(&reply);
	return rc;
}

const struct command ca_commands[] = {
	{
		.name = "ca show", .operands = "",
		.summary = "Show the CA of the virtual TPMs' EK certificates",
		.details = "For whoever verifies what guests attest.\n",
		.options = options, .run = show,
	},
	{
		.name = "ca crl", .operands = "",
		.summary = "Show which EK certificates are revoked",
		.options = options, .run = show_crl,
	},
	{ 0 },
};
