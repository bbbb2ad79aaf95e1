/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/echo.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"

/* The other end gets the answer's size with the command's first bytes: it
 * reads, as vtpmd does, and writes that many bytes. */
int
echo_run(int fd, const struct command *c, size_t answer, struct err *err)
{
	uint8_t bytes[WIRE_MAX];
	size_t have = 0;

	memcpy(bytes, c->bytes, c->size);
	memcpy(bytes, &answer, sizeof(answer));
	if (fdio_write(fd, bytes, c->size) < 0)
		return err_set(err, ERR_CLOSED, "the echo is gone");
	while (have < answer) {
		ssize_t n = read(fd, bytes, sizeof(bytes));

		if (n <= 0)
			return err_set(err, ERR_CLOSED, "the echo is gone");
		have += (size_t)n;
	}
	return 0;
}

static _Noreturn void
echo_main(int fd, int (*work)(void *arg), void *arg)
{
	uint8_t bytes[WIRE_MAX];
	size_t size;

	while (read(fd, bytes, sizeof(bytes)) >= (ssize_t)sizeof(size)) {
		memcpy(&size, bytes, sizeof(size));
		if (size > sizeof(bytes) ||
		    (work != NULL && work(arg) < 0) ||
		    fdio_write(fd, bytes, size) < 0)
			break;
	}
	_exit(0);
}

int
echo_start(struct echo *e, int (*work)(void *arg), void *arg,
    struct err *err)
{
	int pair[2];

	*e = (struct echo){ .fd = -1 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "cannot make a socket pair");
	if ((e->pid = fork()) == 0) {
		close(pair[0]);
		echo_main(pair[1], work, arg);
	}
	close(pair[1]);
	e->fd = pair[0];
	if (e->pid < 0)
		return err_sys(err, errno, "cannot fork");
	return 0;
}

void
echo_stop(struct echo *e)
{
	if (e->fd >= 0)
		close(e->fd);
	if (e->pid > 0)
		waitpid(e->pid, NULL, 0);
	*e = (struct echo){ .fd = -1 };
}
