/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * State that comes from outside (SET_STATEBLOB, an incoming migration) or from
 * the file, into libtpms. Input after fail_begin's: which (1: 0 permanent, 1
 * volatile, 2 both; 4: the volatile one's checksum is made right), then changes
 * of good blobs: which (1), offset (2), size (1), bytes; or with bit 7 of which
 * the permanent blob itself.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/contained.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "vtpm/tpm-command.h"
#include "vtpm/tpm-memory.h"
#include "vtpm/tpm.h"

#define BLOB_MAX 65536u
#define OURS 0x01500001u	/* an NV index that tells our TPM from others */

enum { MODE_VOLATILE = 1, MODE_BOTH = 2, MODE_CHECKSUM = 4, MODE_RAW = 0x80 };

struct blob {
	uint8_t bytes[BLOB_MAX];
	size_t size;
};

static struct blob good[2];
static struct blob fresh;	/* stored state that each input starts from; not
				 * a secret, which a fork wipes */

static void
run(const uint8_t *command, size_t size)
{
	const uint8_t *response;
	size_t response_size;

	tpm_process(command, size, &response, &response_size);
	FUZZ_ASSERT(response_size >= TPM_HEADER_SIZE);
}

static void
keep(enum tpm_state which, struct blob *b)
{
	uint8_t *data;

	FUZZ_ASSERT(tpm_state_get(which, &data, &b->size) == 0 &&
	    b->size > 0 && b->size <= BLOB_MAX);
	memcpy(b->bytes, data, b->size);
	free(data);
}

static const uint8_t startup[] = { 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0 };
static const uint8_t random8[] = { 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8 };

static void
set_up(void)
{
	FUZZ_ASSERT(tpm_memory_power_on(NULL, 0, NULL) == 0);
	run(startup, sizeof(startup));
	FUZZ_ASSERT(tpm2_nv_define_space(OURS, TPMA_NV_PPWRITE |
	    TPMA_NV_PPREAD | TPMA_NV_PLATFORMCREATE, 8, NULL) == 0);
	fresh.size = secret_size(tpm_memory_state());
	FUZZ_ASSERT(fresh.size <= BLOB_MAX);
	memcpy(fresh.bytes, secret_bytes(tpm_memory_state()), fresh.size);
	keep(TPM_STATE_PERMANENT, &good[0]);
	keep(TPM_STATE_VOLATILE, &good[1]);
}

static void
change(struct buf *in, struct blob *blobs)
{
	uint8_t which, n;
	uint16_t offset;

	while (buf_get_u8(in, &which) == 0 &&
	    buf_get_u16be(in, &offset) == 0 && buf_get_u8(in, &n) == 0) {
		struct blob *b = &blobs[which & 1];
		size_t at = offset % b->size, size = n;

		if (size > buf_left(in))
			size = buf_left(in);
		if (size > b->size - at)
			size = b->size - at;
		/* No bytes: the blob ends there. */
		if (size == 0 && at > 0)
			b->size = at;
		(void)buf_get_bytes(in, b->bytes + at, size);
	}
}

/* The TPM off, the good state stored, nothing handed over. */
static void
begin(void)
{
	static const uint8_t nonsense[1];

	tpm_power_off();
	FUZZ_ASSERT(tpm_memory_power_on(fresh.bytes, fresh.size,
	    NULL) == 0);
	tpm_power_off();
	FUZZ_ASSERT(tpm_state_set(TPM_STATE_PERMANENT, nonsense,
	    sizeof(nonsense)) != 0);
}

/* taken: the permanent state is the input's, and may be any. */
static void
use(bool taken)
{
	uint8_t *data = NULL;
	uint32_t attributes;
	size_t size;

	if (tpm_power_on() != 0)
		return;
	run(random8, sizeof(random8));
	run(startup, sizeof(startup));
	FUZZ_ASSERT(taken ||
	    tpm2_nv_read_public(OURS, &attributes, &size, NULL) == 0);
	tpm_make_orderly();
	(void)tpm_state_get(TPM_STATE_PERMANENT, &data, &size);
	free(data);
	tpm_power_off();
}

struct input {
	uint8_t failing[4];
	uint8_t mode;
	struct blob blobs[2];
};

/* The worker's part. */
static void
take(void *arg)
{
	const struct input *i = arg;
	struct buf control = buf_reader(i->failing, sizeof(i->failing));
	bool taken;

	begin();
	fail_begin(&control);
	taken = tpm_state_set(TPM_STATE_PERMANENT, i->blobs[0].bytes,
	    i->blobs[0].size) == 0;
	if (i->mode & (MODE_VOLATILE | MODE_BOTH))
		(void)tpm_state_set(TPM_STATE_VOLATILE, i->blobs[1].bytes,
		    i->blobs[1].size);
	use(taken);
	(void)fail_end();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size);
	static struct input i;
	struct blob *permanent = &i.blobs[0];

	if (fresh.size == 0)
		set_up();
	memset(&i, 0, sizeof(i));
	memcpy(i.blobs, good, sizeof(i.blobs));
	(void)buf_get_bytes(&in, i.failing, sizeof(i.failing));
	(void)buf_get_u8(&in, &i.mode);
	if (i.mode & MODE_RAW) {
		permanent->size = buf_left(&in) < BLOB_MAX ? buf_left(&in) :
		    BLOB_MAX;
		(void)buf_get_bytes(&in, permanent->bytes, permanent->size);
	} else {
		change(&in, i.blobs);
	}
	if (i.mode & MODE_CHECKSUM)
		volatile_checksum(i.blobs[1].bytes, i.blobs[1].size);
	contained_run(take, &i);
	return 0;
}
