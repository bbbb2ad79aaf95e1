/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/common/json-fast.h"

#define A(member) FIELD_AT(struct directory_admin, member)
static const struct field admin_fields[] = {
	{ "added", FIELD_NUMBER, A(added), 0 },
	{ "name", FIELD_TEXT, A(name), FIELD_NEEDED },
	{ "role", FIELD_TEXT, A(role), FIELD_NEEDED },
};

#define H(member) FIELD_AT(struct directory_host, member)
static const struct field host_fields[] = {
	{ "added", FIELD_NUMBER, H(added), 0 },
	{ "ek", FIELD_HEX, H(ek), FIELD_NEEDED },
	{ "ek_certificate", FIELD_TEXT, H(ek_certificate), 0 },
	{ "ek_pem", FIELD_TEXT, H(ek_pem), FIELD_NEEDED | FIELD_LINES },
	{ "ek_trusted", FIELD_FLAG, H(ek_trusted), 0 },
	{ "enrolled", FIELD_FLAG, H(enrolled), 0 },
	{ "group", FIELD_NAME, H(group), FIELD_NEEDED },
	{ "reason", FIELD_TEXT, H(reason), 0 },
	{ "revoked", FIELD_NUMBER, H(revoked), FIELD_NEEDED },
	{ "tokens_from", FIELD_NUMBER, H(tokens_from), 0 },
};

#define T(member) FIELD_AT(struct directory_attested, member)
static const struct field clock_fields[] = {
	{ "clock", FIELD_NUMBER, T(clock), FIELD_NEEDED },
	{ "resets", FIELD_NUMBER, T(resets), FIELD_NEEDED },
	{ "restarts", FIELD_NUMBER, T(restarts), FIELD_NEEDED },
	{ "safe", FIELD_FLAG, T(safe), FIELD_NEEDED },
};
static const struct field agent_fields[] = {
	{ "certificate", FIELD_TEXT, T(agent_certificate),
	    FIELD_NEEDED | FIELD_LINES },
	{ "port", FIELD_NUMBER, T(agent_port), FIELD_NEEDED },
};

/* A record with the objects in it. */
struct attested_record {
	struct directory_attested a;
	json_t *agent, *clock;
};

#define R(member) FIELD_AT(struct attested_record, member)
static const struct field attested_fields[] = {
	{ "address", FIELD_TEXT, R(a.address), 0 },
	{ "agent", FIELD_JSON, FIELD_JSON_AT(struct attested_record,
	    agent), 0 },
	{ "ak", FIELD_TEXT, R(a.ak), 0 },
	{ "clock", FIELD_JSON, FIELD_JSON_AT(struct attested_record,
	    clock), 0 },
	{ "evidence", FIELD_TEXT, R(a.evidence), 0 },
	{ "last", FIELD_NUMBER, R(a.last), 0 },
	{ "policy", FIELD_TEXT, R(a.policy), 0 },
	{ "reason", FIELD_TEXT, R(a.reason), 0 },
	{ "session", FIELD_NUMBER, R(a.session), FIELD_NEEDED },
	{ "since", FIELD_NUMBER, R(a.since), 0 },
	{ "state", FIELD_TEXT, R(a.state), FIELD_NEEDED },
	{ "token_expires", FIELD_NUMBER, R(a.token_expires), 0 },
};

struct group_record {
	struct directory_group g;
	json_t *policies;
};

#define G(member) FIELD_AT(struct group_record, member)
static const struct field group_fields[] = {
	{ "added", FIELD_NUMBER, G(g.added), 0 },
	{ "description", FIELD_TEXT, G(g.description), 0 },
	{ "enroll", FIELD_FLAG, G(g.enroll), 0 },
	{ "policies", FIELD_JSON, FIELD_JSON_AT(struct group_record,
	    policies), FIELD_NEEDED },
	{ "token_seconds", FIELD_NUMBER, G(g.token_seconds), FIELD_NEEDED },
};

struct host_ek {
	char host[NAME_MAX_SIZE];
};
static const struct field host_ek_fields[] = {
	{ "host", FIELD_NAME, FIELD_AT(struct host_ek, host), FIELD_NEEDED },
};

/* Reads a record's text by its fields; *json (may be NULL) keeps it for what
 * is borrowed of it. */
static int
record_read(const char *kind, const struct store_record *r,
    const struct field *fields, size_t count, void *into, json_t **keep,
    struct err *err)
{
	json_t *json = json_fast_load(r->value, r->size, NULL);
	char what[STORE_KIND_MAX + STORE_KEY_MAX + 32];
	int rc;

	snprintf(what, sizeof(what), "the record %s/%s", kind, r->key);
	rc = fields_read(json, fields, count, into, ERR_INTERNAL, what, err);
	if (keep != NULL && rc == 0)
		*keep = json;
	else
		json_decref(json);
	return rc;
}

static int
key_copy(const char *kind, const struct store_record *r, char *out,
    size_t room, struct err *err)
{
	if (strlen(r->key) >= room)
		return err_set(err, ERR_INTERNAL, "the key of the record %s/%s "
		    "is too long", kind, r->key);
	memcpy(out, r->key, strlen(r->key) + 1);
	return 0;
}

static int
put_op(const char *kind, const char *key, char *text, uint64_t version,
    struct store_op *op, struct err *err)
{
	if (text == NULL)
		return err_set(err, ERR_INTERNAL, "no memory for the record "
		    "%s/%s", kind, key);
	*op = (struct store_op){ STORE_PUT, kind, key, text, strlen(text),
		version };
	return 0;
}

int
directory_admin_read(const struct store_record *r,
    struct directory_admin *out, struct err *err)
{
	int rc;

	memset(out, 0, sizeof(*out));
	out->version = r->version;
	if ((rc = key_copy(KIND_ADMIN, r, out->fingerprint,
	    sizeof(out->fingerprint), err)) < 0)
		return rc;
	return record_read(KIND_ADMIN, r, admin_fields,
	    FIELDS_COUNT(admin_fields), out, NULL, err);
}

int
directory_admin_op(const struct directory_admin *a, struct store_op *op,
    struct err *err)
{
	return put_op(KIND_ADMIN, a->fingerprint, fields_text(admin_fields,
	    FIELDS_COUNT(admin_fields), a), a->version, op, err);
}

int
directory_host_read(const struct store_record *r, struct directory_host *out,
    struct err *err)
{
	int rc;

	memset(out, 0, sizeof(*out));
	out->version = r->version;
	if ((rc = key_copy(KIND_HOST, r, out->name, sizeof(out->name),
	    err)) < 0)
		return rc;
	return record_read(KIND_HOST, r, host_fields,
	    FIELDS_COUNT(host_fields), out, NULL, err);
}

int
directory_host_op(const struct directory_host *h, struct store_op *op,
    struct err *err)
{
	return put_op(KIND_HOST, h->name, fields_text(host_fields,
	    FIELDS_COUNT(host_fields), h), h->version, op, err);
}

int
directory_host_by_ek(struct store *store, const char *ek,
    char name[NAME_MAX_SIZE], uint64_t *version, struct err *err)
{
	struct store_record r = { 0 };
	struct host_ek e = { "" };
	int rc;

	if ((rc = store_get(store, KIND_HOST_EK, ek, &r, err)) < 0)
		return rc;
	rc = record_read(KIND_HOST_EK, &r, host_ek_fields,
	    FIELDS_COUNT(host_ek_fields), &e, NULL, err);
	memcpy(name, e.host, NAME_MAX_SIZE);
	if (version != NULL)
		*version = r.version;
	store_record_reset(&r);
	return rc;
}

int
directory_host_ek_op(const struct directory_host *h, uint64_t expect,
    struct store_op *op, struct err *err)
{
	struct host_ek e;

	memcpy(e.host, h->name, sizeof(e.host));
	return put_op(KIND_HOST_EK, h->ek, fields_text(host_ek_fields,
	    FIELDS_COUNT(host_ek_fields), &e), expect, op, err);
}

int
directory_attested_read(const struct store_record *r,
    struct directory_attested *out, struct err *err)
{
	struct attested_record *t = calloc(1, sizeof(*t));
	json_t *json = NULL;
	int rc;

	if (t == NULL)
		return err_set(err, ERR_INTERNAL, "no memory for a record");
	if ((rc = key_copy(KIND_ATTESTED, r, t->a.host, sizeof(t->a.host),
	    err)) < 0 ||
	    (rc = record_read(KIND_ATTESTED, r, attested_fields,
	    FIELDS_COUNT(attested_fields), t, &json, err)) < 0 ||
	    (t->clock != NULL && (rc = fields_read(t->clock, clock_fields,
	    FIELDS_COUNT(clock_fields), &t->a, ERR_INTERNAL, "a clock",
	    err)) < 0) ||
	    (t->agent != NULL && (rc = fields_read(t->agent, agent_fields,
	    FIELDS_COUNT(agent_fields), &t->a, ERR_INTERNAL, "an agent",
	    err)) < 0))
		goto out;
	*out = t->a;
	out->has_clock = t->clock != NULL;
	out->version = r->version;
out:
	json_decref(json);
	free(t);
	return rc;
}

int
directory_attested_op(const struct directory_attested *a, struct store_op *op,
    struct err *err)
{
	struct attested_record *t = calloc(1, sizeof(*t));
	char *text = NULL;

	if (t != NULL) {
		t->a = *a;
		if (a->has_clock)
			t->clock = fields_write(clock_fields,
			    FIELDS_COUNT(clock_fields), a);
		if (a->agent_port != 0)
			t->agent = fields_write(agent_fields,
			    FIELDS_COUNT(agent_fields), a);
		text = fields_text(attested_fields,
		    FIELDS_COUNT(attested_fields), t);
		json_decref(t->clock);
		json_decref(t->agent);
	}
	free(t);
	return put_op(KIND_ATTESTED, a->host, text, a->version, op, err);
}

int
directory_group_policies(struct directory_group *g, const json_t *array,
    int code, struct err *err)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(array) ||
	    json_array_size(array) > DIRECTORY_GROUP_POLICIES)
		return err_set(err, code, "\"policies\" is a list of at most "
		    "%d names", DIRECTORY_GROUP_POLICIES);
	g->policy_count = 0;
	json_array_foreach(array, i, item) {
		const char *name = json_string_value(item);

		if (name == NULL || !name_is_good(name))
			return err_set(err, code, "\"policies\": item %zu is "
			    "not the name of a policy", i);
		for (size_t k = 0; k < g->policy_count; k++)
			if (strcmp(g->policies[k], name) == 0)
				return err_set(err, code, "\"policies\": "
				    "\"%s\" is there twice", name);
		memcpy(g->policies[g->policy_count++], name,
		    strlen(name) + 1);
	}
	return 0;
}

json_t *
directory_group_policies_json(const struct directory_group *g)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < g->policy_count; i++)
		if (json_array_append_new(array,
		    json_string(g->policies[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

int
directory_group_read(const struct store_record *r,
    struct directory_group *out, struct err *err)
{
	struct group_record t = { 0 };
	json_t *json = NULL;
	int rc;

	if ((rc = key_copy(KIND_GROUP, r, t.g.name, sizeof(t.g.name),
	    err)) < 0 ||
	    (rc = record_read(KIND_GROUP, r, group_fields,
	    FIELDS_COUNT(group_fields), &t, &json, err)) < 0 ||
	    (rc = directory_group_policies(&t.g, t.policies, ERR_INTERNAL,
	    err)) < 0)
		goto out;
	*out = t.g;
	out->version = r->version;
out:
	json_decref(json);
	return rc;
}

int
directory_group_op(const struct directory_group *g, struct store_op *op,
    struct err *err)
{
	struct group_record t = { *g, directory_group_policies_json(g) };
	char *text = NULL;

	if (t.policies != NULL)
		text = fields_text(group_fields, FIELDS_COUNT(group_fields),
		    &t);
	json_decref(t.policies);
	return put_op(KIND_GROUP, g->name, text, g->version, op, err);
}

int
directory_admin_get(struct store *store, const char *fingerprint,
    struct directory_admin *out, struct err *err)
{
	struct store_record r = { 0 };
	int rc = store_get(store, KIND_ADMIN, fingerprint, &r, err);

	if (rc == 0)
		rc = directory_admin_read(&r, out, err);
	store_record_reset(&r);
	return rc;
}

int
directory_host_get(struct store *store, const char *name,
    struct directory_host *out, struct err *err)
{
	struct store_record r = { 0 };
	int rc = store_get(store, KIND_HOST, name, &r, err);

	if (rc == 0)
		rc = directory_host_read(&r, out, err);
	store_record_reset(&r);
	return rc;
}

int
directory_attested_get(struct store *store, const char *host,
    struct directory_attested *out, struct err *err)
{
	struct store_record r = { 0 };
	int rc = store_get(store, KIND_ATTESTED, host, &r, err);

	if (rc == 0)
		rc = directory_attested_read(&r, out, err);
	store_record_reset(&r);
	return rc;
}

int
directory_group_get(struct store *store, const char *name,
    struct directory_group *out, struct err *err)
{
	struct store_record r = { 0 };
	int rc = store_get(store, KIND_GROUP, name, &r, err);

	if (rc == 0)
		rc = directory_group_read(&r, out, err);
	store_record_reset(&r);
	return rc;
}
