/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups of hosts, and which policies are approved for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/attestd/attestd.h"
#include "trust-authority/attestd/policies.h"

#define TOKEN_SECONDS 900

struct group_body {
	char description[257];
	json_t *policies;
	int64_t token_seconds, version;
	bool enroll;
};

#define B(member) FIELD_AT(struct group_body, member)
static const struct field fields[] = {
	{ "description", FIELD_TEXT, B(description), 0 },
	{ "enroll", FIELD_FLAG, B(enroll), 0 },
	{ "policies", FIELD_JSON,
	    FIELD_JSON_AT(struct group_body, policies), 0 },
	{ "token_seconds", FIELD_NUMBER, B(token_seconds), 0 },
	{ "version", FIELD_NUMBER, B(version), 0 },
};

static json_t *
group_json(const struct directory_group *g)
{
	return json_pack("{ss ss so sI sb sI sI}", "name", g->name,
	    "description", g->description, "policies",
	    directory_group_policies_json(g), "token_seconds",
	    (json_int_t)g->token_seconds, "enroll", g->enroll, "added",
	    (json_int_t)g->added, "version", (json_int_t)g->version);
}

static int
add_group(void *arg, const struct store_record *r, struct err *err)
{
	struct directory_group g;
	int rc = directory_group_read(r, &g, err);

	if (rc == 0 && json_array_append_new(arg, group_json(&g)) < 0)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	return rc;
}

HANDLER(groups_list)
{
	struct attestd *d = ctx;
	json_t *list = json_array();

	(void)r;
	a->json = json_pack("{so}", "groups", list);
	return store_each(d->service.store, KIND_GROUP, add_group, list, err);
}

HANDLER(group_get)
{
	struct attestd *d = ctx;
	struct directory_group g;
	int rc = directory_group_get(d->service.store, r->params[0], &g, err);

	if (rc == 0)
		a->json = group_json(&g);
	return rc;
}

struct enrolling {
	const char *but;
	char name[NAME_MAX_SIZE];
};

static int
find_enrolling(void *arg, const struct store_record *r, struct err *err)
{
	struct enrolling *e = arg;
	struct directory_group g;
	int rc = directory_group_read(r, &g, err);

	if (rc == 0 && g.enroll && strcmp(g.name, e->but) != 0)
		memcpy(e->name, g.name, sizeof(e->name));
	return rc;
}

static int
group_check(struct attestd *d, const struct directory_group *g,
    struct err *err)
{
	struct enrolling e = { g->name, "" };
	int rc;

	if (g->token_seconds < ATTESTD_TOKEN_SECONDS_MIN ||
	    g->token_seconds > ATTESTD_TOKEN_SECONDS_MAX)
		return err_set(err, ERR_USAGE, "\"token_seconds\" is %d to %d",
		    ATTESTD_TOKEN_SECONDS_MIN, ATTESTD_TOKEN_SECONDS_MAX);
	if (!g->enroll)
		return 0;
	if ((rc = store_each(d->service.store, KIND_GROUP, find_enrolling, &e,
	    err)) < 0)
		return rc;
	if (e.name[0] != '\0')
		return err_set(err, ERR_EXISTS, "hosts enter the group %s by "
		    "themselves, and only one group can be so: vtactl group "
		    "set %s --enroll no", e.name, e.name);
	return 0;
}

/* The version of the record that each change of a group writes. */
static int
approvals_version(struct attestd *d, uint64_t *version, struct err *err)
{
	struct store_record record = { 0 };
	int rc = store_get(d->service.store, KIND_APPROVALS, APPROVALS_KEY,
	    &record, err);

	*version = record.version;
	store_record_reset(&record);
	return rc == ERR_NOTFOUND ? 0 : rc;
}

/* The group, and that each policy is there. approvals: that no other group was
 * changed since this version. */
static int
group_commit(struct attestd *d, const struct http_request *r,
    const struct directory_group *g, uint64_t approvals, struct err *err)
{
	struct store_op ops[2 + DIRECTORY_GROUP_POLICIES] = {
		{ .value = NULL }, { STORE_PUT, KIND_APPROVALS, APPROVALS_KEY,
		    "{}", 2, approvals } };
	char object[NAME_MAX_SIZE + 8];
	struct policy_record p;
	int rc;

	for (size_t i = 0; i < g->policy_count; i++) {
		rc = policy_record_get(d->service.store, g->policies[i], &p,
		    err);
		if (rc == ERR_NOTFOUND)
			return err_set(err, rc, "there is no policy %s; "
			    "vtactl policy import, or policy capture",
			    g->policies[i]);
		if (rc < 0)
			return rc;
		ops[2 + i] = (struct store_op){ STORE_CHECK, KIND_POLICY,
			g->policies[i], NULL, 0, p.version };
	}
	if ((rc = directory_group_op(g, &ops[0], err)) < 0)
		return rc;
	snprintf(object, sizeof(object), "group/%s", g->name);
	rc = change_commit(d->service.store, r, (struct change){
	    g->version == 0 ? "group.add" : "group.change", object,
	    json_pack("{si sI sb}", "policies", (int)g->policy_count,
	    "token_seconds", (json_int_t)g->token_seconds, "enroll",
	    g->enroll) }, ops, 2 + g->policy_count, err);
	free((void *)(uintptr_t)ops[0].value);
	return rc;
}

HANDLER(group_put)
{
	struct attestd *d = ctx;
	struct group_body b = { .token_seconds = TOKEN_SECONDS };
	struct directory_group g;
	uint64_t is, approvals = STORE_ANY;
	int rc;

	if (!name_is_good(r->params[0]))
		return err_set(err, ERR_USAGE, "\"%.64s\" is not a name: 1 to "
		    "64 of A-Z a-z 0-9 . _ -", r->params[0]);
	memset(&g, 0, sizeof(g));
	rc = directory_group_get(d->service.store, r->params[0], &g, err);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	is = g.version;
	if (is == 0)
		g.added = attestd_now();
	text_cut(g.name, sizeof(g.name), r->params[0]);
	if ((rc = fields_read(r->json, fields, FIELDS_COUNT(fields), &b,
	    ERR_USAGE, "the body", err)) < 0 ||
	    (rc = version_check(is, b.version, "the group", err)) < 0)
		return rc;
	memcpy(g.description, b.description, sizeof(g.description));
	g.token_seconds = b.token_seconds;
	g.enroll = b.enroll;
	g.policy_count = 0;
	/* Two that are to be the one that hosts enter by themselves: the later
	 * one looks again. */
	if ((b.policies != NULL && (rc = directory_group_policies(&g,
	    b.policies, ERR_USAGE, err)) < 0) ||
	    (g.enroll && (rc = approvals_version(d, &approvals, err)) < 0) ||
	    (rc = group_check(d, &g, err)) < 0 ||
	    (rc = group_commit(d, r, &g, approvals, err)) < 0)
		return rc;
	a->status = is == 0 ? 201 : 204;
	return 0;
}

static int
find_member(void *arg, const struct store_record *r, struct err *err)
{
	const char *group = arg;
	struct directory_host h;
	int rc = directory_host_read(r, &h, err);

	if (rc == 0 && strcmp(h.group, group) == 0)
		return err_set(err, ERR_REFUSED, "the host %s is in the group "
		    "%s; move it to another first", h.name, group);
	return rc;
}

HANDLER(group_remove)
{
	struct attestd *d = ctx;
	char object[NAME_MAX_SIZE + 8];
	struct store_record entered = { 0 };
	struct directory_group g;
	uint64_t version;
	int rc;

	(void)a;
	if ((rc = directory_group_get(d->service.store, r->params[0], &g,
	    err)) < 0)
		return rc;
	rc = store_get(d->service.store, KIND_GROUP_ENTERED, g.name, &entered,
	    err);
	version = entered.version;
	store_record_reset(&entered);
	if ((rc < 0 && rc != ERR_NOTFOUND) || (rc = store_each(
	    d->service.store, KIND_HOST, find_member, g.name, err)) < 0)
		return rc;
	const struct store_op ops[] = {
		{ STORE_REMOVE, KIND_GROUP, g.name, NULL, 0, g.version },
		/* No host came in since its hosts were looked through. */
		{ STORE_REMOVE, KIND_GROUP_ENTERED, g.name, NULL, 0,
		    version },
	};

	snprintf(object, sizeof(object), "group/%s", g.name);
	return change_commit(d->service.store, r, (struct change){
	    "group.remove", object, NULL }, ops, 2, err);
}
