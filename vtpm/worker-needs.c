/* SPDX-License-Identifier: BSD-3-Clause */
/* What the worker asks the monitor for: where libtpms keeps its state. */
#include "vtpm/worker-orders.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"

static struct journal *
journal(struct worker *w)
{
	return &w->channel.memory.shared->journal;
}

/* Needs are told with the lock held, so one at a time. Without a monitor there
 * is nothing left to do here. */
static void
tell(struct worker *w, enum need need, uint32_t arg, size_t size)
{
	struct message m = { .type = need, .arg = arg, .size = (uint32_t)size };

	if (channel_send(w->channel.needs, &m, -1) < 0)
		_exit(1);
}

static void
hear(struct worker *w, struct message *reply)
{
	int fd;

	if (channel_recv(w->channel.needs, reply, &fd) < 0)
		_exit(1);
}

static int
ask(struct worker *w, enum need need, uint32_t arg, size_t size,
    struct message *reply)
{
	tell(w, need, arg, size);
	hear(w, reply);
	return reply->result;
}

static int
load_given(struct worker *w, enum tpm_state which, const uint8_t **data,
    size_t *size)
{
	*data = w->channel.memory.shared->orders;
	*size = w->given.permanent;
	if (which == TPM_STATE_PERMANENT)
		return 0;
	*data += *size;
	*size = w->given.volatiles;
	return which == TPM_STATE_VOLATILE && *size > 0 ? 0 : ERR_NOTFOUND;
}

static int
load(void *ctx, enum tpm_state which, const uint8_t **data, size_t *size)
{
	struct worker *w = ctx;
	const struct journal_capture *c = journal_current(journal(w));
	struct message reply;
	int rc;

	if (w->resuming && which == TPM_STATE_VOLATILE) {
		*data = c->state;
		*size = c->size;
		if (c->size > sizeof(c->state))
			return ERR_FORMAT;
		return c->size > 0 ? 0 : ERR_NOTFOUND;
	}
	if (w->given.permanent > 0)
		return load_given(w, which, data, size);
	if ((rc = ask(w, NEED_LOAD, which, 0, &reply)) < 0)
		return rc;
	*data = w->channel.memory.shared->needs;
	*size = reply.size;
	return 0;
}

static int
store(void *ctx, enum tpm_state which, const uint8_t *data, size_t size)
{
	struct worker *w = ctx;
	struct message reply;

	if (w->preparing)
		return ERR_REFUSED;
	w->given.permanent = 0;
	if (size > sizeof(w->channel.memory.shared->needs))
		return ERR_FORMAT;
	memcpy(w->channel.memory.shared->needs, data, size);
	tell(w, NEED_STORE, w->running ? which | NEED_OF_COMMAND : which, size);
	/* libtpms stores last of all that a command does, so the volatile state
	 * is already what it will be (tests/unit/test-journal.c holds it to
	 * that). Capturing it costs nothing while the disk is busy. It counts only
	 * once there is an answer: a guest that is asked to try again uses its
	 * sessions as they were before. */
	if (w->running)
		w->prepared = journal_capture_prepare(journal(w)) == 0;
	hear(w, &reply);
	if (reply.result != 0)
		w->store_failed = true;
	return reply.result;
}

int
worker_setup_tpm(struct worker *w)
{
	w->storage = (struct tpm_storage){ .ctx = w, .load = load,
		.store = store };
	return tpm_setup(&w->storage) == TPM_RC_SUCCESS ? 0 : ERR_TPM;
}

bool
worker_may_run(struct worker *w)
{
	struct message reply;

	if (journal(w)->handed_out && ask(w, NEED_RECLAIM, 0, 0, &reply) < 0)
		return false;
	journal(w)->handed_out = false;
	return true;
}

void
worker_data_closed(struct worker *w)
{
	struct message reply;

	ask(w, NEED_DATA_CLOSED, w->data_number, 0, &reply);
}

void
worker_complain(struct worker *w, const char *text)
{
	struct message reply;
	size_t size = strlen(text);

	memcpy(w->channel.memory.shared->needs, text, size);
	ask(w, NEED_LOG, LOG_LEVEL_ERROR, size, &reply);
}
