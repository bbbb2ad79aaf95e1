/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's requests, as a table: which there are, when each is allowed,
 * how large. A worker that breaks a rule has been taken over or is broken. */
#include "vtpm/control.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define LOG_TEXT_MAX 512
#define LOG_LINES_A_SECOND 20

enum allowed {
	ALWAYS,
	WHILE_POWERED,		/* or an order is under way */
};

/* Behind what lies there; how much that is then. */
static size_t
give(struct monitor *m, enum tpm_state which, size_t at)
{
	const uint8_t *data;
	size_t size;

	if (storage_load(m->storage, which, &data, &size, NULL) < 0 ||
	    size == 0 || size > CHANNEL_AREA_SIZE - at)
		return 0;
	memcpy(m->channel.memory.shared->orders + at, data, size);
	return size;
}

void
monitor_give_state(struct monitor *m, struct message *order)
{
	order->size = order->arg = 0;
	if (m->powered)
		return;
	order->size = (uint32_t)give(m, TPM_STATE_PERMANENT, 0);
	if (order->size > 0)
		order->arg = (uint32_t)give(m, TPM_STATE_VOLATILE, order->size);
}

static int
need_load(struct monitor *m, const struct message *q, struct message *reply)
{
	const uint8_t *data;
	struct err err = { 0 };
	size_t size;
	int rc;

	/* What was brought in is whole without it: the one in the file belongs
	 * to the permanent state there, which may be another. */
	if (m->incoming.begun && q->arg == TPM_STATE_VOLATILE)
		return ERR_NOTFOUND;
	rc = storage_load(m->storage, (enum tpm_state)q->arg, &data, &size,
	    &err);
	if (rc < 0)
		return rc;
	if (size > sizeof(m->channel.memory.shared->needs))
		return ERR_FORMAT;
	memcpy(m->channel.memory.shared->needs, data, size);
	reply->size = (uint32_t)size;
	return 0;
}

/* It can be taken back if it is all that the command stored. */
static void
note_stored(struct monitor *m)
{
	uint64_t begun =
	    atomic_load(&m->channel.memory.shared->journal.begun);

	m->stored.again = m->stored.at == begun;
	m->stored.at = begun;
}

static int
need_store(struct monitor *m, const struct message *q, struct message *reply)
{
	struct err err = { 0 };
	int rc;

	(void)reply;
	monitor_was_busy(m);
	rc = storage_store(m->storage,
	    (enum tpm_state)(q->arg & ~NEED_OF_COMMAND),
	    m->channel.memory.shared->needs, q->size, &err);
	if (rc == 0 && (q->arg & NEED_OF_COMMAND) != 0)
		note_stored(m);
	if (rc < 0)
		log_event(LOG_LEVEL_ERROR, "storage.unavailable", "error=\"%s\" "
		    "consequence=\"the command is undone and answered "
		    "TPM_RC_NV_UNAVAILABLE; nothing stored is lost\"",
		    err.text);
	return rc;
}

static int
need_log(struct monitor *m, const struct message *q, struct message *reply)
{
	char text[LOG_TEXT_MAX + 1];

	(void)reply;
	if (monitor_now() / 1000 != m->log_second) {
		m->log_second = monitor_now() / 1000;
		m->log_lines = 0;
	}
	if (m->log_lines++ >= LOG_LINES_A_SECOND)
		return 0;
	memcpy(text, m->channel.memory.shared->needs, q->size);
	text[q->size] = '\0';
	log_line(q->arg > LOG_LEVEL_DEBUG ? LOG_LEVEL_ERROR :
	    (enum log_level)q->arg, "worker: %s", text);
	return 0;
}

static int
need_data_closed(struct monitor *m, const struct message *q,
    struct message *reply)
{
	(void)reply;
	/* Another one may have come since. */
	if (q->arg != m->data_number)
		return 0;
	log_info("the data connection has ended");
	if (m->data_fd >= 0)
		close(m->data_fd);
	m->data_fd = -1;
	return 0;
}

static int
need_reclaim(struct monitor *m, const struct message *q,
    struct message *reply)
{
	struct err err = { 0 };
	int rc;

	(void)q;
	(void)reply;
	monitor_was_busy(m);
	control_end_session(m);
	if ((rc = storage_reclaim(m->storage, 0, &err)) < 0)
		log_warning("a command is answered TPM_RC_NV_UNAVAILABLE and "
		    "not run: %s", err.text);
	return rc;
}

static const struct {
	const char *name;
	enum allowed allowed;
	uint32_t size_max;
	int (*serve)(struct monitor *m, const struct message *q,
	    struct message *reply);
} needs[NEED_LAST + 1] = {
	[NEED_LOAD] = { "LOAD", WHILE_POWERED, 0, need_load },
	[NEED_STORE] = { "STORE", WHILE_POWERED, CHANNEL_AREA_SIZE,
	    need_store },
	[NEED_LOG] = { "LOG", ALWAYS, LOG_TEXT_MAX, need_log },
	[NEED_RECLAIM] = { "RECLAIM", WHILE_POWERED, 0, need_reclaim },
	[NEED_DATA_CLOSED] = { "DATA_CLOSED", ALWAYS, 0, need_data_closed },
};

static bool
is_allowed(const struct monitor *m, enum allowed allowed)
{
	switch (allowed) {
	case ALWAYS:
		return true;
	case WHILE_POWERED:
		return m->powered || m->order.active;
	}
	return false;
}

int
monitor_serve_need(struct monitor *m)
{
	struct message q, reply;
	int fd, rc;

	if ((rc = channel_recv(m->channel.needs, &q, &fd)) < 0)
		return ERR_CLOSED;
	if (fd >= 0) {
		close(fd);
		m->broke_rules = true;
		log_event(LOG_LEVEL_ERROR, "worker.broke-rules",
		    "a descriptor came with a request");
		return ERR_CLOSED;
	}
	if (q.type == 0 || q.type > NEED_LAST ||
	    q.size > needs[q.type].size_max ||
	    !is_allowed(m, needs[q.type].allowed)) {
		m->broke_rules = true;
		log_event(LOG_LEVEL_ERROR, "worker.broke-rules",
		    "request=%u size=%u: not allowed now", q.type, q.size);
		return ERR_CLOSED;
	}
	reply = (struct message){ .type = q.type };
	reply.result = needs[q.type].serve(m, &q, &reply);
	log_debug("worker asked %s(%u) size %u: %d", needs[q.type].name, q.arg,
	    q.size, reply.result);
	return channel_send(m->channel.needs, &reply, -1);
}
