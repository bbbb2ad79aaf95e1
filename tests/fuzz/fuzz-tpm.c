/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest writes to the data socket, through the worker's own reader into
 * libtpms. Input after fail_begin's: pieces, each size (2) and bytes; bit 15
 * of the size: the next piece belongs to the same command and comes later.
 */
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "vtpm/tpm-memory.h"

/* Its reader is static, and is to stay so. */
#include "vtpm/worker.c"

#define COMMANDS_MAX 32
#define MORE 0x8000u

static struct worker worker = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.data_fd = -1, .next_data_fd = -1 };
static struct secret *fresh;	/* state that each input starts from */
static struct buf in;
static int guest = -1, data_fd = -1;

/* Writes the next piece; whether another belongs to it. */
static bool
write_piece(void)
{
	const uint8_t *bytes;
	uint16_t size = 0;
	size_t n;

	(void)buf_get_u16be(&in, &size);
	n = size & ~MORE;
	if (n > buf_left(&in))
		n = buf_left(&in);
	(void)buf_get_ref(&in, &bytes, n);
	(void)!send(guest, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	return (size & MORE) != 0 && buf_left(&in) > 0;
}

/* The worker waits for the rest of a command. */
static bool more;
int __real_poll(struct pollfd *p, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *p, nfds_t n, int timeout);
int
__wrap_poll(struct pollfd *p, nfds_t n, int timeout)
{
	FUZZ_ASSERT(timeout >= 0);
	if (more)
		more = write_piece();
	return __real_poll(p, n, 0);
}

static void
take_answer(void)
{
	uint8_t answer[2 * TPM_BUFFER_DEFAULT];
	ssize_t n = recv(guest, answer, sizeof(answer), MSG_DONTWAIT);
	struct buf b = buf_reader(answer, n < 0 ? 0 : (size_t)n);
	uint32_t size = 0;

	/* TPM 2.0 Part 1, 18.1: a header, and as much as it says. */
	FUZZ_ASSERT(buf_get_bytes(&b, NULL, 2) == 0 &&
	    buf_get_u32be(&b, &size) == 0 && size == (size_t)n);
}

static void
set_up(void)
{
	FUZZ_ASSERT(channel_memory_make(&worker.channel.memory, NULL) == 0);
	FUZZ_ASSERT(tpm_memory_power_on(NULL, 0, NULL) == 0);
	fresh = secret_from(secret_bytes(tpm_memory_state()),
	    secret_size(tpm_memory_state()));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t startup[] = { 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44,
		0, 0 };
	uint8_t failing[4] = { 0 };
	const uint8_t *response;
	size_t response_size;
	struct buf control;
	int pair[2];

	if (fresh == NULL)
		set_up();
	tpm_power_off();
	FUZZ_ASSERT(tpm_memory_power_on(secret_bytes(fresh),
	    secret_size(fresh), NULL) == 0);
	tpm_process(startup, sizeof(startup), &response, &response_size);
	in = buf_reader(data, size);
	(void)buf_get_bytes(&in, failing, sizeof(failing));
	control = buf_reader(failing, sizeof(failing));
	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    pair) == 0);
	guest = pair[0];
	data_fd = pair[1];
	/* As data_thread leaves it between two connections. */
	journal_settle(&worker.channel.memory.shared->journal);
	fail_begin(&control);
	for (int i = 0; i < COMMANDS_MAX && buf_left(&in) > 2; i++) {
		struct pollfd p = { .fd = data_fd, .events = POLLIN };

		more = write_piece();
		/* An answer may leave bytes of the command before it. */
		if (__real_poll(&p, 1, 0) != 1)
			continue;
		if (serve_one(&worker, data_fd) < 0)
			break;
		take_answer();
	}
	(void)fail_end();
	close(guest);
	close(data_fd);
	return 0;
}
