/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "trust-authority/vtactl/identity.h"
#include "trust-authority/vtactl/vtactl.h"

#define PEM_MAX (1u << 20)

static int
put_one(struct vtactl *v, X509 *cert, json_t *done, struct err *err)
{
	char fingerprint[IDENTITY_FINGERPRINT_SIZE], *pem = NULL;
	int rc;

	if ((rc = identity_fingerprint(cert, fingerprint, err)) < 0 ||
	    (rc = identity_cert_text(cert, &pem, err)) < 0)
		return rc;
	rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_PUT, json_pack("{s:s}",
	    "pem", pem), NULL, err, "/v1/ek-cas/%s", fingerprint);
	identity_text_free(pem);
	if (rc == 0)
		json_array_append_new(done, json_string(fingerprint));
	return rc;
}

/* PEM of one or many, or DER of one. */
static int
put_all(struct vtactl *v, const char *path, const char *data, size_t size,
    json_t *done, struct err *err)
{
	const unsigned char *p = (const unsigned char *)data;
	BIO *bio = BIO_new_mem_buf(data, (int)size);
	X509 *cert = d2i_X509(NULL, &p, (long)size);
	int rc = 0;

	if (cert == NULL)
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (cert == NULL)
		rc = err_set(err, ERR_FORMAT, "%s has no certificate, neither "
		    "in PEM nor in DER", path);
	while (cert != NULL && rc == 0) {
		rc = put_one(v, cert, done, err);
		X509_free(cert);
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	}
	X509_free(cert);
	BIO_free(bio);
	return rc;
}

static int
import(struct vtactl *v, struct err *err)
{
	const char *path = v->operands[0];
	json_t *done = json_array();
	char *data = NULL;
	size_t size;
	int rc;

	if ((rc = file_read(path, PEM_MAX, &data, &size, err)) == 0)
		rc = put_all(v, path, data, size, done, err);
	free(data);
	if (rc == 0)
		rc = print_done(v, json_pack("{s:O}", "fingerprints", done),
		    err, "%zu imported.", json_array_size(done));
	json_decref(done);
	return rc;
}

static void
column_added(const json_t *row, char *out, size_t room)
{
	member_time(row, "added", out, room);
}

static void
print_cas(const json_t *answer)
{
	static const struct column columns[] = {
		{ "FINGERPRINT", "fingerprint", NULL },
		{ "IMPORTED", NULL, column_added },
		{ "SUBJECT", "subject", NULL },
	};

	print_table(rows_of((json_t *)(uintptr_t)answer, "ek_cas"), columns,
	    3);
}

static int
list(struct vtactl *v, struct err *err)
{
	json_t *answer;
	int rc;

	if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL, &answer, err,
	    "/v1/ek-cas")) < 0)
		return rc;
	return print_result(v, answer, print_cas, err);
}

static int
remove_ca(struct vtactl *v, struct err *err)
{
	const char *fingerprint = v->operands[0];
	int rc;

	if ((rc = name_check("CA (a fingerprint)", fingerprint, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_DELETE, NULL, NULL, err,
	    "/v1/ek-cas/%s", fingerprint)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "fingerprint", fingerprint),
	    err, "No TPM is believed any more because of that CA.");
}

const struct command ek_ca_commands[] = {
	{
		.name = "ek-ca import", .operands = "FILE", .least = 1,
		.most = 1,
		.summary = "Believe the TPMs that a maker's CA has certified",
		.details = "FILE has certificates of CAs in PEM, or one in "
		    "DER; - is standard input. Get them from\nthe TPM's maker, "
		    "by a way that you trust.\n",
		.run = import,
	},
	{
		.name = "ek-ca list", .operands = "",
		.summary = "List the imported CAs", .run = list,
	},
	{
		.name = "ek-ca remove", .operands = "FINGERPRINT", .least = 1,
		.most = 1, .summary = "Remove an imported CA",
		.run = remove_ca,
	},
	{ 0 },
};
