/* SPDX-License-Identifier: BSD-3-Clause */
/* The new monitor takes what the old one gives. */
#include <config.h>

#include "vtpm/upgrade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libtpms/tpm_error.h>

#include "base/log.h"
#include "vtpm/handover.h"
#include "vtpm/supervisor.h"

/* The old one has nothing else to do. */
#define WORD_TIMEOUT_MS 10000

_Static_assert(HANDOVER_CLIENTS == MONITOR_CLIENTS, "one place for each");

static int
strange(struct handover_message *m, struct err *err)
{
	if (m->fd >= 0)
		close(m->fd);
	return err_set(err, ERR_FORMAT, "message %u is not what comes here",
	    m->type);
}

/* The next message, of this type; with a descriptor unless arg says that there
 * is none. */
static int
expect(int sock, enum handover_type type, struct handover_message *m,
    struct err *err)
{
	int rc = handover_recv(sock, m, WORD_TIMEOUT_MS, err);

	if (rc < 0)
		return rc;
	if (m->type != type || (m->arg != 0 && m->fd < 0))
		return strange(m, err);
	return 0;
}

static int
copy_bytes(const struct handover_bytes *from, uint8_t **to, size_t *size)
{
	if (from->size == 0)
		return 0;
	if ((*to = malloc(from->size)) == NULL)
		return ERR_NOSPACE;
	memcpy(*to, from->data, from->size);
	*size = from->size;
	return 0;
}

static int
take_document(struct monitor *m, const struct handover_document *d,
    struct err *err)
{
	struct journal *j = &m->channel.memory.shared->journal;

	if (journal_import(j, &d->progress, d->volatile_state.data,
	    d->volatile_state.size, d->command.data, d->command.size) < 0)
		return err_set(err, ERR_FORMAT, "the handed-over TPM state is "
		    "too large");
	j->handed_out = d->handed_out;
	m->powered = d->powered;
	m->data_number = d->data_number;
	m->upgrade.parked_at = d->parked_at;
	m->upgrade.command_waits = d->command.size > 0;
	for (size_t i = 0; i < MONITOR_CLIENTS; i++) {
		const struct handover_client *from = &d->clients[i];
		struct client *c = &m->clients[i];

		c->gave_data_fd = from->gave_data_fd;
		if (from->asked)
			m->upgrade.client = c;
		if (copy_bytes(&from->in, &c->in, &c->in_size) < 0 ||
		    copy_bytes(&from->out, &c->out, &c->out_size) < 0)
			return err_set(err, ERR_NOSPACE, "out of memory");
		c->in_room = c->in_size;
	}
	return 0;
}

static int
receive_document(struct monitor *m, int sock, struct err *err)
{
	struct handover_message q;
	struct handover_document d;
	size_t size;
	void *map;
	int rc;

	if ((rc = expect(sock, HANDOVER_DOCUMENT, &q, err)) < 0)
		return rc;
	if (q.fd < 0)
		return strange(&q, err);
	rc = handover_document_read(&d, q.fd, &map, &size, err);
	close(q.fd);
	if (rc < 0)
		return rc;
	rc = take_document(m, &d, err);
	munmap(map, size);
	return rc;
}

static int
receive_storage(struct monitor *m, int sock, const char *path,
    struct err *err)
{
	struct storage_handover file = { .file = -1, .record = -1 };
	struct handover_message q;
	int rc;

	if ((rc = expect(sock, HANDOVER_FILE, &q, err)) < 0)
		return rc;
	if (q.fd < 0 || q.size != sizeof(file.secret)) {
		rc = strange(&q, err);
		goto out;
	}
	memcpy(&file.secret, q.payload, sizeof(file.secret));
	file.file = q.fd;
	if ((rc = expect(sock, HANDOVER_RECORD, &q, err)) < 0) {
		close(file.file);
		goto out;
	}
	file.record = q.fd;
	rc = storage_adopt(&m->storage, &file, path, m->agent, err);
out:
	cleanse(&file, sizeof(file));
	cleanse(&q, sizeof(q));
	return rc;
}

static int
receive_clients(struct monitor *m, int sock, struct err *err)
{
	struct handover_message q;
	int rc;

	for (;;) {
		if ((rc = handover_recv(sock, &q, WORD_TIMEOUT_MS, err)) < 0)
			return rc;
		if (q.type == HANDOVER_END)
			break;
		if (q.type == HANDOVER_KEYS && q.fd >= 0 &&
		    q.size == MIGRATE_TABLE_KEY_SIZE) {
			storage_adopt_keys(m->storage, q.fd, q.payload);
			cleanse(&q, sizeof(q));
			continue;
		}
		if (q.fd < 0 || q.arg >= MONITOR_CLIENTS ||
		    (q.type != HANDOVER_CLIENT && q.type != HANDOVER_PASSED))
			return strange(&q, err);
		if (q.type == HANDOVER_CLIENT)
			m->clients[q.arg].fd = q.fd;
		else
			m->clients[q.arg].passed_fd = q.fd;
	}
	return 0;
}

int
upgrade_receive(struct monitor *m, int sock, const char *path,
    struct err *err)
{
	struct handover_message q;
	int rc;

	m->upgrade.sock = sock;
	m->upgrade.state = UPGRADE_TAKING_OVER;
	m->disowned = true;
	if ((rc = receive_document(m, sock, err)) < 0 ||
	    (rc = receive_storage(m, sock, path, err)) < 0 ||
	    (rc = expect(sock, HANDOVER_DATA, &q, err)) < 0)
		return rc;
	m->data_fd = q.fd;
	return receive_clients(m, sock, err);
}

void
upgrade_refuse(int sock, const struct err *err)
{
	size_t size = strlen(err->text);

	if (size > HANDOVER_PAYLOAD)
		size = HANDOVER_PAYLOAD;
	(void)handover_send(sock, HANDOVER_FAILED, 0, err->text, size, -1,
	    NULL);
}

static void
give_up(struct monitor *m, struct err *err)
{
	upgrade_refuse(m->upgrade.sock, err);
	m->exit_status = 1;
	m->ended = true;
}

static void
data_given(struct monitor *m, struct client *c, const struct message *reply)
{
	(void)m;
	(void)c;
	(void)reply;
}

/* The file is ours: clients are served, the guest goes on. */
static void
take_charge(struct monitor *m)
{
	struct message order = { .type = ORDER_DATA_FD,
		.arg = m->data_number };
	uint64_t pause = upgrade_clock() - m->upgrade.parked_at;
	struct err err = { 0 };
	char text[64];

	m->disowned = false;
	close(m->upgrade.sock);
	m->upgrade.sock = -1;
	m->upgrade.state = UPGRADE_NONE;
	m->resuming = false;
	if (m->data_fd >= 0)
		monitor_order(m, NULL, &order, m->data_fd, data_given);
	if (supervisor_tell(m->supervisor, SUPERVISOR_READY, -1, &err) < 0)
		log_error("%s", err.text);
	if (storage_note_version(m->storage, tpm_library_version(), &err) < 0)
		log_warning("%s", err.text);
	snprintf(text, sizeof(text), "vtpmd %s with libtpms %u.%u.%u",
	    PACKAGE_VERSION, tpm_library_version() >> 16 & 0xff,
	    tpm_library_version() >> 8 & 0xff, tpm_library_version() & 0xff);
	log_event(LOG_LEVEL_INFO, "upgrade.done", "program=\"%s\" "
	    "paused_us=%llu worker=%d", text, (unsigned long long)pause,
	    (int)m->worker);
	if (m->upgrade.client != NULL)
		(void)upgrade_answer(m->upgrade.client, TPM_SUCCESS, pause,
		    text);
	m->upgrade.client = NULL;
}

static void
resumed(struct monitor *m, struct client *c, const struct message *reply)
{
	struct handover_message word;
	struct err err = { 0 };

	(void)c;
	if (reply->result != TPM_SUCCESS) {
		err_set(&err, ERR_TPM, "libtpms does not take the state: "
		    "0x%x", (unsigned int)reply->result);
		give_up(m, &err);
		return;
	}
	/* Without its word the old one goes on itself. It is waited for without
	 * a limit: whoever gave up just when the word comes would leave the
	 * file to nobody. */
	if (handover_send(m->upgrade.sock, HANDOVER_READY, 0, NULL, 0, -1,
	    &err) < 0 || handover_recv(m->upgrade.sock, &word, -1, &err) < 0 ||
	    word.type != HANDOVER_GO) {
		log_error("cannot take over: %s", err.text);
		m->exit_status = 1;
		m->ended = true;
		return;
	}
	take_charge(m);
}

void
upgrade_finish(struct monitor *m)
{
	struct message order = { .type = ORDER_RESUME,
		.arg = m->upgrade.command_waits ? RESUME_RERUN :
		    RESUME_QUIETLY };

	m->resuming = true;
	monitor_order(m, NULL, &order, -1, resumed);
}
