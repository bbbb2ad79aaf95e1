/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/upgrade.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libtpms/tpm_error.h>

#include "base/log.h"
#include "vtpm/handover.h"
#include "vtpm/supervisor.h"

/* For starting and loading a state, which takes some 20 ms. */
#define TRIAL_TIMEOUT_MS 20000
#define SWITCH_TIMEOUT_MS 20000

uint64_t
upgrade_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int
upgrade_answer(struct client *c, uint32_t result, uint64_t pause_us,
    const char *text)
{
	uint8_t bytes[12 + ERR_TEXT_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	size_t size = strlen(text);

	buf_put_u32be(&b, result);
	buf_put_u32be(&b, (uint32_t)pause_us);
	buf_put_u32be(&b, (uint32_t)size);
	buf_put_bytes(&b, text, size);
	return client_send(c, bytes, 12 + size);
}

static void
leave(struct monitor *m)
{
	if (m->upgrade.sock >= 0)
		close(m->upgrade.sock);
	m->upgrade.sock = -1;
	m->upgrade.state = UPGRADE_NONE;
	m->upgrade.client = NULL;
}

static void
fail_with(struct monitor *m, uint32_t result, const char *why)
{
	log_event(LOG_LEVEL_ERROR, "upgrade.failed", "reason=\"%s\" "
	    "consequence=\"the running program goes on\"", why);
	if (m->upgrade.client != NULL)
		(void)upgrade_answer(m->upgrade.client, result, 0, why);
	leave(m);
}

static void
fail(struct monitor *m, const char *why)
{
	fail_with(m, TPM_FAIL, why);
}

/* Clients are served while the trial runs, so this is asked again after it: a
 * new monitor knows nothing of an end that was asked of this one, and a state
 * without its INIT is in this one's worker only. *result is TPM_RETRY where the
 * reason passes in a moment: then vtpmctl asks again. */
static const char *
why_not(const struct monitor *m, uint32_t *result)
{
	*result = TPM_FAIL;
	if (m->ending)
		return "the vTPM is ending";
	if (m->state_set)
		return "a state was brought in and waits for its INIT";
	if (storage_moves(m->storage))
		return "the state was handed out, or is awaited, and the VM "
		    "has not run since; try again";
	*result = TPM_RETRY;
	if (m->resuming)
		return "a worker is being replaced; try again";
	return NULL;
}

/* -- the trial -- */

/* Gives the installed program the document and leaves it its time. */
static int
start_trial(struct monitor *m, const struct handover_document *d,
    struct err *err)
{
	int ends[2] = { -1, -1 }, memory = -1, rc;

	if ((rc = handover_document_write(d, &memory, err)) < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		rc = err_sys(err, errno, "cannot make a socket pair");
		goto out;
	}
	if ((rc = supervisor_tell(m->supervisor, SUPERVISOR_TRIAL, ends[1],
	    err)) < 0 ||
	    (rc = handover_send(ends[0], HANDOVER_DOCUMENT, HANDOVER_VERSION,
	    NULL, 0, memory, err)) < 0)
		goto out;
	m->upgrade.state = UPGRADE_TRIAL;
	m->upgrade.deadline = monitor_now() + TRIAL_TIMEOUT_MS;
	m->upgrade.sock = ends[0];
	ends[0] = -1;
out:
	for (size_t i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	close(memory);
	return rc;
}

static void
peeked(struct monitor *m, struct client *c, const struct message *reply)
{
	const struct journal *j = &m->channel.memory.shared->journal;
	struct handover_document d = { .progress = journal_current(j)->progress };
	struct err err = { 0 };
	int rc;

	m->upgrade.client = c;
	if (reply->result == TPM_SUCCESS)
		d.volatile_state = (struct handover_bytes){
		    m->channel.memory.shared->orders, reply->size };
	rc = storage_load(m->storage, TPM_STATE_PERMANENT, &d.permanent.data,
	    &d.permanent.size, &err);
	if (rc == 0)
		rc = start_trial(m, &d, &err);
	if (rc < 0)
		fail(m, err.text);
}

void
upgrade_begin(struct monitor *m, struct client *c)
{
	struct message order = { .type = ORDER_PEEK_STATE };
	uint32_t result = TPM_RETRY;
	const char *why = m->upgrade.state != UPGRADE_NONE ?
	    "an upgrade is under way; try again" : why_not(m, &result);

	if (why != NULL) {
		(void)upgrade_answer(c, result, 0, why);
		return;
	}
	m->upgrade.state = UPGRADE_PEEK;
	monitor_order(m, c, &order, -1, peeked);
}

void
upgrade_trial_answered(struct monitor *m)
{
	struct handover_message answer;
	struct err err = { 0 };
	char text[HANDOVER_PAYLOAD + 64];
	int rc;

	rc = handover_recv(m->upgrade.sock, &answer, 0, &err);
	if (rc == ERR_BUSY) {
		fail(m, "the installed program hangs: it did not say within "
		    "20 seconds whether it takes a copy of the state");
		return;
	}
	if (rc < 0) {
		fail(m, "the installed program did not take a copy of the "
		    "state: it does not run, or is none that can take over; "
		    "see vtpmd's log");
		return;
	}
	if (answer.fd >= 0)
		close(answer.fd);
	if (answer.type != HANDOVER_READY) {
		snprintf(text, sizeof(text), "the installed program refuses "
		    "the state: %.*s", (int)answer.size,
		    (const char *)answer.payload);
		fail(m, text);
		return;
	}
	close(m->upgrade.sock);
	m->upgrade.sock = -1;
	m->upgrade.state = UPGRADE_PARK;
}

/* -- the switch -- */

bool
upgrade_wants_to_park(const struct monitor *m)
{
	return m->upgrade.state == UPGRADE_PARK;
}

static struct handover_bytes
pending_command(const struct journal *j)
{
	uint32_t size = *(const volatile uint32_t *)&j->command_size;

	if (atomic_load(&j->begun) == atomic_load(&j->run) ||
	    size > JOURNAL_COMMAND)
		return (struct handover_bytes){ NULL, 0 };
	return (struct handover_bytes){ j->command, size };
}

/* What the parked worker left in the journal, and ourselves. */
static int
fill_document(const struct monitor *m, struct handover_document *d,
    struct err *err)
{
	const struct journal *j = &m->channel.memory.shared->journal;
	const struct journal_capture *c = journal_current(j);
	enum journal_end end = journal_judge(j);
	/* Once: the worker could change it behind the check. */
	uint32_t size = *(const volatile uint32_t *)&c->size;

	if ((end != JOURNAL_IDLE && end != JOURNAL_RERUN) ||
	    size > sizeof(c->state))
		return err_set(err, ERR_TPM, "the TPM's volatile state could "
		    "not be captured");
	*d = (struct handover_document){ .progress = c->progress,
		.handed_out = j->handed_out,
		.volatile_state = { c->state, size },
		.command = pending_command(j), .powered = m->powered,
		.data_number = m->data_number,
		.parked_at = m->upgrade.parked_at };
	for (size_t i = 0; i < MONITOR_CLIENTS; i++) {
		const struct client *k = &m->clients[i];

		if (k->fd < 0)
			continue;
		d->clients[i] = (struct handover_client){ .there = true,
			.gave_data_fd = k->gave_data_fd,
			.asked = k == m->upgrade.client,
			.in = { k->in, k->in_size },
			.out = { k->out + k->out_done,
			    k->out_size - k->out_done } };
	}
	return 0;
}

static int
send_clients(const struct monitor *m, int sock, struct err *err)
{
	int rc;

	for (uint32_t i = 0; i < MONITOR_CLIENTS; i++) {
		const struct client *c = &m->clients[i];

		if (c->fd < 0)
			continue;
		if ((rc = handover_send(sock, HANDOVER_CLIENT, i, NULL, 0,
		    c->fd, err)) < 0)
			return rc;
		if (c->passed_fd >= 0 && (rc = handover_send(sock,
		    HANDOVER_PASSED, i, NULL, 0, c->passed_fd, err)) < 0)
			return rc;
	}
	return 0;
}

/* All that can go wrong on this side. */
static int
prepare(struct monitor *m, struct storage_handover *file, int *document,
    struct err *err)
{
	struct handover_document d;
	int rc;

	if ((rc = storage_hand_over(m->storage, file, err)) < 0 ||
	    (rc = fill_document(m, &d, err)) < 0)
		return rc;
	return handover_document_write(&d, document, err);
}

/* The key goes as a message: it is never in memory that can be swapped out. */
static int
send_all(const struct monitor *m, const struct storage_handover *file,
    int document, int sock, struct err *err)
{
	int rc;

	if ((rc = handover_send(sock, HANDOVER_DOCUMENT, HANDOVER_VERSION, NULL,
	    0, document, err)) < 0 ||
	    (rc = handover_send(sock, HANDOVER_FILE, 0, &file->secret,
	    sizeof(file->secret), file->file, err)) < 0 ||
	    (rc = handover_send(sock, HANDOVER_RECORD, file->record >= 0, NULL,
	    0, file->record, err)) < 0 ||
	    (rc = handover_send(sock, HANDOVER_DATA, m->data_fd >= 0, NULL, 0,
	    m->data_fd, err)) < 0 ||
	    (file->keys >= 0 && (rc = handover_send(sock, HANDOVER_KEYS, 0,
	    file->keys_key, sizeof(file->keys_key), file->keys, err)) < 0) ||
	    (rc = send_clients(m, sock, err)) < 0)
		return rc;
	return handover_send(sock, HANDOVER_END, 0, NULL, 0, -1, err);
}

static int
await_ready(int sock, struct err *err)
{
	struct handover_message answer;
	int rc = handover_recv(sock, &answer, SWITCH_TIMEOUT_MS, err);

	if (rc < 0)
		return rc;
	if (answer.fd >= 0)
		close(answer.fd);
	if (answer.type == HANDOVER_READY)
		return 0;
	return err_set(err, ERR_REFUSED, "%.*s", (int)answer.size,
	    (const char *)answer.payload);
}

/* A signal that nobody has read yet would go with this process. */
static int
not_asked_to_end(const struct monitor *m, struct err *err)
{
	struct pollfd p = { .fd = m->signal_fd, .events = POLLIN };

	if (poll(&p, 1, 0) != 1)
		return 0;
	return err_set(err, ERR_REFUSED, "the vTPM is ending");
}

/* Waits for the new one: nothing else may happen meanwhile. */
static int
hand_over(struct monitor *m, const struct storage_handover *file, int document,
    struct err *err)
{
	int ends[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, errno, "cannot make a socket pair");
	rc = supervisor_tell(m->supervisor, SUPERVISOR_SWITCH, ends[1], err);
	close(ends[1]);
	if (rc == 0)
		rc = send_all(m, file, document, ends[0], err);
	/* One that has gone already may have said why. */
	if (rc == 0 || rc == ERR_CLOSED)
		rc = await_ready(ends[0], err);
	if (rc == 0)
		rc = not_asked_to_end(m, err);
	if (rc == 0)
		rc = handover_send(ends[0], HANDOVER_GO, 0, NULL, 0, -1, err);
	close(ends[0]);
	return rc;
}

/* The supervisor is not replaced before all is ready to go: this monitor could
 * have no worker replaced any more. */
static int
switch_over(struct monitor *m, struct err *err)
{
	struct storage_handover file = { .file = -1, .record = -1,
		.keys = -1 };
	int document = -1, rc;

	rc = prepare(m, &file, &document, err);
	if (rc == 0)
		rc = hand_over(m, &file, document, err);
	if (document >= 0)
		close(document);
	cleanse(&file, sizeof(file));
	return rc;
}

static void
unparked(struct monitor *m, struct client *c, const struct message *reply)
{
	(void)m;
	(void)c;
	(void)reply;
}

static void
parked(struct monitor *m, struct client *c, const struct message *reply)
{
	struct message order = { .type = ORDER_UNPARK };
	uint32_t result;
	const char *why = why_not(m, &result);
	struct err err = { 0 };

	(void)c;
	if (reply->result != TPM_SUCCESS) {
		fail(m, "the TPM is busy with a long command; try again");
		return;
	}
	m->upgrade.parked_at = upgrade_clock();
	if (why == NULL && switch_over(m, &err) == 0) {
		log_info("handed over to the installed program");
		m->disowned = true;
		m->ended = true;
		return;
	}
	if (why != NULL)
		fail_with(m, result, why);
	else
		fail(m, err.text);
	monitor_order(m, NULL, &order, -1, unparked);
}

void
upgrade_park(struct monitor *m)
{
	struct message order = { .type = ORDER_PARK };
	uint32_t result;
	const char *why = why_not(m, &result);

	if (why != NULL) {
		fail_with(m, result, why);
		return;
	}
	m->upgrade.state = UPGRADE_SWITCH;
	monitor_order(m, NULL, &order, -1, parked);
}
