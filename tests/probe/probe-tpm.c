/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TPM for tests of the sandbox: stands in for vtpm/tpm.c at link time, in a
 * worker that is otherwise vtpmd's. Command code 0x2000PPPP runs probe PPPP in
 * the worker, 0x2001PPPP has the monitor's storage run it there; the answer's
 * response code is 0 if it could, else errno. 0x2002PPPP asks the monitor for
 * need PPPP, 0x2003PPPP answers an order PPPP that there is not, 0x2004PPPP
 * fills what the worker leaves to the next one with byte PPPP, and dies.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "tests/probe/probe.h"
#include "vtpm/tpm.h"
#include "vtpm/worker-orders.h"

static const struct tpm_storage *storage;
static uint8_t answer[TPM_HEADER_SIZE];
static bool powered;

uint32_t
tpm_setup(const struct tpm_storage *s)
{
	storage = s;
	return 0;
}

uint32_t
tpm_power_on(void)
{
	/* An INIT that no worker survives. */
	if (getenv("PROBE_INIT_DIES") != NULL)
		_exit(3);
	powered = true;
	return 0;
}

void
tpm_power_off(void)
{
	powered = false;
}

bool
tpm_powered(void)
{
	return powered;
}

/* Says something that nobody wants to hear, and waits for what comes of it: 0
 * an answer, else the end. */
static int
break_rules(unsigned int place, uint32_t what)
{
	struct channel *c = &((struct worker *)storage->ctx)->channel;
	struct message m = { .type = what };
	int sock = place == 0x2002 ? c->needs : c->orders, fd;

	if (place == 0x2004) {
		memset(&c->memory.shared->journal, (int)what,
		    sizeof(c->memory.shared->journal));
		_exit(3);
	}
	(void)channel_send(sock, &m, -1);
	while (channel_recv(c->needs, &m, &fd) < 0)
		;
	return 0;
}

void
tpm_process(const uint8_t *command, size_t size, const uint8_t **response,
    size_t *response_size)
{
	struct buf b = buf_reader(command, size);
	uint16_t place = 0, what = 0;
	const uint8_t *data;
	size_t data_size;
	int result;

	buf_get_bytes(&b, NULL, 6);
	buf_get_u16be(&b, &place);
	buf_get_u16be(&b, &what);
	if (!powered)
		result = TPM_RC_FAILURE;
	else if (place == 0x2001)
		result = -storage->load(storage->ctx, (enum tpm_state)what,
		    &data, &data_size);
	else if (place > 0x2001)
		result = break_rules(place, what);
	else
		result = probe(what);
	tpm_error_response(answer, (uint32_t)result);
	*response = answer;
	*response_size = sizeof(answer);
}

void
tpm_cancel(void)
{
}

void
tpm_error_response(uint8_t out[TPM_HEADER_SIZE], uint32_t rc)
{
	struct buf b = buf_writer(out, TPM_HEADER_SIZE);

	buf_put_u16be(&b, TPM_ST_NO_SESSIONS);
	buf_put_u32be(&b, TPM_HEADER_SIZE);
	buf_put_u32be(&b, rc);
}

bool
tpm_response_is_success(const uint8_t *response, size_t size)
{
	(void)response;
	return size > 0;
}

bool
tpm_orderly(void)
{
	return true;
}

void
tpm_make_orderly(void)
{
}

void
tpm_progress_get(struct tpm_progress *p)
{
	*p = (struct tpm_progress){ .powered = powered };
}

void
tpm_progress_set(const struct tpm_progress *p)
{
	(void)p;
}

uint32_t
tpm_stir(void)
{
	return 0;
}

uint32_t
tpm_state_get(enum tpm_state which, uint8_t **data, size_t *size)
{
	(void)which;
	*size = 1;
	*data = calloc(1, 1);
	return *data == NULL;
}

uint32_t
tpm_state_set(enum tpm_state which, const uint8_t *data, size_t size)
{
	(void)which;
	(void)data;
	(void)size;
	return 1;
}

uint32_t
tpm_set_locality(uint8_t locality)
{
	(void)locality;
	return 0;
}

uint32_t
tpm_established_get(bool *established)
{
	*established = false;
	return 0;
}

uint32_t
tpm_established_reset(uint8_t locality)
{
	(void)locality;
	return 0;
}

uint32_t
tpm_hash_start(void)
{
	return 1;
}

uint32_t
tpm_hash_data(const uint8_t *data, size_t size)
{
	(void)data;
	(void)size;
	return 1;
}

uint32_t
tpm_hash_end(void)
{
	return 1;
}

uint32_t
tpm_buffer_size(uint32_t wanted, uint32_t *min, uint32_t *max)
{
	(void)wanted;
	return *min = *max = TPM_BUFFER_DEFAULT;
}

char *
tpm_info(uint64_t flags)
{
	(void)flags;
	return NULL;
}

uint32_t
tpm_library_version(void)
{
	return 0;
}
