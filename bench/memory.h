/* SPDX-License-Identifier: BSD-3-Clause */
/* What a process and its children take of memory, as /proc shows it. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define MEMORY_PLACES 64
#define MEMORY_NAME 40

/* kB of private dirty pages under one name of mapping. */
struct memory_place {
	char name[MEMORY_NAME];
	long kb;
};

struct memory_map {
	struct memory_place places[MEMORY_PLACES];
	size_t n;
};

/* Proportional set size of pid and all processes below it together, in kB. */
int memory_pss(pid_t pid, long *kb, struct err *err);
/* What of it is nobody else's: anonymous memory and shared memory without a
 * file. It does not change with who else maps the same libraries. */
int memory_own(pid_t pid, long *kb, struct err *err);
/* Where the private dirty pages of pid and all below it are, largest first. */
int memory_dirty(pid_t pid, struct memory_map *map, struct err *err);

#endif
