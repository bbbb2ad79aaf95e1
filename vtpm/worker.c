/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/worker.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "nvram-crypt/crypto.h"
#include "vtpm/tpm.h"
#include "vtpm/worker-orders.h"

/* How long a command that came in part may take to come whole. QEMU writes a
 * command in one piece, so this is only reached by a guest whose header
 * promises more bytes than it wrote; it gets an error instead of silence. */
#define REST_TIMEOUT_MS 1000
/* Major and minor version of the libtpms that crypto_tpm_context suits. */
#define LIBTPMS_LISTED 0x0009
/* A command that took so long does not show that its volatile state was
 * captured before it was answered: 8 us with warm caches, 30 with cold. Such
 * a command cannot be lost by a worker's death any more. */
#define CAPTURE_FIRST_US 250
/* More than the two of libtpms's buffers that there are at a time. */
#define KEEP_HEAP (1024 * 1024)

/* What the header at the start of a command says of its size; 0 while there
 * are too few bytes to tell. */
static size_t
announced_size(const uint8_t *command, size_t have)
{
	struct buf b = buf_reader(command, have);
	uint32_t size;

	if (buf_get_bytes(&b, NULL, 2) < 0 || buf_get_u32be(&b, &size) < 0)
		return 0;
	return size;
}

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Reads on until the command is as long as its header says, it is clear that
 * it never will be, or nothing more comes. */
static int
read_rest(int fd, uint8_t *command, size_t *have)
{
	/* Signals, as of one that wants to park, do not make it longer. */
	uint64_t now, until = now_us() + REST_TIMEOUT_MS * 1000;

	while (*have < JOURNAL_COMMAND) {
		size_t size = announced_size(command, *have);
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;
		int rc;

		if (*have >= 6 && (size <= *have || size > TPM_BUFFER_DEFAULT))
			return 0;
		if ((now = now_us()) > until)
			now = until;
		rc = poll(&p, 1, (int)((until - now + 999) / 1000));
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return rc;
		n = read(fd, command + *have, JOURNAL_COMMAND - *have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		*have += (size_t)n;
	}
	return 0;
}

/* With the lock held: waits while no command may be run. */
static void
stay_parked(struct worker *w)
{
	while (atomic_load(&w->parking)) {
		w->parked = true;
		pthread_cond_signal(&w->was_parked);
		pthread_cond_wait(&w->was_unparked, &w->lock);
	}
	w->parked = false;
}

static void
on_interruption(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	stay_parked(w);
	pthread_mutex_unlock(&w->lock);
}

/* Takes one command off the socket; -1 when that is at its end. */
static int
take_command(struct worker *w, int fd, size_t *size)
{
	struct journal *j = &w->channel.memory.shared->journal;
	ssize_t n;

	/* Not by glibc's recv: journal_send says why. And a shorter way through
	 * Linux than read. */
	while ((n = syscall(SYS_recvfrom, fd, j->command, sizeof(j->command),
	    0, NULL, NULL)) < 0 && errno == EINTR)
		on_interruption(w);
	if (n <= 0)
		return -1;
	*size = (size_t)n;
	if (announced_size(j->command, *size) != *size &&
	    read_rest(fd, j->command, size) < 0)
		return -1;
	j->command_size = (uint32_t)*size;
	journal_set(&j->begun, atomic_load(&j->begun) + 1);
	return 0;
}

/* Runs the command in the journal, and undoes it where the file could not
 * take what it stored. */
static void
run(struct worker *w, size_t size, const uint8_t **response,
    size_t *response_size)
{
	struct journal *j = &w->channel.memory.shared->journal;

	w->store_failed = w->prepared = false;
	if (tpm_powered() && !worker_may_run(w)) {
		w->store_failed = true;
		tpm_error_response(w->error, TPM_RC_NV_UNAVAILABLE);
		*response = w->error;
		*response_size = sizeof(w->error);
		return;
	}
	w->running = true;
	tpm_process(j->command, size, response, response_size);
	w->running = false;
	if (!w->store_failed)
		return;
	tpm_error_response(w->error, worker_restore(w) == TPM_RC_SUCCESS ?
	    TPM_RC_NV_UNAVAILABLE : TPM_RC_FAILURE);
	*response = w->error;
	*response_size = sizeof(w->error);
}

/* Before the answer, all of a command's trace that costs next to nothing: most
 * of them have none, or a line in the log, and beside one that took long a
 * capture does not show. */
static void
keep_first(struct worker *w, enum journal_trace trace, uint64_t number,
    uint64_t since)
{
	struct journal *j = &w->channel.memory.shared->journal;

	if (w->prepared && !w->store_failed) {
		journal_capture_publish(j, number);
		return;
	}
	if (trace == JOURNAL_TRACE_RANDOM || w->store_failed)
		j->drawn = number;
	if (trace == JOURNAL_TRACE_NOTHING || trace == JOURNAL_TRACE_RANDOM ||
	    w->store_failed)
		journal_unchanged(j, number);
	else if (trace == JOURNAL_TRACE_LOG)
		journal_log_publish(j, number);
	else if (atomic_load(&j->captured) != number &&
	    now_us() - since >= CAPTURE_FIRST_US)
		(void)journal_capture(j, number);
}

/* Runs and answers the command that begun counts; -1 when the socket is at its
 * end. */
static int
serve_taken(struct worker *w, int fd, size_t have)
{
	struct journal *j = &w->channel.memory.shared->journal;
	const uint8_t *response;
	enum journal_trace trace;
	uint64_t number, since = 0;
	size_t size;
	int rc;

	number = atomic_load(&j->begun);
	pthread_mutex_lock(&w->lock);
	stay_parked(w);
	trace = journal_trace_of(j->command, have);
	if (trace == JOURNAL_TRACE_LOG &&
	    !journal_log_prepare(j, number, j->command, have))
		trace = JOURNAL_TRACE_CAPTURE;
	if (trace == JOURNAL_TRACE_CAPTURE) {
		journal_keep(j, number, j->command, have);
		since = now_us();
	}
	run(w, have, &response, &size);
	if (trace == JOURNAL_TRACE_LOG && !tpm_response_is_success(response, size))
		trace = JOURNAL_TRACE_NOTHING;
	rc = journal_answer(j, response, size);
	/* Only now: before run counts it, its effect must not be kept. */
	keep_first(w, trace, number, since);
	/* Until here it is run again should this worker die. */
	journal_take_out(j);
	if (rc == 0)
		rc = journal_send(j, fd);
	if (atomic_load(&j->captured) != number)
		(void)journal_capture(j, number);
	pthread_mutex_unlock(&w->lock);
	return rc;
}

static int
serve_one(struct worker *w, int fd)
{
	size_t size;

	if (take_command(w, fd, &size) < 0)
		return -1;
	return serve_taken(w, fd, size);
}

/* What the guest has been waiting for since another worker died. */
static int
answer_for_predecessor(struct worker *w, int fd)
{
	struct journal *j = &w->channel.memory.shared->journal;
	enum resume resume = w->resume;
	uint8_t error[TPM_HEADER_SIZE];

	w->resume = RESUME_QUIETLY;
	if (resume == RESUME_QUIETLY || resume == RESUME_FAILED)
		return 0;
	if (resume == RESUME_ANSWER)
		return j->answer_size > JOURNAL_ANSWER_MAX ? -1 : journal_send(j, fd);
	if (resume == RESUME_RERUN)
		return j->command_size > JOURNAL_COMMAND ? -1 :
		    serve_taken(w, fd, j->command_size);
	tpm_error_response(error, resume == RESUME_RETRY ? TPM_RC_RETRY :
	    TPM_RC_FAILURE);
	journal_unchanged(j, atomic_load(&j->begun));
	if (journal_answer(j, error, sizeof(error)) < 0)
		return -1;
	return journal_send(j, fd);
}

static int
next_data_fd(struct worker *w)
{
	int fd;

	pthread_mutex_lock(&w->lock);
	w->data_fd = -1;
	while (w->next_data_fd < 0)
		pthread_cond_wait(&w->data_fd_came, &w->lock);
	fd = w->data_fd = w->next_data_fd;
	w->data_number = w->next_data_number;
	w->next_data_fd = -1;
	pthread_mutex_unlock(&w->lock);
	return fd;
}

void
worker_adopt_crypto(void)
{
	bool whole = tpm_library_version() >> 8 != LIBTPMS_LISTED;
	struct err err = { 0 };
	OSSL_LIB_CTX *lib = crypto_tpm_context(whole, &err);

	if (lib == NULL)
		_exit(1);
	/* libtpms uses what the calling thread's default context is. */
	(void)OSSL_LIB_CTX_set0_default(lib);
}

static void *
data_thread(void *arg)
{
	struct worker *w = arg;
	struct journal *j = &w->channel.memory.shared->journal;

	worker_adopt_crypto();
	pthread_mutex_lock(&w->lock);
	w->data_thread_up = true;
	pthread_cond_signal(&w->data_thread_came);
	pthread_mutex_unlock(&w->lock);
	for (;;) {
		int fd = next_data_fd(w), rc;

		rc = answer_for_predecessor(w, fd);
		while (rc == 0)
			rc = serve_one(w, fd);
		/* The machine has lost its power: QEMU is gone. */
		pthread_mutex_lock(&w->lock);
		worker_make_orderly(w);
		journal_settle(j);
		worker_data_closed(w);
		w->data_fd = -1;
		close(fd);
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

static void
on_park(int sig)
{
	/* It has ended a read. */
	(void)sig;
}

static void
on_cancel(int sig)
{
	(void)sig;
	tpm_cancel();
}

/*
 * The kernel's own write there (journal.h) must never have to wait for the page:
 * a dying worker would not wait. It was written to a moment before, so this is
 * against the last of doubts, and no vTPM without the right to it is refused.
 * Here, and not where the memory is made: a lock is of one process and not
 * inherited, fork(2).
 */
static void
lock_sendings(struct channel_shared *shared)
{
	(void)mlock(shared->journal.sendings,
	    sizeof(shared->journal.sendings));
}

_Noreturn void
worker_main(struct channel *channel, void (*confine)(void *), void *arg)
{
	static struct worker w = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.data_fd_came = PTHREAD_COND_INITIALIZER,
		.data_thread_came = PTHREAD_COND_INITIALIZER,
		.was_parked = PTHREAD_COND_INITIALIZER,
		.was_unparked = PTHREAD_COND_INITIALIZER,
		.data_fd = -1,
		.next_data_fd = -1,
	};
	struct sigaction cancel = { .sa_handler = on_cancel,
		.sa_flags = SA_RESTART };
	struct sigaction park = { .sa_handler = on_park };
	pthread_attr_t attr;

	w.channel = *channel;
	prctl(PR_SET_NAME, "vtpmd-worker");
	lock_sendings(w.channel.memory.shared);
	/* One heap for both threads: they never allocate at once. */
	mallopt(M_ARENA_MAX, 1);
	/* Each store and each capture takes a buffer as large as all that
	 * libtpms may have, and writes to little of it. Kept, they cost a few
	 * pages; given back each time, some 20 us of brk and page faults. */
	mallopt(M_MMAP_THRESHOLD, KEEP_HEAP);
	mallopt(M_TRIM_THRESHOLD, KEEP_HEAP);
	sigaction(WORKER_CANCEL_SIGNAL, &cancel, NULL);
	sigaction(WORKER_PARK_SIGNAL, &park, NULL);
	worker_adopt_crypto();
	if (worker_setup_tpm(&w) < 0)
		_exit(1);
	if (pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, 256 * 1024) != 0 ||
	    pthread_create(&w.data_thread, &attr, data_thread, &w) != 0)
		_exit(1);
	/* The filter is set for all threads at once (SECCOMP_FILTER_FLAG_TSYNC),
	 * and glibc's start of a thread makes calls that it forbids. */
	pthread_mutex_lock(&w.lock);
	while (!w.data_thread_up)
		pthread_cond_wait(&w.data_thread_came, &w.lock);
	pthread_mutex_unlock(&w.lock);
	confine(arg);
	/* What building the filter took. */
	malloc_trim(0);
	worker_obey(&w);
	_exit(0);
}
