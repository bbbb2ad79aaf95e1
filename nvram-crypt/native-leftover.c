/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/native-leftover.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TAG_SIZE 16	/* hex digits */
/* From its making to native_leftover_hold, with time to spare. */
#define UNHELD_MAX_S 60

/* flock(2) and not fcntl(2): it takes directories, too. It goes with the last
 * copy of the descriptor, so with the process however that ends. */
void
native_leftover_hold(int fd)
{
	/* Where there are no locks nothing can be told dead either, and
	 * nothing is removed. */
	(void)flock(fd, LOCK_EX | LOCK_NB);
}

static bool
is_named_so(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(name, prefix, n) == 0 && strlen(name) == n + TAG_SIZE &&
	    strspn(name + n, "0123456789abcdef") == TAG_SIZE;
}

static bool
is_dead(int fd, mode_t type, const struct native_owner *owner)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type &&
	    native_owner_trusted(owner, st.st_uid) &&
	    time(NULL) - st.st_mtime > UNHELD_MAX_S &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0;
}

void
native_leftovers_remove(int dirfd, const char *prefix, mode_t type,
    const struct native_owner *owner,
    void (*take_away)(int dirfd, const char *name, int fd))
{
	int again = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	const struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		int fd;

		if (!is_named_so(e->d_name, prefix))
			continue;
		/* O_NONBLOCK: a FIFO of that name must not hang us. */
		fd = openat(dirfd, e->d_name, O_RDONLY | O_CLOEXEC |
		    O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			continue;
		if (is_dead(fd, type, owner))
			take_away(dirfd, e->d_name, fd);
		close(fd);
	}
	if (d != NULL)
		closedir(d);
	else if (again >= 0)
		close(again);
}
