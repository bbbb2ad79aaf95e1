/* SPDX-License-Identifier: BSD-3-Clause */
/* Life of a file, protectors, rekey; the golden file of the format. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/nvram-fixture.h"

static const struct protector_ops *
passphrase_ops(void)
{
	return protector_ops_by_name("passphrase");
}

static struct secret *
words(const char *text)
{
	return secret_from(text, strlen(text));
}

Test(nvram, commit_and_reopen)
{
	struct fixture fx = { 0 };
	const uint8_t *data;
	struct nvram *nv;
	size_t size;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	cr_assert_eq(fixture_state(nv), 0);
	for (unsigned int n = 1; n < 6; n++) {
		cr_assert_eq(fixture_commit(nv, n), 0);
		cr_assert_eq(fixture_state(nv), (int)n);
	}
	cr_assert_eq(nvram_get(nv, 77, &data, &size, NULL), ERR_NOTFOUND);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(fixture_state(nv), 5);
	cr_assert_eq(memcmp(nvram_header(nv)->uuid, fixture_uuid, UUID_SIZE),
	    0);
	cr_assert_str_eq(nvram_header(nv)->name, "fixture");
	cr_assert_eq(nvram_header(nv)->epoch, 2);
	nvram_close(nv);
	fixture_free(&fx);
}

/* A commit is one write and one sync of an area that is there already. */
Test(nvram, commit_is_two_operations)
{
	struct fixture fx = { 0 };
	struct nvram *nv;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	fault_store_disarm(fx.store);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	cr_assert_eq(fault_store_operations(fx.store), 2);
	nvram_close(nv);
	fixture_free(&fx);
}

static uint64_t
sequence(const struct nvram *nv)
{
	const struct nvram_report *r = nvram_report(nv);

	for (size_t i = 0; i < 2; i++)
		if (r->slot[i].state == NVRAM_AREA_CURRENT)
			return r->slot[i].sequence;
	cr_assert_fail("no slot is in use");
	return 0;
}

static void
opens_with(struct fixture *fx, int state, uint64_t at)
{
	struct nvram *nv;

	cr_assert_eq(fixture_unlock(fx, &nv), 0);
	cr_assert_eq(fixture_state(nv), state);
	cr_assert_eq(sequence(nv), at);
	nvram_close(nv);
}

/* Sequence numbers start at 1, with state 0 (doc/nvram-format.md, "Slot"). */
Test(nvram, undo)
{
	struct fixture fx = { 0 };
	struct nvram *nv;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	cr_assert_eq(nvram_undo(nv, NULL), ERR_NOTFOUND, "nothing was done");
	cr_assert_eq(fixture_commit(nv, 1), 0);
	cr_assert_eq(fixture_commit(nv, 2), 0);
	fault_store_disarm(fx.store);
	cr_assert_eq(nvram_undo(nv, NULL), 0);
	cr_assert_eq(fault_store_operations(fx.store), 0);
	cr_assert_eq(fixture_state(nv), 1);
	opens_with(&fx, 2, 3);
	cr_assert_eq(nvram_undo(nv, NULL), ERR_NOTFOUND, "once only");
	/* No number is given to two states. */
	cr_assert_eq(fixture_commit(nv, 3), 0);
	opens_with(&fx, 3, 4);
	cr_assert_eq(nvram_undo(nv, NULL), 0);
	cr_assert_eq(fixture_state(nv), 1);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	opens_with(&fx, 1, 5);
	nv = fixture_acquire(&fx);
	/* A superblock that names this state forbids an older one. */
	cr_assert_eq(fixture_commit(nv, 4), 0);
	cr_assert_eq(nvram_set_state_version(nv, 99, NULL), 0);
	cr_assert_eq(nvram_undo(nv, NULL), ERR_NOTFOUND);
	/* A commit that fails has overwritten what was before. */
	cr_assert_eq(fixture_commit(nv, 5), 0);
	fault_store_fail_at(fx.store, 0, EIO, 0);
	cr_assert_eq(fixture_commit(nv, 6), ERR_SYSTEM);
	cr_assert_eq(nvram_undo(nv, NULL), ERR_NOTFOUND);
	cr_assert_eq(fixture_state(nv), 5);
	nvram_close(nv);
	fixture_free(&fx);
}

Test(nvram, refusals)
{
	static uint8_t big[FIXTURE_SLOT_SIZE];
	struct nvram_record two[] = { { 1, big, 1 }, { 1, big, 1 } };
	struct nvram_record large = { 1, big, sizeof(big) };
	struct fixture fx = { 0 };
	struct nvram *nv;

	fixture_make(&fx);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(fixture_commit(nv, 1), ERR_REFUSED);
	cr_assert_eq(nvram_release(nv, NULL), ERR_REFUSED);
	cr_assert_eq(nvram_acquire(nv, NULL, false, NULL), 0);
	cr_assert_eq(nvram_commit(nv, &large, 1, NULL), ERR_NOSPACE);
	cr_assert_eq(nvram_commit(nv, two, 2, NULL), ERR_USAGE);
	cr_assert_eq(fixture_state(nv), 0);
	nvram_close(nv);
	fixture_free(&fx);
}

Test(nvram, state_version)
{
	struct fixture fx = { 0 };
	struct nvram *nv;
	uint64_t generation;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	generation = nvram_header(nv)->generation;
	cr_assert_eq(nvram_set_state_version(nv, 0x00090002, NULL), 0);
	cr_assert_eq(nvram_header(nv)->generation, generation);
	cr_assert_eq(nvram_set_state_version(nv, 0x000a0000, NULL), 0);
	nvram_close(nv);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(nvram_header(nv)->state_version, 0x000a0000);
	nvram_close(nv);
	fixture_free(&fx);
}

Test(nvram, protectors)
{
	struct fixture fx = { 0 };
	struct protector_creds pass = { .passphrase = words("correct horse") };
	struct protector_creds wrong = { .passphrase = words("battery") };
	struct err err = { 0 };
	uint8_t id[PROTECTOR_ID_SIZE];
	struct nvram *nv;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	memcpy(id, nvram_header(nv)->protectors[0].id, sizeof(id));
	cr_assert_eq(nvram_protector_remove(nv, id, &err), ERR_REFUSED);
	cr_assert_eq(nvram_protector_add(nv, passphrase_ops(), &fx.creds,
	    NULL, NULL), ERR_KEY);
	cr_assert_eq(nvram_protector_add(nv, passphrase_ops(), &pass,
	    "in the safe", &err), 0, "%s", err.text);
	cr_assert_eq(nvram_header(nv)->n_protectors, 2);
	cr_assert_eq(nvram_protector_remove(nv, id, &err), 0);
	cr_assert_eq(nvram_protector_remove(nv, id, &err), ERR_NOTFOUND);
	cr_assert_eq(fixture_commit(nv, 3), 0);
	nvram_close(nv);

	/* The native key is out, and so is a wrong passphrase. */
	cr_assert_eq(fixture_unlock(&fx, &nv), ERR_KEY);
	cr_assert_eq(nvram_open_store(&nv, fault_store_base(fx.store), "f",
	    NULL), 0);
	cr_assert_eq(nvram_unlock(nv, &wrong, &err), ERR_KEY);
	cr_assert_not_null(strstr(err.text, "passphrase (in the safe)"), "%s",
	    err.text);
	cr_assert_eq(nvram_unlock(nv, &pass, &err), 0, "%s", err.text);
	cr_assert_eq(fixture_state(nv), 3);
	nvram_close(nv);
	fixture_free(&fx);
}

Test(nvram, another_hosts_native_key)
{
	struct fixture fx = { 0 };
	struct native *other = native_for_tests(0x77, -1);
	struct protector_creds creds = { .native = other };
	struct err err = { 0 };
	struct nvram *nv;

	fixture_make(&fx);
	cr_assert_eq(nvram_open_store(&nv, fault_store_base(fx.store), "f",
	    NULL), 0);
	cr_assert_eq(nvram_unlock(nv, &creds, &err), ERR_KEY);
	cr_assert_not_null(strstr(err.text, "native (native key 5a5a5a5a"),
	    "%s", err.text);
	cr_assert_not(nvram_unlocked(nv));
	nvram_close(nv);
	native_for_tests_free(other);
	fixture_free(&fx);
}

Test(nvram, eight_protectors_and_no_more)
{
	struct fixture fx = { 0 };
	struct nvram *nv;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	for (int i = 1; i < PROTECTOR_SLOTS; i++)
		cr_assert_eq(nvram_protector_add(nv,
		    protector_ops_by_name("native"), &fx.creds, NULL, NULL),
		    0);
	cr_assert_eq(nvram_protector_add(nv, protector_ops_by_name("native"),
	    &fx.creds, NULL, NULL), ERR_NOSPACE);
	nvram_close(nv);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(nvram_header(nv)->n_protectors, PROTECTOR_SLOTS);
	nvram_close(nv);
	fixture_free(&fx);
}

static bool
contains(struct fixture *fx, const uint8_t *bytes, size_t n)
{
	return memmem(fault_store_bytes(fx->store), FIXTURE_FILE_SIZE, bytes,
	    n) != NULL;
}

Test(nvram, rekey_deep_leaves_nothing_of_the_old_key)
{
	struct fixture fx = { 0 };
	uint8_t dek_id[DEK_ID_SIZE], body[32], id[PROTECTOR_ID_SIZE];
	struct nvram *nv;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	cr_assert_eq(fixture_commit(nv, 4), 0);
	memcpy(dek_id, nvram_header(nv)->dek_id, sizeof(dek_id));
	memcpy(id, nvram_header(nv)->protectors[0].id, sizeof(id));
	memcpy(body, nvram_header(nv)->protectors[0].body + 16, sizeof(body));
	cr_assert(contains(&fx, dek_id, sizeof(dek_id)));
	cr_assert(contains(&fx, body, sizeof(body)));
	cr_assert_eq(nvram_rekey(nv, true, &fx.creds, NULL), 0);
	cr_assert_eq(fixture_state(nv), 4);
	cr_assert_not(contains(&fx, dek_id, sizeof(dek_id)));
	cr_assert_not(contains(&fx, body, sizeof(body)));
	cr_assert_eq(memcmp(id, nvram_header(nv)->protectors[0].id,
	    sizeof(id)), 0);
	cr_assert_eq(fixture_commit(nv, 5), 0);
	nvram_close(nv);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(fixture_state(nv), 5);
	nvram_close(nv);
	fixture_free(&fx);
}

/* A shallow one rewrites what the credentials open and leaves the others; a
 * deep one wants all of them. */
Test(nvram, rekey_and_foreign_protectors)
{
	struct fixture fx = { 0 };
	struct protector_creds pass = { .passphrase = words("other words") };
	struct protector_creds both;
	uint8_t native_body[128], pass_body[128], dek_id[DEK_ID_SIZE];
	const struct nvram_header *h;
	struct err err = { 0 };
	struct nvram *nv;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	h = nvram_header(nv);
	cr_assert_eq(nvram_protector_add(nv, passphrase_ops(), &pass, NULL,
	    NULL), 0);
	memcpy(native_body, h->protectors[0].body, 128);
	memcpy(pass_body, h->protectors[1].body, 128);
	memcpy(dek_id, h->dek_id, DEK_ID_SIZE);
	cr_assert_eq(nvram_rekey(nv, false, &fx.creds, NULL), 0);
	cr_assert_neq(memcmp(native_body, h->protectors[0].body, 128), 0);
	cr_assert_eq(memcmp(pass_body, h->protectors[1].body, 128), 0);
	cr_assert_eq(memcmp(dek_id, h->dek_id, DEK_ID_SIZE), 0);
	memcpy(native_body, h->protectors[0].body, 128);
	cr_assert_eq(nvram_rekey(nv, true, &fx.creds, &err), ERR_KEY);
	cr_assert_eq(memcmp(dek_id, h->dek_id, DEK_ID_SIZE), 0);
	cr_assert_eq(memcmp(native_body, h->protectors[0].body, 128), 0);
	both = (struct protector_creds){ .native = fx.native,
	    .passphrase = pass.passphrase };
	cr_assert_eq(nvram_rekey(nv, true, &both, &err), 0, "%s", err.text);
	cr_assert_neq(memcmp(dek_id, h->dek_id, DEK_ID_SIZE), 0);
	nvram_close(nv);
	cr_assert_eq(nvram_open_store(&nv, fault_store_base(fx.store), "f",
	    NULL), 0);
	cr_assert_eq(nvram_unlock(nv, &pass, NULL), 0);
	cr_assert_eq(fixture_state(nv), 0);
	nvram_close(nv);
	fixture_free(&fx);
}

/* Written by the first released version; what it must hold is in
 * golden/make-nvram.c, and golden/read-nvram.py reads it independently. */
Test(nvram, golden)
{
	static const char text[] = "permanent state of the golden file";
	struct protector_creds pass = { .passphrase = words("golden words") };
	struct native *native = native_for_tests(0x42, -1);
	struct protector_creds creds = { .native = native };
	const struct protector_creds *each[] = { &pass, &creds };

	for (size_t i = 0; i < 2; i++) {
		struct err err = { 0 };
		const uint8_t *data;
		struct nvram *nv;
		size_t size;

		cr_assert_eq(nvram_open(&nv, GOLDEN_DIR "/nvram-1.bin", false,
		    &err), 0, "%s", err.text);
		cr_assert_eq(nvram_unlock(nv, each[i], &err), 0, "%s",
		    err.text);
		cr_assert_eq(nvram_header(nv)->format, 1);
		cr_assert_eq(memcmp(nvram_header(nv)->uuid, fixture_uuid,
		    UUID_SIZE), 0);
		cr_assert_str_eq(nvram_header(nv)->name, "golden");
		cr_assert_eq(nvram_get(nv, NVRAM_PERMANENT, &data, &size,
		    NULL), 0);
		cr_assert_eq(size, strlen(text));
		cr_assert_eq(memcmp(data, text, size), 0);
		nvram_close(nv);
	}
	native_for_tests_free(native);
	secret_free((struct secret *)(uintptr_t)pass.passphrase);
}
