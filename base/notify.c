/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
notify_send(const char *state, struct err *err)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t size;
	int fd, rc = 0;

	if (path == NULL)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || path[1] == '\0' ||
	    strlen(path) >= sizeof(to.sun_path))
		return err_set(err, ERR_USAGE, "NOTIFY_SOCKET is neither an "
		    "absolute path nor an abstract name");
	memcpy(to.sun_path, path, strlen(path));
	/* '@' stands for the NUL that starts an abstract name, unix(7). */
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		return err_sys(err, errno, "cannot make a socket");
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	    (struct sockaddr *)&to, size) < 0)
		rc = err_sys(err, errno, "cannot notify %s", path);
	close(fd);
	return rc;
}
