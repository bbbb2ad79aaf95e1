/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What monitor and worker say to each other: two SOCK_SEQPACKET pairs and a
 * shared memory area.
 *
 *   orders  monitor -> worker, each answered by the worker's control thread
 *   needs   worker -> monitor, each answered by the monitor's loop
 *
 * One of each is under way at a time. A message is four 32-bit numbers; bytes
 * that go with it lie in the direction's part of the shared memory. The worker
 * parses what a hostile guest sends, so the monitor believes nothing of a need
 * but what its request table (monitor-needs.c) allows; doc/protocols.md lists
 * both tables.
 */
#ifndef VTPM_CHANNEL_H
#define VTPM_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "nvram-crypt/nvram.h"
#include "vtpm/journal.h"

enum order {
	ORDER_DATA_FD = 1,	/* a descriptor comes along */
	ORDER_INIT,		/* arg: 1: what ORDER_SET_STATE brought is
				 * stored once libtpms has taken it */
	ORDER_STOP,
	ORDER_SHUTDOWN,		/* orderly, then power off */
	ORDER_SET_LOCALITY,	/* arg: locality */
	ORDER_GET_ESTABLISHED,	/* reply arg: the bit */
	ORDER_RESET_ESTABLISHED,/* arg: locality */
	ORDER_HASH_START,
	ORDER_HASH_DATA,	/* size bytes */
	ORDER_HASH_END,
	ORDER_STORE_VOLATILE,
	ORDER_GET_STATE,	/* arg: enum tpm_state; reply: size bytes */
	ORDER_SET_STATE,	/* arg: enum tpm_state; size bytes */
	ORDER_BUFFER_SIZE,	/* arg: wanted or 0; reply: arg is the size in
				 * use, bytes are u32be min and max */
	ORDER_GET_INFO,		/* arg: flags; reply: size bytes of JSON */
	ORDER_RESUME,		/* a new worker takes over; arg: enum resume */
	ORDER_PEEK_STATE,	/* reply: size bytes of volatile state; unlike
				 * GET_STATE it leaves no trace */
	ORDER_PARK,		/* no command is run any more, all is captured;
				 * TPM_RETRY: one takes too long */
	ORDER_UNPARK,
	ORDER_REST,		/* gives back memory, if no command runs */
	ORDER_LAST = ORDER_REST,
};

enum need {
	NEED_LOAD = 1,		/* arg: enum tpm_state; reply: size bytes, or
				 * result ERR_NOTFOUND */
	NEED_STORE,		/* arg: enum tpm_state; size bytes */
	NEED_LOG,		/* arg: enum log_level; size bytes of text */
	NEED_DATA_CLOSED,	/* QEMU's end of the data socket is gone */
	NEED_RECLAIM,		/* a command is going to be run, for the first
				 * time since the state was handed out */
	NEED_LAST = NEED_RECLAIM,
};

struct message {
	uint32_t type;		/* enum order or enum need */
	uint32_t arg;
	int32_t result;		/* replies: TPM_RESULT for orders, 0 or a
				 * negative ERR_ code for needs */
	uint32_t size;		/* bytes in the shared memory */
};

#define CHANNEL_AREA_SIZE NVRAM_STATE_MAX

/* The shared memory. Pages never touched cost nothing. */
struct channel_shared {
	uint8_t orders[CHANNEL_AREA_SIZE];
	uint8_t needs[CHANNEL_AREA_SIZE];
	struct journal journal;
};

/* Memory that monitor, supervisor and every worker have in common: by fork, or
 * by the descriptor, which the supervisor keeps. */
struct channel_memory {
	struct channel_shared *shared;
	int fd;			/* -1: by fork only */
};

struct channel {
	int orders;
	int needs;
	struct channel_memory memory;
};

int channel_memory_make(struct channel_memory *m, struct err *err);
/* Maps the memory behind a descriptor from channel_memory_make. */
int channel_memory_map(struct channel_memory *m, int fd, struct err *err);

/* Makes both ends of a new channel over the memory. */
int channel_make(struct channel *monitor, struct channel *worker,
    const struct channel_memory *memory, struct err *err);
/* Closes the two sockets. */
void channel_close(struct channel *c);

/* fd -1: none. 0, ERR_CLOSED or ERR_SYSTEM. */
int channel_send(int sock, const struct message *m, int fd);
/* Waits. *fd is a descriptor that came along, or -1. 0; ERR_CLOSED at the
 * end; ERR_FORMAT for anything but one whole message. */
int channel_recv(int sock, struct message *m, int *fd);

#endif
