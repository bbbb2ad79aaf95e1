/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The supervisor at rest. Nearly always it waits for what does not happen, and
 * what it keeps for that is multiplied by the number of VMs. So once all is
 * settled it unmaps the libraries, its heap and its data, and waits in code
 * that needs none of them: supervisor-rest.c, which is compiled so that it
 * calls nobody. What needs more than a few system calls is done by the program
 * file, run again: a worker that replaces a dead one (--worker), an upgrade,
 * and words for the log (--report).
 */
#ifndef VTPM_SUPERVISOR_REST_H
#define VTPM_SUPERVISOR_REST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "vtpm/supervisor.h"

#define REST_RANGES 128

/* One mapping that holds all that is left, strings included. */
struct rest {
	int sock, signals;
	int self;		/* the program file that monitor and workers
				 * are of */
	int installed;		/* the one that was tried; -1: none */
	int memory;		/* what workers share with the monitor */
	pid_t monitor_pid, worker, trial;
	int inherit[SUPERVISOR_LEGACY];
	/* Names to remove at the end; directory -1: none. */
	struct {
		int dir;
		const char *name;
	} remove[2];
	/* Of the host's agent; family 0: its path is too long for one. */
	struct sockaddr_un agent;
	const char *program;	/* what is installed is there */
	const char **argv;	/* ... and room for one more at its end, */
	size_t argc;		/* which is this one */
	char *const *env;
	char option[160];
	struct {
		uintptr_t from, to;
	} unmap[REST_RANGES];
	size_t n_unmap;
	uintptr_t stack_from, stack_to;
};

/* supervisor-rest.c: the rest of this process's life. */
_Noreturn void rest_run(struct rest *r);

/* supervisor-lie-down.c: returns only if that is not possible here. */
void supervisor_rest(const struct supervisor *s);

#endif
