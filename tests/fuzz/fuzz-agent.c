/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the agent keeps on the disk and is configured with. Input after
 * fail_begin's: kind (1), then the attestation key's file, a sealed key, or a
 * list of PCRs. What is taken is written as the same bytes again: there is one
 * form of each.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/agent/pcr-list.h"
#include "trust-authority/agent/tpm/host-ak.h"
#include "trust-authority/agent/tpm/sealed-blob.h"

enum { KIND_AK, KIND_SEALED, KIND_LIST, KINDS };

static void
same(const struct buf *w, const struct buf *in)
{
	FUZZ_ASSERT(buf_ok(w) && w->pos == in->size &&
	    memcmp(w->data, in->data, w->pos) == 0);
}

static void
fuzz_ak(struct buf *in)
{
	uint8_t bytes[8192];
	struct buf w = buf_writer(bytes, sizeof(bytes));
	struct ak_blob ak;
	struct err err = { 0 };

	if (ak_blob_read(in, &ak, &err) < 0) {
		FUZZ_ASSERT(err.code == ERR_FORMAT);
		return;
	}
	FUZZ_ASSERT(ak_blob_write(&ak, &w, &err) == 0);
	same(&w, in);
}

static void
fuzz_sealed(struct buf *in)
{
	uint8_t bytes[8192], again[8192];
	struct buf w = buf_writer(bytes, sizeof(bytes));
	struct buf w2 = buf_writer(again, sizeof(again)), in2;
	struct sealed_blob s;
	struct err err = { 0 };

	if (sealed_blob_read(in, &s, &err) < 0) {
		FUZZ_ASSERT(err.code == ERR_FORMAT);
		return;
	}
	/* A selection may be shorter than the three octets that we write. */
	FUZZ_ASSERT(sealed_blob_write(&s, &w, &err) == 0);
	in2 = buf_reader(bytes, w.pos);
	FUZZ_ASSERT(sealed_blob_read(&in2, &s, &err) == 0 &&
	    sealed_blob_write(&s, &w2, &err) == 0);
	same(&w2, &in2);
}

static void
fuzz_list(const struct buf *in)
{
	struct pcr_set set;
	char *text = strndup((const char *)in->data, in->size);

	if (text != NULL && pcr_list_parse(text, &set, NULL) == 0)
		for (size_t i = 0; i < set.count; i++)
			FUZZ_ASSERT(set.bank[i].mask != 0 &&
			    set.bank[i].mask < 1u << PCR_COUNT);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf control = buf_reader(data, size), in;

	/* No file is longer (DEK_BLOB_MAX, HOST_AK_BLOB_MAX). */
	if (size < 5 || size > 5 + DEK_BLOB_MAX)
		return 0;
	in = buf_reader(data + 5, size - 5);
	fail_begin(&control);
	switch (data[4] % KINDS) {
	case KIND_AK:
		fuzz_ak(&in);
		break;
	case KIND_SEALED:
		fuzz_sealed(&in);
		break;
	default:
		fuzz_list(&in);
		break;
	}
	(void)fail_end();
	return 0;
}
