/* SPDX-License-Identifier: BSD-3-Clause */
/* CAs of EK certificates, as administrators import and remove them. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/attestd/attestd.h"
#include "trust-authority/attestd/ek-cas.h"

struct ek_ca_record {
	char pem[DIRECTORY_PEM_MAX];
	char subject[257];
	int64_t added;
};

#define B(member) FIELD_AT(struct ek_ca_record, member)
static const struct field body_fields[] = {
	{ "pem", FIELD_TEXT, B(pem), FIELD_NEEDED | FIELD_LINES },
};
static const struct field fields[] = {
	{ "added", FIELD_NUMBER, B(added), FIELD_NEEDED },
	{ "pem", FIELD_TEXT, B(pem), FIELD_NEEDED | FIELD_LINES },
	{ "subject", FIELD_TEXT, B(subject), 0 },
};

static json_t *
record_json(const struct store_record *r)
{
	json_t *json = json_loadb(r->value, r->size, 0, NULL);

	if (json != NULL && json_object_set_new(json, "fingerprint",
	    json_string(r->key)) < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static int
add_ca(void *arg, const struct store_record *r, struct err *err)
{
	if (json_array_append_new(arg, record_json(r)) < 0)
		return err_set(err, ERR_FORMAT, "the record ek-ca/%s is "
		    "damaged", r->key);
	return 0;
}

HANDLER(ek_cas_list)
{
	struct attestd *d = ctx;
	json_t *list = json_array();

	(void)r;
	a->json = json_pack("{so}", "ek_cas", list);
	return store_each(d->service.store, KIND_EK_CA, add_ca, list, err);
}

HANDLER(ek_ca_get)
{
	struct attestd *d = ctx;
	struct store_record record = { 0 };
	int rc = store_get(d->service.store, KIND_EK_CA, r->params[0],
	    &record, err);

	if (rc == 0)
		a->json = record_json(&record);
	store_record_reset(&record);
	return rc;
}

/* Exactly one certificate, of a CA, whose digest is the path's. */
static int
check_ca(struct ek_ca_record *ca, const char *fingerprint, struct err *err)
{
	struct ek_trust *trust = ek_trust_new(err);
	BIO *bio = BIO_new_mem_buf(ca->pem, -1);
	X509 *cert = NULL;
	uint8_t digest[32];
	char hex[HASH_HEX_SIZE], subject[256] = "";
	int rc;

	if (trust == NULL || bio == NULL) {
		rc = err_set(err, ERR_INTERNAL, "out of memory");
		goto out;
	}
	if ((rc = ek_trust_add_pem(trust, ca->pem, strlen(ca->pem),
	    err)) < 0)
		goto out;
	cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (cert == NULL || ek_trust_count(trust) != 1 ||
	    X509_digest(cert, EVP_sha256(), digest, NULL) != 1) {
		rc = err_set(err, ERR_USAGE, "\"pem\" is not one certificate; "
		    "import each by itself");
		goto out;
	}
	hash_hex(digest, sizeof(digest), hex);
	if (strcmp(hex, fingerprint) != 0)
		rc = err_set(err, ERR_USAGE, "the certificate's SHA-256 is "
		    "%s, not %.64s", hex, fingerprint);
	X509_NAME_oneline(X509_get_subject_name(cert), subject,
	    (int)sizeof(subject));
	text_cut(ca->subject, sizeof(ca->subject), subject);
out:
	ERR_clear_error();
	X509_free(cert);
	BIO_free(bio);
	ek_trust_free(trust);
	return rc;
}

/* With the head, by which all nodes see that the list is another. */
static int
commit(struct attestd *d, const struct http_request *r, const char *what,
    struct store_op op, const char *subject, struct err *err)
{
	const struct store_op ops[] = { op, { STORE_PUT, KIND_EK_CA_HEAD,
		EK_CA_HEAD_KEY, "{}", 2, STORE_ANY } };
	char object[96];

	snprintf(object, sizeof(object), "ek-ca/%.64s", r->params[0]);
	return change_commit(d->service.store, r, (struct change){ what,
	    object, json_pack("{ss}", "subject", subject) }, ops, 2, err);
}

HANDLER(ek_ca_put)
{
	struct attestd *d = ctx;
	struct store_record old = { 0 };
	struct ek_ca_record ca = { .added = attestd_now() };
	char *text = NULL;
	int rc;

	if ((rc = fields_read(r->json, body_fields,
	    FIELDS_COUNT(body_fields), &ca, ERR_USAGE, "the body",
	    err)) < 0 || (rc = check_ca(&ca, r->params[0], err)) < 0)
		return rc;
	rc = store_get(d->service.store, KIND_EK_CA, r->params[0], &old, err);
	store_record_reset(&old);
	a->status = rc == 0 ? 204 : 201;
	if (rc != ERR_NOTFOUND)
		return rc;
	if ((text = fields_text(fields, FIELDS_COUNT(fields), &ca)) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	rc = commit(d, r, "ek-ca.import", (struct store_op){ STORE_PUT,
	    KIND_EK_CA, r->params[0], text, strlen(text), 0 }, ca.subject,
	    err);
	free(text);
	return rc;
}

HANDLER(ek_ca_remove)
{
	struct attestd *d = ctx;
	struct store_record old = { 0 };
	json_t *json;
	const char *subject;
	int rc;

	(void)a;
	if ((rc = store_get(d->service.store, KIND_EK_CA, r->params[0], &old,
	    err)) < 0)
		return rc;
	json = json_loadb(old.value, old.size, 0, NULL);
	subject = json_string_value(json_object_get(json, "subject"));
	rc = commit(d, r, "ek-ca.remove", (struct store_op){ STORE_REMOVE,
	    KIND_EK_CA, r->params[0], NULL, 0, old.version },
	    subject != NULL ? subject : "", err);
	json_decref(json);
	store_record_reset(&old);
	return rc;
}
