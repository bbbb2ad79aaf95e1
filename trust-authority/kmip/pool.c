/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/kmip/pool.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/kmip/clock.h"
#include "trust-authority/kmip/exchange.h"

/* A connection that has rested longer may have been closed by something on the
 * way that did not tell us. What must not be sent twice does not go over it. */
#define FRESH_MS 1000

static size_t
nodes_up(const struct kmip *k)
{
	size_t up = 0;

	for (size_t i = 0; i < k->count; i++)
		up += k->nodes[i].health != KMIP_DOWN;
	return up;
}

static void
tell_success(struct kmip *k, struct node *n)
{
	bool changed, first;

	pthread_mutex_lock(&k->lock);
	first = nodes_up(k) == 0;
	changed = node_succeeded(n);
	pthread_mutex_unlock(&k->lock);
	if (changed)
		log_event(LOG_LEVEL_INFO, "kms.node-up", "node=%s", n->name);
	if (changed && first && !k->config.no_reach_events)
		log_event(LOG_LEVEL_INFO, "kms.reachable", "node=%s", n->name);
}

static void
tell_failure(struct kmip *k, struct node *n, const char *why)
{
	int64_t pause;
	bool changed;
	size_t up;

	pthread_mutex_lock(&k->lock);
	changed = node_failed(n, why, k->config.backoff_first_ms,
	    k->config.backoff_max_ms);
	pause = clock_left(n->next_try);
	up = nodes_up(k);
	pthread_mutex_unlock(&k->lock);
	if (changed)
		log_event(LOG_LEVEL_WARNING, "kms.node-down", "node=%s "
		    "error=\"%s\" next_try_ms=%lld", n->name, why,
		    (long long)pause);
	if (changed && up == 0 && !k->config.no_reach_events)
		log_event(LOG_LEVEL_ERROR, "kms.unreachable", "nodes=%zu "
		    "error=\"%s\"", k->count, why);
}

/* A kept connection that can still be used, or NULL. */
static struct connection *
take_kept(struct kmip *k, struct node *n, uint32_t idle_ms)
{
	struct connection *stale[KEEP_MAX], *c;
	size_t count;

	do {
		pthread_mutex_lock(&k->lock);
		c = node_take(n, idle_ms, stale, &count);
		pthread_mutex_unlock(&k->lock);
		while (count > 0)
			connection_close(stale[--count]);
		if (c == NULL || connection_is_alive(c))
			return c;
		connection_close(c);
	} while (true);
}

static void
give_back(struct kmip *k, struct node *n, struct connection *c)
{
	bool kept;

	pthread_mutex_lock(&k->lock);
	kept = node_give(n, c, k->config.keep);
	pthread_mutex_unlock(&k->lock);
	if (!kept)
		connection_close(c);
}

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* A new connection. */
static int
open_new(struct kmip *k, struct node *n, int64_t deadline,
    struct connection **c, struct err *err)
{
	pthread_mutex_lock(&k->lock);
	n->connections++;
	pthread_mutex_unlock(&k->lock);
	return connection_open(&n->to, sooner(deadline, clock_ms() +
	    k->config.connect_timeout_ms), c, err);
}

/* The node's version of KMIP, asked for where it is not known. */
static int
version_for(struct kmip *k, struct node *n, struct connection *c,
    int64_t deadline, struct kmip_version *version, struct outcome *o,
    struct err *err)
{
	int rc;

	pthread_mutex_lock(&k->lock);
	*version = n->version;
	pthread_mutex_unlock(&k->lock);
	if (version->major != 0)
		return 0;
	rc = exchange_versions(c, k->config.version_max, sooner(deadline,
	    clock_ms() + k->config.answer_timeout_ms), version, o, err);
	o->sent = false;	/* of the operation itself, nothing */
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&k->lock);
	n->version = *version;
	pthread_mutex_unlock(&k->lock);
	return 0;
}

struct attempt {
	const struct operation *op;
	const void *in;
	void *out;
	int64_t deadline;	/* of the whole call */
	struct outcome outcome;
	bool again;		/* a connection died with the request on it */
	struct kmip_version version;
};

/* One exchange; closes the connection or puts it to rest. */
static int
attempt_on(struct kmip *k, struct node *n, struct connection *c,
    struct attempt *a, struct err *err)
{
	int rc;

	rc = version_for(k, n, c, a->deadline, &a->version, &a->outcome, err);
	if (rc == 0)
		rc = exchange(c, a->version, a->op, a->in, a->out,
		    sooner(a->deadline, clock_ms() +
		    k->config.answer_timeout_ms), &a->outcome, err);
	if (rc < 0 && a->outcome.fault)
		connection_close(c);
	else
		give_back(k, n, c);
	return rc;
}

/* On one node: over a kept connection if there is one. One that turns out to
 * be dead says nothing about the node: then again over a new one. */
static int
attempt(struct kmip *k, struct node *n, struct attempt *a, struct err *err)
{
	uint32_t idle = k->config.idle_timeout_ms;
	struct connection *c;
	int64_t began = clock_ms();
	int rc;

	if (!a->op->repeatable && idle > FRESH_MS)
		idle = FRESH_MS;
	memset(&a->outcome, 0, sizeof(a->outcome));
	if ((c = take_kept(k, n, idle)) != NULL) {
		rc = attempt_on(k, n, c, a, err);
		/* One that was silent for the whole time is not just old. */
		if (rc != ERR_CLOSED || !a->outcome.fault ||
		    a->outcome.begun || !a->op->repeatable ||
		    clock_ms() - began >= k->config.answer_timeout_ms)
			return rc;
		a->again = a->outcome.sent;
	}
	memset(&a->outcome, 0, sizeof(a->outcome));
	a->outcome.fault = true;
	if ((rc = open_new(k, n, a->deadline, &c, err)) < 0) {
		/* Memory that cannot be had is not the node's fault. */
		a->outcome.fault = rc == ERR_CLOSED || rc == ERR_AUTH;
		return rc;
	}
	a->outcome.fault = false;
	return attempt_on(k, n, c, a, err);
}

/* The first node that is well, else the first whose pause is over. NULL: none
 * that was not tried. */
static struct node *
choose(struct kmip *k, uint32_t tried)
{
	struct node *n = NULL;

	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < k->count && n == NULL; i++)
		if ((tried >> i & 1) == 0 && k->nodes[i].health != KMIP_DOWN)
			n = &k->nodes[i];
	for (size_t i = 0; i < k->count && n == NULL; i++)
		if ((tried >> i & 1) == 0 && node_claim(&k->nodes[i]))
			n = &k->nodes[i];
	pthread_mutex_unlock(&k->lock);
	return n;
}

/* Puts what is wrong with each node into one message. */
static int
no_node(struct kmip *k, struct err *err)
{
	err_set(err, ERR_CLOSED, "no node of the KMS can be used");
	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < k->count; i++)
		err_append(err, "%s %s: %.200s (next try in %d ms)",
		    i == 0 ? ":" : ";", k->nodes[i].name, k->nodes[i].error,
		    clock_left(k->nodes[i].next_try));
	pthread_mutex_unlock(&k->lock);
	return ERR_CLOSED;
}

static void
node_release(struct kmip *k, struct node *n)
{
	pthread_mutex_lock(&k->lock);
	node_unclaim(n);
	pthread_mutex_unlock(&k->lock);
}

/* One node's part of a call; true: go on to the next. */
static bool
call_node(struct kmip *k, struct node *n, struct attempt *a,
    struct call *call, int *rc, struct err *err)
{
	struct err why = { 0 };

	*rc = attempt(k, n, a, &why);
	if (*rc < 0)
		err_set(err, *rc, "KMS node %s: %s", n->name, why.text);
	call->maybe_done |= a->again;
	if (a->outcome.answered && !a->outcome.fault) {
		tell_success(k, n);
		call->node = n;
		call->version = a->version;
		return false;
	}
	if (!a->outcome.fault) {
		node_release(k, n);
		return false;
	}
	tell_failure(k, n, why.text);
	if (!a->outcome.sent)
		return true;
	call->maybe_done = true;
	if (a->op->repeatable)
		return true;
	*rc = err_set(err, ERR_CLOSED, "KMS node %s: %s; the KMS may have "
	    "done it all the same", n->name, why.text);
	return false;
}

int
pool_call(struct kmip *k, const struct operation *op, const void *in,
    void *out, struct call *call, struct err *err)
{
	struct attempt a = { .op = op, .in = in, .out = out,
		.deadline = clock_ms() + k->config.call_timeout_ms };
	uint32_t tried = 0;
	struct node *n;
	int rc;

	memset(call, 0, sizeof(*call));
	while ((n = choose(k, tried)) != NULL) {
		tried |= UINT32_C(1) << (n - k->nodes);
		if (!call_node(k, n, &a, call, &rc, err))
			return rc;
		if (clock_left(a.deadline) == 0)
			return err_set(err, ERR_CLOSED, "the KMS did not "
			    "answer within %u ms; last was %s",
			    k->config.call_timeout_ms, n->name);
	}
	return no_node(k, err);
}

/* Any answer is a good one, a refusal too: the node is there. */
void
pool_probe(struct kmip *k, size_t i)
{
	struct kmip_info info = { 0 };
	struct attempt a = { .op = &operation_query, .out = &info,
		.deadline = clock_ms() + k->config.connect_timeout_ms +
		    k->config.answer_timeout_ms };
	struct call call = { 0 };
	int rc;

	(void)call_node(k, &k->nodes[i], &a, &call, &rc, NULL);
}
