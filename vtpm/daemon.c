/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"

int
daemon_start(int *ready, struct err *err)
{
	int ends[2], status;
	pid_t pid;
	char byte;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	if ((pid = fork()) < 0)
		return err_sys(err, errno, "cannot go into the background");
	if (pid == 0) {
		close(ends[0]);
		*ready = ends[1];
		if (setsid() < 0)
			return err_sys(err, errno, "cannot start a session");
		return 0;
	}
	close(ends[1]);
	if (fdio_read(ends[0], &byte, 1) == 0)
		_exit(0);
	/* The child has said why on standard error. */
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	_exit(1);
}

int
daemon_detach(struct err *err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_sys(err, errno, "cannot open /dev/null");
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return err_sys(err, errno, "cannot leave the terminal");
	close(null);
	return 0;
}

int
daemon_ready(int ready, struct err *err)
{
	int rc;

	if ((rc = daemon_detach(err)) < 0)
		return rc;
	if (fdio_write(ready, "", 1) < 0)
		return err_sys(err, errno, "the starting process is gone");
	close(ready);
	return 0;
}

static int
write_to_fd(const char *number, struct err *err)
{
	int fd = (int)strtol(number, NULL, 10), n, rc = 0;
	char text[32];

	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (fdio_write(fd, text, (size_t)n) < 0)
		rc = err_sys(err, errno, "cannot write the pid to descriptor "
		    "%d", fd);
	close(fd);
	return rc;
}

int
pid_file_write(struct pid_file *p, const char *path, struct err *err)
{
	char copy[PATH_MAX], temporary[sizeof(p->name) + 16], text[32];
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	size_t path_size = strlen(path) + 1, name_size = strlen(name) + 1;
	int fd = -1, n, rc = 0;

	p->dir = -1;
	if (strncmp(path, "fd:", 3) == 0)
		return write_to_fd(path + 3, err);
	if (path_size > sizeof(copy) || name_size > sizeof(p->name))
		return err_set(err, ERR_USAGE, "the pid file's name is too "
		    "long");
	memcpy(p->name, name, name_size);
	memcpy(copy, path, path_size);
	snprintf(temporary, sizeof(temporary), "%s.%d", p->name,
	    (int)getpid());
	p->dir = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->dir >= 0)
		fd = openat(p->dir, temporary,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0) {
		rc = err_sys(err, errno, "cannot write the pid file %s", path);
		goto out;
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (fdio_write(fd, text, (size_t)n) < 0 ||
	    renameat(p->dir, temporary, p->dir, p->name) < 0) {
		rc = err_sys(err, errno, "cannot write the pid file %s", path);
		unlinkat(p->dir, temporary, 0);
	}
out:
	if (fd >= 0)
		close(fd);
	if (rc < 0 && p->dir >= 0) {
		close(p->dir);
		p->dir = -1;
	}
	return rc;
}

void
pid_file_name(struct pid_file *p, const char *path)
{
	const char *slash = strrchr(path, '/');

	snprintf(p->name, sizeof(p->name), "%s",
	    slash != NULL ? slash + 1 : path);
}

void
pid_file_remove(struct pid_file *p)
{
	if (p->dir < 0)
		return;
	(void)unlinkat(p->dir, p->name, 0);
	close(p->dir);
	p->dir = -1;
}
