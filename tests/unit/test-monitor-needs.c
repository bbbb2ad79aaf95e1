/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker that keeps to the table of doc/protocols.md, "Between monitor and
 * worker", and one that does not: the test is the worker, all else is the
 * monitor's own, down to an nvram file. Only the supervisor, which would kill and
 * fork, counts instead; tests/integration/broken-rules.test has the real one.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "vtpm/monitor.h"
#include "vtpm/supervisor.h"

/* Numbers and sizes are the document's, not the header's. */
enum { LOAD = 1, STORE, LOG, DATA_CLOSED, RECLAIM };
#define STORE_MAX 262144u
#define LOG_MAX 512u
#define OF_COMMAND 0x100u

static char top[64], file[96], lines[65536];
static unsigned int killed;
static struct monitor monitor;
static struct channel worker;
static struct channel_memory memory;

/* -- what the monitor stands on -- */

int
supervisor_wait(int sock, int *status, struct err *err)
{
	(void)sock;
	(void)err;
	killed++;
	*status = SIGKILL;
	return 0;
}

int
supervisor_spawn(int sock, struct channel *channel, pid_t *pid, struct err *err)
{
	(void)sock;
	(void)channel;
	(void)pid;
	return err_set(err, ERR_CLOSED, "one worker is enough here");
}

int
supervisor_tell(int sock, enum supervisor_ask what, int fd, struct err *err)
{
	(void)sock;
	(void)what;
	(void)fd;
	return err_set(err, ERR_CLOSED, "there is none");
}

static void
keep_line(enum log_level level, const char *line)
{
	(void)level;
	cr_assert_null(strchr(line, '\n'), "a line is one line: %s", line);
	strncat(lines, line, sizeof(lines) - strlen(lines) - 1);
	strncat(lines, "\n", sizeof(lines) - strlen(lines) - 1);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static void
make_file(const struct config *c)
{
	struct native_config native = config_native(c);
	struct protector_creds creds = { 0 };
	struct nvram_record record = { NVRAM_PERMANENT,
		(const uint8_t *)"permanent", 9 };
	struct nvram_create_args args = { .path = file, .uuid = { 7 },
		.protector = protector_ops_by_name("native"), .creds = &creds,
		.records = &record, .n_records = 1 };
	struct freshness *freshness;
	struct native *n;

	cr_assert_eq(native_open(&n, &native, true, NULL), 0);
	creds.native = n;
	cr_assert_eq(freshness_native(&freshness, n, NULL), 0);
	args.freshness = freshness;
	cr_assert_eq(nvram_create(&args, NULL), 0);
	freshness_free(freshness);
	native_free(n);
}

static void
setup(void)
{
	const char *tmp = getenv("TMPDIR");
	struct config c = { .owner = (uid_t)-1, .group = (gid_t)-1 };
	struct err err = { 0 };
	int signals[2];

	snprintf(top, sizeof(top), "%.32s/test-needs.XXXXXX",
	    tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(top));
	snprintf(file, sizeof(file), "%s/vm.nvram", top);
	snprintf(c.state_dir, sizeof(c.state_dir), "%s/state", top);
	make_file(&c);
	log_set_sink(keep_line);
	monitor_init(&monitor);
	cr_assert_eq(storage_open(&monitor.storage, file, &c, NULL, NULL, &err), 0,
	    "%s", err.text);
	cr_assert_eq(storage_acquire(monitor.storage, &err), 0, "%s", err.text);
	cr_assert_eq(channel_memory_make(&memory, NULL), 0);
	cr_assert_eq(channel_make(&monitor.channel, &worker, &memory, NULL), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
	    signals), 0);
	monitor.signal_fd = signals[0];
	lines[0] = '\0';
	killed = 0;
}

static void
teardown(void)
{
	(void)storage_close(monitor.storage, NULL);
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(needs, .init = setup, .fini = teardown, .timeout = 30);

/* -- the worker -- */

enum situation { OFF, ORDER, POWERED, SITUATIONS };

static void
be(enum situation s)
{
	monitor.powered = s == POWERED;
	monitor.order.active = s == ORDER;
}

/* The worker asks; 0 with the answer, or what the monitor makes of it. */
static int
ask(uint32_t type, uint32_t arg, uint32_t size, struct message *reply)
{
	struct message m = { .type = type, .arg = arg, .size = size };
	int fd, rc;

	cr_assert_eq(channel_send(worker.needs, &m, -1), 0);
	if ((rc = monitor_serve_need(&monitor)) < 0)
		return rc;
	cr_assert_eq(channel_recv(worker.needs, reply, &fd), 0);
	cr_assert_eq(reply->type, type);
	return 0;
}

static void
is_served(enum situation s, uint32_t type, uint32_t arg, uint32_t size)
{
	struct message reply;

	be(s);
	cr_assert_eq(ask(type, arg, size, &reply), 0, "need %u of %u bytes in "
	    "situation %d", type, size, s);
	cr_assert_eq(reply.result, 0, "need %u of %u bytes in situation %d: "
	    "%d", type, size, s, reply.result);
	cr_assert(!monitor.broke_rules);
}

static void
is_forbidden(enum situation s, uint32_t type, uint32_t arg, uint32_t size)
{
	struct message reply;

	be(s);
	lines[0] = '\0';
	monitor.broke_rules = false;
	cr_assert_eq(ask(type, arg, size, &reply), ERR_CLOSED, "need %u of %u "
	    "bytes in situation %d", type, size, s);
	cr_assert(monitor.broke_rules);
	cr_assert_not_null(strstr(lines, "event=worker.broke-rules"));
	monitor.broke_rules = false;
}

Test(needs, are_served_when_the_table_allows)
{
	static const bool allowed[][SITUATIONS] = {
		[LOAD] = { [ORDER] = true, [POWERED] = true },
		[STORE] = { [ORDER] = true, [POWERED] = true },
		[LOG] = { true, true, true },
		[DATA_CLOSED] = { true, true, true },
		[RECLAIM] = { [ORDER] = true, [POWERED] = true },
	};

	for (uint32_t type = LOAD; type <= RECLAIM; type++)
		for (enum situation s = OFF; s < SITUATIONS; s++)
			(allowed[type][s] ? is_served : is_forbidden)(s, type,
			    TPM_STATE_PERMANENT, 0);
}

Test(needs, are_served_up_to_the_size_in_the_table)
{
	static const uint32_t size_max[] = { [LOAD] = 0, [STORE] = STORE_MAX,
		[LOG] = LOG_MAX, [DATA_CLOSED] = 0, [RECLAIM] = 0 };

	for (uint32_t type = LOAD; type <= RECLAIM; type++) {
		is_served(POWERED, type, TPM_STATE_PERMANENT, size_max[type]);
		is_forbidden(POWERED, type, TPM_STATE_PERMANENT,
		    size_max[type] + 1);
		is_forbidden(POWERED, type, TPM_STATE_PERMANENT, UINT32_MAX);
	}
}

Test(needs, that_are_not_in_the_table_are_forbidden)
{
	static const uint32_t none[] = { 0, RECLAIM + 1, 0x7fffffff,
		0x80000001, UINT32_MAX };

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		for (enum situation s = OFF; s < SITUATIONS; s++)
			is_forbidden(s, none[i], 0, 0);
}

Test(needs, must_be_one_whole_message)
{
	static const size_t sizes[] = { 0, 1, 15, 17, 64 };
	static const uint8_t bytes[64] = { 0, 0, 0, LOG };

	be(POWERED);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		cr_assert_eq(send(worker.needs, bytes, sizes[i], 0),
		    (ssize_t)sizes[i]);
		cr_assert_eq(monitor_serve_need(&monitor), ERR_CLOSED,
		    "%zu bytes", sizes[i]);
	}
	cr_assert_eq(send(worker.needs, bytes, 16, 0), 16);
	cr_assert_eq(monitor_serve_need(&monitor), 0);
}

static int
lowest_free(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

Test(needs, bring_no_descriptor)
{
	static const struct message m = { .type = LOG };
	int lowest = lowest_free();

	be(POWERED);
	cr_assert_eq(channel_send(worker.needs, &m, 0), 0);
	cr_assert_eq(monitor_serve_need(&monitor), ERR_CLOSED);
	cr_assert(monitor.broke_rules);
	cr_assert_not_null(strstr(lines, "event=worker.broke-rules"));
	cr_assert_eq(lowest_free(), lowest, "the monitor keeps what came");
}

Test(needs, name_a_state_that_there_is)
{
	static const uint32_t none[] = { 0, TPM_STATE_SAVESTATE, 4, 0x80000001,
		UINT32_MAX };
	struct message reply;

	be(POWERED);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		cr_assert_eq(ask(STORE, none[i], 10, &reply), 0);
		cr_assert_eq(reply.result, ERR_NOTFOUND, "store %u", none[i]);
		cr_assert_eq(ask(LOAD, none[i], 0, &reply), 0);
		cr_assert_eq(reply.result, ERR_NOTFOUND, "load %u", none[i]);
		cr_assert_eq(reply.size, 0);
	}
	cr_assert_eq(ask(LOAD, TPM_STATE_VOLATILE, 0, &reply), 0);
	cr_assert_eq(reply.result, ERR_NOTFOUND, "none was stored");
}

Test(needs, give_back_what_was_stored)
{
	static uint8_t expected[STORE_MAX];
	struct message reply;

	be(POWERED);
	cr_assert_eq(ask(LOAD, TPM_STATE_PERMANENT, 0, &reply), 0);
	cr_assert_eq(reply.result, 0);
	cr_assert_eq(reply.size, 9);
	cr_assert_eq(memcmp(memory.shared->needs, "permanent", 9), 0);
	for (size_t i = 0; i < sizeof(expected); i++)
		expected[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(memory.shared->needs, expected, sizeof(expected));
	is_served(POWERED, STORE, TPM_STATE_PERMANENT, STORE_MAX);
	/* A worker may write there at any time. */
	memset(memory.shared->needs, 0xff, STORE_MAX);
	cr_assert_eq(ask(LOAD, TPM_STATE_PERMANENT, 0, &reply), 0);
	cr_assert_eq(reply.size, STORE_MAX);
	cr_assert_eq(memcmp(memory.shared->needs, expected, STORE_MAX), 0);
}

Test(needs, of_state_are_spared_while_the_tpm_is_off)
{
	struct message order = { .type = ORDER_INIT };

	memcpy(memory.shared->needs, "fleeting", 8);
	is_served(ORDER, STORE, TPM_STATE_VOLATILE, 8);
	be(OFF);
	monitor_give_state(&monitor, &order);
	cr_assert_eq(order.size, 9);
	cr_assert_eq(order.arg, 8);
	cr_assert_eq(memcmp(memory.shared->orders, "permanentfleeting", 17), 0);
	/* A command may store another one meanwhile. */
	be(POWERED);
	monitor_give_state(&monitor, &order);
	cr_assert_eq(order.size, 0);
	cr_assert_eq(order.arg, 0);
}

/* A worker may have stored since, and could write where it lay. */
Test(needs, what_went_along_is_not_given_to_the_next_worker)
{
	static const struct message order = { .type = ORDER_INIT, .size = 9,
		.arg = 8 };

	monitor_order(&monitor, NULL, &order, -1, NULL);
	monitor_worker_gone(&monitor);
	cr_assert(monitor.interrupted.active);
	cr_assert_eq(monitor.interrupted.order.type, ORDER_INIT);
	cr_assert_eq(monitor.interrupted.order.size, 0);
	cr_assert_eq(monitor.interrupted.order.arg, 0);
}

static void
store_text(const char *text, uint32_t arg)
{
	struct message reply;

	memcpy(memory.shared->needs, text, strlen(text));
	cr_assert_eq(ask(STORE, arg, (uint32_t)strlen(text), &reply), 0);
	cr_assert_eq(reply.result, 0);
}

static void
holds(const char *text)
{
	struct message reply;

	cr_assert_eq(ask(LOAD, TPM_STATE_PERMANENT, 0, &reply), 0);
	cr_assert_eq(reply.result, 0);
	cr_assert_eq(reply.size, strlen(text));
	cr_assert_eq(memcmp(memory.shared->needs, text, reply.size), 0,
	    "%s is not there", text);
}

/* What the file holds for who opens it next. */
static void
reopen(void)
{
	struct config c = { .owner = (uid_t)-1, .group = (gid_t)-1 };
	struct err err = { 0 };

	snprintf(c.state_dir, sizeof(c.state_dir), "%s/state", top);
	cr_assert_eq(storage_close(monitor.storage, NULL), 0);
	cr_assert_eq(storage_open(&monitor.storage, file, &c, NULL, NULL,
	    &err), 0, "%s", err.text);
	cr_assert_eq(storage_acquire(monitor.storage, &err), 0, "%s", err.text);
}

Test(needs, of_a_command_can_be_taken_back_once)
{
	be(POWERED);
	atomic_store(&memory.shared->journal.begun, 3);
	store_text("one", TPM_STATE_PERMANENT | OF_COMMAND);
	atomic_store(&memory.shared->journal.begun, 4);
	store_text("the second", TPM_STATE_PERMANENT | OF_COMMAND);
	cr_assert_eq(monitor.stored.at, 4);
	cr_assert(!monitor.stored.again);
	cr_assert_eq(storage_undo(monitor.storage, NULL), 0);
	holds("one");
	cr_assert_eq(storage_undo(monitor.storage, NULL), ERR_NOTFOUND);
	reopen();
	holds("one");
	store_text("two", TPM_STATE_PERMANENT | OF_COMMAND);
	reopen();
	holds("two");
}

Test(needs, of_an_order_are_no_commands)
{
	be(ORDER);
	atomic_store(&memory.shared->journal.begun, 3);
	store_text("one", TPM_STATE_PERMANENT);
	cr_assert_eq(monitor.stored.at, 0);
	/* A command that stores twice cannot be taken back. */
	store_text("two", TPM_STATE_PERMANENT | OF_COMMAND);
	store_text("three", TPM_STATE_PERMANENT | OF_COMMAND);
	cr_assert(monitor.stored.again);
	atomic_store(&memory.shared->journal.begun, 4);
	store_text("four", TPM_STATE_PERMANENT | OF_COMMAND);
	cr_assert(!monitor.stored.again);
	/* Nor where anything else was written since. */
	cr_assert_eq(storage_drop_volatile(monitor.storage, NULL), 0);
	store_text("volatile", TPM_STATE_VOLATILE);
	cr_assert_eq(storage_undo(monitor.storage, NULL), ERR_NOTFOUND);
	holds("four");
}

Test(needs, cannot_flood_the_log)
{
	static const char text[] = "flooding\nevent=nvram.torn \x1b[2J";
	unsigned int n = 0;
	struct message reply;

	be(POWERED);
	for (int i = 0; i < 500; i++) {
		memcpy(memory.shared->needs, text, sizeof(text) - 1);
		is_served(POWERED, LOG, i % 2 ? LOG_LEVEL_ERROR : UINT32_MAX,
		    sizeof(text) - 1);
	}
	for (const char *at = lines; (at = strstr(at, "flooding")) != NULL;
	    at++)
		n++;
	/* 20 a second; two seconds may have begun. */
	cr_assert(n >= 20 && n <= 40, "%u lines", n);
	cr_assert_null(strchr(lines, '\x1b'), "no terminal escapes");
	cr_assert_eq(ask(LOAD, TPM_STATE_PERMANENT, 0, &reply), 0);
	cr_assert_eq(reply.result, 0, "all else is served");
}

Test(needs, close_only_the_connection_that_they_mean)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	monitor.data_fd = pair[0];
	monitor.data_number = 5;
	is_served(POWERED, DATA_CLOSED, 4, 0);
	cr_assert_eq(monitor.data_fd, pair[0], "an older one's end");
	is_served(POWERED, DATA_CLOSED, 5, 0);
	cr_assert_eq(monitor.data_fd, -1);
	cr_assert_eq(fcntl(pair[0], F_GETFD), -1);
	is_served(POWERED, DATA_CLOSED, 5, 0);
}

/* -- and the monitor around it -- */

static void
ends_the_worker(const char *event)
{
	cr_assert_eq(monitor_run(&monitor), 1, "no second worker, so it ends");
	cr_assert_eq(killed, 1);
	cr_assert_not_null(strstr(lines, event), "%s", lines);
	/* The worker's ends: nobody is at the other one. */
	cr_assert_eq(send(worker.orders, "", 1, MSG_NOSIGNAL), -1);
	cr_assert_eq(send(worker.needs, "", 1, MSG_NOSIGNAL), -1);
}

Test(needs, that_are_forbidden_end_the_worker)
{
	static const struct message m = { .type = DATA_CLOSED + 1 };

	cr_assert_eq(channel_send(worker.needs, &m, -1), 0);
	ends_the_worker("event=worker.broke-rules");
}

Test(needs, answers_that_nobody_waits_for_end_the_worker)
{
	static const struct message m = { .type = ORDER_GET_STATE };

	cr_assert_eq(channel_send(worker.orders, &m, -1), 0);
	ends_the_worker("event=worker.broke-rules");
}

static void
no_answer(struct monitor *m, struct client *c, const struct message *reply)
{
	(void)m;
	(void)c;
	cr_assert_fail("an answer of %u bytes is believed", reply->size);
}

Test(needs, answers_that_are_too_large_end_the_worker)
{
	static const struct message order = { .type = ORDER_GET_STATE,
		.arg = TPM_STATE_PERMANENT };
	struct message m = order;

	monitor_order(&monitor, NULL, &order, -1, no_answer);
	m.size = STORE_MAX + 1;
	cr_assert_eq(channel_send(worker.orders, &m, -1), 0);
	ends_the_worker("event=worker.broke-rules");
}

Test(needs, answers_with_a_descriptor_end_the_worker)
{
	static const struct message order = { .type = ORDER_STOP };

	monitor_order(&monitor, NULL, &order, -1, no_answer);
	cr_assert_eq(channel_send(worker.orders, &order, 0), 0);
	ends_the_worker("event=worker.died");
}

Test(needs, a_worker_that_goes_is_noticed)
{
	channel_close(&worker);
	cr_assert_eq(monitor_run(&monitor), 1);
	cr_assert_eq(killed, 1);
	cr_assert_not_null(strstr(lines, "event=worker.died"));
	cr_assert_null(strstr(lines, "event=worker.broke-rules"));
}

/* -- and the file under it -- */

static void
end_at_the_alarm(enum log_level level, const char *line)
{
	keep_line(level, line);
	if (strstr(line, "event=storage.vanished") != NULL)
		monitor.ended = true;
}

static uint64_t
seconds_to_look(void)
{
	return (monitor.look_at - monitor_now() + 500) / 1000;
}

/* doc/protocols.md, "Events": storage.vanished, within a minute of idleness. */
Test(needs, none_at_all_and_a_file_that_is_removed_is_noticed)
{
	cr_assert_eq(seconds_to_look(), 60, "a monitor that has just begun");
	cr_assert_eq(unlink(file), 0);
	log_set_sink(end_at_the_alarm);
	monitor.look_at = monitor_now() + 50;
	(void)monitor_run(&monitor);
	cr_assert_not_null(strstr(lines, "event=storage.vanished"));
	cr_assert_eq(monitor.look_at, UINT64_MAX, "it is said once");
}

static void *
end_later(void *arg)
{
	static const struct message m = { .type = DATA_CLOSED + 1 };

	(void)arg;
	usleep(300000);
	(void)channel_send(worker.needs, &m, -1);
	return NULL;
}

static long
cpu_ms(const struct rusage *u)
{
	return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000 +
	    (u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1000;
}

Test(needs, none_at_all_wake_it_once_a_minute)
{
	struct rusage before, after;
	pthread_t ender;

	monitor.look_at = monitor_now() + 50;
	cr_assert_eq(pthread_create(&ender, NULL, end_later, NULL), 0);
	cr_assert_eq(getrusage(RUSAGE_THREAD, &before), 0);
	cr_assert_eq(monitor_run(&monitor), 1);
	cr_assert_eq(getrusage(RUSAGE_THREAD, &after), 0);
	pthread_join(ender, NULL);
	cr_assert_null(strstr(lines, "event=storage.vanished"));
	cr_assert_eq(seconds_to_look(), 60);
	/* The look, the need; what closing the file waits for the disk. Nor
	 * does it turn round and round. */
	cr_assert_lt(after.ru_nvcsw - before.ru_nvcsw, 30);
	cr_assert_lt(cpu_ms(&after) - cpu_ms(&before), 150);
}
