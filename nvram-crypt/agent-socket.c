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
#define PATIENCE_MS 2000

/* unix(7): a full backlog is EAGAIN on a non-blocking socket, at once. */
static int
try_connect(int sock, const struct sockaddr_un *to, int wait_ms)
{
	static const struct timespec step = { .tv_nsec = STEP_MS * 1000000 };

	for (;;) {
		if (connect(sock, (const struct sockaddr *)to,
		    sizeof(*to)) == 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || (wait_ms -= STEP_MS) < 0)
			return -1;
		nanosleep(&step, NULL);
	}
}

int
agent_socket(const char *path, int wait_ms, int *fd, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int sock;

	*fd = -1;
	if (strlen(path) >= sizeof(to.sun_path))
		return err_set(err, ERR_USAGE, "the agent's socket %.32s... "
		    "has too long a path", path);
	memcpy(to.sun_path, path, strlen(path) + 1);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (sock < 0)
		return err_set(err, ERR_CLOSED, "cannot make a socket: %s",
		    strerror(errno));
	if (try_connect(sock, &to, wait_ms) < 0) {
		err_set(err, ERR_CLOSED, "at fault: agent: this host's agent "
		    "cannot be reached at %s: %s. Is vta-kmxa running "
		    "(systemctl status vta-kmxa)? Another path is set by "
		    "[authority] socket in vtpmd.conf", path, strerror(errno));
		close(sock);
		return ERR_CLOSED;
	}
	*fd = sock;
	return 0;
}

int
agent_connect_path(void *arg, int *fd, struct err *err)
{
	return agent_socket(arg, PATIENCE_MS, fd, err);
}
