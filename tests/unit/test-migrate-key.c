/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys of hosts, and states that are sealed for them. The golden blob, from a
 * host with the private key 2 to those with 3 and 4, is by
 * tests/unit/golden/envelope.py; the points are multiples of P-256's generator
 * by python3-cryptography.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration/migrate-table.h"

static const uint8_t vm[UUID_SIZE] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
	0x47, 0x88, 0x89, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01 };
static const char text[] = "the permanent state of a TPM, or so";

static const char *const multiples[] = {
	"7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
	    "07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1",
	"5ecbe4d1a6330a44c8f7ef951d4bf165e6c6b721efada985fb41661bc6e7fd6c"
	    "8734640c4998ff7e374b06ce1a64a2ecd82ab036384fb83d9a79b127a27d5032",
	"e2534a3532d08fbba02dde659ee62bd0031fe2db785596ef509302446b030852"
	    "e0f1575a4c633cc719dfee5fda862d764efc96c3f30ee0055c42c23f184ed8c6",
	"51590b7a515140d2d784c85608668fdfef8c82fd1f5be52421554a0dc3d033ed"
	    "e0c17da8904a727d8ae1bf36bf8a79260d012f00d4d80888d1d0bb44fda16da4",
};

static struct secret *
private_of(uint8_t number)
{
	uint8_t d[MIGRATE_PRIVATE_SIZE] = { [MIGRATE_PRIVATE_SIZE - 1] =
		number };

	return secret_from(d, sizeof(d));
}

static void
point_of(size_t number, uint8_t point[MIGRATE_POINT_SIZE])
{
	for (size_t i = 0; i < MIGRATE_POINT_SIZE; i++) {
		unsigned int byte;

		cr_assert_eq(sscanf(multiples[number - 2] + 2 * i, "%2x",
		    &byte), 1);
		point[i] = (uint8_t)byte;
	}
}

/* A host that opens what comes from another one. */
struct opener {
	uint8_t number, from;
};

static int
find(void *arg, struct envelope_kek *kek, struct err *err)
{
	const struct opener *o = arg;
	uint8_t ours[MIGRATE_POINT_SIZE], theirs[MIGRATE_POINT_SIZE];
	uint8_t id[MIGRATE_ID_SIZE];
	struct secret *d = private_of(o->number);
	struct migrate_own own = { d, ours };
	int rc = ERR_NOTFOUND;

	point_of(o->number, ours);
	point_of(o->from, theirs);
	cr_assert_eq(migrate_key_id(ours, id, err), 0);
	if (kek->protector == ENVELOPE_BY_RECIPIENT &&
	    memcmp(id, kek->id, sizeof(id)) == 0)
		rc = migrate_key_receive(&own, theirs, vm, kek, err);
	secret_free(d);
	return rc;
}

static int
open_as(const uint8_t *bytes, size_t size, struct opener o,
    struct envelope *e, struct err *err)
{
	struct envelope_kek by;
	struct secret *state;
	int rc = envelope_open(bytes, size, vm, find, &o, e, &by, &state,
	    err);

	cr_assert_eq(rc == 0, state != NULL);
	if (rc == 0) {
		cr_assert_eq(secret_size(state), sizeof(text));
		cr_assert_arr_eq(secret_bytes(state), text, sizeof(text));
		cr_assert_eq(by.protector, ENVELOPE_BY_RECIPIENT);
	}
	secret_free(state);
	return rc;
}

static size_t
golden(uint8_t *bytes, size_t room)
{
	FILE *f = fopen(GOLDEN_DIR "/envelope-2.bin", "rb");
	size_t size;

	cr_assert_not_null(f);
	size = fread(bytes, 1, room, f);
	fclose(f);
	return size;
}

Test(migrate_key, opens_the_golden_one_as_each_of_its_hosts)
{
	uint8_t bytes[1024];
	size_t size = golden(bytes, sizeof(bytes));

	for (uint8_t number = 3; number <= 4; number++) {
		struct opener o = { number, 2 };
		struct envelope e;
		struct err err = { 0 };

		cr_assert_eq(open_as(bytes, size, o, &e, &err), 0, "%s",
		    err.text);
		cr_expect_str_eq(e.name, "name");
		cr_expect_eq(e.kind, 1);
		cr_expect_eq(e.epoch, 42);
	}
}

Test(migrate_key, opens_for_nobody_else_and_from_nobody_else)
{
	uint8_t bytes[1024];
	size_t size = golden(bytes, sizeof(bytes));
	struct envelope e;
	struct err err = { 0 };

	cr_expect_eq(open_as(bytes, size, (struct opener){ 5, 2 }, &e, &err),
	    ERR_KEY);
	cr_expect_eq(open_as(bytes, size, (struct opener){ 3, 4 }, &e, &err),
	    ERR_AUTH, "it is not from 4");
}

Test(migrate_key, refuses_each_bit_that_is_another)
{
	uint8_t bytes[1024];
	size_t size = golden(bytes, sizeof(bytes)), taken = 0;
	struct envelope e;

	for (size_t bit = 0; bit < size * 8; bit++) {
		struct err err = { 0 };

		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		taken += open_as(bytes, size, (struct opener){ 4, 2 }, &e,
		    &err) == 0;
		cr_assert_neq(err.text[0], '\0', "bit %zu: no reason", bit);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	cr_assert_eq(taken, 0);
	for (size_t n = 0; n < size; n++)
		cr_assert_eq(open_as(bytes, n, (struct opener){ 4, 2 }, &e,
		    NULL), ERR_FORMAT, "%zu bytes", n);
}

static uint8_t *
seal(size_t n_hosts, const char *name, size_t *size)
{
	struct envelope_kek keks[ENVELOPE_PROTECTORS_MAX] = {
		{ .protector = ENVELOPE_BY_FILE } };
	struct envelope e = { .kind = 1, .members = 6, .epoch = 5 };
	uint8_t to[MIGRATE_VM_PEERS_MAX][MIGRATE_POINT_SIZE];
	uint8_t point[MIGRATE_POINT_SIZE], *bytes;
	struct secret *d = private_of(2);
	struct migrate_own own = { d, point };
	struct envelope_session *s;
	struct err err = { 0 };

	point_of(2, point);
	for (size_t i = 0; i < n_hosts; i++)
		point_of(3 + i % 3, to[i]);
	cr_assert_eq(migrate_key_send(&own, (const uint8_t (*)
	    [MIGRATE_POINT_SIZE])to, n_hosts, vm, keks + 1, &err), 0, "%s",
	    err.text);
	cr_assert_eq(envelope_session_new(&s, vm, keks, 1 + n_hosts, &err), 0,
	    "%s", err.text);
	snprintf(e.name, sizeof(e.name), "%s", name);
	cr_assert_eq(envelope_seal(s, &e, text, sizeof(text), &bytes, size,
	    &err), 0, "%s", err.text);
	envelope_session_free(s);
	secret_free(d);
	return bytes;
}

Test(migrate_key, seals_for_as_many_as_there_may_be)
{
	char name[ENVELOPE_NAME_SIZE];
	struct envelope e;
	struct err err = { 0 };
	uint8_t *bytes;
	size_t size;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	bytes = seal(MIGRATE_VM_PEERS_MAX, name, &size);
	cr_expect_leq(size - sizeof(text), ENVELOPE_OVERHEAD_MAX);
	for (uint8_t number = 3; number <= 5; number++)
		cr_assert_eq(open_as(bytes, size, (struct opener){ number, 2 },
		    &e, &err), 0, "%s", err.text);
	cr_expect_str_eq(e.name, name);
	free(bytes);
	/* One host, the longest name: both blobs stay under 1 KiB. */
	bytes = seal(1, name, &size);
	cr_expect_leq(2 * (size - sizeof(text)) - strlen(name), 1024);
	free(bytes);
}

Test(migrate_key, what_is_no_point_is_refused)
{
	uint8_t point[MIGRATE_POINT_SIZE], zero[1][MIGRATE_POINT_SIZE] = { 0 };
	struct secret *d = private_of(2);
	struct migrate_own own = { d, point };
	struct envelope_kek kek = { .params_size = MIGRATE_PARAMS_SIZE };
	struct err err = { 0 };

	point_of(2, point);
	memcpy(kek.params, point, sizeof(point));
	kek.params[0] ^= 1;
	cr_expect_eq(migrate_key_receive(&own, point, vm, &kek, &err),
	    ERR_FORMAT);
	kek.params_size--;
	cr_expect_eq(migrate_key_receive(&own, point, vm, &kek, &err),
	    ERR_FORMAT);
	cr_expect_eq(migrate_key_send(&own, (const uint8_t (*)
	    [MIGRATE_POINT_SIZE])zero, 1, vm, &kek, &err), ERR_FORMAT);
	secret_free(d);
}

/* -- the table -- */

static int
table_file(void)
{
	char path[] = "/tmp/vtpmd-unit.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(unlink(path), 0);
	return fd;
}

Test(migrate_table, is_read_as_written_and_falls_back)
{
	uint8_t bytes[MIGRATE_TABLE_KEY_SIZE] = { 7 }, other[32] = { 8 };
	struct secret *key = secret_from(bytes, sizeof(bytes));
	struct secret *wrong = secret_from(other, sizeof(other));
	struct migrate_table t = { 0 }, r;
	struct err err = { 0 };
	int fd = table_file();

	cr_assert_eq(migrate_table_read(fd, key, &r, &err), 0, "%s", err.text);
	cr_expect(r.private == NULL && r.n_peers == 0 && r.generation == 0);
	cr_assert_eq(migrate_key_make(&t.private, t.point, &err), 0, "%s",
	    err.text);
	t.n_peers = MIGRATE_PEERS_MAX;
	for (size_t i = 0; i < t.n_peers; i++) {
		point_of(3 + i % 3, t.peers[i].point);
		snprintf(t.peers[i].host, sizeof(t.peers[i].host), "h%zu", i);
	}
	cr_assert_eq(migrate_table_write(fd, key, &t, &err), 0, "%s",
	    err.text);
	t.n_peers = 1;
	cr_assert_eq(migrate_table_write(fd, key, &t, &err), 0, "%s",
	    err.text);
	cr_assert_eq(migrate_table_read(fd, key, &r, &err), 0, "%s", err.text);
	cr_expect(r.n_peers == 1 && r.generation == 2 &&
	    secret_equal(r.private, t.private));
	migrate_table_reset(&r);
	cr_expect_eq(migrate_table_read(fd, wrong, &r, &err), ERR_AUTH);
	/* The second write, torn: the first counts again. */
	cr_assert_eq(pwrite(fd, "x", 1, 4000), 1);
	cr_assert_eq(migrate_table_read(fd, key, &r, &err), 0, "%s", err.text);
	cr_expect(r.n_peers == MIGRATE_PEERS_MAX && r.generation == 1);
	cr_expect_str_eq(r.peers[MIGRATE_PEERS_MAX - 1].host, "h31");
	migrate_table_reset(&r);
	cr_assert_eq(pwrite(fd, "x", 1, 8192 + 4000), 1);
	cr_expect_eq(migrate_table_read(fd, key, &r, &err), ERR_AUTH);
	migrate_table_reset(&t);
	secret_free(key);
	secret_free(wrong);
	close(fd);
}

Test(migrate_table, a_key_may_be_for_one_vm)
{
	struct migrate_peer p = { 0 };
	uint8_t other[UUID_SIZE] = { 9 };

	cr_expect(migrate_peer_serves(&p, vm));
	memcpy(p.uuid, vm, UUID_SIZE);
	cr_expect(migrate_peer_serves(&p, vm));
	cr_expect_not(migrate_peer_serves(&p, other));
}
