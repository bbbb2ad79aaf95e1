/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the authority thinks of this host, as far as the agent knows. Each
 * change of it is an event.
 */
#ifndef AGENT_DAEMON_TRUST_H
#define AGENT_DAEMON_TRUST_H

#include "trust-authority/agent/daemon/authority.h"
#include "trust-authority/agent/daemon/host-token.h"

#define TRUST_TEXT_MAX 512

enum trust_state {
	TRUST_STARTING,		/* nothing is known yet */
	TRUST_ATTESTED,
	TRUST_REFUSED,		/* by a verdict: no policy is met */
	TRUST_UNKNOWN,		/* the host itself: nobody imported it; */
	TRUST_REVOKED,		/* revoked, another TPM, without certificate */
	TRUST_EXPIRED,		/* the token ended, and there is no new one */
};

/* Of an attestation that was finished. */
struct trust_report {
	bool accepted;
	enum agent_fault fault;		/* where not accepted */
	bool unknown;			/* with AGENT_FAULT_HOST */
	char host[65], group[65], policy[65];
	char reason[TRUST_TEXT_MAX];
	struct host_token *token;	/* NULL: none; stays the caller's */
};

struct trust;

int trust_new(struct trust **out, struct err *err);
/* NULL is allowed. */
void trust_free(struct trust *t);

/* Each returns true where trust was lost by it: what was kept is to go. */
bool trust_report(struct trust *t, const struct trust_report *r);
/* A key was refused for the host itself, by a service that knows better. */
bool trust_revoked(struct trust *t, const char *reason);
/* Attesting failed before anybody judged. The state stays while the token
 * lasts. */
void trust_failed(struct trust *t, const struct err *why);

/* A token that is valid now, to be dropped; ERR_REFUSED, ERR_CLOSED and
 * *fault where there is none. *open: nobody refused, it just could not be
 * renewed, so that kept keys may serve. */
int trust_token(struct trust *t, struct host_token **out,
    enum agent_fault *fault, bool *open, struct err *err);
/* The last one there was, for leases, or NULL. */
struct host_token *trust_last_token(struct trust *t);
/* Why the verdict refused; "" where it did not. */
void trust_reason(struct trust *t, char reason[TRUST_TEXT_MAX]);
enum trust_state trust_state(struct trust *t);
/* Refused, by a verdict or for the host itself: not merely out of touch. */
bool trust_is_lost(struct trust *t);
/* Somebody who may has said no to this host. */
bool trust_is_refused(enum trust_state state);
const char *trust_state_name(enum trust_state state);
/* host, group, state, reason, policy, token_expires. */
json_t *trust_json(struct trust *t);

#endif
