/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET_STATEBLOB and SET_STATEBLOB. QEMU asks for decrypted blobs (qemu
 * backends/tpm/tpm_emulator.c, tpm_emulator_get_state_blob) and gets sealed
 * ones, which it hands to the other side with the flags that they came with.
 */
#include "vtpm/control.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>

#include "base/err.h"
#include "base/log.h"
#include "base/secret.h"
#include "vtpm/tpm.h"

/* tpm_ioctl.h: PTM_STATE_FLAG_ENCRYPTED. */
#define STATE_FLAG_ENCRYPTED 2u

/* For the source to let go of a file that both use. */
#define OWN_WAIT_MS 3000

static uint32_t
bit(uint32_t kind)
{
	return 1u << kind;
}

static bool
is_sealed_kind(uint32_t kind)
{
	return kind == TPM_STATE_PERMANENT || kind == TPM_STATE_VOLATILE;
}

static uint64_t
commands_begun(const struct monitor *m)
{
	return atomic_load(&m->channel.memory.shared->journal.begun);
}

/* -- out -- */

void
control_forget_blob(struct monitor *m)
{
	free(m->outgoing.blob);
	m->outgoing.blob = NULL;
	m->outgoing.blob_size = 0;
}

void
control_end_session(struct monitor *m)
{
	control_forget_blob(m);
	envelope_session_free(m->outgoing.session);
	m->outgoing.session = NULL;
}

/* What belongs together is of one moment: no command has run in between. */
static bool
session_goes_on(const struct monitor *m, uint32_t kind)
{
	return m->outgoing.session != NULL &&
	    (m->outgoing.members & ~m->outgoing.given & bit(kind)) != 0 &&
	    m->outgoing.begun == commands_begun(m);
}

static bool
has_volatile(const struct monitor *m)
{
	const uint8_t *data;
	size_t size;

	return m->powered || storage_load(m->storage, TPM_STATE_VOLATILE,
	    &data, &size, NULL) == 0;
}

static int
begin_session(struct monitor *m, struct err *err)
{
	control_end_session(m);
	m->outgoing.given = 0;
	m->outgoing.members = bit(TPM_STATE_PERMANENT) |
	    (has_volatile(m) ? bit(TPM_STATE_VOLATILE) : 0);
	m->outgoing.begun = m->outgoing.asked;
	return storage_hand_out(m->storage, &m->outgoing.session, err);
}

/* Seals the state in the shared memory into m->outgoing.blob. */
static int
seal(struct monitor *m, uint32_t kind, size_t size, struct err *err)
{
	struct envelope e = { .kind = kind,
		.epoch = storage_header(m->storage)->epoch,
		.made = (uint64_t)time(NULL),
		.state_version = tpm_library_version() };
	int rc;

	memcpy(e.name, storage_header(m->storage)->name, sizeof(e.name));
	control_forget_blob(m);
	if (!session_goes_on(m, kind) && (rc = begin_session(m, err)) < 0)
		return rc;
	e.members = m->outgoing.members;
	if ((rc = envelope_seal(m->outgoing.session, &e,
	    m->channel.memory.shared->orders, size, &m->outgoing.blob,
	    &m->outgoing.blob_size, err)) < 0)
		return rc;
	m->outgoing.kind = kind;
	m->outgoing.given |= bit(kind);
	if (m->outgoing.given == m->outgoing.members &&
	    (rc = storage_sent(m->storage, err)) < 0)
		return rc;
	if (m->outgoing.given == m->outgoing.members)
		storage_lend(m->storage);
	return 0;
}

static int
send_blob(struct client *c, uint32_t result, uint32_t flags,
    const uint8_t *blob, size_t size, size_t offset)
{
	uint32_t words[] = { result, 0, 0, 0 };

	if (result == TPM_SUCCESS && offset > size)
		words[0] = TPM_BAD_PARAMETER;
	if (words[0] != TPM_SUCCESS)
		return control_answer_with(c, words, 4, NULL, 0);
	words[1] = flags;
	words[2] = (uint32_t)size;
	words[3] = (uint32_t)(size - offset);
	return control_answer_with(c, words, 4, blob + offset, size - offset);
}

static void
get_state_done(struct monitor *m, struct client *c,
    const struct message *reply)
{
	uint32_t kind = m->order.message.arg;
	uint32_t result = (uint32_t)reply->result;
	struct err err = { 0 };

	monitor_was_busy(m);
	if (c == NULL)
		return;
	if (result != TPM_SUCCESS || !is_sealed_kind(kind) ||
	    (reply->size == 0 && !has_volatile(m))) {
		(void)send_blob(c, result, 0, NULL, 0, m->order.offset);
		return;
	}
	if (seal(m, kind, reply->size, &err) < 0) {
		control_end_session(m);
		log_event(LOG_LEVEL_ERROR, "migration.failed", "reason=\"%s\" "
		    "consequence=\"the state stays here, and the guest runs "
		    "on\"", err.text);
		result = TPM_FAIL;
	}
	(void)send_blob(c, result, STATE_FLAG_ENCRYPTED, m->outgoing.blob,
	    m->outgoing.blob_size, m->order.offset);
}

int
control_get_state(struct monitor *m, struct client *c, struct buf *request)
{
	struct message q = { .type = ORDER_GET_STATE };
	uint32_t flags, offset;

	buf_get_u32be(request, &flags);
	buf_get_u32be(request, &q.arg);
	buf_get_u32be(request, &offset);
	/* The rest of a blob that was begun: sealed anew it would be another
	 * one. */
	if (offset > 0 && m->outgoing.blob != NULL &&
	    m->outgoing.kind == q.arg)
		return send_blob(c, TPM_SUCCESS, STATE_FLAG_ENCRYPTED,
		    m->outgoing.blob, m->outgoing.blob_size, offset);
	if (offset > 0)
		return send_blob(c, TPM_BAD_PARAMETER, 0, NULL, 0, 0);
	m->order.offset = 0;
	m->outgoing.asked = commands_begun(m);
	monitor_order(m, c, &q, -1, get_state_done);
	return 0;
}

/* -- in -- */

static uint32_t
result_of(int rc)
{
	switch (rc) {
	case ERR_FORMAT:
		return TPM_BAD_PARAMETER;
	case ERR_AUTH:
		return TPM_DECRYPT_ERROR;
	case ERR_KEY:
		return TPM_KEYNOTFOUND;
	case ERR_UNSUPPORTED:
		return TPM_BAD_VERSION;
	case ERR_BUSY:
		return TPM_RETRY;
	case ERR_STALE:
	case ERR_REFUSED:
		return TPM_BAD_MIGRATION;
	default:
		return TPM_FAIL;
	}
}

static const char *
kind_name(uint32_t kind)
{
	return kind == TPM_STATE_PERMANENT ? "permanent" :
	    kind == TPM_STATE_VOLATILE ? "volatile" : "other";
}

static void
discarded(struct monitor *m, struct client *c, const struct message *reply)
{
	(void)reply;
	m->state_set = false;
	if (c != NULL)
		(void)control_answer(c, m->refused_with);
}

void
control_discard_state(struct monitor *m, struct client *c, uint32_t result)
{
	struct message q = { .type = ORDER_SET_STATE,
		.arg = TPM_STATE_PERMANENT, .size = 1 };

	incoming_reset(&m->incoming);
	storage_give_up(m->storage);
	if (!m->state_set) {
		if (c != NULL)
			(void)control_answer(c, result);
		return;
	}
	m->refused_with = result;
	/* libtpms forgets what it has taken when it refuses a permanent
	 * state. */
	m->channel.memory.shared->orders[0] = 0;
	monitor_order(m, c, &q, -1, discarded);
}

static void
tell_refused(uint32_t kind, const struct err *err)
{
	log_event(LOG_LEVEL_ERROR, "migration.refused", "kind=%s "
	    "reason=\"%s\" consequence=\"the nvram file is as it was\"",
	    kind_name(kind), err->text);
}

static void
set_state_done(struct monitor *m, struct client *c,
    const struct message *reply)
{
	struct err err = { 0 };

	cleanse(m->channel.memory.shared->orders, m->order.message.size);
	if (reply->result == TPM_SUCCESS) {
		m->state_set = true;
		if (c != NULL)
			(void)control_answer(c, TPM_SUCCESS);
		return;
	}
	err_set(&err, ERR_TPM, "libtpms does not take it: 0x%x",
	    (uint32_t)reply->result);
	tell_refused(m->order.message.arg, &err);
	control_discard_state(m, c, (uint32_t)reply->result);
}

/* Opens the blob; the state is then in *state. */
static int
open_blob(struct monitor *m, uint32_t kind, const uint8_t *bytes, size_t size,
    struct secret **state, struct err *err)
{
	struct envelope e;
	int rc;

	if ((rc = storage_open_blob(m->storage, OWN_WAIT_MS, bytes, size, &e,
	    state, err)) < 0)
		return rc;
	return incoming_add(&m->incoming, &e, kind, tpm_library_version(),
	    err);
}

int
control_set_state(struct monitor *m, struct client *c, struct buf *request)
{
	struct message q = { .type = ORDER_SET_STATE };
	struct secret *state = NULL;
	const uint8_t *bytes;
	struct err err = { 0 };
	uint32_t flags, size;
	int rc;

	buf_get_u32be(request, &flags);
	buf_get_u32be(request, &q.arg);
	buf_get_u32be(request, &size);
	buf_get_ref(request, &bytes, size);
	/* QEMU leaves empty ones out, others send them. */
	if (size == 0)
		return control_answer(c, q.arg == TPM_STATE_VOLATILE ||
		    q.arg == TPM_STATE_SAVESTATE ? TPM_SUCCESS :
		    TPM_BAD_PARAMETER);
	if ((rc = open_blob(m, q.arg, bytes, size, &state, &err)) == 0) {
		q.size = (uint32_t)secret_size(state);
		memcpy(m->channel.memory.shared->orders, secret_bytes(state),
		    q.size);
	}
	secret_free(state);
	if (rc == 0) {
		monitor_order(m, c, &q, -1, set_state_done);
		return 0;
	}
	tell_refused(q.arg, &err);
	control_discard_state(m, c, result_of(rc));
	return 0;
}

void
control_acquire_file(struct monitor *m)
{
	struct err err = { 0 };

	/* It is tried again before a command runs. */
	if (storage_own(m->storage, 0, &err) < 0)
		log_warning("the file is held, but not acquired yet: %s",
		    err.text);
}

uint32_t
control_before_init(struct monitor *m, bool *discard)
{
	struct err err = { 0 };
	int rc;

	*discard = false;
	if (!m->incoming.begun) {
		if (storage_reclaim(m->storage, OWN_WAIT_MS, &err) == 0)
			return TPM_SUCCESS;
		log_error("INIT: %s", err.text);
		return TPM_IOERROR;
	}
	if ((rc = incoming_complete(&m->incoming, &err)) == 0 &&
	    (rc = storage_receive(m->storage, &err)) == 0)
		return TPM_SUCCESS;
	log_event(LOG_LEVEL_ERROR, "migration.refused", "reason=\"%s\" "
	    "consequence=\"the nvram file is as it was\"", err.text);
	*discard = true;
	return result_of(rc);
}
