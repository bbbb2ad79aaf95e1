/* SPDX-License-Identifier: BSD-3-Clause */
/* The supervisor runs program files: the installed one, to try it and in its
 * own place, and the one from before where that goes on. */
#include "vtpm/supervisor-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vtpm/handover.h"

#define TAKE_OVER_WORDS (5 + SUPERVISOR_LEGACY)

void
supervisor_unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A worker that is already dead keeps the status that it died with. */
int
supervisor_end_child(pid_t *pid)
{
	int status = 0;

	if (*pid > 0) {
		kill(*pid, SIGKILL);
		while (waitpid(*pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	*pid = 0;
	return status;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
supervisor_close_before(struct supervisor *s)
{
	close_fd(&s->before.sock);
	close_fd(&s->before.self);
	close_fd(&s->before.memory);
}

/* A program file with our arguments and one more, in this process; returns on
 * failure, with errno. One that was opened is run even if another has its name
 * by now. Scripts are run by name: their shell would not get the descriptor. */
static void
run_file(const struct supervisor *s, int fd, const char *name,
    const char *option)
{
	char **argv;
	size_t n = 0;
	int sys;

	while (s->argv[n] != NULL)
		n++;
	if ((argv = calloc(n + 2, sizeof(*argv))) == NULL)
		return;
	memcpy(argv, s->argv, n * sizeof(*argv));
	argv[n] = (char *)(uintptr_t)option;
	errno = ENOENT;
	if (fd >= 0)
		(void)execveat(fd, "", argv, environ, AT_EMPTY_PATH);
	if (name != NULL && errno == ENOENT)
		(void)execv(name, argv);
	sys = errno;
	free(argv);
	errno = sys;
}

/* As supervisor-rest.c does: what the worker shares with the monitor has the
 * layout of that program. */
_Noreturn void
supervisor_run_worker_of_before(struct supervisor *s,
    const struct channel *worker, pid_t parent)
{
	char option[64];

	snprintf(option, sizeof(option), "--worker=%d,%d,%d,%d",
	    worker->orders, worker->needs, s->memory.fd, (int)parent);
	if (fcntl(worker->orders, F_SETFD, 0) == 0 &&
	    fcntl(worker->needs, F_SETFD, 0) == 0 &&
	    fcntl(s->memory.fd, F_SETFD, 0) == 0)
		run_file(s, s->self, NULL, option);
	_exit(1);
}

/* In a new process or in this one; returns on failure. */
static void
run_installed(const struct supervisor *s, const char *option)
{
	run_file(s, s->installed, s->program, option);
	supervisor_tell_report(s, SUPERVISOR_REPORT_CANNOT_RUN, errno);
}

static void
open_installed(struct supervisor *s)
{
	close_fd(&s->installed);
	s->installed = open(s->program, O_PATH | O_CLOEXEC);
}

void
supervisor_try_program(struct supervisor *s, int fd)
{
	char option[32];

	/* The one before, should it hang, is not waited for any more. */
	(void)supervisor_end_child(&s->trial);
	open_installed(s);
	snprintf(option, sizeof(option), "--trial=%d", fd);
	if ((s->trial = fork()) != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	supervisor_unblock_signals();
	if (fcntl(fd, F_SETFD, 0) == 0)
		run_installed(s, option);
	_exit(1);
}

static void
keep_over_exec(const struct supervisor *s, int handover, int flags)
{
	int fds[] = { s->sock, handover, s->self, s->memory.fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			(void)fcntl(fds[i], F_SETFD, flags);
	for (size_t i = 0; i < SUPERVISOR_LEGACY; i++)
		if (s->inherit[i] >= 0)
			(void)fcntl(s->inherit[i], F_SETFD, flags);
}

/* From here on this is the new program, the one that was tried, with our pid
 * and our children. */
void
supervisor_become_program(struct supervisor *s, int handover)
{
	char option[128];
	int n;

	n = snprintf(option, sizeof(option), "--take-over=%u,%d,%d,%d,%d",
	    HANDOVER_VERSION, s->sock, handover, (int)s->monitor_pid,
	    (int)s->worker);
	for (size_t i = 0; i < SUPERVISOR_LEGACY; i++)
		n += snprintf(option + n, sizeof(option) - (size_t)n, ",%d",
		    s->inherit[i]);
	snprintf(option + n, sizeof(option) - (size_t)n, ",%d,%d", s->self,
	    s->memory.fd);
	(void)supervisor_end_child(&s->trial);
	keep_over_exec(s, handover, 0);
	run_installed(s, option);
	keep_over_exec(s, handover, FD_CLOEXEC);
}

/* A program that is run by a descriptor has its number for a name. */
static void
take_name(const struct supervisor *s)
{
	const char *slash = strrchr(s->program, '/');

	prctl(PR_SET_NAME, slash != NULL ? slash + 1 : s->program);
}

int
supervisor_inherit(struct supervisor *s, const char *text,
    struct supervisor_legacy *legacy, struct err *err)
{
	int version, *in = legacy->inherited;
	int monitor, worker;
	int n = sscanf(text, "%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d", &version,
	    &s->before.sock, &legacy->handover, &monitor, &worker, &in[0],
	    &in[1], &in[2], &in[3], &in[4], &s->before.self,
	    &s->before.memory);

	/* The last two are newer than the rest. */
	if ((n != TAKE_OVER_WORDS && n != TAKE_OVER_WORDS + 2) ||
	    version != (int)HANDOVER_VERSION)
		return err_set(err, ERR_USAGE, "--take-over is for vtpmd "
		    "itself; to upgrade: vtpmctl upgrade");
	s->before.monitor = monitor;
	s->before.worker = worker;
	(void)fcntl(s->before.sock, F_SETFD, FD_CLOEXEC);
	(void)fcntl(legacy->handover, F_SETFD, FD_CLOEXEC);
	if (s->before.self >= 0)
		(void)fcntl(s->before.self, F_SETFD, FD_CLOEXEC);
	if (s->before.memory >= 0)
		(void)fcntl(s->before.memory, F_SETFD, FD_CLOEXEC);
	take_name(s);
	for (size_t i = 0; i < SUPERVISOR_LEGACY; i++)
		if (in[i] >= 0)
			(void)fcntl(in[i], F_SETFD, FD_CLOEXEC);
	return 0;
}

/* To what is left of the program before: its processes, its file, and what its
 * monitor and workers share. */
void
supervisor_step_back(struct supervisor *s)
{
	close_fd(&s->sock);
	close_fd(&s->self);
	close_fd(&s->memory.fd);
	if (s->memory.shared != NULL)
		(void)munmap(s->memory.shared, sizeof(*s->memory.shared));
	s->memory.shared = NULL;
	s->monitor_pid = s->before.monitor;
	s->worker = s->before.worker;
	s->sock = s->before.sock;
	s->self = s->before.self;
	s->memory.fd = s->before.memory;
	s->before.sock = s->before.self = s->before.memory = -1;
	s->goes_on = true;
	s->is_ready = true;
}
