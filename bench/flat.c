/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a vtpmd that works for long grows: memory of all its processes after
 * a tenth of the work, which lets its heap find its size, and after all. Only
 * memory without a file counts (anonymous and shared): the share that one
 * process has of a library's pages falls and rises with who else maps them,
 * and a leak never lies there.
 */
#include <stdio.h>

#include "bench/bench.h"
#include "bench/memory.h"
#include "bench/peer.h"
#include "bench/wire.h"

/* How much it may grow: a page, or a hundredth, whichever is more. One byte
 * leaked a command would be 88 kB. */
#define FLAT_KB 4
#define FLAT_SHARE 100

static int
work(struct peer *p, size_t commands, size_t resets, struct err *err)
{
	struct command startup;
	int rc;

	command_startup(&startup);
	/* Three commands each. */
	for (size_t i = 0; i < commands; i += 3)
		if ((rc = peer_use(p, err)) < 0)
			return rc;
	for (size_t i = 0; i < resets; i++)
		if ((rc = ctrl_reset(p->ctrl, err)) < 0 ||
		    (rc = command_run(p->data, &startup, NULL, err)) < 0 ||
		    (rc = peer_use(p, err)) < 0)
			return rc;
	return 0;
}

static int
grow(const struct bench *b, struct peer *p, long kb[2], struct err *err)
{
	size_t commands = b->plan.flat_commands, resets = b->plan.flat_resets;
	int rc;

	if ((rc = peer_power_on(p, err)) < 0 ||
	    (rc = work(p, commands / 10, resets / 10, err)) < 0 ||
	    (rc = memory_own(p->pid, &kb[0], err)) < 0 ||
	    (rc = work(p, commands - commands / 10, resets - resets / 10,
	    err)) < 0)
		return rc;
	return memory_own(p->pid, &kb[1], err);
}

int
bench_flat(const struct bench *b, struct err *err)
{
	struct peer p = peer_named(b, PEER_VTPMD, "vm0.nvram");
	struct report_row row = { .bar = 1.0 };
	long kb[2] = { 0, 0 }, may;
	int rc;

	rc = grow(b, &p, kb, err);
	peer_stop(&p);
	if (rc < 0)
		return rc;
	may = kb[0] / FLAT_SHARE > FLAT_KB ? kb[0] / FLAT_SHARE : FLAT_KB;
	snprintf(row.what, sizeof(row.what), "%zu commands, %zu resets",
	    b->plan.flat_commands, b->plan.flat_resets);
	snprintf(row.ours, sizeof(row.ours), "%ld kB", kb[1]);
	snprintf(row.other, sizeof(row.other),
	    "%s: after a tenth, %ld + %ld kB", kb[1] <= kb[0] + may ?
	    "flat" : "NOT flat", kb[0], may);
	row.ratio.mid = (double)kb[1] / (double)(kb[0] + may);
	report_add(b->report, &row);
	return 0;
}
