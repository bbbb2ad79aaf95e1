/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection to the control socket: what came in and what is to go out,
 * without ever blocking the monitor. */
#ifndef VTPM_CLIENT_H
#define VTPM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client {
	int fd;			/* -1: free */
	uint8_t *in;		/* bytes not yet consumed */
	size_t in_size, in_room;
	int passed_fd;		/* came along with them, or -1 */
	uint8_t *out;		/* not yet written */
	size_t out_size, out_done;
	bool gave_data_fd;	/* its SET_DATAFD is the one in use */
};

void client_init(struct client *c, int fd);
void client_close(struct client *c);

/* Reads what there is. ERR_CLOSED at the end, ERR_NOSPACE when more waits
 * unconsumed than any command may have. */
int client_fill(struct client *c);
/* Drops the first n bytes. */
void client_consume(struct client *c, size_t n);
/* The descriptor that came, now the caller's; -1 if none. */
int client_take_fd(struct client *c);

/* Queues bytes and writes what goes. */
int client_send(struct client *c, const void *data, size_t size);
int client_flush(struct client *c);
bool client_wants_to_write(const struct client *c);

#endif
