/* SPDX-License-Identifier: BSD-3-Clause */
/* The record of a kept key, against doc/protocols.md and openssl's HMAC; and
 * what a host may grant by itself, row by row. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "trust-authority/agent/daemon/kept-record.h"
#include "trust-authority/agent/daemon/owner-alone.h"

static struct kept_record
some_record(void)
{
	struct kept_record r = { .owned = true, .epoch = 7, .confirmed = true,
		.clean = true, .synced = true, .base_epoch = 7 };

	memset(r.vm, 0x11, sizeof(r.vm));
	memset(r.hash, 0x22, sizeof(r.hash));
	memset(r.digest, 0x33, sizeof(r.digest));
	memset(r.instance, 0x44, sizeof(r.instance));
	memset(r.base_digest, 0x33, sizeof(r.base_digest));
	memset(r.base_instance, 0x44, sizeof(r.base_instance));
	return r;
}

static struct owner_claim
some_claim(uint64_t epoch, int digest, int instance)
{
	struct owner_claim c = { .epoch = epoch };

	memset(c.vm, 0x11, sizeof(c.vm));
	memset(c.digest, digest, sizeof(c.digest));
	memset(c.instance, instance, sizeof(c.instance));
	return c;
}

/* printf of the fields | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707..
 * in Python: hmac.new(b"\7" * 32, body, "sha256"). */
static const char want_mac[] =
    "9d7eb8726a9f9664b0b98fb4abd0b5fddca93fd22e3364ce6c7ff0ef9ed24353";

Test(kmxa, record)
{
	uint8_t key[DEK_SIZE], out[KEPT_RECORD_SIZE], mac[32];
	uint8_t again[KEPT_RECORD_SIZE];
	struct kept_record r = some_record(), got;
	struct secret *s;
	struct err err = { 0 };

	memset(key, 7, sizeof(key));
	s = secret_from(key, sizeof(key));
	cr_assert_eq(kept_record_write(&r, s, out, &err), 0);
	cr_assert_eq(hash_unhex(want_mac, mac, sizeof(mac)), 0);
	cr_assert_arr_eq(out + KEPT_RECORD_SIZE - 32, mac, 32);
	cr_assert_eq(kept_record_read(out, sizeof(out), s, &got, &err), 0);
	cr_assert(got.epoch == 7 && got.clean && !got.dirty && !got.held);
	cr_assert_eq(kept_record_write(&got, s, again, &err), 0);
	cr_assert_arr_eq(out, again, sizeof(out));
	for (size_t i = 0; i < sizeof(out); i++) {
		out[i] ^= 0x80;
		cr_assert_lt(kept_record_read(out, sizeof(out), s, &got, &err),
		    0, "byte %zu", i);
		out[i] ^= 0x80;
	}
	for (size_t size = 0; size < sizeof(out); size++)
		cr_assert_eq(kept_record_read(out, size, s, &got, &err),
		    ERR_FORMAT);
	secret_data(s)[0] ^= 1;
	cr_assert_eq(kept_record_read(out, sizeof(out), s, &got, &err),
	    ERR_AUTH);
	secret_free(s);
}

/* Closed at epoch 7 with digest 33. */
Test(kmxa, alone_closed)
{
	static const struct {
		uint64_t epoch;
		int digest, rc;
	} rows[] = {
		{ 7, 0x33, 0 }, { 6, 0x33, ERR_STALE }, { 8, 0x33, ERR_STALE },
		{ 7, 0x34, ERR_STALE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kept_record r = some_record();
		struct owner_claim c = some_claim(rows[i].epoch,
		    rows[i].digest, 0x55);

		cr_assert_eq(owner_alone_judge(&r, &c, NULL), rows[i].rc);
		if (rows[i].rc != 0)
			continue;
		cr_assert(r.epoch == 8 && r.local == 1 && !r.clean &&
		    !r.confirmed && r.dirty && r.base_epoch == 7 &&
		    r.base_digest[0] == 0x33 && r.instance[0] == 0x55);
	}
}

/* Open at epoch 7 by instance 44, or in local epoch 8 that is not confirmed. */
Test(kmxa, alone_open)
{
	static const struct {
		bool local;
		uint64_t epoch;
		int digest, instance, rc;
	} rows[] = {
		{ false, 7, 0x99, 0x44, 0 },
		{ false, 7, 0x99, 0x55, ERR_BUSY },
		{ false, 6, 0x33, 0x44, ERR_STALE },
		{ false, 8, 0x33, 0x44, ERR_STALE },
		{ true, 8, 0x99, 0x44, 0 },
		{ true, 7, 0x33, 0x44, 0 },
		{ true, 7, 0x34, 0x44, ERR_STALE },
		{ true, 7, 0x33, 0x55, ERR_BUSY },
		{ true, 6, 0x33, 0x44, ERR_STALE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kept_record r = some_record();
		struct owner_claim c = some_claim(rows[i].epoch,
		    rows[i].digest, rows[i].instance);
		uint64_t epoch;

		r.clean = false;
		r.confirmed = !rows[i].local;
		r.local = rows[i].local;
		r.epoch += rows[i].local;
		epoch = r.epoch;
		cr_assert_eq(owner_alone_judge(&r, &c, NULL), rows[i].rc,
		    "row %zu", i);
		cr_assert_eq(r.epoch, epoch, "row %zu", i);
	}
}

Test(kmxa, alone_elsewhere)
{
	struct kept_record r = some_record();
	struct owner_claim c = some_claim(7, 0x33, 0x44);

	r.owned = false;
	cr_assert_eq(owner_alone_judge(&r, &c, NULL), ERR_CLOSED);
}
