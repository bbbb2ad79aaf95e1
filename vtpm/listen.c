/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

static int
parse_number(const char *text, int base, unsigned long max,
    unsigned long *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	*number = strtoul(text, &end, base);
	return errno != 0 || *end != '\0' || *number > max ? -1 : 0;
}

static int
parse_unix_option(struct listen_address *a, const char *item, struct err *err)
{
	unsigned long n;

	if (strncmp(item, "mode=", 5) == 0) {
		if (parse_number(item + 5, 8, 0777, &n) < 0)
			return err_set(err, ERR_USAGE, "'%s': a mode is an "
			    "octal number such as 0600", item + 5);
		a->mode = (mode_t)n;
	} else if (strncmp(item, "uid=", 4) == 0 &&
	    parse_number(item + 4, 10, UINT32_MAX - 1, &n) == 0)
		a->uid = (uid_t)n;
	else if (strncmp(item, "gid=", 4) == 0 &&
	    parse_number(item + 4, 10, UINT32_MAX - 1, &n) == 0)
		a->gid = (gid_t)n;
	else
		return err_set(err, ERR_USAGE, "',%s': the control socket "
		    "knows only ,mode=, ,uid= and ,gid=", item);
	return 0;
}

static int
parse_unix(struct listen_address *a, const char *text, struct err *err)
{
	char copy[PATH_MAX], *rest = copy, *item;
	size_t size = strcspn(text, ",");
	int rc = 0;

	if (size == 0 || size >= sizeof(a->path))
		return err_set(err, ERR_USAGE, "the control socket's path has "
		    "%zu bytes; 1 to %zu are possible (unix(7))", size,
		    sizeof(a->path) - 1);
	a->kind = LISTEN_UNIX;
	memcpy(a->path, text, size);
	if (text[size] == '\0')
		return 0;
	if ((size_t)snprintf(copy, sizeof(copy), "%s", text + size + 1) >=
	    sizeof(copy))
		return err_set(err, ERR_USAGE, "too many options of a socket");
	while (rc == 0 && (item = strsep(&rest, ",")) != NULL)
		rc = parse_unix_option(a, item, err);
	return rc;
}

int
listen_parse(struct listen_address *a, const char *text, struct err *err)
{
	unsigned long n;

	*a = (struct listen_address){ .mode = 0600, .uid = (uid_t)-1,
		.gid = (gid_t)-1 };
	if (text == NULL)
		return 0;
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(a, text + 5, err);
	if (strncmp(text, "tcp:", 4) == 0)
		a->kind = LISTEN_TCP;
	else if (strncmp(text, "fd:", 3) == 0 &&
	    parse_number(text + 3, 10, 1 << 20, &n) == 0)
		a->kind = LISTEN_FD;
	if (a->kind == LISTEN_NOWHERE || strlen(text) >= sizeof(a->path))
		return err_set(err, ERR_USAGE, "'%s': a control socket is "
		    "unix:PATH[,mode=0600], tcp:ADDRESS:PORT or fd:N", text);
	memcpy(a->path, text, strlen(text) + 1);
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

static int
open_unix(const struct listen_address *a, int *fd, int *dir, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char copy[PATH_MAX];
	mode_t old;
	int rc;

	memcpy(addr.sun_path, a->path, strlen(a->path) + 1);
	if ((rc = remove_stale(a, &addr, err)) < 0)
		return rc;
	snprintf(copy, sizeof(copy), "%s", a->path);
	*dir = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*dir < 0 || *fd < 0)
		return err_sys(err, errno, "cannot make the control socket %s",
		    a->path);
	/* The mode is right from the first moment on. */
	old = umask(~a->mode & 0777);
	rc = bind(*fd, (struct sockaddr *)&addr, sizeof(addr));
	if (rc < 0)
		rc = err_sys(err, errno, "cannot make the control socket %s",
		    a->path);
	umask(old);
	if (rc < 0)
		return rc;
	if ((a->uid != (uid_t)-1 || a->gid != (gid_t)-1) &&
	    lchown(a->path, a->uid, a->gid) < 0)
		return err_sys(err, errno, "cannot give the control socket %s "
		    "to its owner", a->path);
	return 0;
}

/* "tcp:[::1]:1234", "tcp:127.0.0.1:1234". */
static int
resolve(const char *text, struct addrinfo **found, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	char host[128];
	const char *port;
	unsigned long n;
	int rc;

	text += strlen("tcp:");
	port = strrchr(text, ':');
	if (port == NULL || parse_number(port + 1, 10, UINT16_MAX, &n) < 0 ||
	    (size_t)(port - text) >= sizeof(host))
		return err_set(err, ERR_USAGE, "'%s': a TCP socket is "
		    "tcp:ADDRESS:PORT", text);
	memcpy(host, text, (size_t)(port - text));
	host[port - text] = '\0';
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		memmove(host, host + 1, strlen(host));
	}
	if ((rc = getaddrinfo(host, port + 1, &hints, found)) != 0)
		return err_set(err, ERR_USAGE, "'%s' is not an address: %s",
		    host, gai_strerror(rc));
	return 0;
}

static int
open_tcp(const struct listen_address *a, int *fd, struct err *err)
{
	struct addrinfo *found;
	int on = 1, rc;

	if ((rc = resolve(a->path, &found, err)) < 0)
		return rc;
	*fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	/* What is accepted inherits the second: nothing is gained by waiting
	 * for more of an answer. */
	if (*fd < 0 ||
	    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    bind(*fd, found->ai_addr, found->ai_addrlen) < 0)
		rc = err_sys(err, errno, "cannot make the socket %s", a->path);
	freeaddrinfo(found);
	return rc;
}

static int
take_fd(const struct listen_address *a, int *fd, struct err *err)
{
	int number = (int)strtol(a->path + strlen("fd:"), NULL, 10);
	int listens = 0, flags = fcntl(number, F_GETFL);
	socklen_t size = sizeof(listens);

	if (flags < 0 || getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN,
	    &listens, &size) < 0 || listens == 0)
		return err_set(err, ERR_USAGE, "descriptor %d is not a socket "
		    "that listens", number);
	*fd = number;
	if (fcntl(number, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(number, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot use descriptor %d", number);
	return 0;
}

int
listen_open(const struct listen_address *a, int *fd, int *dir, struct err *err)
{
	int rc = 0;

	*fd = *dir = -1;
	if (a->kind == LISTEN_UNIX)
		rc = open_unix(a, fd, dir, err);
	else if (a->kind == LISTEN_TCP)
		rc = open_tcp(a, fd, err);
	else if (a->kind == LISTEN_FD)
		rc = take_fd(a, fd, err);
	if (rc == 0 && *fd >= 0 && a->kind != LISTEN_FD &&
	    listen(*fd, BACKLOG) < 0)
		rc = err_sys(err, errno, "cannot listen on %s", a->path);
	if (rc == 0)
		return 0;
	if (*fd >= 0)
		close(*fd);
	if (*dir >= 0)
		close(*dir);
	*fd = *dir = -1;
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
