/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/sock-listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 512

static int
new_socket(struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);

	return fd >= 0 ? fd : err_sys(err, errno, "cannot make a socket");
}

/* Nobody's any more: removed. */
static int
clear_path(const struct sockaddr_un *at, struct err *err)
{
	struct stat st;
	int fd, rc = 0;

	if (lstat(at->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_EXISTS, "%s is there and no socket: "
		    "move it away, or set another 'socket'", at->sun_path);
	if ((fd = new_socket(err)) < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 ||
	    errno == EAGAIN)
		rc = err_set(err, ERR_BUSY, "another vta-kmxa listens on %s",
		    at->sun_path);
	else if (unlink(at->sun_path) < 0 && errno != ENOENT)
		rc = err_sys(err, errno, "cannot remove the old socket %s",
		    at->sun_path);
	close(fd);
	return rc;
}

int
sock_listen(const char *path, int *out, struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(err, ERR_USAGE, "the socket's path %s has more "
		    "than %zu bytes", path, sizeof(at.sun_path) - 1);
	strcpy(at.sun_path, path);
	if ((rc = clear_path(&at, err)) < 0)
		return rc;
	if ((fd = new_socket(err)) < 0)
		return fd;
	/* Anybody may connect: who asks is judged by each request. */
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    chmod(path, 0666) < 0 || listen(fd, BACKLOG) < 0) {
		rc = err_sys(err, errno, "cannot listen on %s", path);
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}
