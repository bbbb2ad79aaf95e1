/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sealed state blobs: what is taken, and that nothing else is. The golden one
 * was made by tests/unit/golden/envelope.py, an implementation of
 * doc/migration-format.md of its own.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration/envelope.h"
#include "migration/incoming.h"
#include "migration/note.h"

#define VERSION 0x000902u

static const uint8_t vm[UUID_SIZE] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
	0x47, 0x88, 0x89, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01 };
static const char text[] = "the permanent state of a TPM, or so";

/* A file's key: 32 times 7; anybody else's byte makes another key. */
static struct envelope_kek
kek(uint16_t protector, uint8_t byte)
{
	struct envelope_kek k = { .protector = protector };

	memset(k.id, byte + 1, sizeof(k.id));
	memset(k.key, byte, sizeof(k.key));
	return k;
}

static int
find(void *arg, struct envelope_kek *k, struct err *err)
{
	const struct envelope_kek *ours = arg;

	(void)err;
	if (k->protector != ours->protector ||
	    memcmp(k->id, ours->id, sizeof(k->id)) != 0)
		return ERR_NOTFOUND;
	memcpy(k->key, ours->key, sizeof(k->key));
	return 0;
}

static struct envelope_session *
session(void)
{
	struct envelope_kek k[] = { kek(ENVELOPE_BY_FILE, 7),
		kek(ENVELOPE_BY_AUTHORITY, 9) };
	struct envelope_session *s;
	struct err err = { 0 };

	cr_assert_eq(envelope_session_new(&s, vm, k, 2, &err), 0, "%s",
	    err.text);
	return s;
}

static uint8_t *
seal(struct envelope_session *s, uint32_t kind, size_t *size)
{
	struct envelope e = { .kind = kind, .members = 6, .epoch = 5,
		.made = 1700000000, .state_version = VERSION };
	struct err err = { 0 };
	uint8_t *bytes;

	cr_assert_eq(envelope_seal(s, &e, text, sizeof(text), &bytes, size,
	    &err), 0, "%s", err.text);
	return bytes;
}

static int
open_as(const uint8_t *bytes, size_t size, const uint8_t *uuid,
    struct envelope_kek ours, struct envelope *e, struct err *err)
{
	struct secret *state;
	struct envelope_kek by;
	int rc = envelope_open(bytes, size, uuid, find, &ours, e, &by, &state,
	    err);

	cr_assert_eq(rc == 0, state != NULL);
	if (rc == 0) {
		cr_assert_eq(secret_size(state), sizeof(text));
		cr_assert_arr_eq(secret_bytes(state), text, sizeof(text));
		cr_assert_eq(by.protector, ours.protector);
	}
	secret_free(state);
	return rc;
}

Test(envelope, opens_with_each_of_its_keys)
{
	struct envelope_session *s = session();
	struct envelope e;
	struct err err = { 0 };
	size_t size;
	uint8_t *bytes = seal(s, 1, &size);

	cr_expect_leq(size - sizeof(text), ENVELOPE_OVERHEAD_MAX / 2,
	    "%zu bytes more: two of them stay under 1 KiB",
	    size - sizeof(text));
	cr_assert_eq(open_as(bytes, size, vm, kek(ENVELOPE_BY_FILE, 7), &e,
	    &err), 0, "%s", err.text);
	cr_assert_eq(open_as(bytes, size, vm, kek(ENVELOPE_BY_AUTHORITY, 9), &e,
	    &err), 0, "%s", err.text);
	cr_expect_eq(e.kind, 1);
	cr_expect_eq(e.members, 6);
	cr_expect_eq(e.epoch, 5);
	cr_expect_eq(e.made, 1700000000);
	cr_expect_eq(e.sequence, 1);
	cr_expect_eq(e.state_version, VERSION);
	cr_expect_arr_eq(e.uuid, vm, UUID_SIZE);
	cr_expect_arr_eq(e.session, envelope_session_id(s),
	    ENVELOPE_SESSION_SIZE);
	free(bytes);
	envelope_session_free(s);
}

Test(envelope, hides_the_state_and_is_never_the_same)
{
	struct envelope_session *s = session();
	size_t size, size2;
	uint8_t *bytes = seal(s, 1, &size), *again = seal(s, 1, &size2);

	cr_assert_null(memmem(bytes, size, text, 8));
	cr_assert_eq(size, size2);
	cr_assert_arr_neq(bytes + size - 40, again + size - 40, 40);
	free(bytes);
	free(again);
	envelope_session_free(s);
}

Test(envelope, refuses_each_bit_that_is_another)
{
	struct envelope_session *s = session();
	struct envelope e;
	size_t size, taken = 0;
	uint8_t *bytes = seal(s, 1, &size);
	/* The copy of the key for the authority is its own only: who opens with
	 * the file's key does not see whether it is whole, but the state's tag
	 * covers it. */
	for (size_t bit = 0; bit < size * 8; bit++) {
		struct err err = { 0 };

		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		taken += open_as(bytes, size, vm, kek(ENVELOPE_BY_FILE, 7),
		    &e, &err) == 0;
		cr_assert_neq(err.text[0], '\0', "bit %zu: no reason", bit);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	cr_assert_eq(taken, 0);
	free(bytes);
	envelope_session_free(s);
}

Test(envelope, refuses_what_is_cut_or_longer)
{
	struct envelope_session *s = session();
	struct envelope e;
	size_t size;
	uint8_t *bytes = seal(s, 1, &size), *longer = malloc(size + 1);

	for (size_t n = 0; n < size; n++) {
		struct err err = { 0 };

		cr_assert_eq(open_as(bytes, n, vm, kek(ENVELOPE_BY_FILE, 7),
		    &e, &err), ERR_FORMAT, "%zu bytes", n);
	}
	memcpy(longer, bytes, size);
	longer[size] = 0;
	cr_assert_eq(open_as(longer, size + 1, vm, kek(ENVELOPE_BY_FILE, 7),
	    &e, NULL), ERR_FORMAT);
	free(longer);
	free(bytes);
	envelope_session_free(s);
}

Test(envelope, refuses_other_vms_and_keys)
{
	struct envelope_session *s = session();
	uint8_t other[UUID_SIZE] = { 9 };
	struct envelope_kek wrong = kek(ENVELOPE_BY_FILE, 7);
	struct envelope e;
	struct err err = { 0 };
	size_t size;
	uint8_t *bytes = seal(s, 1, &size);

	cr_assert_eq(open_as(bytes, size, other, kek(ENVELOPE_BY_FILE, 7), &e,
	    &err), ERR_REFUSED);
	cr_expect_not_null(strstr(err.text, "another VM, 11223344-5566-4788"));
	cr_assert_eq(open_as(bytes, size, vm, kek(ENVELOPE_BY_FILE, 8), &e,
	    &err), ERR_KEY);
	wrong.key[0] ^= 1;
	cr_assert_eq(open_as(bytes, size, vm, wrong, &e, &err), ERR_AUTH);
	bytes[11] = 3;
	cr_assert_eq(open_as(bytes, size, vm, kek(ENVELOPE_BY_FILE, 7), &e,
	    &err), ERR_UNSUPPORTED);
	free(bytes);
	envelope_session_free(s);
}

/* A wrapped key taken over from another session of the same VM. */
Test(envelope, refuses_a_key_from_another_session)
{
	struct envelope_session *a = session(), *b = session();
	struct envelope e;
	size_t size;
	uint8_t *one = seal(a, 1, &size), *two = seal(b, 1, &size);

	memcpy(one + 116, two + 116, 4 + 2 * 92);
	cr_assert_eq(open_as(one, size, vm, kek(ENVELOPE_BY_FILE, 7), &e,
	    NULL), ERR_AUTH);
	free(one);
	free(two);
	envelope_session_free(a);
	envelope_session_free(b);
}

Test(envelope, opens_the_golden_one)
{
	uint8_t bytes[1024];
	struct envelope e;
	struct err err = { 0 };
	FILE *f = fopen(GOLDEN_DIR "/envelope-1.bin", "rb");
	size_t size;

	cr_assert_not_null(f);
	size = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	cr_assert_eq(open_as(bytes, size, vm, kek(ENVELOPE_BY_FILE, 7), &e,
	    &err), 0, "%s", err.text);
	cr_expect_eq(e.kind, 2);
	cr_expect_eq(e.members, 6);
	cr_expect_eq(e.sequence, 2);
	cr_expect_eq(e.epoch, 41);
	cr_expect_eq(e.made, 1700000000);
	cr_expect_eq(e.state_version, VERSION);
}

static struct envelope
blob(uint32_t kind, uint8_t session_byte)
{
	struct envelope e = { .kind = kind, .members = 6,
		.state_version = VERSION };

	e.session[0] = session_byte;
	return e;
}

Test(incoming, takes_either_order_and_wants_all)
{
	for (uint32_t first = 1; first <= 2; first++) {
		struct envelope a = blob(first, 1), b = blob(3 - first, 1);
		struct incoming in;
		struct err err = { 0 };

		incoming_reset(&in);
		cr_assert_eq(incoming_add(&in, &a, first, VERSION, &err), 0);
		cr_assert_eq(incoming_complete(&in, &err), ERR_REFUSED);
		cr_expect_not_null(strstr(err.text, first == 1 ?
		    "volatile state that belongs to it has not" :
		    "permanent state that belongs to it has not"));
		cr_assert_eq(incoming_add(&in, &b, 3 - first, VERSION, &err),
		    0);
		cr_assert_eq(incoming_complete(&in, &err), 0);
	}
}

Test(incoming, refuses_what_does_not_belong_together)
{
	struct envelope a = blob(1, 1), mixed = blob(2, 2), b = blob(2, 1),
	    newer = blob(2, 1), alone = blob(2, 1);
	struct incoming in;
	struct err err = { 0 };

	incoming_reset(&in);
	cr_assert_eq(incoming_add(&in, &a, 1, VERSION, &err), 0);
	cr_expect_eq(incoming_add(&in, &mixed, 2, VERSION, &err),
	    ERR_REFUSED);
	cr_expect_not_null(strstr(err.text, "another session"));
	cr_expect_eq(incoming_add(&in, &a, 1, VERSION, &err), ERR_REFUSED,
	    "twice");
	cr_expect_eq(incoming_add(&in, &b, 1, VERSION, &err), ERR_REFUSED,
	    "as another kind");
	newer.state_version = 0x000a00;
	cr_expect_eq(incoming_add(&in, &newer, 2, VERSION, &err),
	    ERR_UNSUPPORTED);
	cr_expect_not_null(strstr(err.text, "libtpms 0.10"));
	newer.state_version = 0x000907;
	cr_expect_eq(incoming_add(&in, &newer, 2, VERSION, &err), 0,
	    "another patch level is none");
	alone.members = 2;
	incoming_reset(&in);
	cr_expect_eq(incoming_add(&in, &alone, 2, VERSION, &err),
	    ERR_REFUSED, "not of its own members");
	alone.kind = 3;
	alone.members = 8;
	cr_expect_eq(incoming_add(&in, &alone, 3, VERSION, &err),
	    ERR_REFUSED, "a kind that there is not");
	cr_expect_not(in.begun);
}

Test(note, is_read_as_written_and_nothing_else)
{
	struct note n = { .what = NOTE_HANDED_OUT, .made = 1700000000 }, m;
	uint8_t bytes[NOTE_SIZE_MAX];

	memset(n.session, 5, sizeof(n.session));
	cr_assert_eq(note_encode(&n, bytes), NOTE_SIZE);
	cr_assert_eq(note_decode(bytes, NOTE_SIZE, &m, NULL), 0);
	cr_expect_eq(m.what, n.what);
	cr_expect_eq(m.made, n.made);
	cr_expect_arr_eq(m.session, n.session, sizeof(n.session));
	for (size_t i = 0; i < NOTE_SIZE; i++)
		cr_expect_eq(note_decode(bytes, i, &m, NULL),
		    ERR_UNSUPPORTED);
	bytes[3] = 2;
	cr_expect_eq(note_decode(bytes, NOTE_SIZE, &m, NULL),
	    ERR_UNSUPPORTED);
	bytes[3] = 1;
	bytes[7] = 9;
	cr_expect_eq(note_decode(bytes, NOTE_SIZE, &m, NULL),
	    ERR_UNSUPPORTED);
}

Test(note, knows_the_hosts_that_a_state_went_to)
{
	struct note n = { .what = NOTE_SENT, .made = 1700000000, .epoch = 41,
		.n_hosts = 2 }, m;
	uint8_t bytes[NOTE_SIZE_MAX];
	size_t size;

	memset(n.session, 5, sizeof(n.session));
	memset(n.hosts, 6, 2 * sizeof(n.hosts[0]));
	size = note_encode(&n, bytes);
	cr_assert_eq(size, 44 + 2 * 16);
	cr_expect(bytes[3] == 2 && bytes[7] == 3 && bytes[39] == 41 &&
	    bytes[43] == 2 && bytes[44] == 6 && bytes[size - 1] == 6);
	cr_assert_eq(note_decode(bytes, size, &m, NULL), 0);
	cr_expect_eq(memcmp(&n, &m, sizeof(n)), 0);
	cr_expect(note_names(&m, n.session));
	m.session[0] ^= 1;
	cr_expect_not(note_names(&m, n.session));
	for (size_t i = 0; i < size; i++)
		cr_expect_eq(note_decode(bytes, i, &m, NULL),
		    ERR_UNSUPPORTED);
	bytes[43] = NOTE_HOSTS_MAX + 1;
	cr_expect_eq(note_decode(bytes, sizeof(bytes), &m, NULL),
	    ERR_UNSUPPORTED);
}
