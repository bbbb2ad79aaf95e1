/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/round.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/https.h"
#include "trust-authority/agent/pcr-list.h"
#include "trust-authority/common/token.h"

#define SESSION_MAX 8192
#define NONCE_MAX 64
#define TIME_MAX (INT64_C(1) << 40)

/* What begin answered, and what becomes of it. */
struct round {
	struct kmxa *k;
	bool now;
	char session[SESSION_MAX];
	uint8_t *nonce;
	size_t nonce_size;
	struct credential credential;
	bool has_credential, event_log, ima_log;
	struct pcr_set pcrs;
	struct secret *secret;
	struct transport_key *key;
	uint8_t *evidence;
	size_t evidence_size;
};

static int
broken(struct err *err, const char *what)
{
	return err_set(err, ERR_FORMAT, "attestd's answer has no good '%s': "
	    "is it of another version than this agent?", what);
}

static json_t *
begin_body(struct kmxa *k)
{
	const struct host_identity *id = &k->host.id;
	json_t *agent = https_json(k->https);
	json_t *json = json_pack("{so so ss so*}", "ek", kmxa_json_bytes(
	    id->ek.data, id->ek.size), "ak", kmxa_json_bytes(id->ak.data,
	    id->ak.size), "name", k->settings.agent.name, "agent", agent);
	const char *pem = https_intermediates(k->https);

	if (json != NULL && id->certificate.size > 0)
		(void)json_object_set_new(json, "ek_certificate",
		    kmxa_json_bytes(id->certificate.data,
		    id->certificate.size));
	if (json != NULL && pem != NULL)
		(void)json_object_set_new(json, "ek_intermediates",
		    json_string(pem));
	return json;
}

static int
credential_part(const json_t *json, const char *name, uint8_t *out,
    size_t room, size_t *size)
{
	uint8_t *data;

	if (kmxa_bytes(json, name, room, &data, size) < 0)
		return ERR_FORMAT;
	memcpy(out, data, *size);
	free(data);
	return 0;
}

static int
read_begun(struct round *r, const json_t *json, struct err *err)
{
	const char *session = json_string_value(json_object_get(json,
	    "session"));
	const char *pcrs = json_string_value(json_object_get(json, "pcrs"));
	const json_t *c = json_object_get(json, "credential");

	if (session == NULL || strlen(session) >= sizeof(r->session))
		return broken(err, "session");
	memcpy(r->session, session, strlen(session) + 1);
	if (kmxa_bytes(json, "nonce", NONCE_MAX, &r->nonce,
	    &r->nonce_size) < 0)
		return broken(err, "nonce");
	if (pcrs == NULL || pcr_list_parse(pcrs, &r->pcrs, NULL) < 0)
		return broken(err, "pcrs");
	r->event_log = json_is_true(json_object_get(json, "event_log"));
	r->ima_log = json_is_true(json_object_get(json, "ima_log"));
	r->has_credential = c != NULL;
	if (c != NULL && (credential_part(c, "blob", r->credential.blob,
	    sizeof(r->credential.blob), &r->credential.blob_size) < 0 ||
	    credential_part(c, "secret", r->credential.secret,
	    sizeof(r->credential.secret), &r->credential.secret_size) < 0))
		return broken(err, "credential");
	return 0;
}

/* A refusal of the host itself is a verdict, too. */
static int
refusal(const struct authority_answer *a, struct round_result *out,
    int rc, const struct err *why)
{
	if (a->unreachable || a->fault != AGENT_FAULT_HOST ||
	    rc == ERR_STALE || rc == ERR_BUSY)
		return rc;
	out->report.fault = AGENT_FAULT_HOST;
	out->report.unknown = rc == ERR_NOTFOUND;
	snprintf(out->report.reason, sizeof(out->report.reason), "%.*s",
	    TRUST_TEXT_MAX - 1, why->text);
	return 0;
}

static int
post(struct round *r, const char *path, json_t *body,
    struct authority_answer *answer, struct err *err)
{
	struct authority_call call = { .service = SERVICE_ATTESTD,
		.method = HTTP_POST, .path = path, .json = body,
		.now = r->now };
	int rc;

	*answer = (struct authority_answer){ 0 };
	if (body == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	rc = authority_call(r->k->authority, &call, answer, err);
	json_decref(body);
	return rc;
}

/* One that is not there is left out: it is for the authority to say whether
 * this host may do without. */
static const char *
log_path(const char *path, bool asked)
{
	if (!asked || path == NULL || access(path, F_OK) == 0 ||
	    errno != ENOENT)
		return asked ? path : NULL;
	log_event(LOG_LEVEL_WARNING, "agent.log_missing", "log=%s "
	    "error=\"there is no log %s: is securityfs mounted, and does this "
	    "kernel and firmware have that log?\"", path, path);
	return NULL;
}

/* The TPM's part. */
static int
collect(struct round *r, struct err *err)
{
	struct host_tpm tpm = r->k->host.tpm;
	struct host_bytes ak = r->k->host.id.ak_blob;
	uint8_t binding[QUOTE_BINDING_SIZE];
	const uint8_t *public;
	size_t size;
	int rc;

	tpm.eventlog = log_path(tpm.eventlog, r->event_log);
	tpm.ima_log = log_path(tpm.ima_log, r->ima_log);
	if ((rc = transport_key_new(&r->key, err)) < 0)
		return rc;
	public = transport_key_public(r->key, &size);
	if ((rc = quote_binding(r->nonce, r->nonce_size, public, size,
	    binding, err)) < 0)
		return rc;
	pthread_mutex_lock(&r->k->host.lock);
	if (r->has_credential)
		rc = host_tpm_activate(&tpm, ak, &r->credential, &r->secret,
		    err);
	if (rc == 0)
		rc = host_tpm_evidence(&tpm, ak, binding, &r->pcrs,
		    &r->evidence, &r->evidence_size, err);
	pthread_mutex_unlock(&r->k->host.lock);
	return rc;
}

static json_t *
finish_body(const struct round *r)
{
	const uint8_t *public;
	size_t size;
	json_t *json;

	public = transport_key_public(r->key, &size);
	json = json_pack("{ss so so}", "session", r->session, "transport_key",
	    kmxa_json_bytes(public, size), "evidence",
	    kmxa_json_bytes(r->evidence, r->evidence_size));
	if (json != NULL && r->secret != NULL)
		(void)json_object_set_new(json, "secret", kmxa_json_bytes(
		    secret_bytes(r->secret), secret_size(r->secret)));
	return json;
}

static void
copy_text(const json_t *json, const char *name, char *out, size_t room)
{
	const char *text = json_string_value(json_object_get(json, name));

	snprintf(out, room, "%s", text != NULL ? text : "");
}

/* Of our clock: what counts is how long the token lasts. A host whose clock is
 * wrong is not refused for it, as nothing is decided by that clock; but it is
 * told, for its logs are wrong and TLS will be. */
static int64_t
expires_here(const json_t *json)
{
	int64_t expires = json_integer_value(json_object_get(json,
	    "expires"));
	int64_t theirs = json_integer_value(json_object_get(json, "time"));
	long long ahead;

	if (expires < 0 || expires > TIME_MAX)
		return 0;
	if (theirs <= 0 || theirs > TIME_MAX)
		return expires;
	ahead = time(NULL) - theirs;
	if (llabs(ahead) > TOKEN_SKEW)
		log_event(LOG_LEVEL_WARNING, "agent.clock", "seconds=%lld "
		    "error=\"the clock of this host is %lld s %s the "
		    "authority's\"", ahead, llabs(ahead), ahead > 0 ?
		    "ahead of" : "behind");
	return expires + ahead;
}

static int
read_finished(struct round *r, const json_t *json, struct round_result *out,
    struct err *err)
{
	const char *token = json_string_value(json_object_get(json, "token"));
	struct trust_report *p = &out->report;
	const json_t *accepted = json_object_get(json, "accepted");

	if (!json_is_boolean(accepted))
		return broken(err, "accepted");
	p->accepted = json_is_true(accepted);
	if (p->accepted && token == NULL)
		return broken(err, "token");
	p->fault = p->accepted ? AGENT_FAULT_NONE : AGENT_FAULT_POLICY;
	copy_text(json, "host", p->host, sizeof(p->host));
	copy_text(json, "group", p->group, sizeof(p->group));
	copy_text(json, "policy", p->policy, sizeof(p->policy));
	out->verdict = json_incref(json_object_get(json, "verdict"));
	copy_text(out->verdict, "reason", p->reason, sizeof(p->reason));
	if (!p->accepted && p->reason[0] == '\0')
		copy_text(json, "reason", p->reason, sizeof(p->reason));
	out->attest_again = json_integer_value(json_object_get(json,
	    "attest_again"));
	out->expires = expires_here(json);
	if (token == NULL)
		return 0;
	/* The key is the token's from here on. */
	struct transport_key *key = r->key;
	r->key = NULL;
	return host_token_new(token, out->expires, key, &p->token, err);
}

static int
run(struct round *r, struct round_result *out, bool *of_tpm, struct err *err)
{
	struct authority_answer answer = { 0 };
	int rc;

	*of_tpm = true;
	pthread_mutex_lock(&r->k->host.lock);
	rc = kmxa_identity(r->k, err);
	pthread_mutex_unlock(&r->k->host.lock);
	if (rc < 0)
		return rc;
	*of_tpm = false;
	rc = post(r, "/v1/attest/begin", begin_body(r->k), &answer, err);
	rc = rc < 0 ? refusal(&answer, out, rc, err) :
	    read_begun(r, answer.json, err);
	authority_answer_reset(&answer);
	if (rc < 0 || out->report.fault == AGENT_FAULT_HOST)
		return rc;
	*of_tpm = true;
	if ((rc = collect(r, err)) < 0)
		return rc;
	*of_tpm = false;
	rc = post(r, "/v1/attest/finish", finish_body(r), &answer, err);
	rc = rc < 0 ? refusal(&answer, out, rc, err) :
	    read_finished(r, answer.json, out, err);
	authority_answer_reset(&answer);
	return rc;
}

int
round_run(struct kmxa *k, bool now, struct round_result *out, bool *of_tpm,
    struct err *err)
{
	struct round *r = calloc(1, sizeof(*r));
	int rc;

	*out = (struct round_result){ 0 };
	if (r == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	r->k = k;
	r->now = now;
	rc = run(r, out, of_tpm, err);
	secret_free(r->secret);
	transport_key_free(r->key);
	free(r->nonce);
	free(r->evidence);
	free(r);
	return rc;
}

void
round_reset(struct round_result *r)
{
	host_token_drop(r->report.token);
	r->report.token = NULL;
	json_decref(r->verdict);
	r->verdict = NULL;
}
