/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MS 10

/* Of /proc/PID/stat, proc(5), as numbered there. */
#define FIELD_AFTER_NAME 3
#define FIELD_FLAGS 9
#define FIELD_PENDING 31
/* Also of one that still lives, where a signal that was sent ends it; 0 for who
 * may not trace it. A signal that stops it stands there too. */
#define FIELD_EXIT_CODE 52
/* PF_EXITING, linux/sched.h; a zombie has it too. */
#define FLAG_EXITING 0x4u

static bool
field_tells_end(unsigned int field, const char *text)
{
	switch (field) {
	case FIELD_FLAGS:
		return (strtoul(text, NULL, 10) & FLAG_EXITING) != 0;
	case FIELD_PENDING:
		return (strtoul(text, NULL, 10) & 1ul << (SIGKILL - 1)) != 0;
	case FIELD_EXIT_CODE:
		return strtoul(text, NULL, 10) == SIGKILL;
	default:
		return false;
	}
}

/* A line of proc(5) of one that is a zombie, or on the way there. */
static bool
tells_end(const char *line)
{
	/* Its name, in parentheses, may have any characters. */
	const char *space = strrchr(line, ')');
	unsigned int field = FIELD_AFTER_NAME;

	if (space == NULL)
		return false;
	while ((space = strchr(space, ' ')) != NULL) {
		space++;
		if (field_tells_end(field, space))
			return true;
		field++;
	}
	return false;
}

bool
process_has_ended(pid_t pid)
{
	char path[32], line[1024];
	ssize_t n;
	int fd;

	/* Other numbers stand for groups of processes, kill(2). */
	if (pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return false;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	line[n > 0 ? n : 0] = '\0';
	return tells_end(line);
}

bool
process_wait_for_leaving(unsigned int *waited, unsigned int limit_ms)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000 };

	if (*waited >= limit_ms)
		return false;
	nanosleep(&pause, NULL);
	*waited += PAUSE_MS;
	return true;
}
