/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker's control thread and libtpms, with the test as its monitor: what
 * INIT and PREPARE do with the state that goes along (doc/protocols.md, "Between
 * monitor and worker"). Numbers are the document's, not the header's.
 */
#include <criterion/criterion.h>

#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "base/secret.h"
#include "vtpm/tpm-memory.h"
#include "vtpm/worker-orders.h"

enum { INIT = 2, STOP = 3, GET_ESTABLISHED = 6, PREPARE = 21 };
enum { LOAD = 1, LOG = 3 };
#define AREA 262144u
/* How long what must not come is waited for. */
#define SILENCE_MS 100

static uint8_t state[65536];
static size_t state_size;
static struct worker worker;
static struct channel monitor;
static struct channel_memory memory;
static pthread_t thread;

static void *
obey(void *arg)
{
	worker_obey(arg);
	return NULL;
}

static void
setup(void)
{
	struct err err = { 0 };

	/* A TPM as it is made. */
	cr_assert_eq(tpm_memory_power_on(NULL, 0, &err), 0, "%s", err.text);
	state_size = secret_size(tpm_memory_state());
	cr_assert(state_size > 0 && state_size <= sizeof(state));
	memcpy(state, secret_bytes(tpm_memory_state()), state_size);
	tpm_memory_free();
	cr_assert_eq(channel_memory_make(&memory, &err), 0, "%s", err.text);
	cr_assert_eq(channel_make(&monitor, &worker.channel, &memory, &err), 0);
	worker.data_fd = worker.next_data_fd = -1;
	pthread_mutex_init(&worker.lock, NULL);
	cr_assert_eq(worker_setup_tpm(&worker), 0);
	cr_assert_eq(pthread_create(&thread, NULL, obey, &worker), 0);
}

static void
teardown(void)
{
	channel_close(&monitor);
	pthread_join(thread, NULL);
	channel_close(&worker.channel);
	tpm_power_off();
}

TestSuite(worker_orders, .init = setup, .fini = teardown, .timeout = 60);

static void
order(uint32_t type, size_t permanent, size_t volatiles)
{
	struct message m = { .type = type, .size = (uint32_t)permanent,
		.arg = (uint32_t)volatiles };

	cr_assert_eq(channel_send(monitor.orders, &m, -1), 0);
}

static uint32_t
answer(uint32_t type)
{
	struct pollfd p = { monitor.orders, POLLIN, 0 };
	struct message m;
	int fd;

	cr_assert_eq(poll(&p, 1, 30000), 1, "order %u is not answered", type);
	cr_assert_eq(channel_recv(monitor.orders, &m, &fd), 0);
	cr_assert_eq(m.type, type);
	cr_assert_eq(m.size, 0);
	return (uint32_t)m.result;
}

static bool
asks(void)
{
	struct pollfd p = { monitor.needs, POLLIN, 0 };

	return poll(&p, 1, SILENCE_MS) > 0;
}

static void
need(uint32_t type, struct message *m)
{
	struct pollfd p = { monitor.needs, POLLIN, 0 };
	int fd;

	cr_assert_eq(poll(&p, 1, 30000), 1, "nothing is asked for");
	cr_assert_eq(channel_recv(monitor.needs, m, &fd), 0);
	cr_assert_eq(m->type, type);
}

/* Its next need is a LOAD, which gets this. */
static void
give(uint32_t which, const uint8_t *bytes, size_t size)
{
	struct message m;

	need(LOAD, &m);
	cr_assert_eq(m.arg, which);
	m.result = bytes == NULL ? ERR_NOTFOUND : 0;
	m.size = (uint32_t)size;
	if (bytes != NULL)
		memcpy(memory.shared->needs, bytes, size);
	cr_assert_eq(channel_send(monitor.needs, &m, -1), 0);
}

static void
is_on(bool expected)
{
	order(GET_ESTABLISHED, 0, 0);
	cr_assert_eq(answer(GET_ESTABLISHED) == 0, expected);
}

Test(worker_orders, init_does_not_ask_for_what_went_along)
{
	memcpy(memory.shared->orders, state, state_size);
	order(INIT, state_size, 0);
	cr_assert_eq(answer(INIT), 0);
	cr_assert(!asks());
	is_on(true);
}

/* libtpms reads the permanent state twice, to see whether there is one. */
static void
answer_loads(void)
{
	give(TPM_STATE_PERMANENT, state, state_size);
	give(TPM_STATE_PERMANENT, state, state_size);
	give(TPM_STATE_VOLATILE, NULL, 0);
}

Test(worker_orders, init_asks_for_what_did_not)
{
	order(INIT, 0, 0);
	answer_loads();
	cr_assert_eq(answer(INIT), 0);
	is_on(true);
}

Test(worker_orders, sizes_beyond_the_memory_are_none)
{
	static const uint32_t sizes[][2] = { { AREA + 1, 0 }, { AREA, 1 },
		{ 2, AREA - 1 }, { UINT32_MAX, UINT32_MAX }, { 1, UINT32_MAX } };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		order(INIT, sizes[i][0], sizes[i][1]);
		answer_loads();
		cr_assert_eq(answer(INIT), 0, "sizes %u, %u", sizes[i][0],
		    sizes[i][1]);
	}
}

/* What went along once is not used again. */
Test(worker_orders, what_went_along_is_for_one_order)
{
	memcpy(memory.shared->orders, state, state_size);
	order(INIT, state_size, 0);
	cr_assert_eq(answer(INIT), 0);
	order(STOP, 0, 0);
	cr_assert_eq(answer(STOP), 0);
	order(INIT, 0, 0);
	answer_loads();
	cr_assert_eq(answer(INIT), 0);
}

Test(worker_orders, volatile_state_goes_along_behind_it)
{
	struct message complaint;

	memcpy(memory.shared->orders, state, state_size);
	/* Which is none, and libtpms says so. */
	memset(memory.shared->orders + state_size, 0x5a, 64);
	order(INIT, state_size, 64);
	need(LOG, &complaint);
	cr_assert_eq(channel_send(monitor.needs, &complaint, -1), 0);
	cr_assert_neq(answer(INIT), 0);
}

Test(worker_orders, prepare_leaves_it_off)
{
	memcpy(memory.shared->orders, state, state_size);
	order(PREPARE, state_size, 0);
	cr_assert_eq(answer(PREPARE), 0);
	cr_assert(!asks());
	is_on(false);
	order(INIT, 0, 0);
	answer_loads();
	cr_assert_eq(answer(INIT), 0);
}

Test(worker_orders, prepare_hears_nothing_of_a_broken_state)
{
	memcpy(memory.shared->orders, state, state_size);
	memset(memory.shared->orders, 0xff, 64);
	order(PREPARE, state_size, 0);
	cr_assert_eq(answer(PREPARE), 0);
	cr_assert(!asks());
	is_on(false);
	memcpy(memory.shared->orders, state, state_size);
	order(INIT, state_size, 0);
	cr_assert_eq(answer(INIT), 0);
	is_on(true);
}

Test(worker_orders, prepare_does_not_touch_a_tpm_that_is_on)
{
	memcpy(memory.shared->orders, state, state_size);
	order(INIT, state_size, 0);
	cr_assert_eq(answer(INIT), 0);
	order(PREPARE, state_size, 0);
	cr_assert_neq(answer(PREPARE), 0);
	is_on(true);
}
