/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * On which processors client and server run. Waking another processor costs
 * several times what a command does, and left to the scheduler one pair shares
 * a processor in a run and the other does not; so both are pinned.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <stddef.h>

#include "base/err.h"

struct cpus {
	int cpu[2];
	size_t n;	/* 1 or 2 of them are there */
};

int cpus_find(struct cpus *c, struct err *err);
/* This thread, and what it forks from now on. */
int cpu_pin(int cpu, struct err *err);
/* Back to where it was when cpus_find was called first. */
void cpu_unpin(void);

#endif
