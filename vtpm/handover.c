/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/handover.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/secret.h"

#define HEADER_SIZE 8
#define MAGIC 0x5654484fu	/* "VTHO" */
/* States, a command, and for each client a state coming and one going. */
#define DOCUMENT_MAX (16u * 1024 * 1024)

int
handover_send(int sock, enum handover_type type, uint32_t arg,
    const void *payload, size_t size, int fd, struct err *err)
{
	uint8_t bytes[HEADER_SIZE + HANDOVER_PAYLOAD];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	int rc;

	buf_put_u32be(&b, type);
	buf_put_u32be(&b, arg);
	buf_put_bytes(&b, payload, size);
	if (!buf_ok(&b))
		return err_set(err, ERR_INTERNAL, "a message of %zu bytes",
		    size);
	rc = fdio_send(sock, bytes, HEADER_SIZE + size, fd);
	if (rc == ERR_CLOSED)
		rc = err_set(err, ERR_CLOSED, "the other vtpmd is gone");
	else if (rc < 0)
		rc = err_sys(err, errno, "cannot send to the other vtpmd");
	cleanse(bytes, sizeof(bytes));
	return rc;
}

int
handover_recv(int sock, struct handover_message *m, int timeout_ms,
    struct err *err)
{
	uint8_t bytes[HEADER_SIZE + HANDOVER_PAYLOAD];
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct buf b;
	ssize_t n;
	int rc;

	m->fd = -1;
	do
		rc = poll(&p, 1, timeout_ms);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return err_set(err, ERR_BUSY, "it did not answer within %d "
		    "seconds", timeout_ms / 1000);
	n = fdio_recv(sock, bytes, sizeof(bytes), &m->fd);
	/* It did not read all of ours before it closed; what it said comes
	 * behind that. */
	if (n < 0 && errno == ECONNRESET)
		n = fdio_recv(sock, bytes, sizeof(bytes), &m->fd);
	if (n <= 0) {
		/* An empty message may carry a descriptor all the same. */
		if (m->fd >= 0)
			close(m->fd);
		m->fd = -1;
		return err_set(err, ERR_CLOSED, "it ended without a word");
	}
	b = buf_reader(bytes, (size_t)n);
	m->size = (size_t)n - HEADER_SIZE;
	if (buf_get_u32be(&b, &m->type) < 0 || buf_get_u32be(&b, &m->arg) < 0 ||
	    buf_get_bytes(&b, m->payload, m->size) < 0) {
		if (m->fd >= 0)
			close(m->fd);
		m->fd = -1;
		rc = err_set(err, ERR_FORMAT, "it sent something strange");
	} else {
		rc = 0;
	}
	cleanse(bytes, sizeof(bytes));
	return rc;
}

static void
put_bytes(struct buf *b, const struct handover_bytes *s)
{
	buf_put_u32be(b, (uint32_t)s->size);
	buf_put_bytes(b, s->data, s->size);
}

static void
get_bytes(struct buf *b, struct handover_bytes *s)
{
	uint32_t size = 0;

	if (buf_get_u32be(b, &size) == 0 &&
	    buf_get_ref(b, &s->data, size) == 0)
		s->size = size;
}

static bool
get_bool(struct buf *b)
{
	uint8_t value = 0;

	buf_get_u8(b, &value);
	return value != 0;
}

static void
put(struct buf *b, const struct handover_document *d)
{
	buf_put_u32be(b, MAGIC);
	buf_put_u32be(b, HANDOVER_VERSION);
	buf_put_u8(b, d->progress.powered);
	buf_put_u8(b, d->progress.started);
	buf_put_u8(b, d->progress.shut_down);
	buf_put_u8(b, d->progress.locality);
	buf_put_u32be(b, d->progress.buffer_size);
	buf_put_u8(b, d->handed_out);
	buf_put_u8(b, d->powered);
	buf_put_u32be(b, d->data_number);
	buf_put_u64be(b, d->parked_at);
	put_bytes(b, &d->volatile_state);
	put_bytes(b, &d->permanent);
	put_bytes(b, &d->command);
	for (size_t i = 0; i < HANDOVER_CLIENTS; i++) {
		const struct handover_client *c = &d->clients[i];

		buf_put_u8(b, c->there);
		buf_put_u8(b, c->gave_data_fd);
		buf_put_u8(b, c->asked);
		put_bytes(b, &c->in);
		put_bytes(b, &c->out);
	}
}

static void
get(struct buf *b, struct handover_document *d)
{
	d->progress.powered = get_bool(b);
	d->progress.started = get_bool(b);
	d->progress.shut_down = get_bool(b);
	buf_get_u8(b, &d->progress.locality);
	buf_get_u32be(b, &d->progress.buffer_size);
	d->handed_out = get_bool(b);
	d->powered = get_bool(b);
	buf_get_u32be(b, &d->data_number);
	buf_get_u64be(b, &d->parked_at);
	get_bytes(b, &d->volatile_state);
	get_bytes(b, &d->permanent);
	get_bytes(b, &d->command);
	for (size_t i = 0; i < HANDOVER_CLIENTS; i++) {
		struct handover_client *c = &d->clients[i];

		c->there = get_bool(b);
		c->gave_data_fd = get_bool(b);
		c->asked = get_bool(b);
		get_bytes(b, &c->in);
		get_bytes(b, &c->out);
	}
}

static size_t
document_room(const struct handover_document *d)
{
	size_t n = 256 + d->volatile_state.size + d->permanent.size +
	    d->command.size;

	for (size_t i = 0; i < HANDOVER_CLIENTS; i++)
		n += 16 + d->clients[i].in.size + d->clients[i].out.size;
	return n;
}

int
handover_document_write(const struct handover_document *d, int *fd,
    struct err *err)
{
	size_t room = document_room(d);
	void *map = MAP_FAILED;
	struct buf b;

	*fd = memfd_create("vtpmd-handover", MFD_CLOEXEC);
	if (*fd >= 0 && ftruncate(*fd, (off_t)room) == 0)
		map = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED, *fd,
		    0);
	if (map == MAP_FAILED) {
		int sys = errno;

		if (*fd >= 0)
			close(*fd);
		return err_sys(err, sys, "no memory for the TPM's state");
	}
	b = buf_writer(map, room);
	put(&b, d);
	munmap(map, room);
	if (buf_ok(&b))
		return 0;
	close(*fd);
	return err_set(err, ERR_INTERNAL, "the state has grown meanwhile");
}

int
handover_document_read(struct handover_document *d, int fd, void **map,
    size_t *size, struct err *err)
{
	uint32_t magic = 0, version = 0;
	/* Not fstat: a trial's filter refuses it. */
	off_t end = lseek(fd, 0, SEEK_END);
	struct buf b;
	bool known;

	memset(d, 0, sizeof(*d));
	if (end <= 0 || end > DOCUMENT_MAX)
		return err_set(err, ERR_FORMAT, "the handed-over state has a "
		    "strange size");
	*size = (size_t)end;
	*map = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (*map == MAP_FAILED)
		return err_sys(err, errno, "cannot map the handed-over state");
	b = buf_reader(*map, *size);
	buf_get_u32be(&b, &magic);
	buf_get_u32be(&b, &version);
	known = buf_ok(&b) && magic == MAGIC;
	if (known && version == HANDOVER_VERSION) {
		get(&b, d);
		if (buf_ok(&b))
			return 0;
	}
	munmap(*map, *size);
	if (known && version != HANDOVER_VERSION)
		return err_set(err, ERR_UNSUPPORTED, "this vtpmd takes over "
		    "only from those that speak version %u, not %u",
		    HANDOVER_VERSION, version);
	return err_set(err, ERR_FORMAT, "the handed-over state is damaged");
}
