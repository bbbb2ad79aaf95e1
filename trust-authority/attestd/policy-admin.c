/* SPDX-License-Identifier: BSD-3-Clause */
/* Policies, as administrators put and remove them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/attestd/attestd.h"
#include "trust-authority/attestd/policies.h"

static json_t *
record_json(const struct policy_record *p)
{
	return json_pack("{ss ss sI sI ss sI}", "name", p->name, "sha256",
	    p->sha256, "size", (json_int_t)p->size, "added",
	    (json_int_t)p->added, "description", p->description, "version",
	    (json_int_t)p->version);
}

static int
add_policy(void *arg, const struct store_record *r, struct err *err)
{
	struct policy_record p;
	int rc = policy_record_read(r, &p, err);

	if (rc == 0 && json_array_append_new(arg, record_json(&p)) < 0)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	return rc;
}

HANDLER(policies_list)
{
	struct attestd *d = ctx;
	json_t *list = json_array();

	(void)r;
	a->json = json_pack("{so}", "policies", list);
	return store_each(d->service.store, KIND_POLICY, add_policy, list,
	    err);
}

/* The document as it is judged by, byte for byte. */
HANDLER(policy_get)
{
	struct attestd *d = ctx;
	struct policy_record p;
	int rc;

	if ((rc = policy_record_get(d->service.store, r->params[0], &p,
	    err)) < 0 ||
	    (rc = policy_parts_read(d->service.store, &p, &a->text, err)) < 0)
		return rc;
	a->text_size = (size_t)p.size;
	a->type = "application/json";
	return 0;
}

struct approval {
	const char *policy;
	char group[NAME_MAX_SIZE];
};

static int
find_approval(void *arg, const struct store_record *r, struct err *err)
{
	struct approval *approval = arg;
	struct directory_group g;
	int rc = directory_group_read(r, &g, err);

	for (size_t i = 0; rc == 0 && i < g.policy_count; i++)
		if (strcmp(g.policies[i], approval->policy) == 0)
			memcpy(approval->group, g.name, NAME_MAX_SIZE);
	return rc;
}

/* *op is for the commit: that no approval came meanwhile. */
static int
check_approved(struct attestd *d, const char *name, bool replace,
    struct store_op *op, struct err *err)
{
	struct approval approval = { name, "" };
	struct store_record last = { 0 };
	int rc;

	rc = store_get(d->service.store, KIND_APPROVALS, APPROVALS_KEY, &last,
	    err);
	*op = (struct store_op){ STORE_CHECK, KIND_APPROVALS, APPROVALS_KEY,
		NULL, 0, last.version };
	store_record_reset(&last);
	if (rc == 0 || rc == ERR_NOTFOUND)
		rc = store_each(d->service.store, KIND_GROUP, find_approval,
		    &approval, err);
	if (rc < 0 || approval.group[0] == '\0')
		return rc;
	if (replace)
		return err_set(err, ERR_EXISTS, "the policy %s is approved "
		    "for the group %s, and this is another document: put it "
		    "under another name and approve that, or replace it "
		    "(vtactl policy import --replace)", name,
		    approval.group);
	return err_set(err, ERR_REFUSED, "the policy %s is approved for the "
	    "group %s; take it out there first", name, approval.group);
}

/* A policy that cannot be judged by does not come in. */
static int
check_document(const struct http_request *r, const char *text,
    struct policy_record *p, struct err *err)
{
	const json_t *description = json_object_get(r->json, "description");
	struct policy *policy = NULL;
	int rc = policy_read(text, strlen(text), &policy, err);

	if (rc < 0)
		return rc;
	if (strcmp(policy_name(policy), r->params[0]) != 0)
		rc = err_set(err, ERR_USAGE, "the document is the policy %s, "
		    "not %s", policy_name(policy), r->params[0]);
	else
		text_cut(p->name, sizeof(p->name), r->params[0]);
	text_cut(p->description, sizeof(p->description),
	    json_is_string(description) ? json_string_value(description) :
	    "");
	policy_free(policy);
	return rc;
}

static int
policy_commit(struct attestd *d, const struct http_request *r,
    const struct policy_record *p, const struct policy_record *old,
    const struct store_op *approved, struct err *err)
{
	bool other = old->version != 0 && strcmp(p->sha256, old->sha256) != 0;
	struct policy_litter litter = { .parts = { .count = 0 } };
	char object[NAME_MAX_SIZE + 8];
	struct store_op ops[2];
	int rc;

	ops[1] = *approved;
	if (other && (rc = policy_litter_find(d->service.store, old, &litter,
	    err)) < 0)
		return rc;
	if ((rc = policy_record_op(p, &ops[0], err)) < 0)
		goto out;
	snprintf(object, sizeof(object), "policy/%s", p->name);
	rc = change_commit(d->service.store, r, (struct change){
	    old->version == 0 ? "policy.add" : "policy.replace", object,
	    json_pack("{ss sI}", "sha256", p->sha256, "size",
	    (json_int_t)p->size) }, ops, ops[1].key != NULL ? 2 : 1, err);
	free((void *)(uintptr_t)ops[0].value);
out:
	policy_litter_remove(d->service.store, &litter, rc == 0);
	return rc;
}

HANDLER(policy_put)
{
	const char *replace = http_query(r, "replace");
	struct attestd *d = ctx;
	struct policy_record old, p = { .added = attestd_now() };
	struct store_op approved = { .key = NULL };
	char *text = NULL;
	int rc;

	if (!json_is_object(r->json))
		return err_set(err, ERR_USAGE, "the body is not a policy");
	if ((text = json_dumps(r->json, JSON_COMPACT | JSON_SORT_KEYS)) ==
	    NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	memset(&old, 0, sizeof(old));
	if ((rc = check_document(r, text, &p, err)) < 0)
		goto out;
	rc = policy_record_get(d->service.store, p.name, &old, err);
	if ((rc < 0 && rc != ERR_NOTFOUND) ||
	    (rc = policy_describe(text, &p, err)) < 0)
		goto out;
	p.version = old.version;
	a->status = old.version == 0 ? 201 : 204;
	if (strcmp(p.sha256, old.sha256) == 0)
		goto out;
	if ((replace == NULL || strcmp(replace, "1") != 0) &&
	    (rc = check_approved(d, p.name, true, &approved, err)) < 0)
		goto out;
	if ((rc = policy_parts_write(d->service.store, text, &p, err)) == 0)
		rc = policy_commit(d, r, &p, &old, &approved, err);
out:
	free(text);
	return rc;
}

HANDLER(policy_remove)
{
	struct attestd *d = ctx;
	struct policy_litter litter;
	char object[NAME_MAX_SIZE + 8];
	struct policy_record p;
	struct store_op ops[2];
	int rc;

	(void)a;
	memset(&litter, 0, sizeof(litter));
	if ((rc = policy_record_get(d->service.store, r->params[0], &p,
	    err)) < 0 ||
	    (rc = check_approved(d, p.name, false, &ops[1], err)) < 0 ||
	    (rc = policy_litter_find(d->service.store, &p, &litter,
	    err)) < 0)
		return rc;
	ops[0] = (struct store_op){ STORE_REMOVE, KIND_POLICY, p.name, NULL, 0,
		p.version };
	snprintf(object, sizeof(object), "policy/%s", p.name);
	rc = change_commit(d->service.store, r, (struct change){
	    "policy.remove", object, json_pack("{ss}", "sha256", p.sha256) },
	    ops, 2, err);
	policy_litter_remove(d->service.store, &litter, rc == 0);
	return rc;
}
