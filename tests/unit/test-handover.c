/* SPDX-License-Identifier: BSD-3-Clause */
/* The document that one vtpmd hands to the next; the bytes are those of
 * doc/protocols.md, "Upgrade". */
#include <criterion/criterion.h>

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vtpm/handover.h"

static const uint8_t volatile_state[] = { 1, 2, 3, 4, 5 };
static const uint8_t command[] = { 0x80, 0x01 };
static const uint8_t request[] = { 0, 0, 0, 2, 9 };

/* Written by hand: one client, the third, that asked. */
static size_t
by_hand(uint8_t *out)
{
	static const uint8_t start[] = {
		'V', 'T', 'H', 'O', 0, 0, 0, 1,
		1, 1, 0, 3, 0, 0, 0x10, 0,	/* progress, buffer 4096 */
		0, 1, 0, 0, 0, 7,		/* handed out, powered, number */
		0, 0, 0, 0, 0, 0, 1, 2,		/* parked at */
		0, 0, 0, 5, 1, 2, 3, 4, 5,
		0, 0, 0, 0,
		0, 0, 0, 2, 0x80, 0x01,
	};
	static const uint8_t nobody[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t somebody[] = { 1, 1, 1, 0, 0, 0, 5, 0, 0, 0, 2, 9,
		0, 0, 0, 0 };
	size_t n = sizeof(start);

	memcpy(out, start, n);
	for (int i = 0; i < HANDOVER_CLIENTS; i++) {
		const uint8_t *c = i == 2 ? somebody : nobody;
		size_t size = i == 2 ? sizeof(somebody) : sizeof(nobody);

		memcpy(out + n, c, size);
		n += size;
	}
	return n;
}

static int
file_of(const uint8_t *bytes, size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	return fd;
}

static int
read_bytes(struct handover_document *d, const uint8_t *bytes, size_t size,
    void **map, size_t *map_size)
{
	int fd = file_of(bytes, size), rc;

	rc = handover_document_read(d, fd, map, map_size, NULL);
	close(fd);
	return rc;
}

static void
check(const struct handover_document *d)
{
	cr_expect(d->progress.powered && d->progress.started &&
	    !d->progress.shut_down && d->progress.locality == 3 &&
	    d->progress.buffer_size == 4096);
	cr_expect(!d->handed_out && d->powered && d->data_number == 7 &&
	    d->parked_at == 258);
	cr_expect_eq(d->volatile_state.size, sizeof(volatile_state));
	cr_expect_eq(memcmp(d->volatile_state.data, volatile_state,
	    sizeof(volatile_state)), 0);
	cr_expect_eq(d->permanent.size, 0);
	cr_expect(d->command.size == 2 && memcmp(d->command.data, command,
	    2) == 0);
	for (int i = 0; i < HANDOVER_CLIENTS; i++)
		cr_expect_eq(d->clients[i].there, i == 2);
	cr_expect(d->clients[2].gave_data_fd && d->clients[2].asked &&
	    d->clients[2].in.size == sizeof(request) &&
	    memcmp(d->clients[2].in.data, request, sizeof(request)) == 0 &&
	    d->clients[2].out.size == 0);
}

Test(handover, reads_the_document)
{
	struct handover_document d;
	uint8_t bytes[512];
	size_t size = by_hand(bytes), map_size;
	void *map;

	cr_assert_eq(read_bytes(&d, bytes, size, &map, &map_size), 0);
	check(&d);
	munmap(map, map_size);
}

Test(handover, writes_the_document)
{
	struct handover_document d = { .progress = { 1, 1, 0, 3, 4096 },
		.powered = true, .data_number = 7, .parked_at = 258,
		.volatile_state = { volatile_state, sizeof(volatile_state) },
		.command = { command, sizeof(command) } };
	uint8_t expected[512], got[512];
	size_t size = by_hand(expected);
	int fd;

	d.clients[2] = (struct handover_client){ true, true, true,
		{ request, sizeof(request) }, { NULL, 0 } };
	cr_assert_eq(handover_document_write(&d, &fd, NULL), 0);
	cr_assert(pread(fd, got, size, 0) == (ssize_t)size);
	cr_expect_eq(memcmp(got, expected, size), 0);
	close(fd);
}

Test(handover, refuses_what_is_cut_short_or_strange)
{
	struct handover_document d;
	uint8_t bytes[512];
	size_t size = by_hand(bytes), map_size;
	void *map;

	for (size_t n = 0; n < size; n++)
		cr_expect_eq(read_bytes(&d, bytes, n, &map, &map_size),
		    ERR_FORMAT, "%zu bytes", n);
	bytes[7] = 2;
	cr_expect_eq(read_bytes(&d, bytes, size, &map, &map_size),
	    ERR_UNSUPPORTED, "another version");
	bytes[7] = 1;
	bytes[0] = 'X';
	cr_expect_eq(read_bytes(&d, bytes, size, &map, &map_size), ERR_FORMAT);
	size = by_hand(bytes);
	/* A volatile state that would reach beyond the end. */
	bytes[30] = 0xff;
	cr_expect_eq(read_bytes(&d, bytes, size, &map, &map_size), ERR_FORMAT);
}

Test(handover, messages)
{
	struct handover_message m;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_expect_eq(handover_recv(ends[1], &m, 0, NULL), ERR_BUSY);
	cr_assert_eq(handover_send(ends[0], HANDOVER_FAILED, 5, "why", 3, 0,
	    NULL), 0);
	cr_assert_eq(handover_recv(ends[1], &m, 1000, NULL), 0);
	cr_expect(m.type == HANDOVER_FAILED && m.arg == 5 && m.size == 3 &&
	    memcmp(m.payload, "why", 3) == 0 && m.fd > 2);
	close(m.fd);
	cr_assert_eq(write(ends[0], "short", 5), 5);
	cr_expect_eq(handover_recv(ends[1], &m, 1000, NULL), ERR_FORMAT);
	/* What was said last is heard, though the other one has left ours
	 * unread. */
	cr_assert_eq(handover_send(ends[1], HANDOVER_END, 0, NULL, 0, -1, NULL),
	    0);
	cr_assert_eq(handover_send(ends[0], HANDOVER_FAILED, 0, "x", 1, -1,
	    NULL), 0);
	close(ends[0]);
	cr_assert_eq(handover_recv(ends[1], &m, 1000, NULL), 0);
	cr_expect_eq(m.type, HANDOVER_FAILED);
	cr_expect_eq(handover_recv(ends[1], &m, 1000, NULL), ERR_CLOSED);
	cr_expect_eq(handover_send(ends[1], HANDOVER_GO, 0, NULL, 0, -1, NULL),
	    ERR_CLOSED);
}
