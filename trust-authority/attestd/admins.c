/* SPDX-License-Identifier: BSD-3-Clause */
/* Administrators, by the fingerprints of their certificates. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/attestd/attestd.h"

#define B(member) FIELD_AT(struct directory_admin, member)
static const struct field fields[] = {
	{ "name", FIELD_TEXT, B(name), FIELD_NEEDED },
	{ "role", FIELD_TEXT, B(role), FIELD_NEEDED },
};

static int
add_admin(void *arg, const struct store_record *r, struct err *err)
{
	struct directory_admin admin;
	int rc = directory_admin_read(r, &admin, err);

	if (rc == 0 && json_array_append_new(arg, json_pack("{ss ss ss sI}",
	    "fingerprint", admin.fingerprint, "name", admin.name, "role",
	    admin.role, "added", (json_int_t)admin.added)) < 0)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	return rc;
}

HANDLER(admins_list)
{
	struct attestd *d = ctx;
	json_t *list = json_array();

	(void)r;
	a->json = json_pack("{so}", "admins", list);
	return store_each(d->service.store, KIND_ADMIN, add_admin, list, err);
}

struct other {
	const char *but;
	struct directory_admin admin;	/* role admin; version 0: none */
};

static int
find_other(void *arg, const struct store_record *r, struct err *err)
{
	struct other *other = arg;
	struct directory_admin admin;
	int rc = directory_admin_read(r, &admin, err);

	if (rc == 0 && role_by_name(admin.role) == ROLE_ADMIN &&
	    strcmp(admin.fingerprint, other->but) != 0)
		other->admin = admin;
	return rc;
}

/*
 * Where an admin stops being one, another must be there, and must still be
 * there in the commit: two who remove each other at once do not both succeed.
 */
static int
need_other(struct attestd *d, const struct directory_admin *old,
    struct other *other, struct store_op *op, struct err *err)
{
	int rc;

	other->but = old->fingerprint;
	other->admin.version = 0;
	if ((rc = store_each(d->service.store, KIND_ADMIN, find_other, other,
	    err)) < 0)
		return rc;
	if (other->admin.version == 0)
		return err_set(err, ERR_REFUSED, "%s is the last administrator "
		    "with the role admin; enter another first", old->name);
	*op = (struct store_op){ STORE_CHECK, KIND_ADMIN,
		other->admin.fingerprint, NULL, 0, other->admin.version };
	return 0;
}

static int
commit(struct attestd *d, const struct http_request *r, const char *what,
    const struct directory_admin *who, const struct store_op *ops,
    size_t count, struct err *err)
{
	char object[96];

	snprintf(object, sizeof(object), "admin/%s", who->fingerprint);
	return change_commit(d->service.store, r, (struct change){ what,
	    object, json_pack("{ss ss}", "name", who->name, "role",
	    who->role) }, ops, count, err);
}

static bool
is_fingerprint(const char *text)
{
	return strlen(text) == DIRECTORY_FINGERPRINT_SIZE - 1 &&
	    text[strspn(text, "0123456789abcdef")] == '\0';
}

HANDLER(admin_put)
{
	struct attestd *d = ctx;
	struct directory_admin old, admin;
	struct store_op ops[2];
	struct other other;
	size_t n = 1;
	int rc;

	if (!is_fingerprint(r->params[0]))
		return err_set(err, ERR_USAGE, "the path ends with the SHA-256 "
		    "of the certificate, 64 lower-case hexadecimal digits");
	memset(&old, 0, sizeof(old));
	rc = directory_admin_get(d->service.store, r->params[0], &old, err);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	admin = old;
	text_cut(admin.fingerprint, sizeof(admin.fingerprint), r->params[0]);
	if (old.version == 0)
		admin.added = attestd_now();
	if ((rc = fields_read(r->json, fields, FIELDS_COUNT(fields), &admin,
	    ERR_USAGE, "the body", err)) < 0)
		return rc;
	if (role_by_name(admin.role) == 0)
		return err_set(err, ERR_USAGE, "\"role\" is admin, operator or "
		    "auditor");
	if (role_by_name(old.role) == ROLE_ADMIN && role_by_name(admin.role) !=
	    ROLE_ADMIN && (rc = need_other(d, &old, &other, &ops[n++],
	    err)) < 0)
		return rc;
	if ((rc = directory_admin_op(&admin, &ops[0], err)) < 0)
		return rc;
	rc = commit(d, r, old.version == 0 ? "admin.add" : "admin.change",
	    &admin, ops, n, err);
	free((void *)(uintptr_t)ops[0].value);
	a->status = old.version == 0 ? 201 : 204;
	return rc;
}

HANDLER(admin_remove)
{
	struct attestd *d = ctx;
	struct directory_admin old;
	struct store_op ops[2];
	struct other other;
	size_t n = 1;
	int rc;

	(void)a;
	if ((rc = directory_admin_get(d->service.store, r->params[0], &old,
	    err)) < 0 || (role_by_name(old.role) == ROLE_ADMIN &&
	    (rc = need_other(d, &old, &other, &ops[n++], err)) < 0))
		return rc;
	ops[0] = (struct store_op){ STORE_REMOVE, KIND_ADMIN, old.fingerprint,
		NULL, 0, old.version };
	return commit(d, r, "admin.remove", &old, ops, n, err);
}
