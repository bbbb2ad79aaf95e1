/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/kmxd.h"

#include <stdio.h>

#include "trust-authority/agent/daemon/attester.h"

/* What a refusal means for more than this call. */
static void
consider_refusal(struct kmxa *k, struct kmxd_answer *a, struct err *err)
{
	char reason[TRUST_TEXT_MAX];

	if (a->fault == AGENT_FAULT_HOST) {
		if (trust_revoked(k->trust, err->text))
			kmxa_trust_lost(k);
		attester_wake(k->attester);
	} else if (a->fault == AGENT_FAULT_TOKEN)
		attester_wake(k->attester);
	trust_reason(k->trust, reason);
	if (reason[0] != '\0' && a->fault != AGENT_FAULT_HOST)
		err_append(err, "; the authority refuses this host: %s",
		    reason);
}

static int
take_token(struct kmxa *k, bool last, struct kmxd_answer *a, struct err *err)
{
	int rc = trust_token(k->trust, &a->token, &a->fault, &a->open, err);

	if (rc < 0 && last &&
	    (a->token = trust_last_token(k->trust)) != NULL)
		return 0;
	return rc;
}

int
kmxd_call(struct kmxa *k, const struct kmxd_call *call,
    struct kmxd_answer *a, struct err *err)
{
	char path[HTTP_TARGET_MAX], name[UUID_TEXT_SIZE];
	struct authority_call c = { .service = SERVICE_KMXD,
		.method = call->method, .path = call->path,
		.json = call->json, .once = call->once };
	struct err why = { 0 };
	int rc;

	*a = (struct kmxd_answer){ 0 };
	if (call->has_json && call->json == NULL) {
		a->fault = AGENT_FAULT_AGENT;
		return err_set(err, ERR_INTERNAL, "out of memory");
	}
	if (call->vm != NULL) {
		uuid_format(call->vm, name);
		snprintf(path, sizeof(path), "/v1/vms/%s%s", name,
		    call->path);
		c.path = path;
	}
	if ((rc = take_token(k, call->last_token, a, &why)) == 0) {
		c.bearer = host_token_text(a->token);
		if ((rc = authority_call(k->authority, &c, &a->http,
		    &why)) < 0) {
			a->fault = a->http.fault;
			a->open = a->http.unreachable;
			if (!a->open)
				consider_refusal(k, a, &why);
		}
	}
	json_decref(call->json);
	if (rc < 0 && err != NULL)
		*err = why;
	return rc;
}

void
kmxd_answer_reset(struct kmxd_answer *a)
{
	authority_answer_reset(&a->http);
	host_token_drop(a->token);
	a->token = NULL;
}

int
kmxd_broken(const struct kmxd_answer *a, const char *what, struct err *err)
{
	return err_set(err, ERR_FORMAT, "%s: the answer has no good '%s': is "
	    "it of another version than this agent?", a->http.url, what);
}

int
kmxd_key(const struct kmxd_answer *a, const json_t *json,
    struct secret **key, struct err *err)
{
	const char *jwe = json_string_value(json_object_get(json, "key"));
	int rc;

	if (jwe == NULL)
		return kmxd_broken(a, "key", err);
	if ((rc = host_token_open(a->token, jwe, key, err)) < 0)
		err_prefix(err, "%s", a->http.url);
	return rc;
}
