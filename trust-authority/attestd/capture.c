/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/capture.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/attestd/policies.h"
#include "trust-authority/attestd/tell-agent.h"

#define WAITING "waiting"
#define READY "ready"
#define FAILED "failed"
#define WAIT_SECONDS 3600

struct capture {
	char host[NAME_MAX_SIZE];	/* the key */
	char policy[NAME_MAX_SIZE];
	char bank[16];
	bool ima;
	char state[16];
	char reason[DIRECTORY_REASON_MAX];
	int64_t since;
	/* Of the document, as in struct policy_record. */
	char sha256[DIRECTORY_FINGERPRINT_SIZE];
	int64_t size, parts;
	uint64_t version;
};

#define C(member) FIELD_AT(struct capture, member)
static const struct field fields[] = {
	{ "bank", FIELD_TEXT, C(bank), FIELD_NEEDED },
	{ "ima", FIELD_FLAG, C(ima), FIELD_NEEDED },
	{ "parts", FIELD_NUMBER, C(parts), 0 },
	{ "policy", FIELD_NAME, C(policy), FIELD_NEEDED },
	{ "reason", FIELD_TEXT, C(reason), 0 },
	{ "sha256", FIELD_TEXT, C(sha256), 0 },
	{ "since", FIELD_NUMBER, C(since), FIELD_NEEDED },
	{ "size", FIELD_NUMBER, C(size), 0 },
	{ "state", FIELD_TEXT, C(state), FIELD_NEEDED },
};
/* Of the request. */
static const struct field asked_fields[] = {
	{ "bank", FIELD_TEXT, C(bank), 0 },
	{ "ima", FIELD_FLAG, C(ima), 0 },
	{ "policy", FIELD_NAME, C(policy), FIELD_NEEDED },
};

static int
capture_read(struct store *store, const char *host, struct capture *c,
    struct err *err)
{
	struct store_record r = { 0 };
	json_t *json = NULL;
	int rc;

	memset(c, 0, sizeof(*c));
	text_cut(c->host, sizeof(c->host), host);
	if ((rc = store_get(store, KIND_CAPTURE, host, &r, err)) == 0) {
		json = json_loadb(r.value, r.size, 0, NULL);
		rc = fields_read(json, fields, FIELDS_COUNT(fields), c,
		    ERR_INTERNAL, "the record of a capture", err);
		c->version = r.version;
	}
	if (rc == 0 && strcmp(c->state, WAITING) == 0 &&
	    attestd_now() - c->since > WAIT_SECONDS) {
		text_cut(c->state, sizeof(c->state), FAILED);
		text_cut(c->reason, sizeof(c->reason), "the host has not "
		    "attested for an hour since; is vta-kmxa running there?");
	}
	json_decref(json);
	store_record_reset(&r);
	return rc;
}

static int
capture_op(const struct capture *c, struct store_op *op, struct err *err)
{
	char *text = fields_text(fields, FIELDS_COUNT(fields), c);

	if (text == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	*op = (struct store_op){ STORE_PUT, KIND_CAPTURE, c->host, text,
		strlen(text), c->version };
	return 0;
}

/* One that waits; ERR_NOTFOUND for none. */
static int
waiting(struct attestd *d, const char *host, struct capture *c,
    struct err *err)
{
	int rc = capture_read(d->service.store, host, c, err);

	return rc == 0 && strcmp(c->state, WAITING) != 0 ? ERR_NOTFOUND : rc;
}

int
capture_needs(struct attestd *d, const char *host, struct needs *needs,
    uint64_t *order, struct err *err)
{
	struct capture c;
	int rc = waiting(d, host, &c, err);

	*order = 0;
	if (rc == 0) {
		needs_add_capture(needs, hash_by_name(c.bank), c.ima);
		*order = c.version;
	}
	return rc == ERR_NOTFOUND ? 0 : rc;
}

static void
make_document(struct attestd *d, struct capture *c, struct attestation *a)
{
	struct policy_record p = { .added = 0 };
	struct err err = { 0 };
	char *text = NULL;
	int rc = policy_capture(a, c->policy, hash_by_name(c->bank), c->ima,
	    &text, &err);

	if (rc == 0 && (rc = policy_describe(text, &p, &err)) == 0)
		rc = policy_parts_write(d->service.store, text, &p, &err);
	free(text);
	text_cut(c->state, sizeof(c->state), rc == 0 ? READY : FAILED);
	text_cut(c->reason, sizeof(c->reason), rc == 0 ? "" : err.text);
	memcpy(c->sha256, p.sha256, sizeof(c->sha256));
	c->size = p.size;
	c->parts = p.parts;
}

void
capture_take(struct attestd *d, const char *host, uint64_t order,
    struct attestation *a)
{
	struct store_op op = { .value = NULL };
	struct err err = { 0 };
	struct capture c;
	int rc = waiting(d, host, &c, &err);

	if (rc == 0 && c.version != order)
		return;
	if (rc == 0) {
		make_document(d, &c, a);
		rc = capture_op(&c, &op, &err);
	}
	if (rc == 0)
		rc = store_commit(d->service.store, &op, 1, NULL, NULL, &err);
	free((void *)(uintptr_t)op.value);
	if (rc == 0)
		log_event(LOG_LEVEL_INFO, "policy.captured", "host=%s "
		    "policy=%s state=%s reason=\"%s\"", host, c.policy,
		    c.state, c.reason);
	else if (rc != ERR_NOTFOUND && rc != ERR_STALE)
		log_warning("a policy could not be captured from %s: %s",
		    host, err.text);
}

/* The parts of a capture that another one replaces, unless they have become a
 * policy as they are. */
static int
find_litter(struct attestd *d, const struct capture *old,
    struct policy_litter *l, struct err *err)
{
	struct policy_record p;
	struct err why = { 0 };

	memset(l, 0, sizeof(*l));
	if (old->sha256[0] == '\0' || (policy_record_get(d->service.store,
	    old->policy, &p, &why) == 0 && strcmp(p.sha256,
	    old->sha256) == 0))
		return 0;
	memcpy(p.sha256, old->sha256, sizeof(p.sha256));
	return policy_litter_find(d->service.store, &p, l, err);
}

int
capture_litter(struct attestd *d, const char *host, struct policy_litter *l,
    struct err *err)
{
	struct capture old;
	int rc = capture_read(d->service.store, host, &old, err);

	memset(l, 0, sizeof(*l));
	if (rc == ERR_NOTFOUND)
		return 0;
	return rc < 0 ? rc : find_litter(d, &old, l, err);
}

static int
capture_put(struct attestd *d, const struct http_request *r,
    struct capture *c, struct err *err)
{
	struct store_op op = { .value = NULL };
	struct policy_litter litter;
	struct capture old;
	int rc;

	rc = capture_read(d->service.store, c->host, &old, err);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	c->version = old.version;
	if ((rc = find_litter(d, &old, &litter, err)) < 0)
		return rc;
	if ((rc = capture_op(c, &op, err)) == 0)
		rc = change_commit(d->service.store, r, (struct change){
		    "policy.capture", c->host, json_pack("{ss sb}",
		    "policy", c->policy, "ima", c->ima) }, &op, 1, err);
	free((void *)(uintptr_t)op.value);
	policy_litter_remove(d->service.store, &litter, rc == 0);
	return rc;
}

HANDLER(capture_start)
{
	struct attestd *d = ctx;
	struct directory_host host;
	struct capture c;
	struct err why = { 0 };
	int rc;

	if ((rc = directory_host_get(d->service.store, r->params[0], &host,
	    err)) < 0)
		return rc;
	memset(&c, 0, sizeof(c));
	text_cut(c.host, sizeof(c.host), host.name);
	text_cut(c.bank, sizeof(c.bank), "sha256");
	text_cut(c.state, sizeof(c.state), WAITING);
	c.since = attestd_now();
	if ((rc = fields_read(r->json, asked_fields,
	    FIELDS_COUNT(asked_fields), &c, ERR_USAGE, "the body", err)) < 0)
		return rc;
	if (hash_by_name(c.bank) == NULL || strcmp(c.bank, "sha1") == 0)
		return err_set(err, ERR_USAGE, "\"bank\" is sha256, sha384 or "
		    "sha512");
	if ((rc = capture_put(d, r, &c, err)) < 0)
		return rc;
	rc = tell_agent(d, host.name, &why);
	a->status = 202;
	a->json = json_pack("{ss sb ss}", "state", WAITING, "told", rc == 0,
	    "reason", rc == 0 ? "" : why.text);
	return 0;
}

HANDLER(capture_get)
{
	struct attestd *d = ctx;
	struct policy_record p = { .added = 0 };
	json_t *document = NULL;
	char *text = NULL;
	struct capture c;
	int rc;

	if ((rc = capture_read(d->service.store, r->params[0], &c, err)) < 0)
		return rc;
	if (strcmp(c.state, READY) == 0) {
		memcpy(p.name, c.policy, sizeof(p.name));
		memcpy(p.sha256, c.sha256, sizeof(p.sha256));
		p.size = c.size;
		p.parts = c.parts;
		rc = policy_parts_read(d->service.store, &p, &text, err);
		if (rc == 0)
			document = json_loads(text, 0, NULL);
		free(text);
		if (rc < 0)
			return rc;
	}
	a->json = json_pack("{ss ss ss sI so*}", "state", c.state, "policy",
	    c.policy, "reason", c.reason, "since", (json_int_t)c.since,
	    "document", document);
	return 0;
}
