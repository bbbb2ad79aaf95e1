/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vTPM that has nothing to do, as nearly all of them nearly always, gives back
 * what its last work took: buffers as large as a whole state, and deep stacks.
 * One order to the worker for each time that it was busy, not one a second.
 */
#include "vtpm/control.h"

#include <sys/mman.h>

#include "vtpm/give-back.h"

/* Long enough that a guest at work does not pay for it at every command. */
#define REST_MS 500

void
monitor_was_busy(struct monitor *m)
{
	m->rest_at = monitor_now() + REST_MS;
}

static void
rest_done(struct monitor *m, struct client *c, const struct message *reply)
{
	(void)c;
	(void)reply;
	m->rest_at = UINT64_MAX;
}

void
monitor_rest(struct monitor *m)
{
	struct message order = { .type = ORDER_REST };

	if (m->order.active || m->resuming || m->ending || m->disowned ||
	    m->upgrade.state != UPGRADE_NONE) {
		monitor_was_busy(m);
		return;
	}
	m->rest_at = UINT64_MAX;
	storage_rest(m->storage);
	control_forget_blob(m);
	/* Nobody's while no order is under way. */
	(void)madvise(m->channel.memory.shared->orders, CHANNEL_AREA_SIZE,
	    MADV_REMOVE);
	give_back_memory();
	monitor_order(m, NULL, &order, -1, rest_done);
}
