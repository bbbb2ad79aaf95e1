/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "vtpm/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vtpm/worker.h"

/* What the monitor asks, and the nursery answers under the same name. */
enum {
	NURSERY_SPAWN = 1,	/* two answers, one descriptor each; arg: pid */
	NURSERY_WAIT,		/* the worker is killed if need be; arg: status */
};

struct nursery {
	int sock;
	const struct channel_memory *memory;
	void (*confine_worker)(void *arg);
	void *arg;
	pid_t worker;
};

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

/* Nothing that the starter had open stays. Standard descriptors lead nowhere:
 * libtpms's own messages, which quote the guest's commands, must not be seen. */
static void
close_all_but(int kept)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int closed = standard_closed();

	for (int fd = 0; fd < closed; fd++)
		if (null >= 0)
			dup2(null, fd);
	if (kept > 3)
		close_range(3, (unsigned int)kept - 1, 0);
	close_range((unsigned int)kept + 1, ~0u, 0);
}

static int
spawn(struct nursery *n)
{
	struct message m = { .type = NURSERY_SPAWN };
	struct channel monitor, worker;
	struct err err = { 0 };
	int rc;

	if (channel_make(&monitor, &worker, n->memory, &err) < 0)
		return ERR_SYSTEM;
	n->worker = fork();
	if (n->worker == 0) {
		close(n->sock);
		channel_close(&monitor);
		worker_main(&worker, n->confine_worker, n->arg);
	}
	channel_close(&worker);
	m.arg = (uint32_t)n->worker;
	m.result = n->worker < 0 ? ERR_SYSTEM : 0;
	rc = channel_send(n->sock, &m, monitor.orders);
	if (rc == 0)
		rc = channel_send(n->sock, &m, monitor.needs);
	channel_close(&monitor);
	return rc;
}

static int
reap(struct nursery *n)
{
	struct message m = { .type = NURSERY_WAIT };
	int status = 0;

	/* Its channel is gone, so it can do nothing useful any more. A worker
	 * that is already dead keeps the status that it died with. */
	if (n->worker > 0) {
		kill(n->worker, SIGKILL);
		while (waitpid(n->worker, &status, 0) < 0 && errno == EINTR)
			;
	}
	n->worker = 0;
	m.arg = (uint32_t)status;
	return channel_send(n->sock, &m, -1);
}

static _Noreturn void
nursery_main(struct nursery *n)
{
	struct message m;
	int fd, rc = 0;

	while (rc == 0 && channel_recv(n->sock, &m, &fd) == 0) {
		if (fd >= 0)
			close(fd);
		rc = m.type == NURSERY_SPAWN ? spawn(n) : reap(n);
	}
	/* The worker follows: PR_SET_PDEATHSIG. */
	_exit(0);
}

int
nursery_start(const struct channel_memory *memory,
    void (*confine)(void *), void (*confine_worker)(void *), void *arg,
    int *sock, struct err *err)
{
	struct nursery n = { .memory = memory, .confine_worker = confine_worker,
		.arg = arg };
	int ends[2];
	sigset_t none;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, errno, "cannot make a socket pair");
	if ((pid = fork()) < 0) {
		close(ends[0]);
		close(ends[1]);
		return err_sys(err, errno, "cannot start the nursery process");
	}
	if (pid > 0) {
		close(ends[1]);
		*sock = ends[0];
		return 0;
	}
	n.sock = ends[1];
	prctl(PR_SET_NAME, "vtpmd-nursery");
	close_all_but(ends[1]);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* A terminal's ^C goes to the whole group; the monitor decides. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	confine(arg);
	nursery_main(&n);
}

int
nursery_spawn(int sock, struct channel *channel, pid_t *pid, struct err *err)
{
	struct message ask = { .type = NURSERY_SPAWN }, m;
	int rc;

	channel->orders = channel->needs = -1;
	if ((rc = channel_send(sock, &ask, -1)) < 0 ||
	    (rc = channel_recv(sock, &m, &channel->orders)) < 0 ||
	    (rc = channel_recv(sock, &m, &channel->needs)) < 0)
		return err_set(err, ERR_CLOSED, "the nursery process is gone");
	if (m.result < 0 || channel->orders < 0 || channel->needs < 0)
		return err_set(err, ERR_SYSTEM, "the nursery cannot fork a "
		    "worker");
	*pid = (pid_t)m.arg;
	return 0;
}

int
nursery_wait(int sock, int *status, struct err *err)
{
	struct message ask = { .type = NURSERY_WAIT }, m;
	int fd;

	if (channel_send(sock, &ask, -1) < 0 ||
	    channel_recv(sock, &m, &fd) < 0)
		return err_set(err, ERR_CLOSED, "the nursery process is gone");
	if (fd >= 0)
		close(fd);
	*status = (int)m.arg;
	return 0;
}
