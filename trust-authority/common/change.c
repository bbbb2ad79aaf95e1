/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/change.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/common/directory.h"

unsigned int
role_by_name(const char *name)
{
	if (strcmp(name, "admin") == 0)
		return ROLE_ADMIN;
	if (strcmp(name, "operator") == 0)
		return ROLE_OPERATOR;
	return strcmp(name, "auditor") == 0 ? ROLE_AUDITOR : 0;
}

unsigned int
role_of(struct store *store, const struct http_peer *peer)
{
	struct directory_admin admin;
	struct err err = { 0 };
	int rc = directory_admin_get(store, peer->fingerprint, &admin, &err);

	if (rc < 0 && rc != ERR_NOTFOUND)
		log_error("no role for %s, because it cannot be read: %s",
		    peer->name, err.text);
	return rc == 0 ? role_by_name(admin.role) : 0;
}

int
change_commit(struct store *store, const struct http_request *request,
    struct change change, const struct store_op *ops, size_t count,
    struct err *err)
{
	char who[sizeof(request->peer.name) + 24];
	const struct audit_entry entry = { who, change.what, change.object,
		request->peer.address, "ok", change.detail };
	int rc;

	snprintf(who, sizeof(who), "%s (%.16s)", request->peer.name,
	    request->peer.fingerprint);
	rc = audit_commit(store, &entry, ops, count, NULL, err);
	json_decref(change.detail);
	if (rc == ERR_STALE || rc == ERR_EXISTS)
		return err_append(err, ". Somebody else has changed it at the "
		    "same moment, and this change was not made: look at it "
		    "and try again");
	return rc;
}
