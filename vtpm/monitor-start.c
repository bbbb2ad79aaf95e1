/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order of the steps is what keeps secrets from where they need not be:
 * the worker is asked for first, the file opened with the privileges that this
 * takes, then they are given up for good.
 */
#include <config.h>

#include "vtpm/monitor-start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/uuid.h"
#include "vtpm/daemon.h"
#include "vtpm/monitor.h"
#include "vtpm/sandbox.h"
#include "vtpm/supervisor.h"
#include "vtpm/upgrade.h"

#define PASSPHRASE_MAX 1024
/* Pages for secrets that live as long as one step of the start. */
#define SECRETS_KEPT 2

/* The supervisor passes SIGTERM on; a terminal's ^C comes to all. */
static int
take_signals(struct monitor *m, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (m->signal_fd < 0)
		return err_sys(err, errno, "cannot take signals");
	return 0;
}

/* It may take long to be typed; who does not live to see it is not waited
 * for. */
static int
read_passphrase(const struct options *o, int supervisor,
    struct secret **passphrase, struct err *err)
{
	struct pollfd p[] = { { o->passphrase_fd, POLLIN, 0 },
		{ supervisor, 0, 0 } };

	*passphrase = NULL;
	if (o->passphrase_fd < 0)
		return 0;
	if (poll(p, 2, -1) > 0 && p[1].revents != 0)
		return err_set(err, ERR_CLOSED, "the supervising process is "
		    "gone");
	*passphrase = secret_read_fd(o->passphrase_fd, PASSPHRASE_MAX, err);
	if (*passphrase == NULL)
		return err->code;
	close(o->passphrase_fd);
	return 0;
}

static void
name_vm(const struct monitor *m)
{
	char uuid[UUID_TEXT_SIZE];

	uuid_format(storage_header(m->storage)->uuid, uuid);
	log_set_context(uuid);
}

/* The one that the supervisor forks unasked, and that sets itself up
 * meanwhile; once. */
static int
take_worker(struct monitor *m, struct err *err)
{
	if (m->channel.orders >= 0)
		return 0;
	return supervisor_spawned(m->supervisor, &m->channel, &m->worker, err);
}

/* What was asked before is answered before. */
static int
connect_agent(void *arg, bool wait, int *fd, struct err *err)
{
	struct monitor *m = arg;
	int rc;

	*fd = -1;
	if ((rc = take_worker(m, err)) < 0)
		return rc;
	return supervisor_agent(m->supervisor, m->agent_path, wait, fd, err);
}

static void
prepared(struct monitor *m, struct client *c, const struct message *reply)
{
	/* INIT says what is wrong, if something is. */
	(void)m;
	(void)c;
	(void)reply;
}

/* The worker tries the state, while this process takes the file and gives up its
 * rights. It tells nobody what comes of it, so the state may still turn out to
 * be one that must not be used. */
static int
prepare_worker(struct monitor *m, struct err *err)
{
	struct message order = { .type = ORDER_PREPARE };
	int rc;

	if ((rc = take_worker(m, err)) < 0)
		return rc;
	monitor_give_state(m, &order);
	if (order.size > 0)
		monitor_order(m, NULL, &order, -1, prepared);
	return 0;
}

static int
open_storage(const struct monitor_start *s, struct monitor *m,
    struct err *err)
{
	struct secret *passphrase;
	int rc;

	if ((rc = read_passphrase(s->options, m->supervisor, &passphrase,
	    err)) < 0)
		return rc;
	rc = (s->options->incoming ? storage_open_waiting : storage_open)(
	    &m->storage, s->options->nvram, s->config, passphrase, m->agent,
	    err);
	secret_free(passphrase);
	if (rc < 0)
		return rc;
	/* A state that comes by SET_STATEBLOB is not known yet. */
	if (!s->options->incoming && ((rc = prepare_worker(m, err)) < 0 ||
	    (rc = storage_acquire(m->storage, err)) < 0))
		return rc;
	storage_allow_restore(m->storage, s->options->allow_restore);
	name_vm(m);
	return storage_note_version(m->storage, tpm_library_version(), err);
}

/* The last step: what is not needed any more goes for good. */
static int
confine(struct monitor *m, struct err *err)
{
	int rc;

	m->user = geteuid();
	if ((rc = sandbox_paths(err)) < 0 ||
	    (rc = sandbox_syscalls_monitor(err)) < 0)
		return rc;
	secret_keep(0);
	/* The rest gives back what all of this took (monitor-rest.c). */
	monitor_was_busy(m);
	return 0;
}

static int
start_anew(const struct monitor_start *s, struct monitor *m, struct err *err)
{
	int rc;

	if ((rc = open_storage(s, m, err)) < 0 ||
	    (rc = take_worker(m, err)) < 0)
		return rc;
	if (s->user->name != NULL &&
	    (rc = sandbox_drop_user(s->user, err)) < 0)
		return rc;
	/* Before anybody is told, who may look or unmount. */
	if (chdir("/") < 0)
		return err_sys(err, errno, "cannot go to /");
	log_info("ready on %s as user id %u, worker %d",
	    s->path[0] != '\0' ? s->path : "a given connection",
	    (unsigned int)geteuid(), (int)m->worker);
	if (s->options->daemon && (rc = daemon_detach(err)) < 0)
		return rc;
	if ((rc = confine(m, err)) < 0)
		return rc;
	return supervisor_tell(m->supervisor, SUPERVISOR_READY, -1, err);
}

static int
take_over(const struct monitor_start *s, struct monitor *m, struct err *err)
{
	int rc;

	if ((rc = take_worker(m, err)) < 0 ||
	    (rc = upgrade_receive(m, s->handover, s->options->nvram,
	    err)) < 0)
		return rc;
	storage_allow_restore(m->storage, s->options->allow_restore);
	name_vm(m);
	return confine(m, err);
}

static int
start(const struct monitor_start *s, struct monitor *m, struct err *err)
{
	int rc;

	m->agent_path = s->config->agent;
	if ((rc = agent_new(&m->agent, connect_agent, m, err)) < 0 ||
	    (rc = take_signals(m, err)) < 0)
		return rc;
	return s->handover >= 0 ? take_over(s, m, err) :
	    start_anew(s, m, err);
}

static void
tell_failure(const struct monitor_start *s, const struct err *err)
{
	if (s->handover >= 0) {
		upgrade_refuse(s->handover, err);
		return;
	}
	/* Who started it sees it, wherever the log goes. */
	if (s->logs_elsewhere)
		log_error("%s", err->text);
	fprintf(stderr, "vtpmd: %s\n", err->text);
}

/* They have the first places, also in a program that takes over. */
static int
take_clients(const struct monitor_start *s, struct monitor *m,
    struct err *err)
{
	m->n_bound = s->options->n_clients;
	for (size_t i = 0; i < m->n_bound && s->handover < 0; i++) {
		int fd = s->options->client_fds[i], flags;

		flags = fcntl(fd, F_GETFL);
		if (flags < 0 ||
		    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
		    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return err_sys(err, errno, "cannot use descriptor %d",
			    fd);
		client_init(&m->clients[i], fd);
	}
	return 0;
}

int
monitor_start(const struct monitor_start *s, int supervisor)
{
	static struct monitor m;
	struct err err = { 0 }, ignored = { 0 };
	int rc;

	monitor_init(&m);
	secret_keep(SECRETS_KEPT);
	m.supervisor = supervisor;
	m.listen_fd = s->listen_fd;
	m.listen_pid_fd = s->listen_pid_fd;
	m.terminate = s->options->terminate;
	m.channel.memory = s->memory;
	if (s->options->reject_locality_4)
		m.locality_max = 3;
	if ((rc = take_clients(s, &m, &err)) < 0 ||
	    (rc = start(s, &m, &err)) < 0) {
		tell_failure(s, &err);
		/* What was to be taken over is still the other's. */
		if (s->handover >= 0)
			storage_abandon(m.storage);
		else
			(void)storage_close(m.storage, &ignored);
		return err_exit_status(rc);
	}
	return monitor_run(&m);
}
