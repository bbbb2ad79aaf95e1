/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fdio.h"
#include "base/secret.h"
#include "qemu-glue/child.h"

#define LINE_MAX_SIZE 1024u	/* vtpmd's; less than a pipe holds */

static int
echo_off(int fd, const struct termios *saved)
{
	struct termios t = *saved;

	/* The line's end shows all the same. */
	t.c_lflag &= ~(tcflag_t)ECHO;
	t.c_lflag |= ECHONL | ICANON;
	return tcsetattr(fd, TCSAFLUSH, &t);
}

/* One line, which canonical mode gives whole; a signal ends the waiting. */
static int
read_line(int fd, const struct termios *saved, int signals, struct secret *line,
    size_t *size, int *status, struct err *err)
{
	for (;;) {
		int number = 0, what;
		bool sent = false;
		ssize_t n;

		what = child_wait_signal(signals, fd, -1, &number, &sent);
		if (what == 1 && number == SIGCONT)
			/* The shell has had the terminal meanwhile. */
			(void)echo_off(fd, saved);
		if (what == 1 && (number == SIGTERM || number == SIGINT ||
		    number == SIGHUP || number == SIGQUIT)) {
			*status = 128 + number;
			return err_set(err, ERR_CLOSED, "signal %d (%s) "
			    "instead of a passphrase; nothing was started",
			    number, strsignal(number));
		}
		if (what != 2)
			continue;
		n = read(fd, secret_data(line), secret_size(line));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return err_sys(err, errno, "cannot read the "
			    "passphrase from the terminal");
		*size = (size_t)n;
		return 0;
	}
}

static int
check_line(struct secret *line, size_t size, struct err *err)
{
	if (size > 0 && secret_bytes(line)[size - 1] == '\n')
		size--;
	else if (size == secret_size(line))
		return err_set(err, ERR_USAGE, "the passphrase is longer than "
		    "%u bytes", LINE_MAX_SIZE);
	if (size == 0)
		return err_set(err, ERR_USAGE, "no passphrase was given");
	secret_truncate(line, size);
	return 0;
}

static int
ask(int fd, const char *nvram, int signals, struct secret *line, int *status,
    struct err *err)
{
	struct termios saved;
	size_t size = 0;
	int rc;

	if (tcgetattr(fd, &saved) < 0 || echo_off(fd, &saved) < 0)
		return err_sys(err, errno, "cannot set the terminal for a "
		    "passphrase");
	fprintf(stderr, "Passphrase of %s: ", nvram);
	fflush(stderr);
	rc = read_line(fd, &saved, signals, line, &size, status, err);
	(void)tcsetattr(fd, TCSAFLUSH, &saved);
	return rc < 0 ? rc : check_line(line, size, err);
}

/* All of it fits, so nobody has to read yet. */
static int
into_pipe(const struct secret *line, int *fd, struct err *err)
{
	int ends[2], rc = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	if (fdio_write(ends[1], secret_bytes(line), secret_size(line)) < 0)
		rc = err_sys(err, errno, "cannot write to a pipe");
	close(ends[1]);
	if (rc < 0)
		close(ends[0]);
	else
		*fd = ends[0];
	return rc;
}

int
passphrase_take(int *fd, const char *nvram, int signals, int *status,
    struct err *err)
{
	struct secret *line = NULL;
	int terminal = *fd, rc;

	if (*fd < 0 || !isatty(*fd))
		return 0;
	if ((line = secret_new(LINE_MAX_SIZE + 1)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a "
		    "passphrase (raise the memlock limit)");
	rc = ask(terminal, nvram, signals, line, status, err);
	if (rc == 0)
		rc = into_pipe(line, fd, err);
	/* Standard input is QEMU's as well. */
	if (rc == 0 && terminal > 2)
		close(terminal);
	secret_free(line);
	return rc;
}
