/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The processes of a vTPM: the one that was started and all below it, however
 * deep, found in /proc by who forked whom and told apart by their names.
 */
#ifndef BENCH_FAMILY_H
#define BENCH_FAMILY_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define FAMILY_MAX 32

struct family {
	pid_t pids[FAMILY_MAX];
	size_t n;
};

/* pid and all below it that live; ERR_INTERNAL if there are more than fit. */
int family_find(pid_t pid, struct family *f, struct err *err);
/* The one below pid whose /proc/PID/comm is name, or 0. */
pid_t family_member(pid_t pid, const char *name);

#endif
