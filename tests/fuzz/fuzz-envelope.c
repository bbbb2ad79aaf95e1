/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sealed state blob from anybody, and what is checked of several. Input after
 * fail_begin's: mode (1), then for mode 0 the bytes of a blob; for 1 changes of
 * a good one: offset (2), value (1) each, of which none may be taken but one that
 * changes nothing; for 2 a row of headers as incoming_add gets them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "migration/envelope.h"
#include "migration/incoming.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"

static const uint8_t uuid[UUID_SIZE] = { 1, 2, 3 };
static const uint8_t text[40] = "a state that is not a state of libtpms";

static int
find(void *arg, struct envelope_kek *kek, struct err *err)
{
	(void)arg;
	(void)err;
	if (kek->protector != ENVELOPE_BY_FILE)
		return ERR_NOTFOUND;
	memset(kek->key, 7, sizeof(kek->key));
	return 0;
}

static uint8_t *good;
static size_t good_size;

static void
make_good(void)
{
	struct envelope e = { .kind = 1, .members = 6, .epoch = 3 };
	struct envelope_kek kek = { .protector = ENVELOPE_BY_FILE };
	struct envelope_session *s;

	FUZZ_ASSERT(find(NULL, &kek, NULL) == 0);
	FUZZ_ASSERT(envelope_session_new(&s, uuid, &kek, 1, NULL) == 0);
	FUZZ_ASSERT(envelope_seal(s, &e, text, sizeof(text), &good, &good_size,
	    NULL) == 0);
	envelope_session_free(s);
}

/* True when it was taken. */
static bool
open_one(const uint8_t *bytes, size_t size)
{
	struct envelope_kek by;
	struct secret *state;
	struct envelope e;
	struct err err = { 0 };
	int rc = envelope_open(bytes, size, uuid, find, NULL, &e, &by, &state,
	    &err);

	FUZZ_ASSERT((rc == 0) == (state != NULL));
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	if (rc == 0)
		FUZZ_ASSERT(secret_size(state) == sizeof(text) &&
		    memcmp(secret_bytes(state), text, sizeof(text)) == 0);
	secret_free(state);
	return rc == 0;
}

static void
open_changed(struct buf *in)
{
	uint8_t bytes[ENVELOPE_OVERHEAD_MAX + sizeof(text)], value;
	uint16_t at;

	memcpy(bytes, good, good_size);
	while (buf_get_u16be(in, &at) == 0 && buf_get_u8(in, &value) == 0)
		bytes[at % good_size] = value;
	if (open_one(bytes, good_size))
		FUZZ_ASSERT(memcmp(bytes, good, good_size) == 0);
}

static void
add_some(struct buf *in)
{
	struct incoming i;
	struct envelope e = { 0 };
	uint32_t kind, taken = 0;
	uint8_t session;

	incoming_reset(&i);
	while (buf_get_u32be(in, &kind) == 0 &&
	    buf_get_u32be(in, &e.kind) == 0 &&
	    buf_get_u32be(in, &e.members) == 0 &&
	    buf_get_u32be(in, &e.state_version) == 0 &&
	    buf_get_u8(in, &session) == 0) {
		e.session[0] = session;
		if (incoming_add(&i, &e, kind, 0x000902, NULL) < 0)
			continue;
		FUZZ_ASSERT(kind == 1 || kind == 2);
		FUZZ_ASSERT((taken & 1u << kind) == 0);
		FUZZ_ASSERT(memcmp(e.session, i.first.session,
		    sizeof(e.session)) == 0);
		taken |= 1u << kind;
	}
	if (i.begun && incoming_complete(&i, NULL) == 0)
		FUZZ_ASSERT((i.first.members & ~taken) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), control;
	uint8_t failing[4] = { 0 }, mode = 0;

	if (good == NULL)
		make_good();
	(void)buf_get_bytes(&in, failing, sizeof(failing));
	(void)buf_get_u8(&in, &mode);
	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	if (mode == 0)
		(void)open_one(in.data + in.pos, buf_left(&in));
	else if (mode == 1)
		open_changed(&in);
	else
		add_some(&in);
	(void)fail_end();
	return 0;
}
