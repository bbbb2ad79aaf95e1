/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests about the host itself. */
#include <stdlib.h>
#include <string.h>

#include "trust-authority/agent/daemon/attester.h"
#include "trust-authority/agent/daemon/request.h"
#include "trust-authority/agent/daemon/status.h"

static struct agent_bytes
bytes_of(const char *text)
{
	return (struct agent_bytes){ (const uint8_t *)text, strlen(text) };
}

int
request_hello(struct request *r, struct err *err)
{
	if (r->q.version != AGENT_WIRE_VERSION)
		return err_set(err, ERR_UNSUPPORTED, "this agent speaks "
		    "version %d, not %u: update what is older",
		    AGENT_WIRE_VERSION, r->q.version);
	r->a.version = AGENT_WIRE_VERSION;
	r->a.authority = bytes_of(r->k->settings.authority.attestd.url[0]);
	r->a.state = bytes_of(trust_state_name(trust_state(r->k->trust)));
	return 0;
}

/* Releases json. */
static int
give_json(struct request *r, json_t *json, struct err *err)
{
	r->text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (r->text == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	r->a.text = bytes_of(r->text);
	return 0;
}

int
request_status(struct request *r, struct err *err)
{
	return give_json(r, status_json(r->k, r->peer.uid,
	    AGENT_WIRE_MAX - 1024), err);
}

/* A verdict may name thousands of events. */
static json_t *
cut_to_fit(json_t *verdict)
{
	char *text = verdict != NULL ? json_dumps(verdict, JSON_COMPACT) :
	    NULL;
	bool fits = text != NULL && strlen(text) < AGENT_WIRE_MAX - 1024;
	json_t *less;

	free(text);
	if (fits || verdict == NULL)
		return verdict;
	less = json_pack("{sO* sO* sb}", "accepted", json_object_get(verdict,
	    "accepted"), "reason", json_object_get(verdict, "reason"), "cut",
	    1);
	json_decref(verdict);
	return less;
}

int
request_attest(struct request *r, struct err *err)
{
	json_t *verdict = NULL;
	int rc;

	r->fault = AGENT_FAULT_AUTHORITY;
	if ((rc = attester_attest(r->k->attester, &verdict, err)) < 0)
		return rc;
	/* A host that is refused for itself gets no verdict. */
	if (verdict == NULL)
		verdict = status_verdict(r->k);
	return give_json(r, cut_to_fit(verdict), err);
}

int
request_host_export(struct request *r, struct err *err)
{
	struct kmxa *k = r->k;
	json_t *json = NULL;
	int rc;

	pthread_mutex_lock(&k->host.lock);
	if ((rc = kmxa_identity(k, err)) == 0) {
		const struct host_identity *id = &k->host.id;

		json = json_pack("{ss so}", "name", k->settings.agent.name,
		    "ek", kmxa_json_bytes(id->ek.data, id->ek.size));
		if (json != NULL && id->certificate.size > 0)
			(void)json_object_set_new(json, "ek_certificate",
			    kmxa_json_bytes(id->certificate.data,
			    id->certificate.size));
	}
	pthread_mutex_unlock(&k->host.lock);
	return rc < 0 ? rc : give_json(r, json, err);
}
