/* SPDX-License-Identifier: BSD-3-Clause */
/* For who may open paths: the connection itself. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "nvram-crypt/agent.h"

#define STEP_MS 20
#define STEPS 100

int
agent_socket(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int sock, rc;

	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path) + 1);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (sock < 0)
		return -errno;
	do
		rc = connect(sock, (const struct sockaddr *)&to, sizeof(to));
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return sock;
	rc = -errno;
	close(sock);
	return rc;
}

int
agent_unreachable(const char *path, int sys, struct err *err)
{
	return err_set(err, ERR_CLOSED, "at fault: agent: this host's agent "
	    "cannot be reached at %s: %s. Is vta-kmxa running (systemctl "
	    "status vta-kmxa)? Another path is set by [authority] socket in "
	    "vtpmd.conf", path, strerror(sys));
}

int
agent_connect_path(void *arg, bool wait, int *fd, struct err *err)
{
	static const struct timespec step = { .tv_nsec = STEP_MS * 1000000 };
	int sock = -EAGAIN;

	for (int i = 0; i < STEPS; i++) {
		/* unix(7): the backlog is full. */
		if ((sock = agent_socket(arg)) != -EAGAIN || !wait)
			break;
		nanosleep(&step, NULL);
	}
	*fd = sock;
	return sock < 0 ? agent_unreachable(arg, -sock, err) : 0;
}
