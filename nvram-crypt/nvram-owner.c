/* SPDX-License-Identifier: BSD-3-Clause */
/* The owner record: who opened a file last, for people, and for who finds the
 * file locked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"
#include "nvram-crypt/nvram-internal.h"

#define PROCESS ", process "

void
nvram_owner_format(char owner[NVRAM_OWNER_SIZE], const char *host, pid_t pid)
{
	memset(owner, 0, NVRAM_OWNER_SIZE);
	snprintf(owner, NVRAM_OWNER_SIZE, "host %s" PROCESS "%ld", host,
	    (long)pid);
}

bool
nvram_owner_has_ended(const char owner[NVRAM_OWNER_SIZE])
{
	const char *number = strstr(owner, PROCESS);
	char host[HOST_NAME_MAX + 1] = "", same[NVRAM_OWNER_SIZE];
	long pid;

	if (number == NULL || gethostname(host, sizeof(host) - 1) < 0)
		return false;
	errno = 0;
	pid = strtol(number + strlen(PROCESS), NULL, 10);
	if (errno != 0 || pid <= 0 || pid > INT_MAX)
		return false;
	/* As this host would write it: not another host's, nor some other
	 * text's. */
	nvram_owner_format(same, host, (pid_t)pid);
	return strcmp(owner, same) == 0 && process_has_ended((pid_t)pid);
}
