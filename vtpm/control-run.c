/* SPDX-License-Identifier: BSD-3-Clause */
/* What each command of the control channel does. */
#include "vtpm/control.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libtpms/tpm_error.h>

#include "base/err.h"
#include "base/log.h"
#include "base/secret.h"
#include "vtpm/tpm.h"
#include "vtpm/upgrade.h"
#include "vtpm/worker.h"

/* All that tpm_ioctl.h names but SEND_COMMAND_HEADER (bit 15), which is for
 * TPM commands over TCP. */
#define CAPABILITIES 0x17fffu

#define INIT_FLAG_DELETE_VOLATILE 1u
#define CONFIG_FLAG_FILE_KEY 1u

/* LOCK_STORAGE asks for so many tries, of so long each; QEMU for 300. */
#define LOCK_RETRIES_MAX 500u
#define LOCK_RETRY_MS 10u

/* In one piece: swtpm_ioctl takes what one read gives for the whole. */
int
control_answer_with(struct client *c, const uint32_t *words, size_t n,
    const void *data, size_t size)
{
	size_t whole = n * sizeof(*words) + size;
	uint8_t *bytes = malloc(whole);
	struct buf b = buf_writer(bytes, whole);
	int rc;

	if (bytes == NULL)
		return ERR_NOSPACE;
	for (size_t i = 0; i < n; i++)
		buf_put_u32be(&b, words[i]);
	buf_put_bytes(&b, data, size);
	rc = buf_ok(&b) ? client_send(c, bytes, whole) : ERR_INTERNAL;
	cleanse(bytes, whole);
	free(bytes);
	return rc;
}

int
control_answer(struct client *c, uint32_t result)
{
	return control_answer_with(c, &result, 1, NULL, 0);
}

/* The answer of most orders: the worker's result and nothing else. */
static void
result_done(struct monitor *m, struct client *c, const struct message *reply)
{
	(void)m;
	if (c != NULL)
		(void)control_answer(c, (uint32_t)reply->result);
}

static int
order_plain(struct monitor *m, struct client *c, enum order order,
    uint32_t arg, order_done *done)
{
	struct message q = { .type = order, .arg = arg };

	monitor_order(m, c, &q, -1, done);
	return 0;
}

static int
run_get_capability(struct monitor *m, struct client *c, struct buf *request)
{
	/* 7.2 reads one u64, 10.x a result and 32 bits: this suits both. */
	uint32_t words[] = { 0, CAPABILITIES };

	(void)m;
	(void)request;
	return control_answer_with(c, words, 2, NULL, 0);
}

static void
init_refused_done(struct monitor *m, struct client *c,
    const struct message *reply)
{
	(void)reply;
	m->powered = false;
	if (c != NULL)
		(void)control_answer(c, TPM_IOERROR);
}

/* libtpms has taken the state, but there is no place for it. */
static void
refuse_init(struct monitor *m, struct client *c, const struct err *why)
{
	struct message q = { .type = ORDER_STOP };

	log_event(LOG_LEVEL_ERROR, "migration.refused", "reason=\"%s\" "
	    "consequence=\"the TPM stays on the host that it comes from\"",
	    why->text);
	m->state_set = false;
	incoming_reset(&m->incoming);
	storage_give_up(m->storage);
	monitor_order(m, c, &q, -1, init_refused_done);
}

static void
init_done(struct monitor *m, struct client *c, const struct message *reply)
{
	uint32_t result = (uint32_t)reply->result;
	struct err err = { 0 };

	if (result == TPM_SUCCESS && storage_arrived(m->storage, &err) < 0) {
		refuse_init(m, c, &err);
		return;
	}

	m->powered = result == TPM_SUCCESS;
	m->state_set = false;
	incoming_reset(&m->incoming);
	if (!m->powered)
		storage_give_up(m->storage);
	if (!m->powered)
		log_error("the TPM does not start: libtpms says 0x%x", result);
	result_done(m, c, reply);
	if (m->powered && storage_holds_what_came(m->storage))
		control_acquire_file(m);
}

static void
init_delete_volatile_done(struct monitor *m, struct client *c,
    const struct message *reply)
{
	struct err err = { 0 };

	if (reply->result == TPM_SUCCESS &&
	    storage_drop_volatile(m->storage, &err) < 0)
		log_error("the stored volatile state stays: %s", err.text);
	init_done(m, c, reply);
}

static int
run_init(struct monitor *m, struct client *c, struct buf *request)
{
	struct message order = { .type = ORDER_INIT };
	uint32_t flags, result;
	bool discard;

	buf_get_u32be(request, &flags);
	if ((result = control_before_init(m, &discard)) != TPM_SUCCESS) {
		if (!discard)
			return control_answer(c, result);
		control_discard_state(m, c, result);
		return 0;
	}
	if (m->incoming.begun)
		order.arg = !storage_holds_what_came(m->storage);
	else
		monitor_give_state(m, &order);
	monitor_order(m, c, &order, -1,
	    (flags & INIT_FLAG_DELETE_VOLATILE) != 0 ?
	    init_delete_volatile_done : init_done);
	return 0;
}

static void
stop_done(struct monitor *m, struct client *c, const struct message *reply)
{
	m->powered = false;
	result_done(m, c, reply);
}

static int
run_stop(struct monitor *m, struct client *c, struct buf *request)
{
	(void)request;
	return order_plain(m, c, ORDER_STOP, 0, stop_done);
}

static void
shutdown_done(struct monitor *m, struct client *c, const struct message *reply)
{
	m->powered = false;
	result_done(m, c, reply);
	log_info("ending on CMD_SHUTDOWN");
	m->ending = true;
	m->ended = true;
}

static int
run_shutdown(struct monitor *m, struct client *c, struct buf *request)
{
	(void)request;
	return order_plain(m, c, ORDER_SHUTDOWN, 0, shutdown_done);
}

static void
established_done(struct monitor *m, struct client *c,
    const struct message *reply)
{
	/* One byte and its union's padding. */
	uint32_t words[] = { (uint32_t)reply->result, reply->arg << 24 };

	(void)m;
	if (c != NULL)
		(void)control_answer_with(c, words, 2, NULL, 0);
}

static int
run_get_established(struct monitor *m, struct client *c, struct buf *request)
{
	(void)request;
	return order_plain(m, c, ORDER_GET_ESTABLISHED, 0, established_done);
}

static int
run_reset_established(struct monitor *m, struct client *c,
    struct buf *request)
{
	uint8_t locality;

	buf_get_u8(request, &locality);
	return order_plain(m, c, ORDER_RESET_ESTABLISHED, locality,
	    result_done);
}

static int
run_set_locality(struct monitor *m, struct client *c, struct buf *request)
{
	uint8_t locality;

	buf_get_u8(request, &locality);
	if (locality > m->locality_max)
		return control_answer(c, TPM_BAD_LOCALITY);
	return order_plain(m, c, ORDER_SET_LOCALITY, locality, result_done);
}

static int
run_hash_start(struct monitor *m, struct client *c, struct buf *request)
{
	(void)request;
	return order_plain(m, c, ORDER_HASH_START, 0, result_done);
}

static int
run_hash_data(struct monitor *m, struct client *c, struct buf *request)
{
	struct message q = { .type = ORDER_HASH_DATA };

	buf_get_u32be(request, &q.size);
	buf_get_bytes(request, m->channel.memory.shared->orders, q.size);
	monitor_order(m, c, &q, -1, result_done);
	return 0;
}

static int
run_hash_end(struct monitor *m, struct client *c, struct buf *request)
{
	(void)request;
	return order_plain(m, c, ORDER_HASH_END, 0, result_done);
}

static int
run_cancel(struct monitor *m, struct client *c, struct buf *request)
{
	(void)request;
	kill(m->worker, WORKER_CANCEL_SIGNAL);
	return control_answer(c, TPM_SUCCESS);
}

static int
run_store_volatile(struct monitor *m, struct client *c, struct buf *request)
{
	(void)request;
	return order_plain(m, c, ORDER_STORE_VOLATILE, 0, result_done);
}

static int
run_get_config(struct monitor *m, struct client *c, struct buf *request)
{
	uint32_t words[] = { TPM_SUCCESS, CONFIG_FLAG_FILE_KEY };

	(void)m;
	(void)request;
	return control_answer_with(c, words, 2, NULL, 0);
}

static int
run_set_datafd(struct monitor *m, struct client *c, struct buf *request)
{
	struct message q = { .type = ORDER_DATA_FD };
	int fd = client_take_fd(c);

	(void)request;
	if (fd < 0) {
		log_warning("SET_DATAFD came without a descriptor");
		return control_answer(c, TPM_BAD_PARAMETER);
	}
	if (m->data_fd >= 0) {
		log_warning("refused SET_DATAFD: another data connection is "
		    "in use");
		close(fd);
		return control_answer(c, TPM_IOERROR);
	}
	m->data_fd = fd;
	q.arg = ++m->data_number;
	for (size_t i = 0; i < MONITOR_CLIENTS; i++)
		m->clients[i].gave_data_fd = &m->clients[i] == c;
	monitor_order(m, c, &q, fd, result_done);
	return 0;
}

static void
buffer_size_done(struct monitor *m, struct client *c,
    const struct message *reply)
{
	struct buf b = buf_reader(m->channel.memory.shared->orders, 8);
	uint32_t words[] = { (uint32_t)reply->result, reply->arg, 0, 0 };

	buf_get_u32be(&b, &words[2]);
	buf_get_u32be(&b, &words[3]);
	if (c != NULL)
		(void)control_answer_with(c, words, 4, NULL, 0);
}

static int
run_set_buffersize(struct monitor *m, struct client *c, struct buf *request)
{
	uint32_t wanted;

	buf_get_u32be(request, &wanted);
	return order_plain(m, c, ORDER_BUFFER_SIZE, wanted, buffer_size_done);
}

static void
get_info_done(struct monitor *m, struct client *c,
    const struct message *reply)
{
	uint32_t result = (uint32_t)reply->result, size = reply->size;

	if (c == NULL)
		return;
	if (result == TPM_SUCCESS && m->order.offset > size)
		result = TPM_BAD_PARAMETER;
	if (result != TPM_SUCCESS)
		(void)control_answer_with(c, (uint32_t[]){ result, 0, 0 }, 3, NULL, 0);
	else
		(void)control_answer_with(c, (uint32_t[]){ result, size,
		    size - m->order.offset }, 3,
		    m->channel.memory.shared->orders + m->order.offset,
		    size - m->order.offset);
}

static int
run_get_info(struct monitor *m, struct client *c, struct buf *request)
{
	uint64_t flags;

	buf_get_u64be(request, &flags);
	buf_get_u32be(request, &m->order.offset);
	return order_plain(m, c, ORDER_GET_INFO, (uint32_t)flags,
	    get_info_done);
}

/* The VM runs on here, though its state was handed out: in QEMU's order the
 * last word of a migration that failed, and of a snapshot. */
static int
run_lock_storage(struct monitor *m, struct client *c, struct buf *request)
{
	struct err err = { 0 };
	uint32_t retries;
	int rc;

	buf_get_u32be(request, &retries);
	if (retries > LOCK_RETRIES_MAX)
		retries = LOCK_RETRIES_MAX;
	control_end_session(m);
	rc = m->powered ? storage_reclaim(m->storage, retries * LOCK_RETRY_MS,
	    &err) : storage_own(m->storage, retries * LOCK_RETRY_MS, &err);
	if (rc < 0)
		log_error("LOCK_STORAGE: %s", err.text);
	return control_answer(c, rc < 0 ? TPM_IOERROR : TPM_SUCCESS);
}

static int
run_upgrade(struct monitor *m, struct client *c, struct buf *request)
{
	(void)request;
	upgrade_begin(m, c);
	return 0;
}

static const struct command upgrade_command = { "UPGRADE",
	.run = run_upgrade };

/* By number, 0 is none. */
static const struct command control_commands[CMD_LAST + 1] = {
	[CMD_GET_CAPABILITY] = { "GET_CAPABILITY", .any_time = true,
	    .run = run_get_capability },
	[CMD_INIT] = { "INIT", 4, 4, .changes = true, .run = run_init },
	[CMD_SHUTDOWN] = { "SHUTDOWN", .run = run_shutdown },
	[CMD_GET_TPMESTABLISHED] = { "GET_TPMESTABLISHED", .powered = true,
	    .run = run_get_established },
	[CMD_SET_LOCALITY] = { "SET_LOCALITY", 1, 4, .powered = true,
	    .run = run_set_locality },
	[CMD_HASH_START] = { "HASH_START", .powered = true,
	    .changes = true, .owns = true, .run = run_hash_start },
	[CMD_HASH_DATA] = { "HASH_DATA", 4, 4, .length_at = 4,
	    .powered = true, .changes = true, .run = run_hash_data },
	[CMD_HASH_END] = { "HASH_END", .powered = true, .changes = true,
	    .run = run_hash_end },
	[CMD_CANCEL_TPM_CMD] = { "CANCEL_TPM_CMD", .any_time = true,
	    .run = run_cancel },
	[CMD_STORE_VOLATILE] = { "STORE_VOLATILE", .powered = true,
	    .owns = true, .run = run_store_volatile },
	[CMD_RESET_TPMESTABLISHED] = { "RESET_TPMESTABLISHED", 1, 4,
	    .powered = true, .changes = true, .owns = true,
	    .run = run_reset_established },
	[CMD_GET_STATEBLOB] = { "GET_STATEBLOB", 12, 12,
	    .run = control_get_state },
	[CMD_SET_STATEBLOB] = { "SET_STATEBLOB", 12, 12, .length_at = 12,
	    .stopped = true, .changes = true, .run = control_set_state },
	[CMD_STOP] = { "STOP", .changes = true, .run = run_stop },
	[CMD_GET_CONFIG] = { "GET_CONFIG", .any_time = true,
	    .run = run_get_config },
	[CMD_SET_DATAFD] = { "SET_DATAFD", .run = run_set_datafd },
	[CMD_SET_BUFFERSIZE] = { "SET_BUFFERSIZE", 4, 4,
	    .run = run_set_buffersize },
	[CMD_GET_INFO] = { "GET_INFO", 12, 16, .run = run_get_info },
	[CMD_LOCK_STORAGE] = { "LOCK_STORAGE", 4, 4, .any_time = true,
	    .run = run_lock_storage },
};

const struct command *
control_command(uint32_t number)
{
	if (number == CMD_UPGRADE)
		return &upgrade_command;
	return number == 0 || number > CMD_LAST ? NULL :
	    &control_commands[number];
}
