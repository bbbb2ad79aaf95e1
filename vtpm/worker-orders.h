/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's control thread: what it does on the monitor's orders. */
#ifndef VTPM_WORKER_ORDERS_H
#define VTPM_WORKER_ORDERS_H

#include <pthread.h>
#include <stdbool.h>

#include "vtpm/channel.h"
#include "vtpm/tpm.h"

struct worker {
	struct channel channel;
	pthread_mutex_t lock;		/* libtpms, and all below */
	pthread_cond_t data_fd_came;
	int data_fd;			/* what the data thread serves, or -1 */
	int next_data_fd;		/* what it shall serve next, or -1 */
	bool state_set;			/* ORDER_SET_STATE since the last INIT */
	/* The volatile state was given out and no command has run since: it
	 * lives on elsewhere, so this copy must not be changed by a Shutdown. */
	bool handed_out;
	struct tpm_storage storage;
};

int worker_setup_tpm(struct worker *w);
/* Takes orders until the monitor is gone. */
void worker_obey(struct worker *w);
/* With the lock held: TPM2_Shutdown where the guest sent none. */
void worker_make_orderly(struct worker *w);
/* With the lock held: tells the monitor. */
void worker_data_closed(struct worker *w);

#endif
