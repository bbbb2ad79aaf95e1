/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one vtpmd gives the next when it is upgraded under a running guest: a
 * document of all that is not a descriptor, in a memory file, and messages over
 * a SOCK_SEQPACKET pair, with the descriptors. doc/protocols.md, "Upgrade", has
 * the bytes; they depend on neither's layout of memory.
 *
 *   old -> new  DOCUMENT, for a trial that is all; FILE, RECORD, DATA, CLIENT
 *               and PASSED of each, END
 *   new -> old  READY or FAILED, with a text
 *   old -> new  GO: from here on the new one owns all of it
 */
#ifndef VTPM_HANDOVER_H
#define VTPM_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vtpm/tpm.h"

#define HANDOVER_VERSION 1u
#define HANDOVER_CLIENTS 8
#define HANDOVER_PAYLOAD 480	/* bytes that go with a message */

enum handover_type {
	HANDOVER_DOCUMENT = 1,	/* the memory file; arg: version */
	HANDOVER_FILE,		/* the nvram file; payload: key, digest */
	HANDOVER_RECORD,	/* the freshness record; arg: 0, none */
	HANDOVER_DATA,		/* QEMU's data socket; arg: 0, none */
	HANDOVER_CLIENT,	/* arg: which */
	HANDOVER_PASSED,	/* arg: whose; a descriptor it has sent */
	HANDOVER_END,
	HANDOVER_READY,		/* payload: text */
	HANDOVER_FAILED,	/* payload: text */
	HANDOVER_GO,
	HANDOVER_KEYS,		/* migration keys; payload: their file's key.
				 * Among the clients; may be missing */
};

struct handover_message {
	uint32_t type, arg;
	size_t size;
	uint8_t payload[HANDOVER_PAYLOAD];
	int fd;			/* the receiver's, or -1 */
};

/* fd is lent, -1: none. */
int handover_send(int sock, enum handover_type type, uint32_t arg,
    const void *payload, size_t size, int fd, struct err *err);
/* ERR_CLOSED at the end, ERR_BUSY when nothing came in time; -1: no limit. */
int handover_recv(int sock, struct handover_message *m, int timeout_ms,
    struct err *err);

struct handover_bytes {
	const uint8_t *data;
	size_t size;
};

struct handover_client {
	bool there;
	bool gave_data_fd;	/* see struct client */
	bool asked;		/* for this upgrade: gets the answer */
	struct handover_bytes in, out;	/* not yet served, not yet sent */
};

struct handover_document {
	struct tpm_progress progress;
	bool handed_out;		/* see struct journal */
	struct handover_bytes volatile_state;
	struct handover_bytes permanent;	/* trial only: else the file
						 * has it */
	struct handover_bytes command;	/* taken from the guest, not run */
	bool powered;			/* between INIT and STOP */
	uint32_t data_number;
	uint64_t parked_at;		/* us, CLOCK_MONOTONIC */
	struct handover_client clients[HANDOVER_CLIENTS];
};

/* *fd is a new memory file. */
int handover_document_write(const struct handover_document *d, int *fd,
    struct err *err);
/* d points into *map, which is *size bytes and the caller's to munmap. */
int handover_document_read(struct handover_document *d, int fd, void **map,
    size_t *size, struct err *err);

#endif
