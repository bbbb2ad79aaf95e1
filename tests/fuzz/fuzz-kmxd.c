/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What vta-kmxd parses: wrapped keys, KMSes as an administrator names them, and
 * the records of the store, which must not be believed either. Input after
 * fail_begin's: what (1), then a wrapped key or JSON.
 */
#include <string.h>

#include "base/log.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/keyprovider/epoch-record.h"
#include "trust-authority/keyprovider/kms.h"
#include "trust-authority/keyprovider/vm-key.h"
#include "trust-authority/keyprovider/vm.h"

#define VM "00000000-0000-0000-0000-000000000001"

static void
quiet(enum log_level level, const char *line)
{
	(void)level, (void)line;
}

static void
fuzz_wrapped(const uint8_t *data, size_t size)
{
	static const uint8_t kek[VM_KEY_KEK_SIZE], uuid[UUID_SIZE];
	struct secret *key = NULL;
	struct err err = { 0 };
	int rc = vm_key_unwrap(kek, uuid, data, size, &key, &err);

	FUZZ_ASSERT((rc == 0) == (key != NULL));
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	secret_free(key);
}

/* What is read is written as what is read. */
static void
fuzz_vm(const json_t *json)
{
	struct vm vm, back;
	struct err err = { 0 };
	json_t *again;

	if (vm_read(json, VM, &vm, &err) < 0) {
		FUZZ_ASSERT(err.text[0] != '\0');
		return;
	}
	FUZZ_ASSERT(vm.group_count <= VM_GROUPS_MAX);
	(void)vm_newest(&vm), (void)vm_making(&vm);
	if ((again = vm_json(&vm)) != NULL &&
	    vm_read(again, VM, &back, &err) == 0) {
		FUZZ_ASSERT(back.kek_count == vm.kek_count &&
		    back.serial_count == vm.serial_count &&
		    strcmp(back.title, vm.title) == 0);
		vm_reset(&back);
	}
	json_decref(again);
	vm_reset(&vm);
}

static void
fuzz_epoch(const json_t *json)
{
	const struct epoch_asker who = { "h", { 1 } };
	struct epoch_claim claim = { .epoch = 3 };
	struct epoch_record r;
	enum epoch_verdict v;
	struct err err = { 0 };
	uint64_t before;

	if (epoch_read(json, VM, &r, &err) < 0) {
		FUZZ_ASSERT(err.text[0] != '\0');
		return;
	}
	before = r.epoch;
	if (epoch_acquire(&r, &claim, &who, 5, 9, &v) == EPOCH_DONE)
		FUZZ_ASSERT(r.epoch >= before && epoch_owns(&r, &who));
}

static void
fuzz_kms(const json_t *json)
{
	static struct kms_record r;
	struct err err = { 0 };
	int rc = kms_record_read(json, "k", NULL, &r, &err);

	FUZZ_ASSERT(rc < 0 || (r.node_count > 0 && r.key != NULL));
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	kms_record_reset(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), control = in;
	const uint8_t *body;
	json_t *json = NULL;
	uint8_t what = 0;

	log_set_sink(quiet);
	if (buf_get_bytes(&in, NULL, 4) < 0 || buf_get_u8(&in, &what) < 0)
		return 0;
	size = buf_left(&in);
	(void)buf_get_ref(&in, &body, size);
	if (what % 4 != 0)
		json = json_loadb((const char *)body, size,
		    JSON_REJECT_DUPLICATES, NULL);
	fail_begin(&control);
	switch (what % 4) {
	case 0: fuzz_wrapped(body, size); break;
	case 1: fuzz_vm(json); break;
	case 2: fuzz_epoch(json); break;
	default: fuzz_kms(json); break;
	}
	(void)fail_end();
	json_decref(json);
	return 0;
}
