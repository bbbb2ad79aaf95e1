/* SPDX-License-Identifier: BSD-3-Clause */
/* POST /v1/attest/begin: who says that it is there, and what it has to
 * prove. */
#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/attest/credential.h"
#include "trust-authority/attest/needs.h"
#include "trust-authority/attestd/capture.h"
#include "trust-authority/attestd/identify.h"
#include "trust-authority/attestd/keys.h"
#include "trust-authority/attestd/policies.h"
#include "trust-authority/attestd/refusals.h"
#include "trust-authority/attestd/session.h"
#include "trust-authority/attestd/turns.h"
#include "trust-authority/common/base64url.h"

struct begin {
	struct field_bytes ek_public, ek_certificate, ak_public;
	json_t *ek_intermediates, *agent;	/* borrowed */
	char name[NAME_MAX_SIZE];
	int64_t port;				/* of the agent */
	char certificate[DIRECTORY_PEM_MAX];
	struct tpm_key *ek, *ak;
	struct claimant claimant;
	struct identity id;
	struct session session;
	struct secret *secret;
	struct credential credential;
	struct needs needs;
};

#define B(member) FIELD_AT(struct begin, member)
#define BYTES(member, most) offsetof(struct begin, member), most
static const struct field fields[] = {
	{ "agent", FIELD_JSON,
	    FIELD_JSON_AT(struct begin, agent), 0 },
	{ "ak", FIELD_BYTES, BYTES(ak_public, SESSION_KEY_MAX), FIELD_NEEDED },
	{ "ek", FIELD_BYTES, BYTES(ek_public, SESSION_KEY_MAX), FIELD_NEEDED },
	{ "ek_certificate", FIELD_BYTES, BYTES(ek_certificate, EK_CERT_MAX),
	    0 },
	{ "ek_intermediates", FIELD_JSON,
	    FIELD_JSON_AT(struct begin, ek_intermediates), 0 },
	{ "name", FIELD_NAME, B(name), FIELD_NEEDED },
};
static const struct field agent_fields[] = {
	{ "certificate", FIELD_TEXT, B(certificate),
	    FIELD_NEEDED | FIELD_LINES },
	{ "port", FIELD_NUMBER, B(port), FIELD_NEEDED },
};

static int
read_body(struct begin *b, const struct http_request *r, struct err *err)
{
	int rc = fields_read(r->json, fields, FIELDS_COUNT(fields), b,
	    ERR_USAGE, "the body", err);

	if (rc == 0 && b->agent != NULL)
		rc = fields_read(b->agent, agent_fields,
		    FIELDS_COUNT(agent_fields), b, ERR_USAGE, "\"agent\"",
		    err);
	if (rc == 0 && b->port > 65535)
		rc = err_set(err, ERR_USAGE, "\"agent\": no such port");
	if (rc == 0 && b->ek_intermediates != NULL &&
	    !json_is_string(b->ek_intermediates))
		rc = err_set(err, ERR_USAGE, "the body: \"ek_intermediates\" "
		    "is a text");
	return rc;
}

static int
read_keys(struct attestd *d, struct begin *b, struct err *err)
{
	int rc;

	if ((rc = claimant_read_ek(d, &b->claimant, b->ek_public.data,
	    b->ek_public.size, &b->ek, err)) < 0 ||
	    (rc = tpm_key_check_ek(b->ek, err)) < 0)
		return err_prefix(err, "the endorsement key");
	if ((rc = keys_read(d->keys, b->ak_public.data, b->ak_public.size,
	    &b->ak, NULL, err)) < 0 ||
	    (rc = tpm_key_check_ak(b->ak, err)) < 0)
		return err_prefix(err, "the attestation key");
	b->claimant.name = b->name;
	if (b->ek_certificate.size > 0)
		b->claimant.certificate = b->ek_certificate.data;
	b->claimant.certificate_size = b->ek_certificate.size;
	b->claimant.intermediates = json_string_value(b->ek_intermediates);
	return 0;
}

/* An AK that this host has proven once is not asked for again. */
static int
is_bound(struct attestd *d, const struct begin *b, bool *bound,
    struct err *err)
{
	char ak[BASE64URL_SIZE(SESSION_KEY_MAX) + 1];
	struct directory_attested attested;
	int rc;

	*bound = false;
	if (b->id.enroll)
		return 0;
	rc = directory_attested_get(d->service.store, b->id.host.name,
	    &attested, err);
	if (rc < 0)
		return rc == ERR_NOTFOUND ? 0 : rc;
	base64url_encode(b->ak_public.data, b->ak_public.size, ak);
	*bound = strcmp(ak, attested.ak) == 0;
	return 0;
}

static int
make_credential(struct begin *b, struct err *err)
{
	struct session *s = &b->session;
	struct hash_part part = { NULL, SESSION_SECRET_SIZE };
	uint8_t digest[HASH_MAX];
	int rc;

	if ((b->secret = secret_new(SESSION_SECRET_SIZE)) == NULL)
		return err_sys(err, errno, "no locked memory for a secret");
	if (RAND_priv_bytes(secret_data(b->secret), SESSION_SECRET_SIZE) != 1)
		return err_set(err, ERR_CRYPTO, "no random bytes");
	part.data = secret_bytes(b->secret);
	if ((rc = credential_make(b->ek, b->ak->name, b->ak->name_size,
	    b->secret, &b->credential, err)) < 0 ||
	    (rc = hash_digest(hash_by_id(TPM_ALG_SHA256), &part, 1, digest,
	    err)) < 0)
		return rc;
	memcpy(s->secret_digest, digest, sizeof(s->secret_digest));
	s->credential = true;
	return 0;
}

static int
make_session(struct attestd *d, struct begin *b, struct err *err)
{
	struct session *s = &b->session;
	bool bound;
	int rc;

	s->began = attestd_now_ms();
	if (RAND_bytes(s->nonce, sizeof(s->nonce)) != 1)
		return err_set(err, ERR_CRYPTO, "no random bytes");
	memcpy(s->host, b->id.host.name, sizeof(s->host));
	memcpy(s->group, b->id.host.group, sizeof(s->group));
	memcpy(s->ek, b->ek_public.data, b->ek_public.size);
	memcpy(s->ak, b->ak_public.data, b->ak_public.size);
	s->ek_size = b->ek_public.size;
	s->ak_size = b->ak_public.size;
	s->agent_port = b->port;
	memcpy(s->agent_certificate, b->certificate,
	    sizeof(s->agent_certificate));
	if ((s->enroll = b->id.enroll)) {
		memcpy(s->certificate, b->ek_certificate.data,
		    b->ek_certificate.size);
		s->certificate_size = b->ek_certificate.size;
	}
	if ((rc = is_bound(d, b, &bound, err)) < 0)
		return rc;
	return bound ? 0 : make_credential(b, err);
}

/* What the policies of its group will ask. One that cannot be read now fails
 * when it judges. */
static int
find_needs(struct attestd *d, struct begin *b, struct err *err)
{
	struct directory_group group;
	struct err why = { 0 };
	int rc;

	needs_init(&b->needs);
	rc = directory_group_get(d->service.store, b->id.host.group, &group,
	    err);
	if (rc < 0)
		return err_prefix(err, "the group of the host %s",
		    b->id.host.name);
	for (size_t i = 0; i < group.policy_count; i++) {
		struct policy_used *u = NULL;

		if (policies_take(d->policies, group.policies[i], &u,
		    &why) == 0)
			needs_add(&b->needs, policy_used(u));
		policies_give(d->policies, u);
	}
	return capture_needs(d, b->id.host.name, &b->needs,
	    &b->session.capture, err);
}

static json_t *
base64_json(const uint8_t *data, size_t size)
{
	char text[BASE64URL_SIZE(CREDENTIAL_SECRET_MAX) + 1];

	base64url_encode(data, size, text);
	return json_string(text);
}

static int
answer(struct attestd *d, struct begin *b, struct http_answer *a,
    struct err *err)
{
	const struct credential *c = &b->credential;
	char pcrs[NEEDS_PCRS_MAX], *text = NULL;
	int rc;

	if ((rc = session_seal(d->session_key, &b->session, &text, err)) < 0)
		return rc;
	needs_pcrs(&b->needs, pcrs);
	a->json = json_pack("{ss so ss sb sb}", "session", text, "nonce",
	    base64_json(b->session.nonce, SESSION_NONCE_SIZE), "pcrs", pcrs,
	    "event_log", b->needs.eventlog, "ima_log", b->needs.ima_log);
	if (a->json == NULL || (b->session.credential && json_object_set_new(
	    a->json, "credential", json_pack("{so so}", "blob",
	    base64_json(c->blob, c->blob_size), "secret",
	    base64_json(c->secret, c->secret_size))) < 0))
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	free(text);
	return rc;
}

static int
begin(struct attestd *d, struct begin *b, const struct http_request *r,
    struct http_answer *a, struct err *err)
{
	int rc;

	if ((rc = read_body(b, r, err)) < 0)
		return rc;
	if ((rc = read_keys(d, b, err)) < 0 ||
	    (rc = identify(d, &b->claimant, &b->id, err)) < 0) {
		a->fault = fault_of_host(rc);
		return rc;
	}
	if ((rc = make_session(d, b, err)) < 0 ||
	    (rc = find_needs(d, b, err)) < 0)
		return rc;
	return answer(d, b, a, err);
}

static void
note_refusal(struct attestd *d, const struct begin *b,
    const struct http_request *r, const struct err *err)
{
	bool known = b->id.host.version != 0;
	const char *name = known ? b->id.host.name : b->name;

	if (name[0] == '\0')
		return;
	log_event(LOG_LEVEL_WARNING, "host.refused", "host=%s known=%s "
	    "address=%s reason=\"%s\"", name, known ? "yes" : "no",
	    r->peer.address, err->text);
	refusals_add(d->refusals, name, known, b->claimant.fingerprint,
	    r->peer.address, err->text, attestd_now());
}

HANDLER(begin_handle)
{
	struct begin *b = calloc(1, sizeof(*b));
	struct attestd *d = ctx;
	int rc;

	if (b == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = turns_take(d->turns, r->peer.address, err)) == 0) {
		rc = begin(d, b, r, a, err);
		turns_give(d->turns, r->peer.address);
		if (a->fault != NULL)
			note_refusal(d, b, r, err);
	}
	secret_free(b->secret);
	tpm_key_free(b->ek);
	tpm_key_free(b->ak);
	fields_reset(fields, FIELDS_COUNT(fields), b);
	free(b);
	return rc;
}
