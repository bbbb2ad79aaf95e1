/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/supervisor.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "nvram-crypt/agent.h"

#define AGENT_TRIES 50

static int
gone(struct err *err)
{
	return err_set(err, ERR_CLOSED, "the supervising process is gone");
}

int
supervisor_spawn(int sock, struct channel *channel, pid_t *pid,
    struct err *err)
{
	int rc = supervisor_tell(sock, SUPERVISOR_SPAWN, -1, err);

	return rc < 0 ? rc : supervisor_spawned(sock, channel, pid, err);
}

int
supervisor_spawned(int sock, struct channel *channel, pid_t *pid,
    struct err *err)
{
	struct message m;

	channel->orders = channel->needs = -1;
	if (channel_recv(sock, &m, &channel->orders) < 0 ||
	    channel_recv(sock, &m, &channel->needs) < 0)
		return gone(err);
	if (m.result < 0 || channel->orders < 0 || channel->needs < 0) {
		channel_close(channel);
		return err_set(err, ERR_SYSTEM, "the supervising process "
		    "cannot fork a worker");
	}
	*pid = (pid_t)m.arg;
	return 0;
}

int
supervisor_wait(int sock, int *status, struct err *err)
{
	struct message ask = { .type = SUPERVISOR_WAIT }, m;
	int fd;

	if (channel_send(sock, &ask, -1) < 0 ||
	    channel_recv(sock, &m, &fd) < 0)
		return gone(err);
	if (fd >= 0)
		close(fd);
	*status = (int)m.arg;
	return 0;
}

static int
ask_for_agent(int sock, uint32_t *sys, int *fd)
{
	struct message m = { .type = SUPERVISOR_AGENT };

	if (channel_send(sock, &m, -1) < 0 || channel_recv(sock, &m, fd) < 0)
		return ERR_CLOSED;
	*sys = *fd < 0 && m.arg == 0 ? ENOTCONN : m.arg;
	return 0;
}

int
supervisor_agent(int sock, const char *path, bool wait, int *fd,
    struct err *err)
{
	static const struct timespec pause = { .tv_nsec = 20 * 1000000 };
	int tries = wait ? AGENT_TRIES : 1;
	uint32_t sys = EAGAIN;

	*fd = -1;
	/* Many VMs may start at once. */
	for (int i = 0; i < tries && sys == EAGAIN; i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		if (ask_for_agent(sock, &sys, fd) < 0)
			return gone(err);
	}
	return sys == 0 ? 0 : agent_unreachable(path, (int)sys, err);
}

int
supervisor_tell(int sock, enum supervisor_ask what, int fd, struct err *err)
{
	struct message m = { .type = what };

	return channel_send(sock, &m, fd) < 0 ? gone(err) : 0;
}
