/* SPDX-License-Identifier: BSD-3-Clause */
/* What an administrator looks at: the security page. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "trust-authority/attestd/attestd.h"
#include "trust-authority/attestd/refusals.h"
#include "trust-authority/attestd/signing.h"

#define AUDIT_LINES_MAX 10000

struct page {
	struct attestd *d;
	json_t *hosts, *alarms;
};

static int
add_alarm(json_t *alarms, const char *name, const char *object, int64_t since,
    const char *text)
{
	return json_array_append_new(alarms, json_pack("{ss ss sI ss}",
	    "alarm", name, "object", object, "since", (json_int_t)since,
	    "text", text));
}

/* Of what the records say, with the time that has passed since. */
static const char *
state_of(const struct directory_host *h, const struct directory_attested *t)
{
	if (h->revoked != 0)
		return "revoked";
	if (t->version == 0)
		return "never";
	if (strcmp(t->state, ATTESTED_ATTESTED) == 0 &&
	    t->token_expires < attestd_now())
		return ATTESTED_EXPIRED;
	return t->state;
}

static int
add_alarms(struct page *page, const struct directory_host *h,
    const struct directory_attested *t, const char *state)
{
	if (strcmp(state, ATTESTED_REFUSED) == 0)
		return add_alarm(page->alarms, "host.refused", h->name,
		    t->since, t->reason);
	if (strcmp(state, ATTESTED_EXPIRED) == 0)
		return add_alarm(page->alarms, "host.expired", h->name,
		    t->token_expires != 0 ? t->token_expires : t->since,
		    "the host has not attested again in time");
	return 0;
}

static int
add_host(void *arg, const struct store_record *r, struct err *err)
{
	struct page *page = arg;
	struct directory_attested t;
	struct directory_host h;
	const char *state;
	json_t *one;
	int rc;

	if ((rc = directory_host_read(r, &h, err)) < 0)
		return rc;
	memset(&t, 0, sizeof(t));
	rc = directory_attested_get(page->d->service.store, h.name, &t, err);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	state = state_of(&h, &t);
	one = json_pack("{ss ss ss ss ss sI sI sI ss so*}", "name", h.name,
	    "group", h.group, "state", state, "reason", h.revoked != 0 ?
	    h.reason : t.reason, "policy", t.policy, "since",
	    (json_int_t)(h.revoked != 0 ? h.revoked : t.version != 0 ?
	    t.since : h.added), "last", (json_int_t)t.last, "token_expires",
	    (json_int_t)t.token_expires, "address", t.address,
	    "last_refusal", refusals_of(page->d->refusals, h.name, t.last));
	if (json_array_append_new(page->hosts, one) < 0 ||
	    add_alarms(page, &h, &t, state) < 0)
		return err_set(err, ERR_INTERNAL, "out of memory");
	return 0;
}

HANDLER(status_handle)
{
	struct attestd *d = ctx;
	struct page page = { d, json_array(), json_array() };
	struct err last;
	json_t *jwks;
	int rc;

	(void)r;
	rc = store_each(d->service.store, KIND_HOST, add_host, &page, err);
	if (!signing_good(d->signing, attestd_now(), &last) || last.code != 0)
		(void)add_alarm(page.alarms, "token-keys.failed", "", 0,
		    last.code != 0 ? last.text : "no key signs at this time: "
		    "was the clock set back?");
	jwks = signing_jwks(d->signing);
	a->json = json_pack("{ss so so so so s[{ss ss ss}]}", "authority",
	    d->config->common.authority.name, "hosts", page.hosts, "unknown",
	    refusals_unknown(d->refusals), "signing_keys", json_incref(
	    json_object_get(jwks, "keys")), "alarms", page.alarms, "services",
	    "name", "vta-attestd", "version", PACKAGE_VERSION, "state", "ok");
	json_decref(jwks);
	if (rc == 0 && a->json == NULL)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	return rc;
}

HANDLER(health_handle)
{
	struct attestd *d = ctx;
	uint64_t revision;
	struct err last;
	int rc = store_revision(d->service.store, &revision, err);

	(void)r;
	if (rc == 0 && !signing_good(d->signing, attestd_now(), &last))
		rc = err_set(err, ERR_BUSY, "no key signs tokens: %s",
		    last.text);
	if (rc < 0)
		return ERR_BUSY;
	a->json = json_pack("{ss}", "status", "ok");
	return 0;
}

HANDLER(jwks_handle)
{
	struct attestd *d = ctx;

	(void)r;
	/* Beside the keys (RFC 7517, 5): by it others find out that their
	 * clock is another. */
	if ((a->json = signing_jwks(d->signing)) == NULL ||
	    json_object_set_new(a->json, "time",
	    json_integer(attestd_now())) < 0)
		return err_set(err, ERR_INTERNAL, "out of memory");
	return 0;
}

struct lines {
	char *text;
	size_t size, room, count;
};

static int
add_line(void *arg, const char *line, struct err *err)
{
	struct lines *l = arg;
	size_t size = strlen(line);

	if (l->size + size + 2 > l->room) {
		size_t room = 2 * (l->size + size) + 4096;
		char *more = realloc(l->text, room);

		if (more == NULL)
			return err_set(err, ERR_INTERNAL, "out of memory");
		l->text = more;
		l->room = room;
	}
	memcpy(l->text + l->size, line, size);
	l->text[l->size + size] = '\n';
	l->size += size + 1;
	l->text[l->size] = '\0';
	return ++l->count == AUDIT_LINES_MAX ? 1 : 0;
}

/* At most so many lines; who wants more asks from the number after the last. */
HANDLER(audit_handle)
{
	const char *text = http_query(r, "from");
	struct attestd *d = ctx;
	struct lines l = { .text = NULL };
	uint64_t from = 1;
	char *end = NULL;
	int rc;

	if (text != NULL) {
		from = strtoull(text, &end, 10);
		if (text[0] < '0' || text[0] > '9' || *end != '\0')
			return err_set(err, ERR_USAGE, "\"from\" is the number "
			    "of a record");
	}
	rc = audit_export(d->service.store, from, add_line, &l, err);
	if (rc < 0) {
		free(l.text);
		return rc;
	}
	if (l.text == NULL && (l.text = strdup("")) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	a->text = l.text;
	a->text_size = l.size;
	a->type = "application/jsonl";
	return 0;
}
