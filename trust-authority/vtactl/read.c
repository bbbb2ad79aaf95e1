/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/secret.h"
#include "trust-authority/vtactl/vtactl.h"

#define PIECE 65536

/* Not realloc, which would leave pieces of a secret behind. */
static int
grow(char **data, size_t *room, size_t used)
{
	char *more = malloc(*room * 2 + PIECE + 1);

	if (more == NULL)
		return ERR_SYSTEM;
	if (*data != NULL) {
		memcpy(more, *data, used);
		cleanse(*data, used);
		free(*data);
	}
	*data = more;
	*room = *room * 2 + PIECE;
	return 0;
}

int
file_read(const char *path, size_t max, char **out, size_t *size,
    struct err *err)
{
	int fd = STDIN_FILENO, rc = 0;
	size_t room = 0, used = 0;
	char *data = NULL;
	ssize_t n = 0;

	if (strcmp(path, "-") != 0 &&
	    (fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0)
		return err_sys(err, errno, "cannot open %s", path);
	do {
		used += (size_t)n;
		if (used > max) {
			rc = err_set(err, ERR_FORMAT, "%s is larger than %zu "
			    "bytes", path, max);
			goto out;
		}
		if (used == room && grow(&data, &room, used) < 0) {
			rc = err_set(err, ERR_SYSTEM, "no memory for %s",
			    path);
			goto out;
		}
	} while ((n = read(fd, data + used, room - used)) > 0 ||
	    (n < 0 && errno == EINTR && (n = 0) == 0));
	if (n < 0) {
		rc = err_sys(err, errno, "cannot read %s", path);
		goto out;
	}
	data[used] = '\0';
	*size = used;
	*out = data;
	data = NULL;
out:
	if (data != NULL)
		cleanse(data, used);
	free(data);
	if (fd != STDIN_FILENO)
		close(fd);
	return rc;
}

int
file_write_new(const char *path, mode_t mode, const void *data, size_t size,
    struct err *err)
{
	int fd, rc = 0;

	if (path == NULL || strcmp(path, "-") == 0) {
		if (fwrite(data, 1, size, stdout) != size ||
		    fflush(stdout) != 0)
			return err_set(err, ERR_SYSTEM,
			    "cannot write the output");
		return 0;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 && errno == EEXIST)
		return err_set(err, ERR_EXISTS, "%s exists and is not "
		    "overwritten; move it away or name another file", path);
	if (fd < 0)
		return err_sys(err, errno, "cannot make %s", path);
	if (fdio_write(fd, data, size) < 0 || fsync(fd) < 0) {
		rc = err_sys(err, errno, "cannot write %s", path);
		(void)unlink(path);
	}
	close(fd);
	return rc;
}
