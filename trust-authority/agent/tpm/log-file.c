/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/tpm/log-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOM_FIRST 65536

static int
room_make(uint8_t **data, size_t *room, size_t max, struct err *err)
{
	size_t next = *room == 0 ? ROOM_FIRST : 2 * *room;
	uint8_t *more;

	/* One byte beyond the most tells that there is more. */
	if (next > max + 1)
		next = max + 1;
	if ((more = realloc(*data, next)) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	*data = more;
	*room = next;
	return 0;
}

int
log_file_read(const char *path, size_t max, uint8_t **data, size_t *size,
    struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	size_t room = 0;
	ssize_t n = 1;

	*data = NULL;
	*size = 0;
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOTFOUND, "there is no log %s: is "
		    "securityfs mounted, and does this kernel and firmware "
		    "have that log?", path);
	if (fd < 0)
		return err_sys(err, errno, "cannot open the log %s", path);
	while (n != 0 && rc == 0) {
		if (*size == room && (rc = room_make(data, &room, max,
		    err)) < 0)
			break;
		n = read(fd, *data + *size, room - *size);
		if (n < 0 && errno != EINTR)
			rc = err_sys(err, errno, "cannot read the log %s",
			    path);
		*size += n > 0 ? (size_t)n : 0;
		if (*size > max)
			rc = err_set(err, ERR_UNSUPPORTED, "the log %s has "
			    "more than the %zu bytes that evidence may have",
			    path, max);
	}
	close(fd);
	if (rc < 0) {
		free(*data);
		*data = NULL;
		*size = 0;
	}
	return rc;
}
