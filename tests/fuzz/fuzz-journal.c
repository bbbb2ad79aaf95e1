/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker was taken over, wrote what it liked to the memory that it shares
 * with its successor, and died: the next worker resumes from that. Input after
 * fail_begin's: what to do first (1: enum resume; bit 7: the captured state's
 * checksum is made right), how much of the answer is said to be sent (2), how
 * many changes, and those of what an honest worker left: a field (1) and its
 * value (8; of STATE_BYTE and its like: offset and byte, 4 each), or the field
 * BYTES, offset (4), size (1) and bytes. What follows, the guest sends.
 */
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/contained.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "vtpm/tpm-memory.h"

/* Its functions are static, and are to stay so. */
#include "vtpm/worker.c"

#define COMMANDS_MAX 8
#define RESUMES (RESUME_REPEAT + 1u)
#define CHECKSUM 0x80u
#define NUMBER 5		/* commands that the honest worker has done */

enum field { BEGUN, RUN, ANSWERED, CAPTURED, CURRENT, SENT_BEFORE, ANSWER_SIZE,
	COMMAND_SIZE, STATE_SIZE, LOG_COUNT, LOG_SIZE, LOG_NUMBER, BYTES,
	NUMBER_CAPTURED, KEPT, KEPT_SIZE, KEPT_BYTE, DRAWN, ANSWER_BYTE,
	NO_BOOLS, STATE_BYTE, FIELDS };

struct input {
	uint8_t failing[4];
	uint8_t resume;
	uint16_t sent;
	struct buf guest;
};

static struct worker worker;
static struct channel_memory memory;
static struct journal honest;
static uint8_t permanent[CHANNEL_AREA_SIZE];
static size_t permanent_size;
static const uint8_t startup[] = { 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0 };
/* TPM2_PCR_Extend of PCR 16, SHA-256, with an empty password. */
static const uint8_t extend[65] = { 0x80, 2, 0, 0, 0, 65, 0, 0, 1, 0x82, 0, 0,
	0, 16, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0xb };

/* -- the monitor -- */

static struct message need;
static bool resume_given;
static uint8_t resume;

int __wrap_channel_send(int sock, const struct message *m, int fd);
int
__wrap_channel_send(int sock, const struct message *m, int fd)
{
	(void)fd;
	if (sock == worker.channel.needs)
		need = *m;
	return 0;
}

static void
answer_need(struct message *reply)
{
	*reply = (struct message){ .type = need.type };
	if (fail_now())
		reply->result = ERR_SYSTEM;
	else if (need.type == NEED_LOAD && need.arg == TPM_STATE_PERMANENT) {
		memcpy(memory.shared->needs, permanent, permanent_size);
		reply->size = (uint32_t)permanent_size;
	} else if (need.type == NEED_LOAD)
		reply->result = ERR_NOTFOUND;
	else
		FUZZ_ASSERT(need.size <= CHANNEL_AREA_SIZE);
}

int __wrap_channel_recv(int sock, struct message *m, int *fd);
int
__wrap_channel_recv(int sock, struct message *m, int *fd)
{
	*fd = -1;
	if (sock == worker.channel.needs) {
		answer_need(m);
		return 0;
	}
	if (resume_given)
		return ERR_CLOSED;
	resume_given = true;
	*m = (struct message){ .type = ORDER_RESUME, .arg = resume };
	return 0;
}

/* The guest has sent all that it will. */
int __real_poll(struct pollfd *p, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *p, nfds_t n, int timeout);
int
__wrap_poll(struct pollfd *p, nfds_t n, int timeout)
{
	(void)timeout;
	return __real_poll(p, n, 0);
}

/* -- one run -- */

/* As the honest worker does; the last one lies there with its answer. */
static void
succeeding(struct journal *j, const uint8_t *command, size_t size)
{
	const uint8_t *response;
	size_t response_size;

	journal_keep(j, NUMBER, command, size);
	tpm_process(command, size, &response, &response_size);
	FUZZ_ASSERT(tpm_response_is_success(response, response_size));
	memcpy(j->answer, response, response_size);
	j->answer_size = (uint32_t)response_size;
}

static void
set_up(void)
{
	struct journal *j;

	FUZZ_ASSERT(channel_memory_make(&memory, NULL) == 0);
	j = &memory.shared->journal;
	FUZZ_ASSERT(tpm_memory_power_on(NULL, 0, NULL) == 0);
	succeeding(j, startup, sizeof(startup));
	permanent_size = secret_size(tpm_memory_state());
	memcpy(permanent, secret_bytes(tpm_memory_state()), permanent_size);
	atomic_store(&j->begun, NUMBER);
	atomic_store(&j->run, NUMBER);
	atomic_store(&j->answered, NUMBER);
	FUZZ_ASSERT(journal_capture(j, NUMBER - 1) == 0);
	succeeding(j, extend, sizeof(extend));
	FUZZ_ASSERT(journal_log_prepare(j, NUMBER, extend, sizeof(extend)));
	journal_log_publish(j, NUMBER);
	memcpy(j->command, startup, sizeof(startup));
	j->command_size = sizeof(startup);
	memcpy(&honest, j, sizeof(honest));
	tpm_power_off();
}

static void
set_field(struct journal *j, enum field field, uint64_t v)
{
	struct journal_capture *c = &j->captures[atomic_load(&j->current) & 1];

	switch (field) {
	case BEGUN: atomic_store(&j->begun, v); break;
	case RUN: atomic_store(&j->run, v); break;
	case ANSWERED: atomic_store(&j->answered, v); break;
	case CAPTURED: atomic_store(&j->captured, v); break;
	case CURRENT: atomic_store(&j->current, (uint32_t)v); break;
	case SENT_BEFORE: j->sendings[v >> 32 & 1].before = (uint32_t)v; break;
	case ANSWER_SIZE: j->answer_size = (uint32_t)v; break;
	case COMMAND_SIZE: j->command_size = (uint32_t)v; break;
	case STATE_SIZE: c->size = (uint32_t)v; break;
	case LOG_COUNT: atomic_store(&c->log.count, (uint32_t)v); break;
	case LOG_SIZE: c->log.entries[v >> 32 & 31].size = (uint32_t)v; break;
	case LOG_NUMBER: c->log.entries[v >> 56 & 31].number = v; break;
	case NUMBER_CAPTURED: c->number = v; break;
	case KEPT: atomic_store(&j->kept, v); break;
	case KEPT_SIZE: j->kept_size = (uint32_t)v; break;
	case KEPT_BYTE: j->kept_command[(v >> 32) % JOURNAL_COMMAND] =
	    (uint8_t)v; break;
	case DRAWN: j->drawn = v; break;
	case ANSWER_BYTE: j->answer[(v >> 32) % JOURNAL_ANSWER_MAX] =
	    (uint8_t)v; break;
	case NO_BOOLS: memset(&j->handed_out, (int)v, 1);
	    memset(&c->progress, (int)v, 3); break;
	case STATE_BYTE: c->state[(v >> 32) % JOURNAL_CAPTURE] =
	    (uint8_t)v; break;
	case BYTES: case FIELDS: break;
	}
}

static void
change_bytes(struct journal *j, struct buf *in)
{
	uint32_t offset = 0;
	uint8_t n = 0;
	size_t at, size;

	(void)buf_get_u32be(in, &offset);
	(void)buf_get_u8(in, &n);
	at = offset % sizeof(*j);
	size = n < buf_left(in) ? n : buf_left(in);
	if (size > sizeof(*j) - at)
		size = sizeof(*j) - at;
	(void)buf_get_bytes(in, (uint8_t *)j + at, size);
}

static void
change(struct journal *j, struct buf *in)
{
	uint8_t n = 0, field = 0;
	uint64_t value = 0;

	(void)buf_get_u8(in, &n);
	while (n-- > 0 && buf_get_u8(in, &field) == 0) {
		if (field % FIELDS == BYTES)
			change_bytes(j, in);
		else if (buf_get_u64be(in, &value) == 0)
			set_field(j, field % FIELDS, value);
	}
}

/* Whether libtpms will be given anything but what it wrote itself. */
static bool
is_state_changed(const struct journal *j)
{
	const struct journal_capture *c = journal_current(j);

	return c->size != honest.captures[1].size ||
	    memcmp(c->state, honest.captures[1].state, c->size) != 0;
}

/* Can the kept command give the answer that is there? No, where all is as the
 * honest worker left it but for that. */
static bool
is_answer_possible(const struct journal *j)
{
	/* Padding and all: the honest one was copied whole. */
	const uint8_t *now = (const uint8_t *)journal_current(j);
	const uint8_t *then = (const uint8_t *)&honest.captures[1];

	if (j->kept_size > JOURNAL_COMMAND ||
	    j->answer_size > JOURNAL_ANSWER_MAX)
		return false;
	return memcmp(now, then, sizeof(honest.captures[1])) != 0 ||
	    j->kept_size != honest.kept_size ||
	    memcmp(j->kept_command, honest.kept_command, j->kept_size) != 0 ||
	    (j->answer_size == honest.answer_size &&
	    memcmp(j->answer, honest.answer, j->answer_size) == 0);
}

static void
serve(struct buf *guest)
{
	uint8_t sink[2 * JOURNAL_ANSWER_MAX];
	const uint8_t *bytes;
	size_t n = buf_left(guest);
	struct pollfd p;
	unsigned int paused = fail_pause();
	int pair[2], rc;

	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    pair) == 0);
	fail_resume(paused);
	p = (struct pollfd){ .fd = pair[1], .events = POLLIN };
	(void)buf_get_ref(guest, &bytes, n);
	(void)!send(pair[0], bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	rc = answer_for_predecessor(&worker, pair[1]);
	for (int i = 0; i < COMMANDS_MAX && rc == 0 &&
	    __real_poll(&p, 1, 0) == 1; i++) {
		(void)!recv(pair[0], sink, sizeof(sink), MSG_DONTWAIT);
		rc = serve_one(&worker, pair[1]);
	}
	FUZZ_ASSERT(pthread_mutex_trylock(&worker.lock) == 0);
	pthread_mutex_unlock(&worker.lock);
	close(pair[0]);
	close(pair[1]);
}

/* As worker_main and data_thread do for the successor. */
static void
succeed(void *arg)
{
	struct input *i = arg;
	bool possible;
	struct buf control = buf_reader(i->failing, sizeof(i->failing));

	worker = (struct worker){ .lock = PTHREAD_MUTEX_INITIALIZER,
		.channel = { .orders = -2, .needs = -3, .memory = memory },
		.data_fd = -1, .next_data_fd = -1 };
	FUZZ_ASSERT(worker_setup_tpm(&worker) == 0);
	memory.shared->journal.sendings[0].message.msg_len += i->sent;
	resume = i->resume;
	resume_given = false;
	fail_begin(&control);
	(void)journal_judge(&memory.shared->journal);
	possible = is_answer_possible(&memory.shared->journal);
	worker_obey(&worker);
	/* What was kept has been run again to its answer, or the TPM is off;
	 * nobody waits. */
	FUZZ_ASSERT(resume != RESUME_REPEAT || journal_judge(
	    &memory.shared->journal) == JOURNAL_IDLE);
	FUZZ_ASSERT(resume != RESUME_REPEAT || possible || !tpm_powered());
	/* Whatever the journal says, what was lost stays lost. */
	FUZZ_ASSERT((resume != RESUME_FAILED &&
	    resume != RESUME_FAILED_ANSWER) || !tpm_powered());
	serve(&i->guest);
	(void)fail_end();
	tpm_power_off();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size);
	struct input i = { 0 };
	struct journal *j;

	if (memory.shared == NULL)
		set_up();
	j = &memory.shared->journal;
	memcpy(j, &honest, sizeof(honest));
	(void)buf_get_bytes(&in, i.failing, sizeof(i.failing));
	(void)buf_get_u8(&in, &i.resume);
	(void)buf_get_u16be(&in, &i.sent);
	change(j, &in);
	if (i.resume & CHECKSUM) {
		struct journal_capture *c =
		    &j->captures[atomic_load(&j->current) & 1];

		if (c->size <= sizeof(c->state))
			volatile_checksum(c->state, c->size);
	}
	i.resume = (uint8_t)((i.resume & ~CHECKSUM) % RESUMES);
	i.guest = in;
	if (is_state_changed(j))
		contained_run(succeed, &i);
	else
		succeed(&i);
	return 0;
}
