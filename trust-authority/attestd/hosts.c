/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts, as administrators list, enter, revoke and remove them. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/attestd/capture.h"
#include "trust-authority/attestd/ek-cas.h"
#include "trust-authority/attestd/identify.h"
#include "trust-authority/attestd/policies.h"
#include "trust-authority/attestd/session.h"
#include "trust-authority/attestd/tell-agent.h"
#include "trust-authority/common/base64url.h"

struct host_body {
	struct field_bytes ek, ek_certificate;
	char ek_pem[2048];
	char group[NAME_MAX_SIZE];
	bool trust_ek;
	int64_t version;
};

#define B(member) FIELD_AT(struct host_body, member)
static const struct field body_fields[] = {
	{ "ek", FIELD_BYTES, offsetof(struct host_body, ek),
	    SESSION_KEY_MAX, 0 },
	{ "ek_certificate", FIELD_BYTES,
	    offsetof(struct host_body, ek_certificate), EK_CERT_MAX, 0 },
	{ "ek_pem", FIELD_TEXT, B(ek_pem), FIELD_LINES },
	{ "group", FIELD_NAME, B(group), FIELD_NEEDED },
	{ "trust_ek", FIELD_FLAG, B(trust_ek), 0 },
	{ "version", FIELD_NUMBER, B(version), 0 },
};

struct reason_body {
	char reason[DIRECTORY_REASON_MAX];
};
static const struct field reason_fields[] = {
	{ "reason", FIELD_TEXT, FIELD_AT(struct reason_body, reason), 0 },
};

static json_t *
host_json(const struct directory_host *h)
{
	return json_pack("{ss ss ss ss sb sI sI ss sb ss sI}", "name",
	    h->name, "fingerprint", h->ek, "ek_pem", h->ek_pem, "group",
	    h->group, "trust_ek", h->ek_trusted, "added",
	    (json_int_t)h->added, "revoked", (json_int_t)h->revoked, "reason",
	    h->reason, "enrolled", h->enrolled, "ek_certificate",
	    h->ek_certificate, "version", (json_int_t)h->version);
}

static int
add_host(void *arg, const struct store_record *r, struct err *err)
{
	struct directory_host h;
	int rc = directory_host_read(r, &h, err);

	if (rc == 0 && json_array_append_new(arg, host_json(&h)) < 0)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	return rc;
}

HANDLER(hosts_list)
{
	struct attestd *d = ctx;
	json_t *list = json_array();

	(void)r;
	a->json = json_pack("{so}", "hosts", list);
	return store_each(d->service.store, KIND_HOST, add_host, list, err);
}

HANDLER(host_get)
{
	struct attestd *d = ctx;
	struct directory_host h;
	int rc = directory_host_get(d->service.store, r->params[0], &h, err);

	if (rc == 0)
		a->json = host_json(&h);
	return rc;
}

static EVP_PKEY *
pem_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio != NULL ?
	    PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return key;
}

/* The EK by either of its forms; a struct tpm_key without its public area in
 * the second. */
static int
read_ek(const struct host_body *b, struct tpm_key **out, struct err *err)
{
	struct tpm_key *ek = NULL;
	int rc;

	if ((b->ek.data != NULL) == (b->ek_pem[0] != '\0'))
		return err_set(err, ERR_USAGE, "the body has either \"ek\" or "
		    "\"ek_pem\"");
	if (b->ek.data != NULL) {
		if ((rc = tpm_key_read(b->ek.data, b->ek.size, out,
		    err)) < 0)
			return err_prefix(err, "\"ek\"");
		return tpm_key_check_ek(*out, err);
	}
	if ((ek = calloc(1, sizeof(*ek))) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	*out = ek;
	if ((ek->pkey = pem_key(b->ek_pem)) == NULL)
		return err_set(err, ERR_USAGE, "\"ek_pem\" is not a public "
		    "key in PEM");
	ek->type = EVP_PKEY_get_base_id(ek->pkey) == EVP_PKEY_RSA ?
	    TPM_ALG_RSA : TPM_ALG_ECC;
	return 0;
}

static int
take_ek(struct attestd *d, const struct host_body *b,
    struct directory_host *h, char *warning, size_t room, struct err *err)
{
	struct tpm_key *ek = NULL;
	uint8_t digest[HASH_MAX];
	char hex[HASH_HEX_SIZE];
	struct err why = { 0 };
	int rc;

	if ((rc = read_ek(b, &ek, err)) < 0 ||
	    (rc = ek_fingerprint(ek, digest, err)) < 0 ||
	    (rc = ek_pem_write(ek, h->ek_pem, sizeof(h->ek_pem),
	    err)) < 0)
		goto out;
	hash_hex(digest, 32, hex);
	memcpy(h->ek, hex, sizeof(h->ek));
	h->ek_certificate[0] = '\0';
	if (b->ek_certificate.data != NULL)
		base64url_encode(b->ek_certificate.data,
		    b->ek_certificate.size, h->ek_certificate);
	/* CAs may be imported later, and intermediates come with the host. */
	if (!b->trust_ek && b->ek_certificate.data == NULL)
		text_cut(warning, room, "neither is the key trusted by itself "
		    "(trust_ek) nor does a certificate come with it: the host "
		    "must send one");
	else if (!b->trust_ek && ek_cas_verify(d->ek_cas,
	    b->ek_certificate.data, b->ek_certificate.size, NULL, ek,
	    &why) < 0)
		text_cut(warning, room, why.text);
out:
	tpm_key_free(ek);
	return rc;
}

/* The host's record, its EK's and, where the EK is another one, what was known
 * of the old one. */
static int
commit_host(struct attestd *d, const struct http_request *r,
    const struct directory_host *h, const struct directory_host *old,
    uint64_t group_version, struct err *err)
{
	bool same = strcmp(old->ek, h->ek) == 0;
	char object[NAME_MAX_SIZE + 8];
	struct store_op ops[6] = {
		{ .value = NULL },
		{ STORE_CHECK, KIND_GROUP, h->group, NULL, 0, group_version },
		{ STORE_PUT, KIND_GROUP_ENTERED, h->group, "{}", 2,
		    STORE_ANY },
	};
	size_t n = 3;
	int rc;

	if ((rc = directory_host_op(h, &ops[0], err)) < 0)
		return rc;
	if (!same && (rc = directory_host_ek_op(h, 0, &ops[n++], err)) < 0)
		goto out;
	if (!same && old->version != 0) {
		ops[n++] = (struct store_op){ STORE_REMOVE, KIND_HOST_EK,
			old->ek, NULL, 0, STORE_ANY };
		ops[n++] = (struct store_op){ STORE_REMOVE, KIND_ATTESTED,
			h->name, NULL, 0, STORE_ANY };
	}
	snprintf(object, sizeof(object), "host/%s", h->name);
	rc = change_commit(d->service.store, r, (struct change){
	    old->version == 0 ? "host.import" : "host.change", object,
	    json_pack("{ss ss sb}", "ek", h->ek, "group", h->group,
	    "ek_trusted", h->ek_trusted) }, ops, n, err);
out:
	free((void *)(uintptr_t)ops[0].value);
	if (!same)
		free((void *)(uintptr_t)ops[3].value);
	return rc;
}

/* A host of another name with this EK. */
static int
check_unlisted(struct attestd *d, const struct directory_host *h,
    struct err *err)
{
	char other[NAME_MAX_SIZE];
	struct err why = { 0 };
	int rc = directory_host_by_ek(d->service.store, h->ek, other, NULL,
	    &why);

	if (rc == 0 && strcmp(other, h->name) != 0)
		return err_set(err, ERR_EXISTS, "the host %s has this "
		    "endorsement key already; vtactl host remove %s, if they "
		    "are the same", other, other);
	if (rc < 0 && rc != ERR_NOTFOUND) {
		*err = why;
		return rc;
	}
	return 0;
}

static int
host_change(struct attestd *d, const struct http_request *r,
    const struct host_body *b, struct http_answer *a, struct err *err)
{
	struct directory_host old, h;
	struct directory_group group;
	char warning[DIRECTORY_REASON_MAX] = "";
	int rc;

	memset(&old, 0, sizeof(old));
	rc = directory_host_get(d->service.store, r->params[0], &old, err);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	if ((rc = version_check(old.version, b->version, "the host",
	    err)) < 0)
		return rc;
	h = old;
	text_cut(h.name, sizeof(h.name), r->params[0]);
	text_cut(h.group, sizeof(h.group), b->group);
	h.ek_trusted = b->trust_ek;
	if (old.version == 0)
		h.added = attestd_now();
	if ((rc = directory_group_get(d->service.store, h.group, &group,
	    err)) < 0)
		return rc != ERR_NOTFOUND ? rc : err_set(err, ERR_NOTFOUND,
		    "there is no group %s; vtactl group add %s", h.group,
		    h.group);
	/* Without an EK, the rest of a host that is there is changed. */
	if ((old.version == 0 || b->ek.data != NULL ||
	    b->ek_pem[0] != '\0') && ((rc = take_ek(d, b, &h, warning,
	    sizeof(warning), err)) < 0 ||
	    (rc = check_unlisted(d, &h, err)) < 0))
		return rc;
	if (strcmp(h.ek, old.ek) != 0 || strcmp(h.group, old.group) != 0)
		h.tokens_from = attestd_now();
	if ((rc = commit_host(d, r, &h, &old, group.version, err)) < 0)
		return rc;
	a->status = old.version == 0 ? 201 : 200;
	a->json = json_pack("{ss ss ss}", "name", h.name, "fingerprint", h.ek,
	    "warning", warning);
	return 0;
}

HANDLER(host_put)
{
	struct host_body b = { .version = 0 };
	int rc;

	if (!name_is_good(r->params[0]))
		return err_set(err, ERR_USAGE, "\"%.64s\" is not a name: 1 to "
		    "64 of A-Z a-z 0-9 . _ -", r->params[0]);
	rc = fields_read(r->json, body_fields, FIELDS_COUNT(body_fields), &b,
	    ERR_USAGE, "the body", err);
	if (rc == 0)
		rc = host_change(ctx, r, &b, a, err);
	fields_reset(body_fields, FIELDS_COUNT(body_fields), &b);
	return rc;
}

HANDLER(host_remove)
{
	struct attestd *d = ctx;
	char object[NAME_MAX_SIZE + 8];
	struct policy_litter captured;
	struct directory_host h;
	int rc;

	(void)a;
	if ((rc = directory_host_get(d->service.store, r->params[0], &h,
	    err)) < 0 || (rc = capture_litter(d, h.name, &captured,
	    err)) < 0)
		return rc;
	const struct store_op ops[] = {
		{ STORE_REMOVE, KIND_HOST, h.name, NULL, 0, h.version },
		{ STORE_REMOVE, KIND_HOST_EK, h.ek, NULL, 0, STORE_ANY },
		{ STORE_REMOVE, KIND_ATTESTED, h.name, NULL, 0, STORE_ANY },
		/* Not to be taken of another host of that name. */
		{ STORE_REMOVE, KIND_CAPTURE, h.name, NULL, 0, STORE_ANY },
	};

	snprintf(object, sizeof(object), "host/%s", h.name);
	rc = change_commit(d->service.store, r, (struct change){
	    "host.remove", object, json_pack("{ss}", "ek", h.ek) }, ops, 4,
	    err);
	policy_litter_remove(d->service.store, &captured, rc == 0);
	return rc;
}

static int
set_revoked(struct attestd *d, const struct http_request *r, int64_t when,
    struct err *err)
{
	const char *what = when != 0 ? "host.revoke" : "host.restore";
	struct reason_body b = { "" };
	struct store_op op = { .value = NULL };
	char object[NAME_MAX_SIZE + 8];
	struct directory_host h;
	int rc;

	if ((r->json != NULL && (rc = fields_read(r->json, reason_fields,
	    FIELDS_COUNT(reason_fields), &b, ERR_USAGE, "the body",
	    err)) < 0) || (rc = directory_host_get(d->service.store,
	    r->params[0], &h, err)) < 0)
		return rc;
	h.revoked = when;
	h.tokens_from = attestd_now();
	memcpy(h.reason, b.reason, sizeof(h.reason));
	snprintf(object, sizeof(object), "host/%s", h.name);
	if ((rc = directory_host_op(&h, &op, err)) == 0)
		rc = change_commit(d->service.store, r, (struct change){ what,
		    object, json_pack("{s:s%}", "reason", b.reason,
		    strnlen(b.reason, 200)) }, &op, 1, err);
	free((void *)(uintptr_t)op.value);
	if (rc == 0)
		log_event(when != 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		    when != 0 ? "host.revoked" : "host.restored", "host=%s "
		    "by=\"%s\" reason=\"%s\"", h.name, r->peer.name,
		    b.reason);
	return rc;
}

HANDLER(host_revoke)
{
	(void)a;
	return set_revoked(ctx, r, attestd_now(), err);
}

HANDLER(host_restore)
{
	(void)a;
	return set_revoked(ctx, r, 0, err);
}

HANDLER(host_attest)
{
	struct attestd *d = ctx;
	struct directory_host h;
	int rc = directory_host_get(d->service.store, r->params[0], &h, err);

	if (rc == 0)
		rc = tell_agent(d, h.name, err);
	if (rc == 0)
		a->status = 202;
	return rc;
}
