/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/trust.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

struct trust {
	pthread_mutex_t lock;
	enum trust_state state;
	enum agent_fault fault;
	char host[65], group[65], policy[65];
	char reason[TRUST_TEXT_MAX];	/* of what is not well */
	time_t since, attested;		/* the state; the last attestation */
	struct host_token *token;	/* for what opens; NULL: none */
	struct host_token *last;	/* for leases */
};

static const char *const state_names[] = { "starting", "attested", "refused",
	"unknown", "revoked", "expired" };

const char *
trust_state_name(enum trust_state state)
{
	return state_names[state];
}

bool
trust_is_refused(enum trust_state state)
{
	return state == TRUST_REFUSED || state == TRUST_UNKNOWN ||
	    state == TRUST_REVOKED;
}

int
trust_new(struct trust **out, struct err *err)
{
	struct trust *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	pthread_mutex_init(&t->lock, NULL);
	t->since = time(NULL);
	snprintf(t->reason, sizeof(t->reason), "this host has not been "
	    "attested yet since the agent started");
	*out = t;
	return 0;
}

void
trust_free(struct trust *t)
{
	if (t == NULL)
		return;
	host_token_drop(t->token);
	host_token_drop(t->last);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static bool
token_lives(const struct trust *t)
{
	return t->token != NULL && host_token_lives(t->token);
}

/* With the lock. */
static void
set_state(struct trust *t, enum trust_state state)
{
	enum log_level level = state == TRUST_ATTESTED ? LOG_LEVEL_INFO :
	    LOG_LEVEL_ERROR;

	if (t->state == state)
		return;
	log_event(level, "agent.state", "state=%s before=%s host=%s group=%s "
	    "policy=%s reason=\"%s\"", state_names[state],
	    state_names[t->state], t->host, t->group, t->policy, t->reason);
	t->state = state;
	t->since = time(NULL);
}

static void
set_text(char *to, size_t room, const char *text)
{
	snprintf(to, room, "%.*s", (int)room - 1, text);
}

/* With the lock. NULL: the one from before opens nothing any more, however long
 * it would last; but a host that is refused still has leases to renew. */
static void
set_token(struct trust *t, struct host_token *token)
{
	host_token_drop(t->token);
	t->token = token != NULL ? host_token_take(token) : NULL;
	if (token == NULL)
		return;
	host_token_drop(t->last);
	t->last = host_token_take(token);
}

bool
trust_report(struct trust *t, const struct trust_report *r)
{
	bool lost;

	pthread_mutex_lock(&t->lock);
	lost = !r->accepted && !trust_is_refused(t->state);
	set_text(t->host, sizeof(t->host), r->host);
	set_text(t->group, sizeof(t->group), r->group);
	set_text(t->policy, sizeof(t->policy), r->accepted ? r->policy : "");
	set_text(t->reason, sizeof(t->reason), r->accepted ? "" : r->reason);
	t->fault = r->accepted ? AGENT_FAULT_NONE : r->fault;
	t->attested = time(NULL);
	set_token(t, r->token);
	set_state(t, r->accepted ? TRUST_ATTESTED :
	    r->fault != AGENT_FAULT_HOST ? TRUST_REFUSED :
	    r->unknown ? TRUST_UNKNOWN : TRUST_REVOKED);
	pthread_mutex_unlock(&t->lock);
	return lost;
}

bool
trust_revoked(struct trust *t, const char *reason)
{
	bool lost;

	pthread_mutex_lock(&t->lock);
	lost = t->state != TRUST_REVOKED;
	set_text(t->reason, sizeof(t->reason), reason);
	t->fault = AGENT_FAULT_HOST;
	set_token(t, NULL);
	set_state(t, TRUST_REVOKED);
	pthread_mutex_unlock(&t->lock);
	return lost;
}

/* With the lock: a token may have ended meanwhile. */
static void
look_at_clock(struct trust *t)
{
	if (t->state == TRUST_ATTESTED && !token_lives(t)) {
		if (t->reason[0] == '\0')
			set_text(t->reason, sizeof(t->reason), "the token has "
			    "ended, and no new one came");
		set_state(t, TRUST_EXPIRED);
	}
}

void
trust_failed(struct trust *t, const struct err *why)
{
	pthread_mutex_lock(&t->lock);
	/* What a verdict said is worth more. */
	if (!trust_is_refused(t->state))
		set_text(t->reason, sizeof(t->reason), why->text);
	look_at_clock(t);
	pthread_mutex_unlock(&t->lock);
}

static int
no_token(const struct trust *t, enum agent_fault *fault, bool *open,
    struct err *err)
{
	if (trust_is_refused(t->state)) {
		*fault = t->fault;
		return err_set(err, ERR_REFUSED, "the authority refuses this "
		    "host: %s", t->reason);
	}
	*fault = AGENT_FAULT_AUTHORITY;
	*open = true;
	return err_set(err, ERR_CLOSED, "this host has no valid token of the "
	    "authority: %s", t->reason);
}

int
trust_token(struct trust *t, struct host_token **out, enum agent_fault *fault,
    bool *open, struct err *err)
{
	int rc = 0;

	*out = NULL;
	*open = false;
	pthread_mutex_lock(&t->lock);
	look_at_clock(t);
	if (token_lives(t))
		*out = host_token_take(t->token);
	else
		rc = no_token(t, fault, open, err);
	pthread_mutex_unlock(&t->lock);
	return rc;
}

struct host_token *
trust_last_token(struct trust *t)
{
	struct host_token *token;

	pthread_mutex_lock(&t->lock);
	token = t->last != NULL ? host_token_take(t->last) : NULL;
	pthread_mutex_unlock(&t->lock);
	return token;
}

void
trust_reason(struct trust *t, char reason[TRUST_TEXT_MAX])
{
	pthread_mutex_lock(&t->lock);
	set_text(reason, TRUST_TEXT_MAX, trust_is_refused(t->state) ?
	    t->reason : "");
	pthread_mutex_unlock(&t->lock);
}

enum trust_state
trust_state(struct trust *t)
{
	enum trust_state state;

	pthread_mutex_lock(&t->lock);
	look_at_clock(t);
	state = t->state;
	pthread_mutex_unlock(&t->lock);
	return state;
}

bool
trust_is_lost(struct trust *t)
{
	return trust_is_refused(trust_state(t));
}

json_t *
trust_json(struct trust *t)
{
	json_t *json;

	pthread_mutex_lock(&t->lock);
	look_at_clock(t);
	json = json_pack("{ss ss ss ss* ss sI sI sI}", "host", t->host,
	    "group", t->group, "state", state_names[t->state], "reason",
	    t->reason, "policy", t->policy, "since", (json_int_t)t->since,
	    "last", (json_int_t)t->attested, "token_expires", t->token == NULL ?
	    (json_int_t)0 : (json_int_t)host_token_expires(t->token));
	pthread_mutex_unlock(&t->lock);
	return json;
}
