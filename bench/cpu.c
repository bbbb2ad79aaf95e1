/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/cpu.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>

static cpu_set_t all;
static bool known;

int
cpus_find(struct cpus *c, struct err *err)
{
	if (!known && sched_getaffinity(0, sizeof(all), &all) < 0)
		return err_sys(err, errno, "cannot see the processors");
	known = true;
	c->n = 0;
	for (int i = 0; i < CPU_SETSIZE && c->n < 2; i++)
		if (CPU_ISSET(i, &all))
			c->cpu[c->n++] = i;
	return 0;
}

int
cpu_pin(int cpu, struct err *err)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return err_sys(err, errno, "cannot run on processor %d only",
		    cpu);
	return 0;
}

void
cpu_unpin(void)
{
	if (known)
		(void)sched_setaffinity(0, sizeof(all), &all);
}
