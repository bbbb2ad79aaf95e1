/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/requests.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/request.h"
#include "trust-authority/common/http-work.h"

#define WORKERS 32		/* each may wait for the authority */
#define SLOW_WORKERS 4		/* each may wait for the TPM */
#define QUEUE_MAX 4096
/* A second, about what anybody on the host can cause. */
#define LINES_MAX 50

struct requests {
	struct kmxa *k;
	struct http_work *work, *slow;
	time_t second;
	unsigned int lines;		/* in that second */
};

enum {
	AT_ONCE = 1,		/* waits for nothing: in the loop */
	SLOW = 2,
	ROOT = 4,
	CREATES = 8,		/* the VM need not be the asker's yet */
	NO_VM = 16,
};

static const struct {
	request_fn *run;
	unsigned int flags;
} types[AGENT_TYPE_LAST + 1] = {
	[AGENT_HELLO] = { request_hello, AT_ONCE | NO_VM },
	[AGENT_VM_CREATE] = { request_vm_create, CREATES },
	[AGENT_KEY_MAKE] = { request_key_make, 0 },
	[AGENT_KEY_OPEN] = { request_key_open, 0 },
	[AGENT_REGISTER] = { request_register, 0 },
	[AGENT_ACQUIRE] = { request_acquire, 0 },
	[AGENT_CONFIRM] = { request_confirm, 0 },
	[AGENT_RELEASE] = { request_release, 0 },
	[AGENT_CHECK] = { request_check, 0 },
	[AGENT_ATTACH] = { request_attach, 0 },
	[AGENT_VM_FORGET] = { request_vm_forget, 0 },
	[AGENT_EK_CERTIFY] = { request_ek_certify, 0 },
	[AGENT_STATUS] = { request_status, AT_ONCE | NO_VM },
	[AGENT_ATTEST] = { request_attest, SLOW | ROOT | NO_VM },
	[AGENT_OFFER] = { request_offer, 0 },
	[AGENT_CLAIM] = { request_claim, 0 },
	[AGENT_RECLAIM] = { request_reclaim, 0 },
	[AGENT_HOST_EXPORT] = { request_host_export, SLOW | ROOT | NO_VM },
};

bool
request_text(const struct agent_bytes *text, char *out, size_t room)
{
	if (text->size >= room)
		return false;
	if (text->size > 0)
		memcpy(out, text->data, text->size);
	out[text->size] = '\0';
	return true;
}

static void
request_free(struct request *r)
{
	secret_free(r->key);
	free(r->text);
	for (size_t i = 0; i < r->count; i++)
		free(r->bytes[i]);
	free(r);
}

/* What does not fit is cut: an answer there has to be. */
static void
set_failure(struct request *r, int rc, const struct err *err)
{
	r->a = (struct agent_message){ .result = rc,
		.fault = (uint8_t)(r->fault != AGENT_FAULT_NONE ? r->fault :
		AGENT_FAULT_AGENT), .text = { (const uint8_t *)err->text,
		strlen(err->text) } };
	if (r->quiet)
		return;
	log_event(LOG_LEVEL_INFO, "agent.request_failed", "request=%s uid=%u "
	    "pid=%d fault=%s code=%s error=\"%s\"",
	    agent_type_name(r->q.type), (unsigned)r->peer.uid,
	    (int)r->peer.pid, agent_fault_name(r->a.fault), err_name(rc),
	    err->text);
}

/* Releases r. */
static void
answer(struct request *r, int rc, struct err *err)
{
	uint8_t *data = malloc(AGENT_WIRE_MAX);
	struct buf w = buf_writer(data, data != NULL ? AGENT_WIRE_MAX : 0);
	struct err too = { 0 };

	if (rc < 0)
		set_failure(r, rc, err);
	for (int i = 0; i < 2; i++) {
		r->a.way = AGENT_ANSWER;
		r->a.type = r->q.type;
		r->a.id = r->q.id;
		if (agent_wire_put(&w, &r->a, &too) == 0)
			break;
		w = buf_writer(data, data != NULL ? AGENT_WIRE_MAX : 0);
		r->fault = AGENT_FAULT_AGENT;
		set_failure(r, too.code, &too);
	}
	sock_answer(r->k->sock, r->peer.connection, data, w.pos);
	request_free(r);
}

bool
requests_may_log(struct requests *all)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != all->second)
		all->lines = 0;
	all->second = now.tv_sec;
	if (all->lines++ == LINES_MAX)
		log_event(LOG_LEVEL_WARNING, "agent.lines_left_out",
		    "max_per_second=%d", LINES_MAX);
	return all->lines <= LINES_MAX;
}

static int
check_access(struct request *r, struct err *err)
{
	unsigned int flags = types[r->q.type].flags;

	if (flags & ROOT && r->peer.uid != 0)
		return err_set(err, ERR_REFUSED, "%s is for root: user %u may "
		    "not ask for it", agent_type_name(r->q.type),
		    (unsigned)r->peer.uid);
	if (flags & NO_VM)
		return 0;
	if (flags & CREATES)
		return access_check_create(r->k->access, r->peer.uid,
		    r->q.uuid, err);
	return access_check(r->k->access, r->peer.uid, r->q.uuid, err);
}

static void run_slow(void *job);

static void
run(struct request *r)
{
	struct err err = { 0 };
	int rc = types[r->q.type].run(r, &err);

	if (rc != REQUEST_SLOW) {
		answer(r, rc, &err);
		return;
	}
	/* It fits: what is in the queues is bounded by the connections. */
	if (http_work_add(r->k->slow, run_slow, r) < 0)
		answer(r, err_set(&err, ERR_BUSY, "too many requests wait for "
		    "the host's TPM"), &err);
}

static void
run_fast(void *job)
{
	run(job);
}

static void
run_slow(void *job)
{
	struct request *r = job;

	r->slow = true;
	run(r);
}

int
requests_new(struct kmxa *k, struct requests **out, struct err *err)
{
	struct requests *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	r->k = k;
	if ((rc = http_work_new(WORKERS, QUEUE_MAX, &r->work, err)) < 0 ||
	    (rc = http_work_new(SLOW_WORKERS, QUEUE_MAX, &r->slow,
	    err)) < 0) {
		requests_free(r);
		return rc;
	}
	k->slow = r->slow;
	*out = r;
	return 0;
}

void
requests_free(struct requests *r)
{
	if (r == NULL)
		return;
	http_work_free(r->work);
	http_work_free(r->slow);
	free(r);
}

int
requests_take(struct requests *all, const struct sock_peer *peer,
    const uint8_t *data, size_t size, bool *allowed, struct err *err)
{
	struct request *r;
	struct err why = { 0 };
	unsigned int flags;
	struct buf in;
	int rc;

	*allowed = false;
	if (size > AGENT_WIRE_MAX)
		return err_set(err, ERR_FORMAT, "a message of %zu bytes", size);
	if ((r = calloc(1, sizeof(*r) + size)) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	r->k = all->k;
	r->peer = *peer;
	r->size = size;
	memcpy(r->data, data, size);
	in = buf_reader(r->data, size);
	if ((rc = agent_wire_get(&in, &r->q, err)) < 0 ||
	    r->q.way != AGENT_REQUEST) {
		free(r);
		return rc < 0 ? rc : err_set(err, ERR_FORMAT, "an answer or "
		    "a notice from a client");
	}
	flags = types[r->q.type].flags;
	r->slow = (flags & SLOW) != 0;
	/* Here, so that who may not takes no worker from those who may. */
	if ((rc = check_access(r, &why)) < 0) {
		r->quiet = !requests_may_log(all);
		answer(r, rc, &why);
		return 0;
	}
	*allowed = (flags & (AT_ONCE | NO_VM)) == 0;
	if (flags & AT_ONCE)
		run(r);
	else if (http_work_add(r->slow ? all->slow : all->work, run_fast,
	    r) < 0)
		answer(r, err_set(&why, ERR_BUSY, "the agent has too much to "
		    "do: try again"), &why);
	return 0;
}
