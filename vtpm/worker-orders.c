/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/worker-orders.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libtpms/tpm_error.h>

#include "base/buf.h"
#include "vtpm/give-back.h"
#include "vtpm/worker.h"

/* For how long a command may keep the worker from being parked: 10 s. */
#define PARK_PAUSE_NS 1000000
#define PARK_TRIES 10000

static struct journal *
journal(struct worker *w)
{
	return &w->channel.memory.shared->journal;
}

void
worker_make_orderly(struct worker *w)
{
	if (!journal(w)->handed_out)
		tpm_make_orderly();
}

/* What hash and establishment functions of libtpms need. */
static bool
is_off(void)
{
	return !tpm_powered();
}

static uint32_t
order_data_fd(struct worker *w, struct message *m, int fd)
{
	if (fd < 0)
		return TPM_BAD_PARAMETER;
	/* Wakes the data thread out of its read. */
	if (w->data_fd >= 0)
		shutdown(w->data_fd, SHUT_RDWR);
	if (w->next_data_fd >= 0)
		close(w->next_data_fd);
	w->next_data_fd = fd;
	w->next_data_number = m->arg;
	pthread_cond_signal(&w->data_fd_came);
	return TPM_SUCCESS;
}

/* State that came by ORDER_SET_STATE, and is not the file's already, becomes
 * that only here, when libtpms has taken it. */
static uint32_t
keep_new_state(struct worker *w)
{
	uint8_t *data;
	size_t size;
	uint32_t rc;

	rc = tpm_state_get(TPM_STATE_PERMANENT, &data, &size);
	if (rc == TPM_SUCCESS &&
	    w->storage.store(w, TPM_STATE_PERMANENT, data, size) < 0)
		rc = TPM_IOERROR;
	free(data);
	return rc;
}

static void
take_given(struct worker *w, const struct message *m)
{
	w->given.permanent = w->given.volatiles = 0;
	if (m->size > CHANNEL_AREA_SIZE ||
	    m->arg > CHANNEL_AREA_SIZE - m->size)
		return;
	w->given.permanent = m->size;
	w->given.volatiles = m->arg;
}

/* libtpms's first start takes several times as long as the next: pages that
 * nobody has touched yet, and what OpenSSL makes when it is first asked. That is
 * done while the monitor is busy with its own start, and while nobody waits. */
static uint32_t
order_prepare(struct worker *w, struct message *m, int fd)
{
	(void)fd;
	if (tpm_powered() || w->state_set)
		return TPM_FAIL;
	take_given(w, m);
	if (w->given.permanent > 0) {
		w->preparing = true;
		/* INIT's answer waits for a capture as well. */
		if (tpm_power_on() == TPM_SUCCESS)
			(void)journal_capture_prepare(journal(w));
		tpm_power_off();
		w->preparing = false;
	}
	w->given.permanent = 0;
	return TPM_SUCCESS;
}

static uint32_t
order_init(struct worker *w, struct message *m, int fd)
{
	uint32_t rc;

	(void)fd;
	take_given(w, m);
	worker_make_orderly(w);
	rc = tpm_power_on();
	w->given.permanent = 0;
	if (rc == TPM_SUCCESS && w->state_set && m->size == 0 && m->arg != 0)
		rc = keep_new_state(w);
	if (rc != TPM_SUCCESS) {
		tpm_power_off();
		worker_complain(w, "libtpms does not start with this state");
	}
	/* Until a command runs it may still be taken up elsewhere. */
	journal(w)->handed_out = rc == TPM_SUCCESS && w->state_set;
	w->state_set = false;
	return rc;
}

static uint32_t
order_stop(struct worker *w, struct message *m, int fd)
{
	(void)m;
	(void)fd;
	worker_make_orderly(w);
	tpm_power_off();
	return TPM_SUCCESS;
}

static uint32_t
order_set_locality(struct worker *w, struct message *m, int fd)
{
	(void)w;
	(void)fd;
	if (m->arg > UINT8_MAX)
		return TPM_BAD_LOCALITY;
	return tpm_set_locality((uint8_t)m->arg);
}

static uint32_t
order_get_established(struct worker *w, struct message *m, int fd)
{
	bool bit = false;
	uint32_t rc;

	(void)w;
	(void)fd;
	if (is_off())
		return TPM_FAIL;
	rc = tpm_established_get(&bit);
	m->arg = bit;
	return rc;
}

static uint32_t
order_reset_established(struct worker *w, struct message *m, int fd)
{
	(void)w;
	(void)fd;
	if (m->arg > UINT8_MAX)
		return TPM_BAD_LOCALITY;
	if (is_off())
		return TPM_FAIL;
	return tpm_established_reset((uint8_t)m->arg);
}

static uint32_t
order_hash_start(struct worker *w, struct message *m, int fd)
{
	(void)m;
	(void)fd;
	journal(w)->handed_out = false;
	return is_off() ? TPM_FAIL : tpm_hash_start();
}

static uint32_t
order_hash_data(struct worker *w, struct message *m, int fd)
{
	(void)fd;
	if (m->size > sizeof(w->channel.memory.shared->orders))
		return TPM_BAD_PARAMETER;
	return is_off() ? TPM_FAIL : tpm_hash_data(w->channel.memory.shared->orders, m->size);
}

static uint32_t
order_hash_end(struct worker *w, struct message *m, int fd)
{
	(void)w;
	(void)m;
	(void)fd;
	return is_off() ? TPM_FAIL : tpm_hash_end();
}

static uint32_t
order_store_volatile(struct worker *w, struct message *m, int fd)
{
	uint8_t *data;
	size_t size;
	uint32_t rc;

	(void)m;
	(void)fd;
	rc = tpm_state_get(TPM_STATE_VOLATILE, &data, &size);
	if (rc == TPM_SUCCESS && w->storage.store(w,
	    TPM_STATE_VOLATILE, data, size) < 0)
		rc = TPM_IOERROR;
	journal(w)->handed_out = rc == TPM_SUCCESS;
	free(data);
	return rc;
}

static uint32_t
order_get_state(struct worker *w, struct message *m, int fd)
{
	uint8_t *data;
	size_t size;
	uint32_t rc;

	(void)fd;
	rc = tpm_state_get((enum tpm_state)m->arg, &data, &size);
	if (rc == TPM_SUCCESS && size > sizeof(w->channel.memory.shared->orders))
		rc = TPM_SIZE;
	if (rc == TPM_SUCCESS) {
		if (size > 0)
			memcpy(w->channel.memory.shared->orders, data, size);
		m->size = (uint32_t)size;
		/* The session begins with whichever is asked for first. */
		if (m->arg != TPM_STATE_SAVESTATE)
			journal(w)->handed_out = true;
	}
	free(data);
	return rc;
}

static uint32_t
order_peek_state(struct worker *w, struct message *m, int fd)
{
	bool handed_out = journal(w)->handed_out;
	uint32_t rc;

	m->arg = TPM_STATE_VOLATILE;
	rc = order_get_state(w, m, fd);
	journal(w)->handed_out = handed_out;
	return rc;
}

/* The signal gets the data thread out of its read; it may come just before
 * that, so it is sent until it has worked. */
static uint32_t
order_park(struct worker *w, struct message *m, int fd)
{
	unsigned int patience = PARK_TRIES;
	struct timespec until;

	(void)m;
	(void)fd;
	atomic_store(&w->parking, true);
	while (!w->parked && (w->data_fd >= 0 || w->next_data_fd >= 0)) {
		if (patience-- == 0) {
			atomic_store(&w->parking, false);
			return TPM_RETRY;
		}
		pthread_kill(w->data_thread, WORKER_PARK_SIGNAL);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += PARK_PAUSE_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		(void)pthread_cond_clockwait(&w->was_parked, &w->lock,
		    CLOCK_MONOTONIC, &until);
	}
	return TPM_SUCCESS;
}

static uint32_t
order_unpark(struct worker *w, struct message *m, int fd)
{
	(void)m;
	(void)fd;
	atomic_store(&w->parking, false);
	pthread_cond_signal(&w->was_unparked);
	return TPM_SUCCESS;
}

static uint32_t
order_set_state(struct worker *w, struct message *m, int fd)
{
	uint32_t rc;

	(void)fd;
	if (m->size > sizeof(w->channel.memory.shared->orders))
		return TPM_BAD_PARAMETER;
	rc = tpm_state_set((enum tpm_state)m->arg, w->channel.memory.shared->orders,
	    m->size);
	if (m->arg == TPM_STATE_PERMANENT)
		w->state_set = rc == TPM_SUCCESS;
	return rc;
}

static uint32_t
order_buffer_size(struct worker *w, struct message *m, int fd)
{
	struct buf b = buf_writer(w->channel.memory.shared->orders, 8);
	uint32_t min, max;

	(void)fd;
	m->arg = tpm_buffer_size(tpm_powered() ? 0 : m->arg, &min, &max);
	buf_put_u32be(&b, min);
	buf_put_u32be(&b, max);
	m->size = 8;
	return TPM_SUCCESS;
}

static uint32_t
order_get_info(struct worker *w, struct message *m, int fd)
{
	char *text = tpm_info(m->arg);
	size_t size;

	(void)fd;
	if (text == NULL)
		return TPM_FAIL;
	size = strlen(text) + 1;
	if (size > sizeof(w->channel.memory.shared->orders)) {
		free(text);
		return TPM_SIZE;
	}
	memcpy(w->channel.memory.shared->orders, text, size);
	m->size = (uint32_t)size;
	free(text);
	return TPM_SUCCESS;
}

/* A worker died and this one goes on in its place. */
static uint32_t
order_resume(struct worker *w, struct message *m, int fd)
{
	(void)fd;
	return worker_resume(w, (enum resume)m->arg);
}

static const struct {
	/* Gets arg and size in *m and leaves the reply's there. */
	uint32_t (*run)(struct worker *w, struct message *m, int fd);
} orders[ORDER_LAST + 1] = {
	[ORDER_DATA_FD] = { order_data_fd },
	[ORDER_INIT] = { order_init },
	[ORDER_STOP] = { order_stop },
	[ORDER_SHUTDOWN] = { order_stop },
	[ORDER_SET_LOCALITY] = { order_set_locality },
	[ORDER_GET_ESTABLISHED] = { order_get_established },
	[ORDER_RESET_ESTABLISHED] = { order_reset_established },
	[ORDER_HASH_START] = { order_hash_start },
	[ORDER_HASH_DATA] = { order_hash_data },
	[ORDER_HASH_END] = { order_hash_end },
	[ORDER_STORE_VOLATILE] = { order_store_volatile },
	[ORDER_GET_STATE] = { order_get_state },
	[ORDER_SET_STATE] = { order_set_state },
	[ORDER_BUFFER_SIZE] = { order_buffer_size },
	[ORDER_GET_INFO] = { order_get_info },
	[ORDER_RESUME] = { order_resume },
	[ORDER_PEEK_STATE] = { order_peek_state },
	[ORDER_PARK] = { order_park },
	[ORDER_UNPARK] = { order_unpark },
	[ORDER_PREPARE] = { order_prepare },
};

/* Unlike an order that is for the TPM it does not wait for a command, and leaves
 * nothing to capture. */
static void
rest(struct worker *w)
{
	if (pthread_mutex_trylock(&w->lock) != 0)
		return;
	/* The worker's own until it has a need, and none is told now. */
	(void)madvise(w->channel.memory.shared->needs, CHANNEL_AREA_SIZE,
	    MADV_REMOVE);
	give_back_memory();
	pthread_mutex_unlock(&w->lock);
}

static void
run_order(struct worker *w, struct message *m, int fd)
{
	pthread_mutex_lock(&w->lock);
	m->result = (int32_t)orders[m->type].run(w, m, fd);
	if (m->type != ORDER_GET_STATE && m->type != ORDER_PEEK_STATE &&
	    m->type != ORDER_GET_INFO && m->type != ORDER_BUFFER_SIZE)
		m->size = 0;
	/* Before the monitor knows that it is done. */
	journal_capture_order(journal(w));
	pthread_mutex_unlock(&w->lock);
}

void
worker_obey(struct worker *w)
{
	struct message m;
	int fd;

	while (channel_recv(w->channel.orders, &m, &fd) == 0) {
		if (m.type == 0 || m.type > ORDER_LAST)
			break;
		if (m.type == ORDER_REST)
			rest(w);
		else
			run_order(w, &m, fd);
		if (channel_send(w->channel.orders, &m, -1) < 0)
			break;
	}
}
