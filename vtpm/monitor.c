/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "vtpm/listen.h"
#include "vtpm/supervisor.h"
#include "vtpm/upgrade.h"
#include "vtpm/worker.h"

/* How long the worker may take for an order, waiting for a command of the
 * guest's included (an RSA key takes seconds), and for its last one. */
#define ORDER_TIMEOUT_MS 60000
#define END_TIMEOUT_MS 10000
/* Between two looks for the file's name while nothing is stored: often enough
 * to rescue it, seldom enough for hundreds of monitors on a host. */
#define LOOK_MS 60000

/* Places in the poll set. */
enum { P_SIGNAL, P_ORDERS, P_NEEDS, P_LISTEN, P_LISTEN_PID, P_TRIAL,
	P_SUPERVISOR, P_AGENT, P_CLIENTS,
	P_LAST = P_CLIENTS + MONITOR_CLIENTS };

uint64_t
monitor_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void
monitor_init(struct monitor *m)
{
	*m = (struct monitor){ .listen_fd = -1, .listen_pid_fd = -1, .signal_fd = -1,
		.supervisor = -1, .data_fd = -1, .upgrade.sock = -1,
		.channel = { .orders = -1, .needs = -1 },
		.look_at = monitor_now() + LOOK_MS, .rest_at = UINT64_MAX,
		.locality_max = 4 };
	for (size_t i = 0; i < MONITOR_CLIENTS; i++)
		client_init(&m->clients[i], -1);
}

static void
drop_client(struct monitor *m, struct client *c)
{
	if (c->fd < 0)
		return;
	if (m->order.client == c)
		m->order.client = NULL;
	if (m->interrupted.client == c)
		m->interrupted.client = NULL;
	if (m->upgrade.client == c)
		m->upgrade.client = NULL;
	control_client_gone(m, c);
	client_close(c);
	if ((size_t)(c - m->clients) < m->n_bound) {
		log_info("ending: the connection that was there at the start "
		    "has ended");
		monitor_end(m);
	}
}

void
monitor_order(struct monitor *m, struct client *c, const struct message *order,
    int fd, order_done *done)
{
	m->order.active = true;
	m->order.message = *order;
	m->order.deadline = monitor_now() + (order->type == ORDER_SHUTDOWN ?
	    END_TIMEOUT_MS : ORDER_TIMEOUT_MS);
	m->order.client = c;
	m->order.done = done;
	if (channel_send(m->channel.orders, order, fd) < 0)
		monitor_worker_gone(m);
}

static void
order_answered(struct monitor *m)
{
	struct message reply;
	int fd, rc;

	rc = channel_recv(m->channel.orders, &reply, &fd);
	if (rc == 0 && fd >= 0) {
		close(fd);
		rc = ERR_FORMAT;
	}
	if (rc == 0 && (!m->order.active || reply.size > CHANNEL_AREA_SIZE)) {
		m->broke_rules = true;
		log_event(LOG_LEVEL_ERROR, "worker.broke-rules",
		    "an answer that nobody waits for, or too large a one");
		rc = ERR_FORMAT;
	}
	if (rc < 0) {
		monitor_worker_gone(m);
		return;
	}
	m->order.active = false;
	monitor_was_busy(m);
	if (!m->resuming)
		m->interrupted.deaths = 0;
	m->order.done(m, m->order.client, &reply);
}

static void
end_done(struct monitor *m, struct client *c, const struct message *reply)
{
	(void)c;
	(void)reply;
	m->ended = true;
}

void
monitor_end(struct monitor *m)
{
	struct message order = { .type = ORDER_SHUTDOWN };

	if (m->ending)
		return;
	m->ending = true;
	if (!m->order.active)
		monitor_order(m, NULL, &order, -1, end_done);
	else if (m->order.deadline > monitor_now() + END_TIMEOUT_MS)
		m->order.deadline = monitor_now() + END_TIMEOUT_MS;
	/* The loop gives it once the answer is there. What runs now may be a
	 * long key generation: do not wait for it. */
	kill(m->worker, WORKER_CANCEL_SIGNAL);
}

static void
on_signal(struct monitor *m)
{
	struct signalfd_siginfo info;

	if (read(m->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGTERM:
	case SIGINT:
		if (!m->ending)
			log_info("ending on signal %u", info.ssi_signo);
		monitor_end(m);
		break;
	}
}

/* It says nothing unasked: it has died. The death signal that should end this
 * process comes after its files are closed; if none comes (supervisor.c), this
 * is the end all the same. */
static void
on_supervisor(struct monitor *m)
{
	static const struct timespec pause = { .tv_nsec = 200 * 1000000 };

	nanosleep(&pause, NULL);
	log_error("ending: the supervising process is gone");
	m->exit_status = 1;
	if (m->disowned)
		m->ended = true;
	else
		monitor_end(m);
}

static void
on_connection(struct monitor *m, int listen_fd)
{
	static const struct timespec pause = { .tv_nsec = 10 * 1000000 };
	int fd = accept4(listen_fd, NULL, NULL,
	    SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		/* Without descriptors or memory it stays to be accepted, and
		 * poll would come back at once, again and again. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			nanosleep(&pause, NULL);
		return;
	}
	if (listen_fd == m->listen_pid_fd &&
	    !listen_peer_is_ours(fd, m->user)) {
		close(fd);
		return;
	}
	for (size_t i = 0; i < MONITOR_CLIENTS; i++)
		if (m->clients[i].fd < 0) {
			client_init(&m->clients[i], fd);
			return;
		}
	log_warning("refused a control connection: there are already %d",
	    MONITOR_CLIENTS);
	close(fd);
}

static void
serve_client(struct monitor *m, struct client *c)
{
	int rc;

	do
		rc = control_dispatch(m, c);
	while (rc > 0);
	if (rc < 0)
		drop_client(m, c);
}

static void
on_client(struct monitor *m, struct client *c, short events)
{
	if ((events & POLLOUT) != 0) {
		if (client_flush(c) < 0)
			drop_client(m, c);
		else if (!client_wants_to_write(c))
			serve_client(m, c);
		return;
	}
	if ((events & (POLLIN | POLLHUP | POLLERR)) == 0)
		return;
	if (client_fill(c) < 0) {
		drop_client(m, c);
		return;
	}
	serve_client(m, c);
}

static void
poll_set(const struct monitor *m, struct pollfd *p)
{
	/* While the file is another's, nobody but the worker is heard. */
	bool alone = m->disowned;

	p[P_SIGNAL] = (struct pollfd){ alone ? -1 : m->signal_fd, POLLIN, 0 };
	p[P_ORDERS] = (struct pollfd){ m->channel.orders, POLLIN, 0 };
	p[P_NEEDS] = (struct pollfd){ m->channel.needs, POLLIN, 0 };
	p[P_LISTEN] = (struct pollfd){ m->ending || alone ? -1 :
		m->listen_fd, POLLIN, 0 };
	p[P_LISTEN_PID] = (struct pollfd){ m->ending || alone ? -1 :
		m->listen_pid_fd, POLLIN, 0 };
	p[P_TRIAL] = (struct pollfd){ m->upgrade.state == UPGRADE_TRIAL ?
		m->upgrade.sock : -1, POLLIN, 0 };
	p[P_SUPERVISOR] = (struct pollfd){ m->ending ? -1 : m->supervisor,
		POLLIN, 0 };
	p[P_AGENT] = (struct pollfd){ alone ? -1 : agent_fd(m->agent), POLLIN,
		0 };
	for (size_t i = 0; i < MONITOR_CLIENTS; i++) {
		const struct client *c = &m->clients[i];

		/* Who does not take answers is not asked for more. */
		p[P_CLIENTS + i] = (struct pollfd){ alone ? -1 : c->fd,
			client_wants_to_write(c) ? POLLOUT : POLLIN, 0 };
	}
}

/* After an order's answer: the end that was asked for meanwhile, or whoever
 * has a whole command waiting. */
static void
next_order(struct monitor *m)
{
	struct message order = { .type = ORDER_SHUTDOWN };

	if (m->order.active || m->ended || m->resuming)
		return;
	if (m->ending) {
		monitor_order(m, NULL, &order, -1, end_done);
		return;
	}
	if (upgrade_wants_to_park(m))
		upgrade_park(m);
	for (size_t i = 0; i < MONITOR_CLIENTS && !m->order.active; i++) {
		size_t at = (m->served_last + 1 + i) % MONITOR_CLIENTS;

		if (m->clients[at].fd >= 0)
			serve_client(m, &m->clients[at]);
	}
}

/* Milliseconds until the worker, or a program that is tried, has to have
 * answered, or the file's name is looked for; -1: nothing of that. */
static int
patience(const struct monitor *m)
{
	uint64_t now = monitor_now();
	uint64_t until = m->disowned ? UINT64_MAX : m->look_at;

	if (m->rest_at < until)
		until = m->rest_at;
	if (!m->disowned && agent_due(m->agent) < until)
		until = agent_due(m->agent);
	if (m->order.active && m->order.deadline < until)
		until = m->order.deadline;
	if (m->upgrade.state == UPGRADE_TRIAL && m->upgrade.deadline < until)
		until = m->upgrade.deadline;
	if (until == UINT64_MAX)
		return -1;
	return until <= now ? 0 : (int)(until - now);
}

static void
on_deadline(struct monitor *m)
{
	uint64_t now = monitor_now();

	if (m->look_at <= now && !m->disowned)
		m->look_at = storage_look(m->storage) ? UINT64_MAX :
		    now + LOOK_MS;
	if (m->rest_at <= now)
		monitor_rest(m);
	if (!m->disowned) {
		agent_tick(m->agent);
		(void)storage_fenced(m->storage);
	}
	if (m->upgrade.state == UPGRADE_TRIAL && m->upgrade.deadline <= now) {
		upgrade_trial_answered(m);
		next_order(m);
	}
	if (!m->order.active || m->order.deadline > now)
		return;
	log_event(LOG_LEVEL_ERROR, "worker.silent", "order=%u: it is killed",
	    m->order.message.type);
	if (m->ending) {
		m->exit_status = 1;
		m->ended = true;
		return;
	}
	m->broke_rules = true;
	monitor_worker_gone(m);
}

int
monitor_run(struct monitor *m)
{
	struct pollfd p[P_LAST];
	struct err err = { 0 };
	int rc;

	if (m->upgrade.state == UPGRADE_TAKING_OVER)
		upgrade_finish(m);
	while (!m->ended) {
		poll_set(m, p);
		if (poll(p, P_LAST, patience(m)) < 0 && errno != EINTR) {
			log_error("poll: %s", strerror(errno));
			m->exit_status = 1;
			break;
		}
		on_deadline(m);
		if (m->ended)
			break;
		if (p[P_SIGNAL].revents != 0)
			on_signal(m);
		/* Before anything is written. */
		if (p[P_AGENT].revents != 0) {
			agent_readable(m->agent);
			(void)storage_fenced(m->storage);
		}
		/* Needs before answers: a worker sends its last need before it
		 * answers the order. */
		if (p[P_NEEDS].revents != 0 && monitor_serve_need(m) < 0)
			monitor_worker_gone(m);
		else if (p[P_ORDERS].revents != 0) {
			order_answered(m);
			next_order(m);
		}
		if (p[P_SUPERVISOR].revents != 0)
			on_supervisor(m);
		if (p[P_TRIAL].revents != 0 &&
		    m->upgrade.state == UPGRADE_TRIAL) {
			upgrade_trial_answered(m);
			next_order(m);
		}
		if (p[P_LISTEN].revents != 0)
			on_connection(m, m->listen_fd);
		if (p[P_LISTEN_PID].revents != 0)
			on_connection(m, m->listen_pid_fd);
		for (size_t i = 0; i < MONITOR_CLIENTS && !m->ended; i++)
			if (m->clients[i].fd >= 0 &&
			    p[P_CLIENTS + i].fd == m->clients[i].fd &&
			    p[P_CLIENTS + i].revents != 0)
				on_client(m, &m->clients[i],
				    p[P_CLIENTS + i].revents);
	}
	for (size_t i = 0; i < MONITOR_CLIENTS; i++)
		if (m->clients[i].fd >= 0)
			client_close(&m->clients[i]);
	if (m->disowned) {
		storage_abandon(m->storage);
	} else if ((rc = storage_close(m->storage, &err)) < 0) {
		log_error("%s", err.text);
		m->exit_status = rc == ERR_STALE ? err_exit_status(rc) : 1;
	}
	m->storage = NULL;
	control_end_session(m);
	agent_free(m->agent);
	channel_close(&m->channel);
	if (m->disowned && m->exit_status == 0)
		return SUPERVISOR_HANDED_OVER;
	return m->exit_status;
}
