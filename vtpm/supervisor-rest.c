/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nothing in this file may call a function of another, nor the compiler add
 * such a call: the C library is not mapped any more (tests/integration/rest.test looks
 * into the object file). Hence system calls without it, no base/buf.h for the
 * monitor's sixteen bytes, and no thread-local errno.
 */
#include "vtpm/supervisor-rest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "vtpm/handover.h"
#include "vtpm/rawcall.h"

#define MESSAGE_SIZE 16
#define MONITOR_KILLED 1
/* A set of signals as the kernel has it, rt_sigprocmask(2). */
#define KERNEL_SIGSET 8

struct ask {
	uint32_t type, arg, result;
	int fd;			/* came or goes along; -1: none */
};

/* A descriptor's way, cmsg(3). */
union control {
	struct cmsghdr head;
	struct {
		char head[CMSG_LEN(0)];
		int fd;
		int padding;
	} whole;
};

static _Noreturn void
leave(int status)
{
	for (;;)
		(void)raw3(SYS_exit_group, status, 0, 0);
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		(void)raw3(SYS_close, fd, 0, 0);
}

static void
set_flags(int fd, int flags)
{
	if (fd >= 0)
		(void)raw3(SYS_fcntl, fd, F_SETFD, flags);
}

static void
put_u32be(uint8_t *at, uint32_t n)
{
	at[0] = (uint8_t)(n >> 24);
	at[1] = (uint8_t)(n >> 16);
	at[2] = (uint8_t)(n >> 8);
	at[3] = (uint8_t)n;
}

static uint32_t
get_u32be(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	    (uint32_t)at[2] << 8 | at[3];
}

/* channel_send and channel_recv, for this side's one peer. */
static int
send_answer(int sock, const struct ask *a)
{
	uint8_t bytes[MESSAGE_SIZE];
	struct iovec iov = { bytes, sizeof(bytes) };
	union control control = { .head = { .cmsg_len =
	    CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
	    .cmsg_type = SCM_RIGHTS } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	put_u32be(bytes, a->type);
	put_u32be(bytes + 4, a->arg);
	put_u32be(bytes + 8, a->result);
	put_u32be(bytes + 12, 0);
	if (a->fd >= 0) {
		control.whole.fd = a->fd;
		control.whole.padding = 0;
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	return raw3(SYS_sendmsg, sock, (long)&msg, MSG_NOSIGNAL) ==
	    sizeof(bytes) ? 0 : -1;
}

/* At most one descriptor finds room; the kernel drops more. */
static int
receive(int sock, struct ask *a)
{
	uint8_t bytes[MESSAGE_SIZE + 1];
	struct iovec iov = { bytes, sizeof(bytes) };
	union control control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(int)) };
	long n;

	do
		n = raw3(SYS_recvmsg, sock, (long)&msg, MSG_CMSG_CLOEXEC);
	while (n == -EINTR);
	a->fd = -1;
	if (n >= 0 && msg.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    control.head.cmsg_level == SOL_SOCKET &&
	    control.head.cmsg_type == SCM_RIGHTS)
		a->fd = control.whole.fd;
	if (n != MESSAGE_SIZE) {
		close_fd(a->fd);
		return -1;
	}
	a->type = get_u32be(bytes);
	return 0;
}

/* Options in r->option: text, then numbers with commas between them. */
static size_t
put_text(struct rest *r, size_t at, const char *text)
{
	while (*text != '\0' && at < sizeof(r->option) - 1)
		r->option[at++] = *text++;
	r->option[at] = '\0';
	return at;
}

static size_t
put_number(struct rest *r, size_t at, int number)
{
	char digits[12];
	size_t i = sizeof(digits) - 1;
	unsigned int left = number < 0 ? -(unsigned int)number :
	    (unsigned int)number;

	digits[i] = '\0';
	do
		digits[--i] = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (number < 0)
		digits[--i] = '-';
	return put_text(r, at, digits + i);
}

static void
put_option(struct rest *r, const char *name, const int *numbers, size_t n)
{
	size_t at = put_text(r, 0, name);

	for (size_t i = 0; i < n; i++) {
		at = put_text(r, at, i == 0 ? "=" : ",");
		at = put_number(r, at, numbers[i]);
	}
	r->argv[r->argc] = r->option;
	r->argv[r->argc + 1] = NULL;
}

/* The program that runs here, even if another one lies in its place: what it
 * shares with the monitor has this one's layout. */
static void
run_self(const struct rest *r)
{
	(void)raw6(SYS_execveat, r->self, (long)"", (long)r->argv,
	    (long)r->env, AT_EMPTY_PATH, 0);
}

static long
fork_child(void)
{
	return raw6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
}

/* What is to be said in the log, by a process that has the means. */
static void
report(struct rest *r, enum supervisor_report what, int number)
{
	const int numbers[] = { (int)what, number,
		r->inherit[SUPERVISOR_LEGACY_LOG] };
	int status;
	long pid;

	put_option(r, "--report", numbers, 3);
	if ((pid = fork_child()) == 0) {
		set_flags(r->inherit[SUPERVISOR_LEGACY_LOG], 0);
		run_self(r);
		leave(1);
	}
	if (pid > 0)
		while (raw6(SYS_wait4, pid, (long)&status, 0, 0, 0, 0) ==
		    -EINTR)
			;
}

static int
end_child(pid_t *pid)
{
	int status = 0;

	if (*pid > 0) {
		(void)raw3(SYS_kill, *pid, SIGKILL, 0);
		while (raw6(SYS_wait4, *pid, (long)&status, 0, 0, 0, 0) ==
		    -EINTR)
			;
	}
	*pid = 0;
	return status;
}

static long
make_pair(int ends[2])
{
	return raw6(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC,
	    0, (long)ends, 0, 0);
}

static _Noreturn void
be_worker(struct rest *r, int orders, int needs, int parent)
{
	const int numbers[] = { orders, needs, r->memory, parent };

	set_flags(orders, 0);
	set_flags(needs, 0);
	set_flags(r->memory, 0);
	put_option(r, "--worker", numbers, 4);
	run_self(r);
	leave(1);
}

/* One that cannot run the program is a worker that died at once. */
static int
spawn(struct rest *r)
{
	int orders[2] = { -1, -1 }, needs[2] = { -1, -1 };
	struct ask a = { .type = SUPERVISOR_SPAWN,
		.result = (uint32_t)ERR_SYSTEM, .fd = -1 };
	int parent = (int)raw3(SYS_getpid, 0, 0, 0), rc;
	long pid = -1;

	if (make_pair(orders) == 0 && make_pair(needs) == 0) {
		/* As channel_make does. */
		(void)raw3(SYS_fcntl, orders[0], F_SETFL, O_NONBLOCK);
		(void)raw3(SYS_fcntl, needs[0], F_SETFL, O_NONBLOCK);
		if ((pid = fork_child()) == 0)
			be_worker(r, orders[1], needs[1], parent);
	}
	if (pid > 0) {
		r->worker = (pid_t)pid;
		a.result = 0;
		a.arg = (uint32_t)pid;
	}
	a.fd = pid > 0 ? orders[0] : -1;
	rc = send_answer(r->sock, &a);
	a.fd = pid > 0 ? needs[0] : -1;
	if (rc == 0)
		rc = send_answer(r->sock, &a);
	for (int i = 0; i < 2; i++) {
		close_fd(orders[i]);
		close_fd(needs[i]);
	}
	return rc;
}

static int
wait_for_worker(struct rest *r)
{
	struct ask a = { .type = SUPERVISOR_WAIT, .fd = -1 };

	a.arg = (uint32_t)end_child(&r->worker);
	return send_answer(r->sock, &a);
}

/* As agent_socket does: a descriptor or a negative errno. */
static long
connect_to(const struct sockaddr_un *to)
{
	long fd, rc;

	if (to->sun_family == 0)
		return -ENAMETOOLONG;
	fd = raw3(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	do
		rc = raw3(SYS_connect, fd, (long)to, sizeof(*to));
	while (rc == -EINTR);
	if (rc == 0)
		return fd;
	close_fd((int)fd);
	return rc;
}

static int
connect_agent(struct rest *r)
{
	long fd = connect_to(&r->agent);
	struct ask a = { .type = SUPERVISOR_AGENT, .fd = -1 };
	int rc;

	if (fd < 0)
		a.arg = (uint32_t)-fd;
	else
		a.fd = (int)fd;
	rc = send_answer(r->sock, &a);
	close_fd(a.fd);
	return rc;
}

static void
run_installed(struct rest *r)
{
	long rc = -ENOENT;

	if (r->installed >= 0)
		rc = raw6(SYS_execveat, r->installed, (long)"",
		    (long)r->argv, (long)r->env, AT_EMPTY_PATH, 0);
	/* A script, whose shell would not get the descriptor. */
	if (rc == -ENOENT)
		rc = raw3(SYS_execve, (long)r->program, (long)r->argv,
		    (long)r->env);
	report(r, SUPERVISOR_REPORT_CANNOT_RUN, (int)-rc);
}

static void
try_program(struct rest *r, int fd)
{
	uint64_t none = 0;

	(void)end_child(&r->trial);
	close_fd(r->installed);
	r->installed = (int)raw6(SYS_openat, AT_FDCWD, (long)r->program,
	    O_PATH | O_CLOEXEC, 0, 0, 0);
	if ((r->trial = (pid_t)fork_child()) != 0)
		return;
	(void)raw3(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
	(void)raw6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0,
	    KERNEL_SIGSET, 0, 0);
	set_flags(fd, 0);
	put_option(r, "--trial", &fd, 1);
	run_installed(r);
	leave(1);
}

static void
keep_over_exec(const struct rest *r, int handover, int flags)
{
	set_flags(r->sock, flags);
	set_flags(handover, flags);
	set_flags(r->self, flags);
	set_flags(r->memory, flags);
	for (size_t i = 0; i < SUPERVISOR_LEGACY; i++)
		set_flags(r->inherit[i], flags);
}

static void
become_program(struct rest *r, int handover)
{
	int numbers[7 + SUPERVISOR_LEGACY] = { (int)HANDOVER_VERSION, r->sock,
		handover, r->monitor_pid, r->worker };

	for (size_t i = 0; i < SUPERVISOR_LEGACY; i++)
		numbers[5 + i] = r->inherit[i];
	numbers[5 + SUPERVISOR_LEGACY] = r->self;
	numbers[6 + SUPERVISOR_LEGACY] = r->memory;
	(void)end_child(&r->trial);
	keep_over_exec(r, handover, 0);
	put_option(r, "--take-over", numbers, 7 + SUPERVISOR_LEGACY);
	run_installed(r);
	keep_over_exec(r, handover, FD_CLOEXEC);
}

static int
serve(struct rest *r)
{
	struct ask a;
	int rc = 0;

	if (receive(r->sock, &a) < 0)
		return -1;
	if (a.type == SUPERVISOR_SPAWN)
		rc = spawn(r);
	else if (a.type == SUPERVISOR_WAIT)
		rc = wait_for_worker(r);
	else if (a.type == SUPERVISOR_AGENT)
		rc = connect_agent(r);
	else if (a.type == SUPERVISOR_TRIAL && a.fd >= 0)
		try_program(r, a.fd);
	else if (a.type == SUPERVISOR_SWITCH && a.fd >= 0)
		become_program(r, a.fd);
	else
		rc = -1;
	close_fd(a.fd);
	return rc;
}

static _Noreturn void
end(struct rest *r, int status)
{
	(void)end_child(&r->worker);
	(void)end_child(&r->trial);
	if (WIFSIGNALED(status))
		report(r, SUPERVISOR_REPORT_DIED, WTERMSIG(status));
	for (size_t i = 0; i < 2; i++)
		if (r->remove[i].dir >= 0)
			(void)raw3(SYS_unlinkat, r->remove[i].dir,
			    (long)r->remove[i].name, 0);
	leave(WIFEXITED(status) ? WEXITSTATUS(status) : MONITOR_KILLED);
}

static void
reap(struct rest *r)
{
	int status;

	if (r->trial > 0 && raw6(SYS_wait4, r->trial, (long)&status, WNOHANG,
	    0, 0, 0) == r->trial)
		r->trial = 0;
	if (raw6(SYS_wait4, r->monitor_pid, (long)&status, WNOHANG, 0, 0,
	    0) == r->monitor_pid)
		end(r, status);
}

static void
on_signals(struct rest *r)
{
	struct signalfd_siginfo info;

	while (raw3(SYS_read, r->signals, (long)&info, sizeof(info)) ==
	    sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(r);
		else
			(void)raw3(SYS_kill, r->monitor_pid,
			    (int)info.ssi_signo, 0);
	}
}

static void
give_back(const struct rest *r)
{
	/* With room for what this function itself has there. */
	uintptr_t below = ((uintptr_t)__builtin_frame_address(0) - 1024) &
	    ~(uintptr_t)4095;

	for (size_t i = 0; i < r->n_unmap; i++)
		(void)raw3(SYS_munmap, (long)r->unmap[i].from,
		    (long)(r->unmap[i].to - r->unmap[i].from), 0);
	if (below > r->stack_from)
		(void)raw3(SYS_madvise, (long)r->stack_from,
		    (long)(below - r->stack_from), MADV_DONTNEED);
}

_Noreturn void
rest_run(struct rest *r)
{
	give_back(r);
	for (;;) {
		struct pollfd p[] = { { r->signals, POLLIN, 0 },
			{ r->sock, POLLIN, 0 } };

		(void)raw6(SYS_ppoll, (long)p, 2, 0, 0, 0, 0);
		/* What the monitor said last comes before its end. */
		if (p[1].revents != 0 && serve(r) < 0) {
			close_fd(r->sock);
			r->sock = -1;
		}
		if (p[0].revents != 0)
			on_signals(r);
	}
}
