/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One protector, as it may lie in a superblock: unwrapped as it is, or wrapped
 * anew under the right key around whatever fields the input gives. Input after
 * fail_begin's: mode (1), kind (2), body size (2), id (8), time (8), label
 * (64), body.
 */
#include <string.h>

#include "nvram-crypt/protector-wrap.h"
#include "nvram-crypt/xaes.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/native-for-tests.h"

#define WRAPPED_SIZE (XAES_NONCE_SIZE + DEK_SIZE + XAES_TAG_SIZE)

enum { MODE_SEAL = 1, MODE_NO_NATIVE = 2, MODE_NO_PASSPHRASE = 4,
	MODE_MAKE = 8 };

static struct native *native;
static struct secret *passphrase, *dek;

static void
read_protector(struct buf *in, struct protector *p)
{
	size_t n;

	memset(p, 0, sizeof(*p));
	(void)buf_get_u16be(in, &p->kind);
	(void)buf_get_u16be(in, &p->body_size);
	/* What superblock_decode promises. */
	p->body_size %= PROTECTOR_BODY_MAX + 1;
	(void)buf_get_bytes(in, p->id, sizeof(p->id));
	(void)buf_get_u64be(in, &p->created);
	(void)buf_get_bytes(in, p->label, sizeof(p->label));
	p->label[sizeof(p->label) - 1] = '\0';
	n = buf_left(in) < p->body_size ? buf_left(in) : p->body_size;
	(void)buf_get_bytes(in, p->body, n);
}

/* The native kind's parameters are the input's, the rest is right. */
static void
seal_native(const struct protector_binding *binding, struct protector *p)
{
	FUZZ_ASSERT(protector_wrap(secret_bytes(native_key(native)),
	    secret_size(native_key(native)), "vtpmd native protector",
	    binding, dek, p, NATIVE_KEY_ID_SIZE, NULL) == 0);
	p->kind = PROTECTOR_NATIVE;
}

static void
unwrap(const struct protector_creds *creds,
    const struct protector_binding *binding, const struct protector *p,
    bool sealed)
{
	const struct protector_ops *ops = protector_ops_by_kind(p->kind);
	struct secret *got = NULL;
	struct err err = { 0 };
	int rc;

	if (ops == NULL)
		return;
	rc = ops->unwrap(creds, binding, p, &got, &err);
	FUZZ_ASSERT((rc == 0) == (got != NULL));
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	/* Only what was sealed opens, and it is what was put in. */
	FUZZ_ASSERT(rc < 0 || (sealed && secret_equal(got, dek)));
	secret_free(got);
}

static void
make(const struct protector_creds *creds,
    const struct protector_binding *binding)
{
	const struct protector_ops *ops;

	for (size_t i = 0; (ops = protector_ops_at(i)) != NULL; i++) {
		struct protector p = { 0 };

		if (protector_make(ops, creds, binding, dek, &p, NULL) == 0) {
			FUZZ_ASSERT(p.body_size <= PROTECTOR_BODY_MAX);
			unwrap(creds, binding, &p, true);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct protector_binding binding = { { 1 }, { 2 } };
	struct buf in = buf_reader(data, size), control;
	struct protector_creds creds = { 0 };
	uint8_t failing[4] = { 0 }, mode = 0;
	struct protector p;

	if (native == NULL) {
		native = native_for_tests(0x5a, -1);
		passphrase = secret_from("fuzz", 4);
		dek = secret_new(DEK_SIZE);
		memset(secret_data(dek), 0xd7, DEK_SIZE);
	}
	(void)buf_get_bytes(&in, failing, sizeof(failing));
	(void)buf_get_u8(&in, &mode);
	read_protector(&in, &p);
	if (mode & MODE_SEAL)
		seal_native(&binding, &p);
	creds.native = mode & MODE_NO_NATIVE ? NULL : native;
	creds.passphrase = mode & MODE_NO_PASSPHRASE ? NULL : passphrase;

	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	unwrap(&creds, &binding, &p, (mode & MODE_SEAL) != 0);
	if (mode & MODE_MAKE)
		make(&creds, &binding);
	(void)fail_end();
	return 0;
}
