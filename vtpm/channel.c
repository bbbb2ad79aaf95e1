/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"

#define MESSAGE_SIZE 16

int
channel_memory_map(struct channel_memory *m, int fd, struct err *err)
{
	struct channel_shared *shared;

	shared = mmap(NULL, sizeof(*m->shared), PROT_READ | PROT_WRITE,
	    fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		return err_sys(err, errno, "cannot map memory shared with the "
		    "worker");
	/* It holds the TPM's state in clear. */
	(void)madvise(shared, sizeof(*shared), MADV_DONTDUMP);
	*m = (struct channel_memory){ shared, fd };
	return 0;
}

int
channel_memory_make(struct channel_memory *m, struct err *err)
{
	int fd = memfd_create("vtpmd", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* Nobody may make it smaller under another. Where it cannot be had (a
	 * limit on file sizes counts), fork alone shares it. */
	if (fd >= 0 && (ftruncate(fd, sizeof(*m->shared)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL) < 0)) {
		close(fd);
		fd = -1;
	}
	return channel_memory_map(m, fd, err);
}

int
channel_make(struct channel *monitor, struct channel *worker,
    const struct channel_memory *memory, struct err *err)
{
	int orders[2] = { -1, -1 }, needs[2] = { -1, -1 };

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, orders) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, needs) < 0) {
		int sys = errno;

		if (orders[0] >= 0) {
			close(orders[0]);
			close(orders[1]);
		}
		return err_sys(err, sys, "cannot make a socket pair");
	}
	/* A worker that does not read must not hold the monitor up. */
	(void)fcntl(orders[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(needs[0], F_SETFL, O_NONBLOCK);
	*monitor = (struct channel){ orders[0], needs[0], *memory };
	*worker = (struct channel){ orders[1], needs[1], *memory };
	return 0;
}

void
channel_close(struct channel *c)
{
	if (c->orders >= 0)
		close(c->orders);
	if (c->needs >= 0)
		close(c->needs);
	c->orders = c->needs = -1;
}

int
channel_send(int sock, const struct message *m, int fd)
{
	uint8_t bytes[MESSAGE_SIZE];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	buf_put_u32be(&b, m->type);
	buf_put_u32be(&b, m->arg);
	buf_put_u32be(&b, (uint32_t)m->result);
	buf_put_u32be(&b, m->size);
	return fdio_send(sock, bytes, sizeof(bytes), fd);
}

int
channel_recv(int sock, struct message *m, int *fd)
{
	uint8_t bytes[MESSAGE_SIZE + 1];
	uint32_t result = 0;
	struct buf b;
	ssize_t n;

	n = fdio_recv(sock, bytes, sizeof(bytes), fd);
	if (n < 0)
		return errno == ECONNRESET ? ERR_CLOSED : ERR_SYSTEM;
	if (n == 0) {
		/* An empty message may carry a descriptor all the same. */
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return ERR_CLOSED;
	}
	b = buf_reader(bytes, (size_t)n);
	buf_get_u32be(&b, &m->type);
	buf_get_u32be(&b, &m->arg);
	buf_get_u32be(&b, &result);
	buf_get_u32be(&b, &m->size);
	m->result = (int32_t)result;
	if (!buf_ok(&b) || buf_left(&b) != 0) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return ERR_FORMAT;
	}
	return 0;
}
