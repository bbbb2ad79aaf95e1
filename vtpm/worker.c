/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/worker.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "nvram-crypt/crypto.h"
#include "vtpm/tpm.h"
#include "vtpm/worker-orders.h"

/* How long a command that came in part may take to come whole. QEMU writes a
 * command in one piece, so this is only reached by a guest whose header
 * promises more bytes than it wrote; it gets an error instead of silence. */
#define REST_TIMEOUT_MS 1000

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

/* Reads on until the command is as long as its header says, it is clear that
 * it never will be, or nothing more comes. */
static int
read_rest(int fd, uint8_t *command, size_t *have)
{
	while (*have < JOURNAL_COMMAND) {
		size_t size = announced_size(command, *have);
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;
		int rc;

		if (*have >= 6 && (size <= *have || size > TPM_BUFFER_DEFAULT))
			return 0;
		rc = poll(&p, 1, REST_TIMEOUT_MS);
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

/* Sends what lies in the answers' memory from the file's offset on. */
static int
send_answer(struct worker *w, int fd, size_t size)
{
	int answers = w->channel.memory.answers_fd;

	while (size > 0) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n = sendfile(fd, answers, NULL, size);

		if (n < 0 && errno == EAGAIN)
			poll(&p, 1, -1);
		else if (n == 0 || (n < 0 && errno != EINTR))
			return -1;
		else if (n > 0)
			size -= (size_t)n;
	}
	return 0;
}

/* Puts the answer to the command under way where a successor finds it. */
static int
lay_down(struct worker *w, const uint8_t *response, size_t size)
{
	struct journal *j = &w->channel.memory.shared->journal;

	if (size > JOURNAL_ANSWERS - w->answers_at) {
		if (lseek(w->channel.memory.answers_fd, 0, SEEK_SET) != 0)
			return -1;
		w->answers_at = 0;
	}
	memcpy(w->channel.memory.answers + w->answers_at, response, size);
	j->answer_at = w->answers_at;
	j->answer_size = (uint32_t)size;
	w->answers_at += (uint32_t)size;
	atomic_store(&j->run, atomic_load(&j->begun));
	return 0;
}

/* Sends the last size bytes of what was laid down. */
static int
answer(struct worker *w, int fd, size_t size)
{
	struct journal *j = &w->channel.memory.shared->journal;

	if (send_answer(w, fd, size) < 0)
		return -1;
	atomic_store(&j->answered, atomic_load(&j->run));
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

	while ((n = read(fd, j->command, sizeof(j->command))) < 0 &&
	    errno == EINTR)
		on_interruption(w);
	if (n <= 0)
		return -1;
	*size = (size_t)n;
	if (announced_size(j->command, *size) != *size &&
	    read_rest(fd, j->command, size) < 0)
		return -1;
	j->command_size = (uint32_t)*size;
	atomic_fetch_add(&j->begun, 1);
	return 0;
}

/* Runs the command in the journal, and undoes it where the file could not
 * take what it stored. */
static void
run(struct worker *w, size_t size, const uint8_t **response,
    size_t *response_size)
{
	struct journal *j = &w->channel.memory.shared->journal;

	j->handed_out = false;
	w->running = true;
	w->store_failed = false;
	tpm_process(j->command, size, response, response_size);
	w->running = false;
	if (!w->store_failed)
		return;
	tpm_error_response(w->error, worker_restore(w) == TPM_RC_SUCCESS ?
	    TPM_RC_NV_UNAVAILABLE : TPM_RC_FAILURE);
	*response = w->error;
	*response_size = sizeof(w->error);
}

/* What is to be captured of a command that has been run: nothing, a line in the
 * log, or, after the answer, the whole. */
enum trace { TRACE_NONE, TRACE_LOG, TRACE_CAPTURE };

static enum trace
trace_of(const struct worker *w, size_t size)
{
	const uint8_t *command = w->channel.memory.shared->journal.command;

	if (journal_is_harmless(command, size))
		return TRACE_NONE;
	return journal_is_repeatable(command, size) ? TRACE_LOG : TRACE_CAPTURE;
}

/* Runs and answers the command that begun counts; -1 when the socket is at its
 * end. */
static int
serve_taken(struct worker *w, int fd, size_t have)
{
	struct journal *j = &w->channel.memory.shared->journal;
	uint8_t repeatable[JOURNAL_LOG_COMMAND];
	const uint8_t *response;
	enum trace trace;
	uint64_t number;
	size_t size;
	int rc;

	number = atomic_load(&j->begun);
	pthread_mutex_lock(&w->lock);
	stay_parked(w);
	trace = trace_of(w, have);
	if (trace == TRACE_LOG && have <= sizeof(repeatable))
		memcpy(repeatable, j->command, have);
	run(w, have, &response, &size);
	if (trace == TRACE_LOG && !tpm_response_is_success(response, size))
		trace = TRACE_NONE;
	/* From here on a command in the buffer is the next one. */
	memset(j->command, 0, TPM_HEADER_SIZE);
	rc = lay_down(w, response, size);
	/* Only now: before run counts it, its effect must not be kept. */
	if (trace == TRACE_NONE || w->store_failed)
		journal_unchanged(j, number);
	else if (trace == TRACE_LOG)
		(void)journal_log(j, number, repeatable, have);
	if (rc == 0)
		rc = answer(w, fd, size);
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
	off_t sent;

	w->resume = RESUME_QUIETLY;
	if (resume == RESUME_QUIETLY || resume == RESUME_FAILED)
		return 0;
	if (resume == RESUME_ANSWER) {
		sent = lseek(w->channel.memory.answers_fd, 0, SEEK_CUR);
		if (j->answer_at > JOURNAL_ANSWERS || j->answer_size >
		    JOURNAL_ANSWERS - j->answer_at || sent < j->answer_at ||
		    sent > (off_t)j->answer_at + j->answer_size)
			return -1;
		w->answers_at = j->answer_at + j->answer_size;
		return answer(w, fd, w->answers_at - (size_t)sent);
	}
	if (resume == RESUME_RERUN)
		return j->command_size > JOURNAL_COMMAND ? -1 :
		    serve_taken(w, fd, j->command_size);
	tpm_error_response(error, resume == RESUME_RETRY ? TPM_RC_RETRY :
	    TPM_RC_FAILURE);
	journal_unchanged(j, atomic_load(&j->begun));
	if (lay_down(w, error, sizeof(error)) < 0)
		return -1;
	return answer(w, fd, sizeof(error));
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

/*
 * libtpms takes what the calling thread's default library context is. Here it
 * gets the one that the monitor made for itself before the fork: its 200 kB of
 * algorithm tables stay shared pages of the two processes, and are not made
 * twice. Nothing else of our own cryptography runs in a worker. No generator of
 * random numbers is in it yet; each process seeds its own.
 */
static void
adopt_crypto(void)
{
	if (crypto_context() != NULL)
		(void)OSSL_LIB_CTX_set0_default(crypto_context());
}

static void *
data_thread(void *arg)
{
	struct worker *w = arg;
	struct journal *j = &w->channel.memory.shared->journal;

	adopt_crypto();
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
		/* An answer may lie there that was never sent. */
		w->answers_at = JOURNAL_ANSWERS;
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
		/* The first answer starts the memory file anew. */
		.answers_at = JOURNAL_ANSWERS,
	};
	struct sigaction cancel = { .sa_handler = on_cancel,
		.sa_flags = SA_RESTART };
	struct sigaction park = { .sa_handler = on_park };
	pthread_attr_t attr;

	w.channel = *channel;
	prctl(PR_SET_NAME, "vtpmd-worker");
	/* One heap for both threads: they never allocate at once. */
	mallopt(M_ARENA_MAX, 1);
	sigaction(WORKER_CANCEL_SIGNAL, &cancel, NULL);
	sigaction(WORKER_PARK_SIGNAL, &park, NULL);
	adopt_crypto();
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
