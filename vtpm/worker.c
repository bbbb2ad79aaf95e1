/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "vtpm/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "vtpm/tpm.h"
#include "vtpm/worker-orders.h"

/* How long a command that came in part may take to come whole. QEMU writes a
 * command in one piece, so this is only reached by a guest whose header
 * promises more bytes than it wrote; it gets an error instead of silence. */
#define REST_TIMEOUT_MS 1000

/* Room for one command more than libtpms takes, so that too long a one is seen
 * as such. */
#define COMMAND_ROOM (TPM_BUFFER_DEFAULT + 1)

struct data_side {
	struct worker *worker;
	uint8_t command[COMMAND_ROOM];
};

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
	while (*have < COMMAND_ROOM) {
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
		n = read(fd, command + *have, COMMAND_ROOM - *have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		*have += (size_t)n;
	}
	return 0;
}

/* One command and its answer; -1 when the socket is at its end. */
static int
serve_one(struct data_side *d, int fd)
{
	const uint8_t *response;
	size_t have, size;
	ssize_t n;
	int rc;

	do
		n = read(fd, d->command, sizeof(d->command));
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	have = (size_t)n;
	if (announced_size(d->command, have) != have &&
	    read_rest(fd, d->command, &have) < 0)
		return -1;

	pthread_mutex_lock(&d->worker->lock);
	d->worker->handed_out = false;
	tpm_process(d->command, have, &response, &size);
	rc = fdio_write(fd, response, size);
	pthread_mutex_unlock(&d->worker->lock);
	return rc;
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
	w->next_data_fd = -1;
	pthread_mutex_unlock(&w->lock);
	return fd;
}

static void *
data_thread(void *arg)
{
	struct data_side *d = arg;
	struct worker *w = d->worker;

	for (;;) {
		int fd = next_data_fd(w);

		while (serve_one(d, fd) == 0)
			;
		/* The machine has lost its power: QEMU is gone. */
		pthread_mutex_lock(&w->lock);
		worker_make_orderly(w);
		worker_data_closed(w);
		w->data_fd = -1;
		close(fd);
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

static void
on_cancel(int sig)
{
	(void)sig;
	tpm_cancel();
}

/* How many of descriptors 0 to 2 go to /dev/null: where a sanitizer's report
 * goes to a file, the last one stays. (A pipe's reader would wait for us.) */
static int
standard_closed(void)
{
#ifdef SANITIZERS
	struct stat st;

	if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode))
		return STDERR_FILENO;
#endif
	return STDERR_FILENO + 1;
}

/* Nothing that the monitor had open stays, and libtpms's own messages, which
 * quote commands of the guest, go nowhere. */
static void
close_all_but(const int *keep, size_t n)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int closed = standard_closed();
	unsigned int from = 3;

	for (int fd = 0; fd < closed; fd++)
		if (null >= 0)
			dup2(null, fd);
	/* keep is in rising order. */
	for (size_t i = 0; i < n; i++) {
		unsigned int fd = (unsigned int)keep[i];

		if (fd > from)
			close_range(from, fd - 1, 0);
		from = fd + 1;
	}
	close_range(from, ~0u, 0);
}

static _Noreturn void
worker_main(struct channel *channel, void (*confine)(void *), void *arg)
{
	static struct worker w = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.data_fd_came = PTHREAD_COND_INITIALIZER,
		.data_fd = -1,
		.next_data_fd = -1,
	};
	static struct data_side data = { .worker = &w };
	struct sigaction cancel = { .sa_handler = on_cancel,
		.sa_flags = SA_RESTART };
	int low = channel->orders < channel->needs ? channel->orders :
	    channel->needs;
	int high = channel->orders < channel->needs ? channel->needs :
	    channel->orders;
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t none;

	w.channel = *channel;
	prctl(PR_SET_NAME, "vtpmd-worker");
	close_all_but((int[]){ low, high }, 2);
	/* One heap for both threads: they never allocate at once. */
	mallopt(M_ARENA_MAX, 1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* A terminal's ^C goes to the whole group; the monitor decides. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigaction(WORKER_CANCEL_SIGNAL, &cancel, NULL);

	if (worker_setup_tpm(&w) < 0)
		_exit(1);
	if (pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, 256 * 1024) != 0 ||
	    pthread_create(&thread, &attr, data_thread, &data) != 0)
		_exit(1);
	/* The filter is set for all threads at once (SECCOMP_FILTER_FLAG_TSYNC). */
	confine(arg);
	worker_obey(&w);
	_exit(0);
}

int
worker_start(const struct channel *monitor_end, struct channel *worker_end,
    void (*confine)(void *), void *arg, pid_t *pid, struct err *err)
{
	*pid = fork();
	if (*pid < 0)
		return err_sys(err, errno, "cannot start the worker process");
	if (*pid == 0) {
		close(monitor_end->orders);
		close(monitor_end->needs);
		worker_main(worker_end, confine, arg);
	}
	channel_close(worker_end);
	return 0;
}
