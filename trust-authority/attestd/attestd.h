/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vta-attestd: who a host is and whether it is in order. What the parts of the
 * program share. Handlers run in many threads; nothing here is kept between two
 * requests of a host but what can be lost (caches, who was refused), so that
 * any node can finish what another began.
 */
#ifndef ATTESTD_ATTESTD_H
#define ATTESTD_ATTESTD_H

#include "trust-authority/common/directory.h"
#include "trust-authority/common/service.h"

#define ATTESTD_BODY_MAX 65536
#define ATTESTD_NO_POLICY "(none)"	/* of tokens: only the identity */
#define ATTESTD_TOKEN_SECONDS_MIN 60
#define ATTESTD_TOKEN_SECONDS_MAX 3600

struct ek_cas;
struct keys;
struct policies;
struct refusals;
struct signing;
struct turns;

struct attestd_config {
	struct authority_config common;
	long session_seconds;
	long evidence_mib;		/* of one host's logs */
	long per_address;		/* attestations at a time */
	long key_hours;			/* that a signing key signs */
};

struct attestd {
	struct service service;		/* first: service.h */
	const struct attestd_config *config;
	struct secret *session_key;
	struct http_client_config agent_client;
	struct ek_cas *ek_cas;
	struct keys *keys;
	struct policies *policies;
	struct refusals *refusals;
	struct signing *signing;
	struct turns *turns;
};

int64_t attestd_now(void);		/* seconds since 1970 */
int64_t attestd_now_ms(void);

/* Copies at most room - 1 bytes, of what is not printable ASCII a space or a
 * question mark: for names of ours and reasons. */
void text_cut(char *out, size_t room, const char *text);

/* "host" where an error of this code is a host's own doing; else NULL: a store
 * that fails must not look like a host that lost its trust. */
const char *fault_of_host(int code);

/* ERR_STALE where an administrator says which version of a record is to be
 * changed (0: any), and it is another one now. */
int version_check(uint64_t is, int64_t wanted, const char *what,
    struct err *err);

/* The handlers, by what they are about. */
#define HANDLER(name) \
int name(void *ctx, const struct http_request *r, struct http_answer *a, \
    struct err *err)
HANDLER(begin_handle);
HANDLER(finish_handle);
HANDLER(jwks_handle);
HANDLER(health_handle);
HANDLER(status_handle);
HANDLER(audit_handle);
HANDLER(ek_cas_list);
HANDLER(ek_ca_get);
HANDLER(ek_ca_put);
HANDLER(ek_ca_remove);
HANDLER(hosts_list);
HANDLER(host_get);
HANDLER(host_put);
HANDLER(host_remove);
HANDLER(host_revoke);
HANDLER(host_restore);
HANDLER(host_attest);
HANDLER(capture_start);
HANDLER(capture_get);
HANDLER(policies_list);
HANDLER(policy_get);
HANDLER(policy_put);
HANDLER(policy_remove);
HANDLER(groups_list);
HANDLER(group_get);
HANDLER(group_put);
HANDLER(group_remove);
HANDLER(admins_list);
HANDLER(admin_put);
HANDLER(admin_remove);

#endif
