/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/ctl-process.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


bool
process_is_number(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (!isdigit((unsigned char)*c))
			return false;
	return *text != '\0';
}

ssize_t
process_read(const char *pid, const char *name, char *out, size_t room)
{
	size_t have = 0;
	char path[96];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/%.20s", pid, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return -1;
	/* The kernel gives it in pieces. */
	while (have < room - 1 &&
	    (n = read(fd, out + have, room - 1 - have)) > 0)
		have += (size_t)n;
	close(fd);
	out[have] = '\0';
	return (ssize_t)have;
}

bool
process_is_named(const char *pid, const char *name)
{
	char comm[32];
	ssize_t n = process_read(pid, "comm", comm, sizeof(comm));

	return n > 0 && (size_t)n == strlen(name) + 1 &&
	    memcmp(comm, name, (size_t)n - 1) == 0;
}

/* Not asked by connecting: whoever it is may be no vtpmd. */
bool
process_has_listener(const char *pid)
{
	FILE *list = fopen("/proc/net/unix", "re");
	char *line = NULL, name[64];
	bool found = false;
	size_t room = 0, size;
	ssize_t n;

	if (list == NULL)
		return false;
	size = (size_t)snprintf(name, sizeof(name), " @vtpmd/%.20s\n", pid);
	while (!found && (n = getline(&line, &room, list)) >= 0)
		found = (size_t)n > size &&
		    strcmp(line + (size_t)n - size, name) == 0;
	free(line);
	fclose(list);
	return found;
}

bool
process_is_vtpmd(const char *pid)
{
	return process_is_named(pid, "vtpmd") ||
	    (process_is_named(pid, "swtpm") && process_has_listener(pid));
}
