/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/process.h"

#define BACKLOG 8

int
listen_parse(struct listen_address *a, const char *text, struct err *err)
{
	const char *comma = strchr(text, ',');
	size_t size;
	char *end;

	*a = (struct listen_address){ .mode = 0600 };
	if (strncmp(text, "unix:", 5) != 0)
		return err_set(err, ERR_USAGE,
		    "'%s': a control socket is unix:PATH[,mode=0600]", text);
	text += 5;
	size = comma != NULL ? (size_t)(comma - text) : strlen(text);
	if (size == 0 || size >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return err_set(err, ERR_USAGE, "the control socket's path has "
		    "%zu bytes; 1 to %zu are possible (unix(7))", size,
		    sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	memcpy(a->path, text, size);
	if (comma == NULL)
		return 0;
	if (strncmp(comma, ",mode=", 6) != 0)
		return err_set(err, ERR_USAGE,
		    "'%s': the control socket knows only ,mode=", comma);
	a->mode = (mode_t)strtoul(comma + 6, &end, 8);
	if (comma[6] == '\0' || *end != '\0' || a->mode > 0777)
		return err_set(err, ERR_USAGE, "'%s': a mode is an octal number "
		    "such as 0600", comma + 6);
	return 0;
}

/* Whether somebody listens on it: 0, or ERR_BUSY with whose it is in *pid. That
 * stays as it was where the backlog is full, as it is after some tries with who
 * accepts nobody any more. */
static int
find_listener(const struct listen_address *a, const struct sockaddr_un *addr,
    pid_t *pid, struct err *err)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	int rc = 0;

	if (fd < 0)
		return err_sys(err, errno, "cannot make a socket");
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0) {
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
			*pid = peer.pid;
		rc = err_set(err, ERR_BUSY, "another process listens on %s",
		    a->path);
	} else if (errno == EAGAIN) {
		rc = err_set(err, ERR_BUSY, "another process listens on %s",
		    a->path);
	} else if (errno != ECONNREFUSED && errno != ENOENT) {
		rc = err_sys(err, errno, "cannot tell who listens on %s",
		    a->path);
	}
	close(fd);
	return rc;
}

/* A socket that nobody listens on is left over from a process that died. Where
 * that process was killed just now its children may still have the socket: then
 * it listens in the name of a process that has ended. A process of another pid
 * namespace is number 0 here. */
static int
remove_stale(const struct listen_address *a, const struct sockaddr_un *addr,
    struct err *err)
{
	unsigned int waited = 0;
	struct stat st;
	pid_t pid = 0;
	int rc;

	if (lstat(a->path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno,
		    "cannot look at %s", a->path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_EXISTS,
		    "%s exists and is not a socket", a->path);
	while ((rc = find_listener(a, addr, &pid, err)) == ERR_BUSY &&
	    pid > 0 && process_has_ended(pid) &&
	    process_wait_for_leaving(&waited, PROCESS_LEAVES_MS))
		;
	if (rc == 0 && unlink(a->path) < 0 && errno != ENOENT)
		rc = err_sys(err, errno, "cannot remove the old socket %s",
		    a->path);
	return rc;
}

int
listen_open(const struct listen_address *a, int *fd, int *dir, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char copy[PATH_MAX];
	mode_t old;
	int rc;

	*fd = *dir = -1;
	memcpy(addr.sun_path, a->path, strlen(a->path) + 1);
	if ((rc = remove_stale(a, &addr, err)) < 0)
		return rc;
	snprintf(copy, sizeof(copy), "%s", a->path);
	*dir = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*dir < 0 || *fd < 0) {
		rc = err_sys(err, errno, "cannot make the control socket %s",
		    a->path);
		goto out;
	}
	/* The mode is right from the first moment on. */
	old = umask(~a->mode & 0777);
	rc = bind(*fd, (struct sockaddr *)&addr, sizeof(addr));
	if (rc < 0)
		rc = err_sys(err, errno, "cannot make the control socket %s",
		    a->path);
	umask(old);
	if (rc == 0 && listen(*fd, BACKLOG) < 0)
		rc = err_sys(err, errno, "cannot listen on %s", a->path);
out:
	if (rc < 0) {
		if (*fd >= 0)
			close(*fd);
		if (*dir >= 0)
			close(*dir);
		*fd = *dir = -1;
	}
	return rc;
}

socklen_t
listen_pid_address(pid_t pid, struct sockaddr_un *a)
{
	int n;

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	/* The NUL in front makes it abstract. */
	n = snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, "vtpmd/%d",
	    (int)pid);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    (size_t)n);
}

int
listen_by_pid(void)
{
	struct sockaddr_un a;
	socklen_t size = listen_pid_address(getpid(), &a);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, size) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

bool
listen_peer_is_ours(int fd, uid_t user)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	    (peer.uid == 0 || peer.uid == user);
}

const char *
listen_name(const struct listen_address *a)
{
	const char *slash = strrchr(a->path, '/');

	return slash != NULL ? slash + 1 : a->path;
}

void
listen_remove(const struct listen_address *a, int dir)
{
	(void)unlinkat(dir, listen_name(a), 0);
}
