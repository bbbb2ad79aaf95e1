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
	pthread_cond_t data_thread_came;
	bool data_thread_up;
	int data_fd;			/* what the data thread serves, or -1 */
	int next_data_fd;		/* what it shall serve next, or -1 */
	uint32_t data_number, next_data_number;	/* the monitor's, of each */
	bool state_set;			/* SET_STATE that no INIT has used yet */
	/* What an order brought of the file's state, in the orders' memory, as
	 * long as it is the latest; without permanent state it is none. */
	struct {
		size_t permanent, volatiles;
	} given;
	bool preparing;			/* nothing is stored */
	bool running;			/* a command of the guest's */
	bool store_failed;		/* while it ran */
	bool prepared;			/* a capture, while it stored */
	uint8_t error[TPM_HEADER_SIZE];
	bool resuming;			/* libtpms gets the captured state */
	enum resume resume;		/* what the guest is sent first */
	struct tpm_storage storage;
	/* ORDER_PARK: the data thread is asked to stop between commands, with
	 * WORKER_PARK_SIGNAL until it has. */
	pthread_t data_thread;
	atomic_bool parking;
	bool parked;
	pthread_cond_t was_parked, was_unparked;
};

/* worker-needs.c: libtpms's state is the monitor's to keep. */
int worker_setup_tpm(struct worker *w);
/* Takes orders until the monitor is gone. */
void worker_obey(struct worker *w);
/* With the lock held: powers the TPM on with the captured state, or leaves it
 * off if that is what was captured. A TPM_RESULT. */
uint32_t worker_restore(struct worker *w);
/* With the lock held: does the first thing that a new worker does. A
 * TPM_RESULT. */
uint32_t worker_resume(struct worker *w, enum resume how);
/* With the lock held: TPM2_Shutdown where the guest sent none. */
void worker_make_orderly(struct worker *w);
/* With the lock held, before a command: what was handed out is void from now
 * on, if the monitor says so. */
bool worker_may_run(struct worker *w);
/* With the lock held: tells the monitor. */
void worker_data_closed(struct worker *w);
/* With the lock held: a line for the monitor's log. */
void worker_complain(struct worker *w, const char *text);

#endif
