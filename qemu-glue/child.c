/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

static sigset_t caller_mask;	/* what children get back */

int
child_signals(struct err *err)
{
	static const int numbers[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP,
		SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH };
	sigset_t mask;
	int fd;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&mask, numbers[i]);
	if (sigprocmask(SIG_BLOCK, &mask, &caller_mask) < 0)
		return err_sys(err, errno, "cannot block signals");
	/* Ignored, children would be collected by the kernel (POSIX wait)
	 * and their status lost; a caller may have left it so. */
	signal(SIGCHLD, SIG_DFL);
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_sys(err, errno, "cannot make a signalfd");
	return fd;
}

int
child_wait_signal(int signals, int other, int timeout_ms, int *number,
    bool *sent)
{
	struct pollfd polls[2] = { { .fd = signals, .events = POLLIN },
		{ .fd = other, .events = POLLIN } };
	struct signalfd_siginfo info;

	if (poll(polls, 2, timeout_ms) <= 0)
		return 0;
	if (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		*number = (int)info.ssi_signo;
		*sent = info.ssi_code <= 0;
		return 1;
	}
	return polls[1].revents != 0 ? 2 : 0;
}

static void
close_others(int keep)
{
	if (keep < 3) {
		close_range(3, ~0U, 0);
		return;
	}
	if (keep > 3)
		close_range(3, (unsigned int)keep - 1, 0);
	close_range((unsigned int)keep + 1, ~0U, 0);
}

static _Noreturn void
run(const struct child_spec *spec, pid_t parent)
{
	int error;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* The parent may have died before the call above took hold. */
	if (getppid() != parent)
		_exit(1);
	if (spec->own_group)
		setpgid(0, 0);
	if (spec->only_fds)
		close_others(spec->keep_fd);
	if (spec->keep_fd >= 0)
		fcntl(spec->keep_fd, F_SETFD, 0);
	if (spec->notify != NULL)
		setenv("NOTIFY_SOCKET", spec->notify, 1);
	else
		unsetenv("NOTIFY_SOCKET");
	sigprocmask(SIG_SETMASK, &caller_mask, NULL);
	execvp(spec->argv[0], spec->argv);
	error = errno;
	fprintf(stderr, "vtpm-qemu: cannot execute %s: %s\n", spec->argv[0],
	    strerror(error));
	_exit(error == ENOENT ? 127 : 126);
}

int
child_start(struct child *child, const struct child_spec *spec,
    struct err *err)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(err, errno, "cannot fork for %s", spec->name);
	if (pid == 0)
		run(spec, parent);
	child->name = spec->name;
	child->pid = pid;
	child->status = 0;
	return 0;
}

bool
child_reap(struct child *child)
{
	if (child->pid == 0 ||
	    waitpid(child->pid, &child->status, WNOHANG) != child->pid)
		return false;
	child->pid = 0;
	return true;
}

int
child_exit_status(const struct child *child)
{
	if (WIFSIGNALED(child->status))
		return 128 + WTERMSIG(child->status);
	return WEXITSTATUS(child->status);
}

void
child_describe(const struct child *child, char *text, size_t size)
{
	int number = WTERMSIG(child->status);

	if (WIFSIGNALED(child->status))
		snprintf(text, size, "was killed by signal %d (%s)", number,
		    strsignal(number));
	else
		snprintf(text, size, "ended with status %d",
		    WEXITSTATUS(child->status));
}
