/* SPDX-License-Identifier: BSD-3-Clause */
/* The monitor's process from its fork to its end. */
#ifndef VTPM_MONITOR_START_H
#define VTPM_MONITOR_START_H

#include <stdbool.h>

#include "vtpm/channel.h"
#include "vtpm/config.h"
#include "vtpm/options.h"
#include "vtpm/user.h"

struct monitor_start {
	const struct options *options;
	const struct config *config;
	const char *path;	/* of the control socket, for messages */
	const struct user *user;	/* whom root becomes */
	bool logs_elsewhere;	/* than to standard error */
	int listen_fd, listen_pid_fd;
	int handover;		/* a monitor is to be taken over from; -1 */
	struct channel_memory memory;
};

/* supervisor: the socket to it. Returns the exit status. */
int monitor_start(const struct monitor_start *s, int supervisor);

#endif
