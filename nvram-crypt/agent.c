/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/agent.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/secret.h"

/* Of our own: EKs' public keys are the longest. */
#define REQUEST_MAX 4096
/* Between two tries to come back, doubling; half of it is random. */
#define PAUSE_MIN 500u
#define PAUSE_MAX 30000u
/* For HELLO and ATTACH, that nobody waits for. */
#define ASIDE_TIME 20000
#define TEXT_MAX 400

struct agent {
	agent_connect *connect;
	void *arg;
	int fd;
	uint32_t last_id;
	struct secret *in;	/* the last message */
	/* Sent when the connection was made; 0: answered, or never sent. */
	uint32_t hello, attach;
	uint64_t aside_until;
	bool watching;
	uint8_t uuid[UUID_SIZE], instance[AGENT_INSTANCE_SIZE];
	uint64_t epoch;
	bool lost;
	char why[TEXT_MAX + 1];
	bool away;		/* that was told */
	unsigned int pause;	/* ms */
	uint64_t again_at;	/* UINT64_MAX: there is no need */
};

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int
agent_new(struct agent **out, agent_connect *connect, void *arg,
    struct err *err)
{
	struct agent *a = calloc(1, sizeof(*a));

	*out = a;
	if (a == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	a->connect = connect;
	a->arg = arg;
	a->fd = -1;
	a->again_at = UINT64_MAX;
	return 0;
}

void
agent_forget(struct agent *a)
{
	secret_free(a->in);
	a->in = NULL;
}

void
agent_free(struct agent *a)
{
	if (a == NULL)
		return;
	agent_forget(a);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}

const char *
agent_lost(const struct agent *a)
{
	return a != NULL && a->lost ? a->why : NULL;
}

/* What a person reads must not steer his terminal. */
static void
copy_text(char out[TEXT_MAX + 1], const struct agent_bytes *text)
{
	size_t n = text->size < TEXT_MAX ? text->size : TEXT_MAX;

	for (size_t i = 0; i < n; i++)
		out[i] = text->data[i] < 0x20 || text->data[i] == 0x7f ? ' ' :
		    (char)text->data[i];
	out[n] = '\0';
}

/* -- the connection -- */

static void
schedule(struct agent *a)
{
	uint16_t noise = 0;

	a->pause = a->pause == 0 ? PAUSE_MIN : a->pause * 2;
	if (a->pause > PAUSE_MAX)
		a->pause = PAUSE_MAX;
	if (getrandom(&noise, sizeof(noise), GRND_NONBLOCK) < 0)
		noise = 0;
	a->again_at = now_ms() + a->pause / 2 + noise % (a->pause / 2);
}

/* Whoever owns a VM comes back; whoever does not, when he has to ask again. */
static void
drop(struct agent *a, const char *why)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	a->hello = a->attach = 0;
	a->again_at = UINT64_MAX;
	if (!a->watching || a->lost)
		return;
	schedule(a);
	if (!a->away)
		log_event(LOG_LEVEL_WARNING, "agent.away", "error=\"%s\" "
		    "consequence=\"the TPM goes on; it does not hear that its "
		    "VM was taken until the agent is back\"", why);
	a->away = true;
}

static int
wait_for(const struct agent *a, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = a->fd, .events = events };

	for (;;) {
		uint64_t now = now_ms();
		int rc = poll(&p, 1, deadline > now ? (int)(deadline - now) :
		    0);

		if (rc > 0)
			return 0;
		if (rc == 0)
			return ERR_BUSY;
		if (errno != EINTR)
			return ERR_CLOSED;
	}
}

static int
send_message(struct agent *a, struct agent_message *m, uint64_t deadline,
    struct err *err)
{
	uint8_t bytes[REQUEST_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	int rc;

	if (++a->last_id == 0)
		a->last_id = 1;
	m->id = a->last_id;
	if ((rc = agent_wire_put(&b, m, err)) < 0)
		return err_set(err, ERR_INTERNAL, "the request %s is too "
		    "large", agent_type_name(m->type));
	if (wait_for(a, POLLOUT, deadline) < 0 ||
	    fdio_send(a->fd, bytes, b.pos, -1) < 0)
		return err_set(err, ERR_CLOSED, "this host's agent does not "
		    "take a request (%s)", agent_type_name(m->type));
	return 0;
}

/* The next message; ERR_BUSY: none came in time. Its bytes are in a->in. */
static int
receive(struct agent *a, uint64_t deadline, struct agent_message *m,
    struct err *err)
{
	struct iovec iov = { .iov_base = NULL, .iov_len = 0 };
	struct msghdr peek = { .msg_iov = &iov, .msg_iovlen = 1 }, msg = peek;
	struct buf b;
	ssize_t n;

	agent_forget(a);
	if (wait_for(a, POLLIN, deadline) < 0)
		return ERR_BUSY;
	n = recvmsg(a->fd, &peek, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
	if (n <= 0)
		return err_set(err, ERR_CLOSED, "this host's agent has closed "
		    "the connection");
	if (n > (ssize_t)AGENT_WIRE_MAX)
		return err_set(err, ERR_CLOSED, "this host's agent sent a "
		    "message of %zd bytes, which is too large", n);
	if ((a->in = secret_new((size_t)n)) == NULL)
		return err_set(err, ERR_INTERNAL, "cannot lock memory for the "
		    "agent's answer: %s", strerror(errno));
	iov = (struct iovec){ secret_data(a->in), (size_t)n };
	if (recvmsg(a->fd, &msg, MSG_DONTWAIT) != n)
		return err_set(err, ERR_CLOSED, "this host's agent has closed "
		    "the connection");
	b = buf_reader(secret_bytes(a->in), (size_t)n);
	if (agent_wire_get(&b, m, err) < 0 || m->way == AGENT_REQUEST)
		return err_set(err, ERR_CLOSED, "this host's agent sent "
		    "something that is no answer");
	return 0;
}

static void
take_loss(struct agent *a, const struct agent_message *m)
{
	if (!a->watching)
		return;
	a->lost = true;
	copy_text(a->why, &m->text);
}

/* What comes beside the answer that somebody waits for. */
static int
take_aside(struct agent *a, const struct agent_message *m, struct err *err)
{
	if (m->way == AGENT_NOTICE) {
		if (a->watching && m->epoch == a->epoch &&
		    memcmp(m->uuid, a->uuid, UUID_SIZE) == 0)
			take_loss(a, m);
		return 0;
	}
	if (a->hello != 0 && m->id == a->hello && m->type == AGENT_HELLO) {
		a->hello = 0;
		if (m->result == 0 && m->version == AGENT_WIRE_VERSION)
			return 0;
		return err_set(err, ERR_UNSUPPORTED, "this host's agent does "
		    "not speak version %d of the protocol: vtpmd and vta-kmxa "
		    "are of different releases", AGENT_WIRE_VERSION);
	}
	if (a->attach == 0 || m->id != a->attach || m->type != AGENT_ATTACH)
		return err_set(err, ERR_CLOSED, "this host's agent answered "
		    "something that was not asked");
	a->attach = 0;
	if ((m->result == 0 && m->fault != AGENT_FAULT_NONE) ||
	    m->result == ERR_STALE) {
		take_loss(a, m);
	} else if (m->result < 0) {
		return err_set(err, ERR_CLOSED, "this host's agent cannot say "
		    "whose the VM is");
	} else {
		if (a->away)
			log_event(LOG_LEVEL_INFO, "agent.back",
			    "the VM is still this one's");
		a->away = false;
		a->pause = 0;
	}
	return 0;
}

static int
send_attach(struct agent *a, struct err *err)
{
	struct agent_message m = { .type = AGENT_ATTACH, .epoch = a->epoch };
	int rc;

	memcpy(m.uuid, a->uuid, sizeof(m.uuid));
	memcpy(m.instance, a->instance, sizeof(m.instance));
	if ((rc = send_message(a, &m, now_ms(), err)) < 0)
		return rc;
	a->attach = m.id;
	a->aside_until = now_ms() + ASIDE_TIME;
	return 0;
}

/* Greets, and asks after the VM; the answers come when they come. */
static int
come(struct agent *a, bool wait, struct err *err)
{
	struct agent_message m = { .type = AGENT_HELLO,
		.version = AGENT_WIRE_VERSION };
	int rc;

	if ((rc = a->connect(a->arg, wait, &a->fd, err)) < 0) {
		a->fd = -1;
		return rc;
	}
	a->again_at = UINT64_MAX;
	if ((rc = send_message(a, &m, now_ms(), err)) < 0)
		return rc;
	a->hello = m.id;
	a->aside_until = now_ms() + ASIDE_TIME;
	return a->watching && !a->lost ? send_attach(a, err) : 0;
}

/* -- asking -- */

static const char *
advice(uint8_t fault)
{
	static const char *const texts[AGENT_FAULT_LAST + 1] = {
		[AGENT_FAULT_NONE] = "",
		[AGENT_FAULT_HOST] = ". See vtpmctl agent status here, and "
		    "vtactl status",
		[AGENT_FAULT_POLICY] = ". This host's firmware or software is "
		    "not what a policy of its group approves: see vtpmctl "
		    "agent status here, and vtactl status",
		[AGENT_FAULT_TOKEN] = ". This host has not attested: see "
		    "vtpmctl agent status",
		[AGENT_FAULT_GRANT] = ". See vtactl vm show",
		[AGENT_FAULT_EPOCH] = ". See vtactl vm show; a copy that was "
		    "put back on purpose is accepted by: vtactl vm "
		    "accept-restore; a host that is certainly down is put out "
		    "by: vtactl vm fence",
		[AGENT_FAULT_KMS] = ". See vtactl kms list",
		[AGENT_FAULT_AUTHORITY] = ". See vtactl status, and the log of "
		    "vta-kmxd",
		[AGENT_FAULT_AGENT] = ". See vtpmctl agent status, and the log "
		    "of vta-kmxa",
	};

	return texts[fault <= AGENT_FAULT_LAST ? fault : 0];
}

static int
refusal(const struct agent_message *q, const struct agent_message *m,
    struct err *err)
{
	char uuid[UUID_TEXT_SIZE], text[TEXT_MAX + 1];
	/* Of our own range; whoever sent another has a newer one. */
	int code = m->result < ERR_REFUSED ? ERR_REFUSED : m->result;

	copy_text(text, &m->text);
	if (q->type == AGENT_STATUS || q->type == AGENT_ATTEST)
		return err_set(err, code, "%s (%s)%s", text,
		    agent_fault_name(m->fault), advice(m->fault));
	uuid_format(q->uuid, uuid);
	return err_set(err, code, "the trust authority refuses %s of the VM "
	    "%s; at fault: %s: %s%s", agent_type_name(q->type), uuid,
	    agent_fault_name(m->fault), text, advice(m->fault));
}

static int
await(struct agent *a, const struct agent_message *q, uint64_t deadline,
    int timeout_ms, struct agent_message *answer, struct err *err)
{
	int rc;

	for (;;) {
		/* Also where it sends without end. */
		rc = now_ms() < deadline ? receive(a, deadline, answer, err) :
		    ERR_BUSY;
		if (rc == ERR_BUSY)
			return err_set(err, ERR_CLOSED, "this host's agent did "
			    "not answer %s within %d seconds: see its log "
			    "(journalctl -u vta-kmxa)",
			    agent_type_name(q->type), timeout_ms / 1000);
		if (rc < 0)
			return rc;
		if (answer->way == AGENT_ANSWER && answer->id == q->id &&
		    answer->type == q->type)
			return 0;
		if ((rc = take_aside(a, answer, err)) < 0)
			return rc;
	}
}

/* May be done twice where the first answer was lost with the connection. */
static bool
can_repeat(const struct agent_message *q)
{
	return q->type != AGENT_VM_CREATE && q->type != AGENT_REGISTER &&
	    q->type != AGENT_ATTEST;
}

static int
ask_once(struct agent *a, struct agent_message *q, uint64_t deadline,
    int timeout_ms, struct agent_message *answer, struct err *err)
{
	int rc;

	if (a->fd < 0 && (rc = come(a, true, err)) < 0)
		return rc;
	if ((rc = send_message(a, q, deadline, err)) < 0)
		return rc;
	return await(a, q, deadline, timeout_ms, answer, err);
}

int
agent_ask(struct agent *a, struct agent_message *q, int timeout_ms,
    struct agent_message *answer, struct err *err)
{
	uint64_t deadline = now_ms() + (uint64_t)timeout_ms;
	bool used = a->fd >= 0;
	struct err why = { 0 };
	int rc;

	q->way = AGENT_REQUEST;
	rc = ask_once(a, q, deadline, timeout_ms, answer, &why);
	/* The agent was restarted since the last request. */
	if (rc == ERR_CLOSED && used && can_repeat(q) && now_ms() < deadline) {
		drop(a, why.text);
		rc = ask_once(a, q, deadline, timeout_ms, answer, &why);
	}
	if (rc < 0) {
		/* A late answer must not meet another request. */
		drop(a, why.text);
		return err_set(err, rc, "%s", why.text);
	}
	if (answer->result < 0) {
		rc = refusal(q, answer, err);
		agent_forget(a);
	}
	return rc;
}

/* -- watching -- */

void
agent_watch(struct agent *a, const uint8_t uuid[UUID_SIZE], uint64_t epoch,
    const uint8_t instance[AGENT_INSTANCE_SIZE])
{
	struct err err = { 0 };

	a->watching = true;
	memcpy(a->uuid, uuid, sizeof(a->uuid));
	memcpy(a->instance, instance, sizeof(a->instance));
	a->epoch = epoch;
	if (a->fd < 0)
		a->again_at = now_ms();
	else if (send_attach(a, &err) < 0)
		drop(a, err.text);
}

void
agent_unwatch(struct agent *a)
{
	a->watching = false;
	a->again_at = UINT64_MAX;
}

int
agent_fd(const struct agent *a)
{
	return a != NULL ? a->fd : -1;
}

void
agent_readable(struct agent *a)
{
	struct agent_message m;
	struct err err = { 0 };
	int rc;

	if (agent_fd(a) < 0)
		return;
	if ((rc = receive(a, now_ms(), &m, &err)) == 0)
		rc = take_aside(a, &m, &err);
	agent_forget(a);
	if (rc < 0 && rc != ERR_BUSY)
		drop(a, err.text);
}

uint64_t
agent_due(const struct agent *a)
{
	if (a == NULL)
		return UINT64_MAX;
	if (a->fd >= 0)
		return a->hello != 0 || a->attach != 0 ? a->aside_until :
		    UINT64_MAX;
	return a->again_at;
}

void
agent_tick(struct agent *a)
{
	struct err err = { 0 };

	if (agent_due(a) > now_ms())
		return;
	if (a->fd >= 0)
		drop(a, "it does not answer");
	else if (come(a, false, &err) < 0)
		drop(a, err.text);
}
