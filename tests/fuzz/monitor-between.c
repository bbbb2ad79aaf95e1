/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/monitor-between.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/fuzz/fail.h"
#include "vtpm/monitor.h"
#include "vtpm/handover.h"
#include "vtpm/supervisor.h"

#define CLIENTS 4
#define STEPS_MAX 2000
#define RESPAWNS_MAX 3
#define PAUSES_MAX 100
#define POLLED_MAX 10000
#define WORKER 0x7ffffffe	/* no such process; kill is replaced anyway */

struct storage {
	uint8_t state[2][NVRAM_STATE_MAX];
	size_t size[2];
	bool there[2];
	/* What storage_undo goes back to. */
	uint8_t before[NVRAM_STATE_MAX];
	size_t before_size;
	bool undoable, before_there;
};

static struct {
	struct buf before, in;
	bool hostile, running;
	struct monitor monitor;
	struct channel worker;
	struct channel_memory memory;
	unsigned int respawns;
	int clients[CLIENTS];
	struct sockaddr_un address;
	socklen_t address_size;
	int signals;
	int successor;		/* its end of the handover; -1 */
	unsigned int steps;
	int lowest;		/* descriptor free when it began */
	size_t polled;		/* times since the last step or pause */
	unsigned int pauses;
} the;

/* -- what the monitor stands on, in memory -- */

static struct storage storage;

int
storage_load(struct storage *s, enum tpm_state which, const uint8_t **data,
    size_t *size, struct err *err)
{
	if ((which != TPM_STATE_PERMANENT && which != TPM_STATE_VOLATILE) ||
	    !s->there[which - 1])
		return err_set(err, ERR_NOTFOUND, "not there");
	*data = s->state[which - 1];
	*size = s->size[which - 1];
	return 0;
}

int
storage_store(struct storage *s, enum tpm_state which, const uint8_t *data,
    size_t size, struct err *err)
{
	if (which != TPM_STATE_PERMANENT && which != TPM_STATE_VOLATILE)
		return err_set(err, ERR_NOTFOUND, "no such state");
	if (fail_now())
		return err_sys(err, EIO, "cannot write");
	FUZZ_ASSERT(size <= NVRAM_STATE_MAX);
	/* monitor-needs.c: while an order or the guest may change it. */
	FUZZ_ASSERT(the.monitor.powered || the.monitor.order.active);
	s->undoable = which == TPM_STATE_PERMANENT;
	s->before_there = s->there[0];
	s->before_size = s->size[0];
	memcpy(s->before, s->state[0], s->size[0]);
	memcpy(s->state[which - 1], data, size);
	s->size[which - 1] = size;
	s->there[which - 1] = true;
	return 0;
}

int
storage_undo(struct storage *s, struct err *err)
{
	const struct journal *j = &the.memory.shared->journal;

	/* monitor-worker.c: what the guest was told of stays. */
	FUZZ_ASSERT(atomic_load(&j->begun) > atomic_load(&j->answered));
	if (!s->undoable)
		return err_set(err, ERR_NOTFOUND, "it is not there");
	s->undoable = false;
	s->there[0] = s->before_there;
	s->size[0] = s->before_size;
	memcpy(s->state[0], s->before, s->before_size);
	return 0;
}

int
storage_drop_volatile(struct storage *s, struct err *err)
{
	s->undoable = false;
	if (fail_now())
		return err_sys(err, EIO, "cannot write");
	s->there[1] = false;
	return 0;
}

/* The file's key, as far as an envelope is concerned. */
static int
find_kek(void *arg, struct envelope_kek *kek, struct err *err)
{
	(void)arg;
	(void)err;
	memset(kek->key, 7, sizeof(kek->key));
	return kek->protector == ENVELOPE_BY_FILE ? 0 : ERR_NOTFOUND;
}

static const uint8_t vm_uuid[UUID_SIZE] = { 1, 2, 3 };

int
storage_hand_out(struct storage *s, struct envelope_session **session,
    struct err *err)
{
	struct envelope_kek kek = { .protector = ENVELOPE_BY_FILE };

	(void)s;
	if (fail_now())
		return err_sys(err, EIO, "cannot write");
	FUZZ_ASSERT(find_kek(NULL, &kek, err) == 0);
	return envelope_session_new(session, vm_uuid, &kek, 1, err);
}

int
storage_open_blob(struct storage *s, unsigned int wait_ms, const void *bytes,
    size_t size, struct envelope *e, struct secret **state, struct err *err)
{
	struct envelope_kek by;

	(void)s;
	(void)wait_ms;
	return envelope_open(bytes, size, vm_uuid, find_kek, NULL, e, &by,
	    state, err);
}

int
storage_own(struct storage *s, unsigned int wait_ms, struct err *err)
{
	(void)s;
	(void)wait_ms;
	return fail_now() ? err_set(err, ERR_STALE, "it is another's") : 0;
}

int
storage_reclaim(struct storage *s, unsigned int wait_ms, struct err *err)
{
	return storage_own(s, wait_ms, err);
}

bool
storage_holds_what_came(const struct storage *s)
{
	(void)s;
	return fail_now();
}

void
storage_lend(struct storage *s)
{
	(void)s;
}

int
storage_receive(struct storage *s, struct err *err)
{
	(void)s;
	return fail_now() ? err_set(err, ERR_NOSPACE, "the disk is full") : 0;
}

int
storage_arrived(struct storage *s, struct err *err)
{
	(void)s;
	return fail_now() ? err_set(err, ERR_EXISTS, "it exists already") : 0;
}

int
storage_sent(struct storage *s, struct err *err)
{
	(void)s;
	return fail_now() ? err_sys(err, EIO, "cannot write") : 0;
}

void
storage_adopt_keys(struct storage *s, int fd,
    const uint8_t key[MIGRATE_TABLE_KEY_SIZE])
{
	(void)s;
	(void)fd;
	(void)key;
}

void
storage_give_up(struct storage *s)
{
	(void)s;
}

void
storage_allow_restore(struct storage *s, bool allow)
{
	(void)s;
	(void)allow;
}

const struct nvram_header *
storage_header(const struct storage *s)
{
	static const struct nvram_header header = { .epoch = 7 };

	(void)s;
	return &header;
}

bool
storage_moves(const struct storage *s)
{
	(void)s;
	return false;
}

bool
storage_look(struct storage *s)
{
	(void)s;
	return fail_now();
}

void
storage_rest(struct storage *s)
{
	(void)s;
}

bool
storage_fenced(struct storage *s)
{
	(void)s;
	return false;
}

int
storage_close(struct storage *s, struct err *err)
{
	(void)s;
	return fail_now() ? err_sys(err, EIO, "cannot write") : 0;
}

int __real_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig);
int
__wrap_kill(pid_t pid, int sig)
{
	/* The fuzzer's own. */
	if (!the.running)
		return __real_kill(pid, sig);
	FUZZ_ASSERT(pid == WORKER && sig == SIGUSR1);
	return 0;
}

/* Pauses take no time here; what a pause is for is over after some. */
int __wrap_nanosleep(const struct timespec *t, struct timespec *rest);
int
__wrap_nanosleep(const struct timespec *t, struct timespec *rest)
{
	(void)t;
	(void)rest;
	the.polled = 0;
	if (the.pauses++ == PAUSES_MAX)
		(void)fail_end();
	return 0;
}

/* -- the steps -- */

static void
step_connect(struct buf *in)
{
	(void)in;
	for (size_t i = 0; i < CLIENTS; i++) {
		if (the.clients[i] >= 0)
			continue;
		the.clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
		    SOCK_CLOEXEC, 0);
		if (connect(the.clients[i], (struct sockaddr *)&the.address,
		    the.address_size) < 0) {
			close(the.clients[i]);
			the.clients[i] = -1;
		}
		return;
	}
}

static int *
client_of(struct buf *in)
{
	uint8_t i = 0;

	(void)buf_get_u8(in, &i);
	return &the.clients[i % CLIENTS];
}

static void
step_bytes(struct buf *in)
{
	int fd = *client_of(in);
	const uint8_t *bytes;
	uint16_t size = 0;

	(void)buf_get_u16be(in, &size);
	if (size > buf_left(in))
		size = (uint16_t)buf_left(in);
	if (buf_get_ref(in, &bytes, size) == 0 && fd >= 0)
		(void)!send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
send_with_fd(int sock, const void *bytes, size_t size)
{
	const int standard_input = 0;
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes,
		.iov_len = size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	/* Not one of ours: the monitor shuts it down when it is done with it. */
	memcpy(CMSG_DATA(c), &standard_input, sizeof(int));
	(void)sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
step_fd(struct buf *in)
{
	int fd = *client_of(in);
	uint8_t byte = 0;

	(void)buf_get_u8(in, &byte);
	if (fd >= 0)
		send_with_fd(fd, &byte, 1);
}

static void
step_read(struct buf *in)
{
	int fd = *client_of(in);
	static uint8_t sink[65536];

	if (fd >= 0)
		while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
}

static void
step_close(struct buf *in)
{
	int *fd = client_of(in);

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The worker's side takes the orders that lie there, and their descriptors. */
static void
drain(int sock, uint32_t *type)
{
	struct message m;
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
	int fd;

	while (__real_poll(&p, 1, 0) > 0 && (p.revents & POLLIN) != 0) {
		fd = -1;
		if (channel_recv(sock, &m, &fd) == 0)
			*type = m.type;
		else if (errno != EAGAIN)
			p.fd = -1;
		if (fd >= 0)
			close(fd);
	}
}

static void
step_answer(struct buf *in)
{
	struct message m = { 0 };
	uint32_t result = 0, type = 0;

	(void)buf_get_u32be(in, &result);
	(void)buf_get_u32be(in, &m.arg);
	(void)buf_get_u32be(in, &m.size);
	m.result = (int32_t)result;
	drain(the.worker.orders, &type);
	m.type = type;
	if (!the.hostile) {
		if (!the.monitor.order.active)
			return;
		m.size %= CHANNEL_AREA_SIZE + 1;
	}
	(void)channel_send(the.worker.orders, &m, -1);
}

static void
step_need(struct buf *in)
{
	struct message m = { 0 };
	uint8_t type = 0;
	uint32_t answer;

	(void)buf_get_u8(in, &type);
	(void)buf_get_u32be(in, &m.arg);
	(void)buf_get_u32be(in, &m.size);
	m.type = type;
	drain(the.worker.needs, &answer);
	(void)channel_send(the.worker.needs, &m, -1);
}

static void
step_shared(struct buf *in)
{
	uint8_t area = 0, size = 0;
	uint16_t offset = 0;
	size_t n;

	(void)buf_get_u8(in, &area);
	(void)buf_get_u16be(in, &offset);
	(void)buf_get_u8(in, &size);
	n = size < buf_left(in) ? size : buf_left(in);
	(void)buf_get_bytes(in, (area & 2 ?
	    (uint8_t *)&the.memory.shared->journal : area & 1 ?
	    the.memory.shared->needs : the.memory.shared->orders) + offset, n);
}

static void
step_raw(struct buf *in)
{
	uint8_t channel = 0, size = 0;
	const uint8_t *bytes;
	int sock;

	(void)buf_get_u8(in, &channel);
	(void)buf_get_u8(in, &size);
	if (size > buf_left(in))
		size = (uint8_t)buf_left(in);
	if (buf_get_ref(in, &bytes, size) < 0)
		return;
	sock = channel & 1 ? the.worker.needs : the.worker.orders;
	if (channel & 0x80)
		send_with_fd(sock, bytes, size);
	else
		(void)!send(sock, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
step_signal(struct buf *in)
{
	struct signalfd_siginfo info = { 0 };
	uint8_t number = 0;

	(void)buf_get_u8(in, &number);
	info.ssi_signo = number;
	(void)!write(the.signals, &info, sizeof(info));
}

static void (*const steps[STEPS])(struct buf *in) = {
	[STEP_CONNECT] = step_connect,
	[STEP_BYTES] = step_bytes,
	[STEP_FD] = step_fd,
	[STEP_READ] = step_read,
	[STEP_CLOSE] = step_close,
	[STEP_ANSWER] = step_answer,
	[STEP_NEED] = step_need,
	[STEP_SHARED] = step_shared,
	[STEP_RAW] = step_raw,
	[STEP_SIGNAL] = step_signal,
};

static void
next_step(void)
{
	struct buf *in = buf_left(&the.before) > 0 ? &the.before : &the.in;
	uint8_t kind;

	if (buf_get_u8(in, &kind) < 0 || the.steps++ == STEPS_MAX) {
		channel_close(&the.worker);
		return;
	}
	if (!the.hostile && kind % STEPS == STEP_RAW)
		kind = STEP_BYTES;
	steps[kind % STEPS](in);
}

/* The monitor waits: something is done that may end its waiting. */
int __real_poll(struct pollfd *p, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *p, nfds_t n, int timeout);
int
__wrap_poll(struct pollfd *p, nfds_t n, int timeout)
{
	int rc;

	FUZZ_ASSERT(timeout >= -1);
	if ((rc = __real_poll(p, n, 0)) != 0) {
		/* A monitor that turns round and round on one event. */
		FUZZ_ASSERT(the.polled++ < POLLED_MAX);
		/* The kernel does not refuse a signalfd's bytes for ever. */
		if (p[0].revents != 0 && the.polled > PAUSES_MAX)
			(void)fail_end();
		return rc;
	}
	the.polled = 0;
	while (the.worker.orders >= 0 && __real_poll(p, n, 0) == 0)
		next_step();
	return __real_poll(p, n, 0);
}

void
storage_abandon(struct storage *s)
{
	(void)(s);
}

int
storage_hand_over(struct storage *s, struct storage_handover *h,
    struct err *err)
{
	(void)s;
	if (fail_now())
		return err_sys(err, EIO, "cannot write");
	memset(h, 0, sizeof(*h));
	h->file = the.monitor.signal_fd;
	h->record = h->keys = -1;
	return 0;
}

int
storage_adopt(struct storage **out, const struct storage_handover *h,
    const char *path, struct agent *agent, struct err *err)
{
	(void)out;
	(void)h;
	(void)path;
	(void)agent;
	return err_set(err, ERR_UNSUPPORTED, "this one hands over only");
}

int
storage_note_version(struct storage *s, uint32_t version, struct err *err)
{
	(void)s;
	(void)version;
	(void)err;
	return 0;
}

uint32_t
tpm_library_version(void)
{
	return 0x000902;
}

/* A worker that is gone is replaced a few times. */
int
supervisor_spawn(int sock, struct channel *channel, pid_t *pid, struct err *err)
{
	(void)sock;
	*pid = WORKER;
	if (the.respawns++ == RESPAWNS_MAX)
		return err_set(err, ERR_CLOSED, "no more");
	channel_close(&the.worker);
	return channel_make(channel, &the.worker, &the.memory, err);
}

int
supervisor_wait(int sock, int *status, struct err *err)
{
	(void)sock;
	(void)err;
	*status = SIGKILL;
	return 0;
}

/* Where a newer program is to be run: it says nothing and ends, agrees, or
 * says what the input says. */
int
supervisor_tell(int sock, enum supervisor_ask what, int fd, struct err *err)
{
	uint8_t agreed[8] = { 0, 0, 0, HANDOVER_READY }, said[64], kind = 0;
	size_t n = 0;

	(void)sock;
	(void)what;
	(void)buf_get_u8(&the.in, &kind);
	if (fail_now())
		return err_set(err, ERR_CLOSED, "the supervisor is gone");
	if (the.successor >= 0)
		close(the.successor);
	the.successor = kind & 1 ? dup(fd) : -1;
	while (n < sizeof(said) && buf_get_u8(&the.in, &said[n]) == 0)
		n++;
	if (kind & 2)
		(void)!send(fd, agreed, sizeof(agreed), MSG_NOSIGNAL);
	else if (kind & 4)
		(void)!send(fd, said, n, MSG_NOSIGNAL);
	return 0;
}

/* -- one run -- */

static int
lowest_free(void)
{
	int fd = dup(0);

	FUZZ_ASSERT(fd >= 0);
	close(fd);
	return fd;
}

static void
no_line(enum log_level level, const char *line)
{
	(void)level;
	FUZZ_ASSERT(strchr(line, '\n') == NULL);
}

static void
begin(uint8_t flags)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	struct monitor *m = &the.monitor;
	int signals[2];

	the.lowest = lowest_free();
	monitor_init(m);
	m->worker = WORKER;
	m->storage = &storage;
	m->terminate = flags & 1;
	FUZZ_ASSERT(channel_memory_make(&the.memory, NULL) == 0);
	FUZZ_ASSERT(channel_make(&m->channel, &the.worker, &the.memory,
	    NULL) == 0);
	the.respawns = 0;
	the.successor = -1;
	/* An abstract address that the kernel chooses, unix(7). */
	m->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	the.address_size = sizeof(the.address);
	FUZZ_ASSERT(bind(m->listen_fd, (struct sockaddr *)&any,
	    sizeof(any.sun_family)) == 0 && listen(m->listen_fd, 8) == 0 &&
	    getsockname(m->listen_fd, (struct sockaddr *)&the.address,
	    &the.address_size) == 0);
	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, signals) == 0);
	m->signal_fd = signals[0];
	the.signals = signals[1];
	for (size_t i = 0; i < CLIENTS; i++)
		the.clients[i] = -1;
	memset(&storage.there, 0, sizeof(storage.there));
	storage.there[0] = true;
	storage.undoable = false;
	storage.size[0] = 1000;
	the.steps = 0;
	the.polled = 0;
	the.pauses = 0;
}

static void
end(void)
{
	channel_close(&the.worker);
	close(the.monitor.listen_fd);
	close(the.monitor.signal_fd);
	close(the.signals);
	if (the.successor >= 0)
		close(the.successor);
	for (size_t i = 0; i < CLIENTS; i++)
		if (the.clients[i] >= 0)
			close(the.clients[i]);
	munmap(the.memory.shared, sizeof(*the.memory.shared));
	if (the.memory.fd >= 0)
		close(the.memory.fd);
}

void
monitor_between(struct buf *in, struct buf *before, bool hostile)
{
	uint8_t failing[4] = { 0 }, flags = 0;
	struct buf control;

	log_set_sink(no_line);
	(void)buf_get_bytes(in, failing, sizeof(failing));
	(void)buf_get_u8(in, &flags);
	the.in = *in;
	the.before = *before;
	the.hostile = hostile;
	begin(flags);
	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	the.running = true;
	(void)monitor_run(&the.monitor);
	the.running = false;
	(void)fail_end();
	if (the.monitor.data_fd >= 0)
		close(the.monitor.data_fd);
	end();
	FUZZ_ASSERT(lowest_free() == the.lowest);
}
