/* SPDX-License-Identifier: BSD-3-Clause */
/* vtpmd's command line; vtpmd(8) explains it. */
#ifndef VTPM_OPTIONS_H
#define VTPM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Control connections that are there from the start. */
#define OPTIONS_CLIENTS 2

struct options {
	const char *nvram, *ctrl, *pid_file, *log, *log_level;
	const char *user;
	const char *state_dir, *config;
	const char *agent;	/* socket of the host's agent */
	int passphrase_fd;	/* -1: none */
	int client_fds[OPTIONS_CLIENTS];	/* n_clients of them */
	size_t n_clients;
	bool reject_locality_4;
	bool daemon, terminate;
	bool incoming, allow_restore;
	/* Only between one vtpmd and the next, which it starts to upgrade. */
	int trial_fd;		/* -1: none */
	const char *take_over;	/* NULL: none */
	/* Only between a supervisor at rest and what it runs. */
	const char *worker, *report;
};

/* 1: the program is done (help, version); ERR_USAGE. */
int options_parse(struct options *o, int argc, char **argv, struct err *err);

#endif
