/* SPDX-License-Identifier: BSD-3-Clause */
/* POST /v1/attest/finish: what the host has proven, and what it gets. */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/attestd/capture.h"
#include "trust-authority/attestd/finish.h"
#include "trust-authority/attestd/identify.h"
#include "trust-authority/attestd/keys.h"
#include "trust-authority/attestd/refusals.h"
#include "trust-authority/attestd/turns.h"

#define BYTES(member, most) offsetof(struct finish, member), most
static const struct field fields[] = {
	{ "evidence", FIELD_BYTES, BYTES(evidence, EVIDENCE_SIZE_MAX),
	    FIELD_NEEDED },
	{ "secret", FIELD_BYTES, BYTES(secret, SESSION_SECRET_SIZE), 0 },
	{ "session", FIELD_JSON,
	    FIELD_JSON_AT(struct finish, session_text), FIELD_NEEDED },
	{ "transport_key", FIELD_BYTES, BYTES(transport_der, 256),
	    FIELD_NEEDED },
};

static int
read_body(struct attestd *d, struct finish *f, const struct http_request *r,
    struct err *err)
{
	int rc = fields_read(r->json, fields, FIELDS_COUNT(fields), f,
	    ERR_USAGE, "the body", err);

	if (rc == 0 && !json_is_string(f->session_text))
		rc = err_set(err, ERR_USAGE, "the body: \"session\" is a "
		    "text");
	if (rc == 0)
		rc = session_open(d->session_key,
		    json_string_value(f->session_text), attestd_now_ms(),
		    d->config->session_seconds, &f->session, err);
	if (rc < 0)
		return rc;
	if ((rc = claimant_read_ek(d, &f->claimant, f->session.ek,
	    f->session.ek_size, &f->ek, err)) < 0 ||
	    (rc = keys_read(d->keys, f->session.ak, f->session.ak_size,
	    &f->ak, NULL, err)) < 0)
		return rc;
	f->claimant.name = f->session.host;
	if (f->session.certificate_size > 0)
		f->claimant.certificate = f->session.certificate;
	f->claimant.certificate_size = f->session.certificate_size;
	return 0;
}

/* It may have been said meanwhile that hosts do not enter by themselves. */
static int
find_newcomer(struct attestd *d, struct finish *f, struct err *err)
{
	int rc = directory_group_get(d->service.store, f->session.group,
	    &f->group, err);

	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	if (rc < 0 || !f->group.enroll)
		return err_set(err, ERR_REFUSED, "hosts do not enter the "
		    "group %s by themselves any more; vtactl host import",
		    f->session.group);
	return identity_enroll(&f->claimant, f->session.host,
	    f->session.group, &f->id, err);
}

/* The host as it is now; between the two requests it may have been revoked,
 * moved to another group, removed, or entered by another session. */
static int
find_host(struct attestd *d, struct finish *f, struct err *err)
{
	struct store *store = d->service.store;
	char name[NAME_MAX_SIZE];
	int rc;

	rc = directory_host_by_ek(store, f->claimant.fingerprint, name, NULL,
	    err);
	if (rc == ERR_NOTFOUND && f->session.enroll)
		return find_newcomer(d, f, err);
	if (rc < 0)
		return err_append(err, "; the host %s is not in the "
		    "authority's list any more; vtactl host import, with what "
		    "`vtactl host export` gives on that host",
		    f->session.host);
	if ((rc = directory_host_get(store, name, &f->id.host, err)) < 0 ||
	    (rc = identity_check_revoked(&f->id.host, err)) < 0)
		return rc;
	if (!f->session.enroll && strcmp(name, f->session.host) != 0)
		return err_set(err, ERR_STALE, "the host is now called %s; "
		    "attest again", name);
	rc = directory_attested_get(store, name, &f->before, err);
	return rc == ERR_NOTFOUND ? 0 : rc;
}

/* That the TPM with the EK also has the AK. */
static int
check_activation(const struct finish *f, struct err *err)
{
	const struct session *s = &f->session;
	const struct hash_part part = { f->secret.data, f->secret.size };
	char ak[BASE64URL_SIZE(SESSION_KEY_MAX) + 1];
	uint8_t digest[HASH_MAX];
	int rc;

	if (!s->credential) {
		base64url_encode(s->ak, s->ak_size, ak);
		if (strcmp(ak, f->before.ak) != 0)
			return err_set(err, ERR_STALE, "this attestation key "
			    "is not bound to the host any more; attest again");
		return 0;
	}
	if (f->secret.data == NULL)
		return err_set(err, ERR_AUTH, "the secret is missing that the "
		    "credential hid");
	rc = hash_digest(hash_by_id(TPM_ALG_SHA256), &part, 1, digest, err);
	if (rc == 0 && CRYPTO_memcmp(digest, s->secret_digest,
	    sizeof(s->secret_digest)) != 0)
		rc = err_set(err, ERR_AUTH, "the attestation key is not in "
		    "the TPM with this endorsement key: the secret that the "
		    "credential hid is another one");
	return rc;
}

/* The quote first, by itself where the logs are at fault: then it is the host
 * that sent them. */
static int
check_evidence(struct finish *f, struct err *err)
{
	uint8_t binding[QUOTE_BINDING_SIZE];
	struct evidence ev;
	struct quote quote;
	struct err why = { 0 };
	int rc;

	if ((rc = transport_read(&f->transport_der, &f->transport, err)) < 0 ||
	    (rc = quote_binding(f->session.nonce, SESSION_NONCE_SIZE,
	    f->transport_der.data, f->transport_der.size, binding, err)) < 0 ||
	    (rc = evidence_read(f->evidence.data, f->evidence.size, &ev,
	    err)) < 0)
		return rc;
	rc = attestation_verify(&ev, f->ak, f->ek, binding, &f->attestation,
	    err);
	f->proven = rc == 0 || quote_verify(&ev.quote, f->ak, f->ek, binding,
	    &quote, &why) == 0;
	return rc;
}

static int
prove(struct attestd *d, struct finish *f, const struct http_request *r,
    struct err *err)
{
	int rc;

	if ((rc = read_body(d, f, r, err)) < 0 ||
	    (rc = find_host(d, f, err)) < 0 ||
	    (rc = outcome_check_replay(f, err)) < 0 ||
	    (rc = check_activation(f, err)) < 0)
		return rc;
	return check_evidence(f, err);
}

static void
note_refusal(struct attestd *d, const struct finish *f,
    const struct http_request *r, const struct err *err)
{
	bool known = f->id.host.version != 0;
	const char *name = known ? f->id.host.name : f->session.host;

	log_event(LOG_LEVEL_WARNING, "host.refused", "host=%s known=%s "
	    "address=%s reason=\"%s\"", name[0] != '\0' ? name : "?",
	    known ? "yes" : "no", r->peer.address, err->text);
	if (name[0] != '\0')
		refusals_add(d->refusals, name, known,
		    f->claimant.fingerprint, r->peer.address, err->text,
		    attestd_now());
}

static int
finish(struct attestd *d, struct finish *f, const struct http_request *r,
    struct http_answer *a, struct err *err)
{
	struct err why = { 0 };
	int rc;

	f->address = r->peer.address;
	if ((rc = prove(d, f, r, err)) < 0 && !f->proven) {
		a->fault = fault_of_host(rc);
		if (a->fault != NULL)
			note_refusal(d, f, r, err);
		return rc;
	}
	if (rc < 0) {
		/* It is that host, and its logs are no logs. */
		a->fault = fault_of_host(rc);
		if (a->fault == NULL)
			return rc;
		outcome_refuse(f, err->text);
		if (outcome_commit(d, f, &why) < 0)
			log_warning("it is not recorded that %s was refused: "
			    "%s", f->id.host.name, why.text);
		return rc;
	}
	if (!f->id.enroll)
		capture_take(d, f->id.host.name, f->session.capture,
		    f->attestation);
	if ((rc = outcome_judge(d, f, err)) < 0 ||
	    (rc = outcome_commit(d, f, err)) < 0)
		return rc;
	return outcome_answer(d, f, a, err);
}

HANDLER(finish_handle)
{
	struct finish *f = calloc(1, sizeof(*f));
	struct attestd *d = ctx;
	int rc;

	if (f == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = turns_take(d->turns, r->peer.address, err)) == 0) {
		rc = finish(d, f, r, a, err);
		turns_give(d->turns, r->peer.address);
	}
	verdict_free(f->verdict);
	attestation_free(f->attestation);
	token_claims_reset(&f->claims);
	jwk_free(f->transport);
	tpm_key_free(f->ek);
	tpm_key_free(f->ak);
	fields_reset(fields, FIELDS_COUNT(fields), f);
	free(f);
	return rc;
}
