/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One virtual TPM 2.0. This file turns options into a listening socket
 * and three processes: this one, the supervisor (supervisor.h), which forks the
 * monitor (monitor-start.c) and, before any secret is known to it, the worker.
 */
#include <config.h>

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/notify.h"
#include "nvram-crypt/crypto.h"
#include "vtpm/daemon.h"
#include "vtpm/listen.h"
#include "vtpm/monitor-start.h"
#include "vtpm/sandbox.h"
#include "vtpm/supervisor.h"
#include "vtpm/trial.h"
#include "vtpm/vtpmd.h"

/* The user that a root-started vtpmd becomes when nobody names one. */
#define DEFAULT_USER "vtpmd"
#define LAST_RESORT_USER "nobody"

/* Everything that the supervisor has. */
struct vtpmd {
	struct options options;
	struct config config;
	struct listen_address address;
	struct user user;
	bool logs_elsewhere;	/* than to standard error */
	int listen_fd, listen_dir, listen_pid_fd;
	struct pid_file pid_file;
	int daemon_ready;
	struct monitor_start monitor;
	struct supervisor supervisor;
	/* What a newer program in our place is given. */
	int legacy[SUPERVISOR_LEGACY];
};

enum { LEGACY_LISTEN, LEGACY_LISTEN_DIR, LEGACY_LISTEN_PID, LEGACY_PID_DIR,
	LEGACY_LOG = SUPERVISOR_LEGACY_LOG };

/* Whom root becomes; nobody when this is not root. */
static int
choose_user(struct vtpmd *d, struct err *err)
{
	if (geteuid() != 0)
		return 0;
	if (d->options.user != NULL)
		return user_find(&d->user, d->options.user, err);
	if (d->config.user[0] != '\0')
		return user_find(&d->user, d->config.user, err);
	if (user_find_local(&d->user, DEFAULT_USER, NULL) == 0)
		return 0;
	return user_find(&d->user, LAST_RESORT_USER, err);
}

/* No file of the worker's grows; sanitizers report to one. */
#ifdef SANITIZERS
#define WORKER_FILE_MAX RLIM_INFINITY
#else
#define WORKER_FILE_MAX 0
#endif

/* What a worker does first: it keeps its channel and nothing else. */
static void
begin_worker(struct channel *c)
{
	int keep[] = { c->orders, c->needs };
	struct err err = { 0 };

	if (sandbox_descriptors(keep, 2, &err) < 0 ||
	    sandbox_paths(&err) < 0)
		_exit(1);
}

/* What it does once it is set up. */
static void
confine_worker(void *arg)
{
	struct rlimit nothing = { WORKER_FILE_MAX, WORKER_FILE_MAX };
	struct err err = { 0 };

	(void)arg;
	if (setrlimit(RLIMIT_FSIZE, &nothing) < 0 ||
	    sandbox_syscalls_worker(&err) < 0)
		_exit(1);
}

/* Who waits for us hears that the monitor serves. */
static void
tell_ready(void *arg)
{
	struct vtpmd *d = arg;
	struct err err = { 0 };

	if (d->options.take_over != NULL)
		return;
	if (d->options.daemon && daemon_ready(d->daemon_ready, &err) < 0)
		log_error("%s", err.text);
	if (notify_send("READY=1", &err) < 0)
		log_error("%s", err.text);
}

static int
open_log(struct vtpmd *d, struct err *err)
{
	const char *target = d->options.log;

	if (target == NULL && d->config.log[0] != '\0')
		target = d->config.log;
	if (d->options.log_level != NULL &&
	    log_level_parse(d->options.log_level, &d->config.log_level) < 0)
		return err_set(err, ERR_USAGE, "'%s': a log level is error, "
		    "warning, info or debug", d->options.log_level);
	d->logs_elsewhere = target != NULL && strcmp(target, "-") != 0;
	return log_open(target, "vtpmd", d->config.log_level, err);
}

/*
 * A program in our place does not read the configuration: it stands in /, where
 * a relative path leads elsewhere, it may not have the right to, and it cannot
 * open another log. What the configuration says of the log and
 * of the agent becomes options.
 */
static int
keep_options(struct vtpmd *d, int argc, char **argv, struct err *err)
{
	static char target[sizeof(d->config.log) + 8], level[32];
	static char agent[sizeof(d->config.agent) + 16];
	static char restore[] = "--allow-restore";
	char **more = calloc((size_t)argc + 5, sizeof(*more));

	if (more == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	memcpy(more, argv, (size_t)argc * sizeof(*more));
	if (d->options.log == NULL && d->config.log[0] != '\0') {
		snprintf(target, sizeof(target), "--log=%s", d->config.log);
		more[argc++] = target;
	}
	if (d->options.log_level == NULL) {
		snprintf(level, sizeof(level), "--log-level=%s",
		    log_level_name(d->config.log_level));
		more[argc++] = level;
	}
	if (d->options.agent == NULL) {
		snprintf(agent, sizeof(agent), "--agent=%s", d->config.agent);
		more[argc++] = agent;
	}
	if (d->config.allow_restore && !d->options.allow_restore)
		more[argc++] = restore;
	d->options.allow_restore |= d->config.allow_restore;
	d->supervisor.argv = more;
	return 0;
}

static int
run_monitor(void *arg, int sock)
{
	struct vtpmd *d = arg;

	/* Only the supervisor removes names. */
	if (d->listen_dir >= 0)
		close(d->listen_dir);
	if (d->pid_file.dir >= 0)
		close(d->pid_file.dir);
	return monitor_start(&d->monitor, sock);
}

/* What the supervisor needs to go on for a monitor from before, and to be
 * replaced again, even if no monitor of its own ever comes up. */
static void
prepare_supervisor(struct vtpmd *d)
{
	if (d->options.agent != NULL)
		snprintf(d->config.agent, sizeof(d->config.agent), "%s",
		    d->options.agent);
	d->legacy[LEGACY_LISTEN] = d->listen_fd;
	d->legacy[LEGACY_LISTEN_DIR] = d->listen_dir;
	d->legacy[LEGACY_LISTEN_PID] = d->listen_pid_fd;
	d->legacy[LEGACY_PID_DIR] = d->pid_file.dir;
	d->legacy[LEGACY_LOG] = log_file();
	d->supervisor.monitor = run_monitor;
	d->supervisor.worker_begin = begin_worker;
	d->supervisor.worker_confine = confine_worker;
	d->supervisor.ready = tell_ready;
	d->supervisor.arg = d;
	d->supervisor.inherit = d->legacy;
	d->supervisor.agent = d->config.agent;
}

static int
prepare_processes(struct vtpmd *d, struct err *err)
{
	int rc;

	if ((rc = crypto_prepare_fork(err)) < 0 ||
	    (rc = channel_memory_make(&d->supervisor.memory, err)) < 0)
		return rc;
	prepare_supervisor(d);
	d->supervisor.remove[0].dir = d->listen_dir;
	d->supervisor.remove[0].name = listen_name(&d->address);
	d->supervisor.remove[1].dir = d->pid_file.dir;
	d->supervisor.remove[1].name = d->pid_file.name;
	d->monitor = (struct monitor_start){ .options = &d->options,
		.config = &d->config, .path = d->address.path,
		.user = &d->user, .logs_elsewhere = d->logs_elsewhere,
		.listen_fd = d->listen_fd,
		.listen_pid_fd = d->listen_pid_fd, .handover = d->monitor.handover,
		.memory = d->supervisor.memory };
	return 0;
}

/* What is left to a process that forks, reaps and runs its own program again.
 * It is for good, also for that program: one that takes over does not add to
 * it. */
static int
confine_supervisor(struct vtpmd *d, struct err *err)
{
	int dirs[] = { d->listen_dir, d->pid_file.dir };
	int rc;

	if (d->user.name != NULL &&
	    (rc = sandbox_drop_user(&d->user, err)) < 0)
		return rc;
	/* Who may look or unmount. */
	if (chdir("/") < 0)
		return err_sys(err, errno, "cannot go to /");
	if ((rc = sandbox_paths_supervisor(dirs, 2, err)) < 0)
		return rc;
	malloc_trim(0);
	return 0;
}

/* The socket listens first, so that QEMU and libvirt can connect while keys
 * are fetched. The monitor opens the file with the privileges that vtpmd was
 * started with; this process gives them up meanwhile. */
static int
start(struct vtpmd *d, struct err *err)
{
	int rc;

	if ((rc = choose_user(d, err)) < 0 ||
	    (rc = listen_parse(&d->address, d->options.ctrl, err)) < 0 ||
	    (rc = open_log(d, err)) < 0 ||
	    (rc = listen_open(&d->address, &d->listen_fd, &d->listen_dir,
	    err)) < 0 ||
	    (rc = supervisor_init(&d->supervisor, err)) < 0 ||
	    (rc = sandbox_process(err)) < 0)
		return rc;
	if (d->options.pid_file != NULL && (rc = pid_file_write(&d->pid_file,
	    d->options.pid_file, err)) < 0)
		return rc;
	d->listen_pid_fd = listen_by_pid();
	if ((rc = prepare_processes(d, err)) < 0 ||
	    (rc = supervisor_start(&d->supervisor, err)) < 0)
		return rc;
	/* Or nobody else's end would be the last one. */
	for (size_t i = 0; i < d->options.n_clients; i++)
		close(d->options.client_fds[i]);
	if (d->options.passphrase_fd >= 0)
		close(d->options.passphrase_fd);
	return confine_supervisor(d, err);
}

/* The same for a program that runs in place of one from before: all that start
 * does is done already. */
static int
take_over(struct vtpmd *d, struct supervisor_legacy *legacy, struct err *err)
{
	int rc;

	d->listen_fd = legacy->inherited[LEGACY_LISTEN];
	d->listen_dir = legacy->inherited[LEGACY_LISTEN_DIR];
	d->listen_pid_fd = legacy->inherited[LEGACY_LISTEN_PID];
	d->pid_file.dir = legacy->inherited[LEGACY_PID_DIR];
	d->monitor.handover = legacy->handover;
	d->config.log_level = LOG_LEVEL_INFO;
	if (d->options.pid_file != NULL)
		pid_file_name(&d->pid_file, d->options.pid_file);
	if (legacy->inherited[LEGACY_LOG] >= 0)
		log_inherit(legacy->inherited[LEGACY_LOG], "vtpmd");
	prepare_supervisor(d);
	if ((rc = listen_parse(&d->address, d->options.ctrl, err)) < 0 ||
	    (rc = open_log(d, err)) < 0 || (rc = sandbox_process(err)) < 0 ||
	    (rc = prepare_processes(d, err)) < 0)
		return rc;
	rc = supervisor_start(&d->supervisor, err);
	malloc_trim(0);
	return rc;
}

static int
run_taking_over(struct vtpmd *d)
{
	struct supervisor_legacy legacy = { 0 };
	struct err err = { 0 };
	int rc;

	if ((rc = supervisor_init(&d->supervisor, &err)) < 0 ||
	    (rc = supervisor_inherit(&d->supervisor, d->options.take_over,
	    &legacy, &err)) < 0) {
		fprintf(stderr, "vtpmd: %s\n", err.text);
		return err_exit_status(rc);
	}
	rc = take_over(d, &legacy, &err);
	/* Its other end waits for a word or for the end. */
	close(legacy.handover);
	if (rc < 0)
		log_error("cannot take over: %s", err.text);
	return supervisor_run(&d->supervisor);
}

/* What a supervisor at rest cannot fork: a worker that replaces a dead one. It
 * is made here as in prepare_processes. */
static int
run_worker(struct vtpmd *d, struct err *err)
{
	struct channel worker = { .orders = -1, .needs = -1 };
	int memory, parent, rc;

	/* Not the number of a descriptor, from the first moment. */
	prctl(PR_SET_NAME, "vtpmd-worker");
	if (sscanf(d->options.worker, "%d,%d,%d,%d", &worker.orders,
	    &worker.needs, &memory, &parent) != 4)
		return err_set(err, ERR_USAGE, "--worker is for vtpmd itself");
	if ((rc = sandbox_process(err)) < 0 ||
	    (rc = crypto_prepare_fork(err)) < 0 ||
	    (rc = channel_memory_map(&worker.memory, memory, err)) < 0)
		return rc;
	prepare_supervisor(d);
	supervisor_worker(&d->supervisor, &worker, parent);
}

static int
run_report(struct vtpmd *d, struct err *err)
{
	int what, number, log, rc;

	if (sscanf(d->options.report, "%d,%d,%d", &what, &number, &log) != 3)
		return err_set(err, ERR_USAGE, "--report is for vtpmd itself");
	if (log >= 0)
		log_inherit(log, "vtpmd");
	d->config.log_level = LOG_LEVEL_INFO;
	if ((rc = open_log(d, err)) < 0 ||
	    (rc = supervisor_init(&d->supervisor, err)) < 0)
		return rc;
	supervisor_tell_report(&d->supervisor, what, number);
	return 0;
}

static int
run(struct vtpmd *d, struct err *err)
{
	int rc = start(d, err);

	if (rc == 0)
		return supervisor_run(&d->supervisor);
	/* One that was started ends at once: its end of the socket closes. */
	if (d->supervisor.monitor_pid > 0) {
		d->supervisor.ended = true;
		(void)supervisor_run(&d->supervisor);
	}
	return err_exit_status(rc);
}

static void
clean_up(struct vtpmd *d)
{
	if (d->listen_dir >= 0)
		listen_remove(&d->address, d->listen_dir);
	pid_file_remove(&d->pid_file);
}

/* Descriptors 0 to 2 must be open, or a file of ours gets such a number and a
 * library's message goes into it. */
static bool
standard_descriptors_open(void)
{
	struct stat st;

	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &st) < 0 && errno == EBADF)
			return false;
	return true;
}

int
vtpmd_main(int argc, char **argv)
{
	static struct vtpmd d = {
		.listen_fd = -1, .listen_dir = -1, .listen_pid_fd = -1,
		.daemon_ready = -1,
		.pid_file.dir = -1, .monitor.handover = -1,
	};
	struct err err = { 0 };
	int rc, status;

	if (!standard_descriptors_open())
		return 1;
	if ((rc = options_parse(&d.options, argc, argv, &err)) == 1)
		return 0;
	d.supervisor.argv = argv;
	if (rc == 0 && d.options.take_over != NULL) {
		/* The next one is told anew. */
		argv[argc - 1] = NULL;
		status = run_taking_over(&d);
		clean_up(&d);
		return status;
	}
	if (rc == 0 && d.options.trial_fd >= 0)
		return trial_run(d.options.trial_fd);
	if (rc == 0 && d.options.worker != NULL) {
		(void)run_worker(&d, &err);
		return 1;
	}
	if (rc == 0 && d.options.report != NULL)
		return run_report(&d, &err) < 0;
	if (rc == 0)
		rc = config_load(&d.config, d.options.config,
		    d.options.state_dir, &err);
	if (rc == 0)
		rc = keep_options(&d, argc, argv, &err);
	if (rc == 0 && d.options.daemon)
		rc = daemon_start(&d.daemon_ready, &err);
	status = rc == 0 ? run(&d, &err) : err_exit_status(rc);
	clean_up(&d);
	if (err.code == 0)
		return status;
	/* Who started it sees it, wherever the log goes. */
	if (d.logs_elsewhere)
		log_error("%s", err.text);
	fprintf(stderr, "vtpmd: %s\n", err.text);
	return status;
}
