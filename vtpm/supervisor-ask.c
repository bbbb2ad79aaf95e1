/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/supervisor.h"

#include <unistd.h>

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

int
supervisor_tell(int sock, enum supervisor_ask what, int fd, struct err *err)
{
	struct message m = { .type = what };

	return channel_send(sock, &m, fd) < 0 ? gone(err) : 0;
}
