/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "vtpm/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "nvram-crypt/agent.h"
#include "vtpm/handover.h"
#include "vtpm/supervisor-internal.h"
#include "vtpm/supervisor-rest.h"
#include "vtpm/worker.h"

/* Exit status of a vtpmd whose monitor was killed. */
#define MONITOR_KILLED 1
#define REPLACED " (deleted)"
/* Not at once: what starts a VM is busy, and should not wait for this. */
#define REST_AFTER_MS 200

/* The name of today: what lies there when an upgrade is asked for is what is
 * installed then. */
static int
find_program(struct supervisor *s, struct err *err)
{
	char name[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", name, sizeof(name) - 1);

	name[n > 0 ? n : 0] = '\0';
	/* Another one has been installed since this one was run, proc(5). */
	n -= (ssize_t)strlen(REPLACED);
	if (n > 0 && strcmp(name + n, REPLACED) == 0)
		name[n] = '\0';
	if ((s->program = strdup(name)) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	return 0;
}

int
supervisor_init(struct supervisor *s, struct err *err)
{
	sigset_t set;

	s->sock = s->before.sock = s->status_before = s->memory.fd = -1;
	s->self = s->before.self = s->before.memory = s->installed = -1;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	/* A file size limit is an error of the write, not the end. */
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || (s->signals =
	    signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
		return err_sys(err, errno, "cannot take signals");
	return find_program(s, err);
}

/* What dies with the supervisor says so before anything else; that may have
 * happened already. While the monitor is still root the supervisor's death
 * cannot signal it (prctl(2), kill(2)): it also sees the socket's end. */
static void
follow(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(MONITOR_KILLED);
}

int
supervisor_start(struct supervisor *s, struct err *err)
{
	pid_t parent = getpid();
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, errno, "cannot make a socket pair");
	if ((s->monitor_pid = fork()) < 0) {
		close(ends[0]);
		close(ends[1]);
		s->monitor_pid = 0;
		return err_sys(err, errno, "cannot start the monitor");
	}
	if (s->monitor_pid == 0) {
		prctl(PR_SET_NAME, "vtpmd-monitor");
		follow(parent);
		close(ends[0]);
		close(s->signals);
		if (s->memory.fd >= 0)
			close(s->memory.fd);
		supervisor_close_before(s);
		exit(s->monitor(s->arg, ends[1]));
	}
	close(ends[1]);
	s->sock = ends[0];
	/* Not before: the start waits for the monitor. Without it there is no
	 * rest. */
	s->self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	return 0;
}

void
supervisor_worker(struct supervisor *s, struct channel *worker, pid_t parent)
{
	follow(parent);
	supervisor_unblock_signals();
	/* A terminal's ^C goes to the whole group; the monitor decides. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	s->worker_begin(worker);
	worker_main(worker, s->worker_confine, s->arg);
}

static int
spawn(struct supervisor *s, int sock)
{
	struct message m = { .type = SUPERVISOR_SPAWN };
	struct channel monitor = { .orders = -1, .needs = -1 }, worker;
	pid_t parent = getpid();
	struct err err = { 0 };
	int rc;

	m.result = s->goes_on && (s->self < 0 || s->memory.fd < 0) ?
	    ERR_SYSTEM : channel_make(&monitor, &worker, &s->memory, &err);
	if (m.result == 0) {
		s->worker = fork();
		if (s->worker == 0 && s->goes_on)
			supervisor_run_worker_of_before(s, &worker, parent);
		if (s->worker == 0)
			supervisor_worker(s, &worker, parent);
		channel_close(&worker);
		m.arg = (uint32_t)s->worker;
		m.result = s->worker < 0 ? ERR_SYSTEM : 0;
	}
	rc = channel_send(sock, &m, monitor.orders);
	if (rc == 0)
		rc = channel_send(sock, &m, monitor.needs);
	channel_close(&monitor);
	return rc;
}

void
supervisor_tell_report(const struct supervisor *s, int what, int number)
{
	if (what == SUPERVISOR_REPORT_CANNOT_RUN)
		log_error("cannot run %s: %s", s->program, strerror(number));
	else
		log_event(LOG_LEVEL_ERROR, "monitor.died", "alarm=1 signal=%d "
		    "consequence=\"the TPM is gone until vtpmd is started "
		    "again; nothing that the guest was told is lost\"",
		    number);
}

static void
tell_death(const struct supervisor *s, int status)
{
	if (WIFSIGNALED(status))
		supervisor_tell_report(s, SUPERVISOR_REPORT_DIED,
		    WTERMSIG(status));
}

static void
pass_on_end(struct supervisor *s)
{
	if (s->end_signal != 0 && s->is_ready && s->monitor_pid > 0)
		kill(s->monitor_pid, s->end_signal);
}

static int
connect_agent(const struct supervisor *s, int sock)
{
	struct message m = { .type = SUPERVISOR_AGENT };
	int fd = agent_socket(s->agent), rc;

	m.arg = fd < 0 ? (uint32_t)-fd : 0;
	rc = channel_send(sock, &m, fd < 0 ? -1 : fd);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
serve(struct supervisor *s, int sock)
{
	struct message m;
	int fd, rc;

	if ((rc = channel_recv(sock, &m, &fd)) < 0)
		return rc;
	switch (m.type) {
	case SUPERVISOR_SPAWN:
		rc = spawn(s, sock);
		break;
	case SUPERVISOR_WAIT:
		m.arg = (uint32_t)supervisor_end_child(&s->worker);
		rc = channel_send(sock, &m, -1);
		break;
	case SUPERVISOR_AGENT:
		rc = connect_agent(s, sock);
		break;
	case SUPERVISOR_READY:
		s->is_ready = true;
		s->ready(s->arg);
		pass_on_end(s);
		break;
	case SUPERVISOR_TRIAL:
		if (fd >= 0)
			supervisor_try_program(s, fd);
		break;
	case SUPERVISOR_SWITCH:
		if (fd >= 0)
			supervisor_become_program(s, fd);
		break;
	default:
		rc = ERR_FORMAT;
		break;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Whoever was there before has gone, as is right once it has handed over, or
 * goes on, because the new monitor failed. */
static void
settle_before(struct supervisor *s, bool goes_on)
{
	if (goes_on) {
		(void)supervisor_end_child(&s->worker);
		supervisor_step_back(s);
		pass_on_end(s);
	} else {
		(void)supervisor_end_child(&s->before.worker);
		supervisor_close_before(s);
	}
	s->before.monitor = s->before.worker = 0;
}

static bool
has_ended(pid_t pid, int *status)
{
	return pid > 0 && waitpid(pid, status, WNOHANG) == pid;
}

static int
exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : MONITOR_KILLED;
}

static void
reap(struct supervisor *s)
{
	int status;

	if (has_ended(s->trial, &status))
		s->trial = 0;
	if (has_ended(s->before.monitor, &status)) {
		if (exit_status(status) != SUPERVISOR_HANDED_OVER)
			s->status_before = exit_status(status);
		tell_death(s, status);
		settle_before(s, false);
	}
	if (!has_ended(s->monitor_pid, &status))
		return;
	s->monitor_pid = 0;
	/* One that served had it all; who was before is only slow to go. */
	if (s->before.monitor > 0 && !s->is_ready) {
		settle_before(s, true);
		return;
	}
	s->ended = true;
	/* One that nothing was handed over to had no end of its own. */
	s->status = s->status_before >= 0 ? s->status_before :
	    exit_status(status);
	tell_death(s, status);
}

static void
on_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			reap(s);
			continue;
		}
		s->end_signal = (int)info.ssi_signo;
		pass_on_end(s);
	}
}

/* Nothing is under way, and nothing is left of who was before. */
static bool
is_settled(const struct supervisor *s)
{
	return s->is_ready && s->end_signal == 0 &&
	    s->before.monitor == 0 && s->before.sock < 0 && s->trial == 0 &&
	    s->monitor_pid > 0 && s->worker > 0 && s->sock >= 0 &&
	    s->self >= 0 && s->memory.fd >= 0;
}

static void
hang_up(struct supervisor *s)
{
	if (s->sock >= 0)
		close(s->sock);
	s->sock = -1;
}

int
supervisor_run(struct supervisor *s)
{
	bool can_rest = true;

	/* One that never came up: whoever was there before goes on. */
	if (s->monitor_pid == 0 && s->before.monitor > 0)
		settle_before(s, true);
	/* A monitor that comes up needs a worker: it need not ask. */
	else if (!s->ended && spawn(s, s->sock) < 0)
		hang_up(s);
	while (!s->ended) {
		struct pollfd p[] = { { s->signals, POLLIN, 0 },
			{ s->sock, POLLIN, 0 } };

		int n = poll(p, 2, can_rest && is_settled(s) ?
		    REST_AFTER_MS : -1);

		if (n < 0 && errno != EINTR)
			break;
		if (n == 0) {
			supervisor_rest(s);
			can_rest = false;
		}
		/* A monitor that does not talk any more is about to end; what
		 * it said last comes before its end. */
		if (p[1].revents != 0 && serve(s, s->sock) < 0)
			hang_up(s);
		if (p[0].revents != 0)
			on_signals(s);
	}
	/* One that is still root cannot be killed from here, but sees this. */
	hang_up(s);
	(void)supervisor_end_child(&s->monitor_pid);
	(void)supervisor_end_child(&s->worker);
	(void)supervisor_end_child(&s->before.worker);
	(void)supervisor_end_child(&s->before.monitor);
	(void)supervisor_end_child(&s->trial);
	return s->status;
}
