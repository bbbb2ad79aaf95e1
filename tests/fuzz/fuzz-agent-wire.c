/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an agent sends to vtpmd: input after fail_begin's is a request (1: which,
 * in its low half; 0x10: the VM is watched; 0x20: ids are made those that were
 * asked for; 0x40: 16 more than the low half says), then messages, each size
 * (2) and bytes. They wait in the socket, and then its other end is gone. A
 * message that is taken is written back as the same bytes.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "nvram-crypt/agent.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"

#define WATCHED 0x10u
#define RIGHT_IDS 0x20u
#define MORE 0x40u

static struct buf messages;
static bool right_ids;

/* 1 HELLO, 2 ATTACH or the request, and so on: ids count from one. */
static int
connect_here(void *arg, bool wait, int *fd, struct err *err)
{
	static uint8_t bytes[AGENT_WIRE_MAX + 64];
	const uint8_t *at;
	uint16_t size;
	uint32_t id = 0;
	int ends[2];

	(void)arg;
	(void)wait;
	*fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
		return err_set(err, ERR_CLOSED, "no socket");
	while (buf_get_u16be(&messages, &size) == 0) {
		if (size > buf_left(&messages))
			size = (uint16_t)buf_left(&messages);
		if (buf_get_ref(&messages, &at, size) < 0)
			break;
		memcpy(bytes, at, size);
		if (right_ids && size >= 8) {
			id++;
			bytes[4] = bytes[5] = bytes[6] = 0;
			bytes[7] = (uint8_t)id;
		}
		if (send(ends[1], bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	}
	close(ends[1]);
	*fd = ends[0];
	return 0;
}

static void
no_line(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

static void
round_trip(const uint8_t *data, size_t size)
{
	static uint8_t again[AGENT_WIRE_MAX];
	struct buf in = buf_reader(data, size);
	struct buf out = buf_writer(again, sizeof(again));
	struct agent_message m;

	if (agent_wire_get(&in, &m, NULL) < 0)
		return;
	FUZZ_ASSERT(agent_wire_put(&out, &m, NULL) == 0);
	FUZZ_ASSERT(out.pos == size && memcmp(again, data, size) == 0);
}

static void
check_answer(const struct agent_message *q, const struct agent_message *m)
{
	FUZZ_ASSERT(m->way == AGENT_ANSWER && m->type == q->type &&
	    m->id == q->id && m->result == 0);
	if (q->type == AGENT_KEY_OPEN || q->type == AGENT_KEY_MAKE)
		FUZZ_ASSERT(m->key.size == AGENT_KEY_SIZE);
	FUZZ_ASSERT(m->wrapped.size <= AGENT_WRAPPED_MAX &&
	    m->n_certs <= AGENT_CERTS_MAX && m->n_chain <= AGENT_CERTS_MAX);
}

static void
ask(struct agent *a, uint8_t what)
{
	struct agent_message q = {
		.type = (what & 0xf) + ((what & MORE) != 0 ? 16 : 0),
		.wrapped = { (const uint8_t *)"W", 1 } }, answer;
	struct err err = { 0 };
	int rc = agent_ask(a, &q, 50, &answer, &err);

	if (rc == 0)
		check_answer(&q, &answer);
	else
		FUZZ_ASSERT(err.code == rc && err.text[0] != '\0');
	agent_forget(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t uuid[UUID_SIZE] = { 0x77 };
	static const uint8_t instance[AGENT_INSTANCE_SIZE] = { 0x33 };
	struct buf in = buf_reader(data, size), control;
	uint8_t failing[4], what;
	struct agent *a;

	log_set_sink(no_line);
	round_trip(data, size);
	if (buf_get_bytes(&in, failing, sizeof(failing)) < 0 ||
	    buf_get_u8(&in, &what) < 0)
		return 0;
	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	messages = in;
	right_ids = (what & RIGHT_IDS) != 0;
	if (agent_new(&a, connect_here, NULL, NULL) == 0) {
		if ((what & WATCHED) != 0)
			agent_watch(a, uuid, 5, instance);
		ask(a, what);
		/* What is left is heard as in a poll loop. */
		for (int i = 0; i < 64 && agent_fd(a) >= 0; i++)
			agent_readable(a);
		if (agent_lost(a) != NULL)
			FUZZ_ASSERT((what & WATCHED) != 0);
		agent_tick(a);
		agent_free(a);
	}
	(void)fail_end();
	return 0;
}
