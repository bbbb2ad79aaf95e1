/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fdio.h"
#include "base/secret.h"
#include "vtpm/channel.h"

/* The longest command: SET_STATEBLOB's header and a whole state. */
#define IN_MAX (CHANNEL_AREA_SIZE + 64)
#define IN_STEP 4096

void
client_init(struct client *c, int fd)
{
	*c = (struct client){ .fd = fd, .passed_fd = -1 };
}

void
client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->passed_fd >= 0)
		close(c->passed_fd);
	/* State blobs went through here. */
	if (c->in != NULL)
		cleanse(c->in, c->in_room);
	if (c->out != NULL)
		cleanse(c->out, c->out_size);
	free(c->in);
	free(c->out);
	client_init(c, -1);
}

/* Grows by copying, so that no old copy of a state blob stays in the heap. */
static int
grow(struct client *c)
{
	size_t room = c->in_room == 0 ? IN_STEP : c->in_room * 2;
	uint8_t *in;

	if (c->in_room >= IN_MAX)
		return ERR_NOSPACE;
	if (room > IN_MAX)
		room = IN_MAX;
	if ((in = malloc(room)) == NULL)
		return ERR_NOSPACE;
	if (c->in_size > 0)
		memcpy(in, c->in, c->in_size);
	if (c->in != NULL)
		cleanse(c->in, c->in_room);
	free(c->in);
	c->in = in;
	c->in_room = room;
	return 0;
}

int
client_fill(struct client *c)
{
	ssize_t n;
	int fd, rc;

	if (c->in_size == c->in_room && (rc = grow(c)) < 0)
		return rc;
	n = fdio_recv(c->fd, c->in + c->in_size, c->in_room - c->in_size, &fd);
	if (n < 0)
		return errno == EAGAIN ? 0 : ERR_CLOSED;
	if (fd >= 0) {
		if (c->passed_fd >= 0)
			close(c->passed_fd);
		c->passed_fd = fd;
	}
	if (n == 0)
		return ERR_CLOSED;
	c->in_size += (size_t)n;
	return 0;
}

void
client_consume(struct client *c, size_t n)
{
	size_t rest = c->in_size - n;

	memmove(c->in, c->in + n, rest);
	cleanse(c->in + rest, n);
	c->in_size = rest;
}

int
client_take_fd(struct client *c)
{
	int fd = c->passed_fd;

	c->passed_fd = -1;
	return fd;
}

bool
client_wants_to_write(const struct client *c)
{
	return c->out_done < c->out_size;
}

int
client_send(struct client *c, const void *data, size_t size)
{
	uint8_t *out;
	size_t rest = c->out_size - c->out_done;

	if ((out = malloc(rest + size)) == NULL)
		return ERR_NOSPACE;
	if (rest > 0)
		memcpy(out, c->out + c->out_done, rest);
	memcpy(out + rest, data, size);
	if (c->out != NULL)
		cleanse(c->out, c->out_size);
	free(c->out);
	c->out = out;
	c->out_size = rest + size;
	c->out_done = 0;
	return client_flush(c);
}

int
client_flush(struct client *c)
{
	while (client_wants_to_write(c)) {
		struct iovec iov = { .iov_base = c->out + c->out_done,
			.iov_len = c->out_size - c->out_done };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : ERR_CLOSED;
		c->out_done += (size_t)n;
	}
	if (c->out != NULL)
		cleanse(c->out, c->out_size);
	free(c->out);
	c->out = NULL;
	c->out_size = c->out_done = 0;
	return 0;
}
