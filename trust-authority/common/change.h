/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Administrators: what their certificates may do, and what they change. A
 * change is committed with its audit record, or not at all.
 */
#ifndef TRUST_AUTHORITY_COMMON_CHANGE_H
#define TRUST_AUTHORITY_COMMON_CHANGE_H

#include "trust-authority/common/audit.h"
#include "trust-authority/common/http.h"

enum { ROLE_AUDITOR = 2, ROLE_OPERATOR = 4, ROLE_ADMIN = 8 };

/* For the routes' tables: each role has those below it. */
enum {
	MAY_READ = ROLE_AUDITOR | ROLE_OPERATOR | ROLE_ADMIN,
	MAY_OPERATE = ROLE_OPERATOR | ROLE_ADMIN,
	MAY_ADMINISTER = ROLE_ADMIN,
};

/* 0 where it is none. */
unsigned int role_by_name(const char *name);
/* The role of a peer, by the record of its certificate. For struct
 * http_service's roles. */
unsigned int role_of(struct store *store, const struct http_peer *peer);

struct change {
	const char *what;		/* "host.import" */
	const char *object;		/* "host/lab-7" */
	json_t *detail;			/* taken over; NULL: none */
};

/* Commits ops and the record of who asked for them. ERR_STALE and ERR_EXISTS
 * say that somebody else was faster; nothing has changed then. */
int change_commit(struct store *store, const struct http_request *request,
    struct change change, const struct store_op *ops, size_t count,
    struct err *err);

#endif
