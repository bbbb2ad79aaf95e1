/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/authority.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

/* After a failure of all nodes. */
#define PAUSE_MS 2000
#define URL_MAX (SETTINGS_URL_MAX + HTTP_TARGET_MAX)

struct node_list {
	const struct urls *urls;
	size_t preferred;
	bool down, trying;
	uint64_t rests_until;		/* ms */
	struct err why;
};

struct authority {
	struct http_client *client;
	pthread_mutex_t lock;		/* of lists */
	struct node_list list[SERVICES];
};

static const char *const service_names[] = { "attestd", "kmxd" };

static enum agent_fault
fault_of(const json_t *json)
{
	const char *name = json_string_value(json_object_get(json, "fault"));
	uint8_t fault = name != NULL ? agent_fault_by_name(name) : 0;

	return fault != 0 ? (enum agent_fault)fault : AGENT_FAULT_AUTHORITY;
}

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int
authority_new(const struct settings *s, struct authority **out,
    struct err *err)
{
	const struct http_client_config config = { .ca = s->authority.ca,
		.connect_ms = (unsigned int)s->authority.timeout * 1000 < 3000 ?
		(unsigned int)s->authority.timeout * 1000 : 3000,
		.call_ms = (unsigned int)s->authority.timeout * 1000 };
	struct authority *a = calloc(1, sizeof(*a));
	int rc;

	if (a == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = http_client_new(&config, &a->client, err)) < 0) {
		free(a);
		return rc;
	}
	pthread_mutex_init(&a->lock, NULL);
	a->list[SERVICE_ATTESTD].urls = &s->authority.attestd;
	a->list[SERVICE_KMXD].urls = &s->authority.kmxd;
	*out = a;
	return 0;
}

void
authority_free(struct authority *a)
{
	if (a == NULL)
		return;
	http_client_free(a->client);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

bool
authority_is_up(struct authority *a, enum service service)
{
	bool up;

	pthread_mutex_lock(&a->lock);
	up = !a->list[service].down;
	pthread_mutex_unlock(&a->lock);
	return up;
}

/* Whether to call now; *first is the node to begin with. */
static int
call_begin(struct authority *a, const struct authority_call *call,
    size_t *first, struct err *err)
{
	struct node_list *l = &a->list[call->service];
	int rc = 0;

	pthread_mutex_lock(&a->lock);
	if (l->down && !call->now && (l->trying ||
	    now_ms() < l->rests_until)) {
		rc = l->why.code;
		if (err != NULL)
			*err = l->why;
	} else if (l->down)
		l->trying = true;
	*first = l->preferred;
	pthread_mutex_unlock(&a->lock);
	return rc;
}

static void
call_end(struct authority *a, enum service service, bool answered,
    size_t node, const struct err *why)
{
	struct node_list *l = &a->list[service];
	bool was_down;

	pthread_mutex_lock(&a->lock);
	was_down = l->down;
	l->down = !answered;
	l->trying = false;
	if (answered)
		l->preferred = node;
	else {
		l->why = *why;
		l->rests_until = now_ms() + PAUSE_MS;
	}
	pthread_mutex_unlock(&a->lock);
	if (was_down == !answered)
		return;
	if (answered)
		log_event(LOG_LEVEL_INFO, "agent.authority_up", "service=%s",
		    service_names[service]);
	else
		log_event(LOG_LEVEL_WARNING, "agent.authority_down",
		    "service=%s error=\"%s\"", service_names[service],
		    why->text);
}

/*
 * Whether the node has decided, so that another would say the same. "Busy" is
 * 503 also where it means that somebody else owns the VM: that must never pass
 * for an authority that is away.
 */
static bool
is_decided(const struct authority_answer *answer, int rc)
{
	int status = answer->reply.status;

	if (rc == 0 || (status >= 200 && status < 500 && status != 429))
		return true;
	switch (fault_of(answer->json)) {
	case AGENT_FAULT_HOST:
	case AGENT_FAULT_POLICY:
	case AGENT_FAULT_TOKEN:
	case AGENT_FAULT_GRANT:
	case AGENT_FAULT_EPOCH:
		return true;
	default:
		return false;
	}
}

static int
call_node(struct authority *a, const struct authority_call *call,
    const char *node, struct authority_answer *answer, struct err *err)
{
	char url[URL_MAX];
	struct http_call c = { .method = call->method, .url = url,
		.bearer = call->bearer, .json = call->json };
	int rc;

	http_reply_reset(&answer->reply);
	if (snprintf(url, sizeof(url), "%s%s", node, call->path) >=
	    (int)sizeof(url))
		return err_set(err, ERR_INTERNAL, "the path is too long");
	rc = http_client_call(a->client, &c, &answer->reply, err);
	answer->json = answer->reply.json;
	snprintf(answer->url, sizeof(answer->url), "%s", node);
	answer->maybe_done |= answer->reply.maybe_done;
	return rc;
}

int
authority_call(struct authority *a, const struct authority_call *call,
    struct authority_answer *answer, struct err *err)
{
	const struct urls *urls = a->list[call->service].urls;
	size_t first = 0, i, node = 0;
	struct err why = { 0 };
	int rc;

	*answer = (struct authority_answer){ 0 };
	if ((rc = call_begin(a, call, &first, err)) < 0) {
		answer->unreachable = true;
		answer->fault = AGENT_FAULT_AUTHORITY;
		return rc;
	}
	for (i = 0; i < urls->count; i++) {
		node = (first + i) % urls->count;
		rc = call_node(a, call, urls->url[node], answer, &why);
		if (is_decided(answer, rc) ||
		    (call->once && answer->maybe_done))
			break;
	}
	call_end(a, call->service, answer->reply.status != 0, node, &why);
	if (rc == 0)
		return 0;
	answer->fault = fault_of(answer->json);
	answer->unreachable = !is_decided(answer, rc);
	if (err != NULL)
		*err = why;
	return rc;
}

void
authority_answer_reset(struct authority_answer *answer)
{
	http_reply_reset(&answer->reply);
	answer->json = NULL;
}
