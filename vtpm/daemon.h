/* SPDX-License-Identifier: BSD-3-Clause */
/* Going into the background, and the pid file. */
#ifndef VTPM_DAEMON_H
#define VTPM_DAEMON_H

#include "base/err.h"

/* Forks; the parent waits until the child calls daemon_ready or exits, and
 * exits itself with 0 or the child's status. Returns in the child with *ready
 * for daemon_ready. */
int daemon_start(int *ready, struct err *err);
/* Detaches from the terminal. */
int daemon_detach(struct err *err);
/* The same, and lets the parent go. */
int daemon_ready(int ready, struct err *err);

struct pid_file {
	char name[256];	/* within dir */
	int dir;	/* -1: none */
};

/* Writes this process's pid to path, whole or not at all; or, of "fd:N", into
 * that descriptor, which it closes. */
int pid_file_write(struct pid_file *p, const char *path, struct err *err);
/* Takes the name only: the file is there and p->dir set. */
void pid_file_name(struct pid_file *p, const char *path);
void pid_file_remove(struct pid_file *p);

#endif
