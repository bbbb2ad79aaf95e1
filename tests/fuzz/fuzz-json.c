/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Texts that are JSON or not, through json-fast.c and through jansson, which
 * must agree on all of it: whether it is JSON, what is in it and in which
 * order, why not, and how it is written. Input after fail_begin's: the text.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/common/json-fast.h"

static void
write_both(const json_t *json, bool sorted)
{
	size_t flags = JSON_COMPACT | (sorted ? JSON_SORT_KEYS : 0);
	char *want = json_dumps(json, flags);
	char *got = json_fast_dump(json, sorted);

	FUZZ_ASSERT((got == NULL) == (want == NULL));
	FUZZ_ASSERT(want == NULL || strcmp(got, want) == 0);
	free(got);
	free(want);
}

static void
read_both(const char *text, size_t size)
{
	json_error_t why = { 0 }, want_why = { 0 };
	json_t *want = json_loadb(text, size, JSON_REJECT_DUPLICATES,
	    &want_why);
	json_t *got = json_fast_load(text, size, &why);
	char *a, *b;

	FUZZ_ASSERT((got == NULL) == (want == NULL));
	if (want == NULL) {
		FUZZ_ASSERT(strcmp(why.text, want_why.text) == 0);
		return;
	}
	FUZZ_ASSERT(json_equal(got, want));
	a = json_dumps(got, JSON_COMPACT);
	b = json_dumps(want, JSON_COMPACT);
	FUZZ_ASSERT((a == NULL) == (b == NULL));
	FUZZ_ASSERT(a == NULL || strcmp(a, b) == 0);
	free(a);
	free(b);
	write_both(got, false);
	write_both(got, true);
	json_decref(got);
	json_decref(want);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), control;
	uint8_t failing[4] = { 0 };
	char *text;

	(void)buf_get_bytes(&in, failing, sizeof(failing));
	size = buf_left(&in);
	/* Of its own size: what is read behind it is found. */
	if ((text = malloc(size > 0 ? size : 1)) == NULL)
		return 0;
	(void)buf_get_bytes(&in, text, size);
	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	read_both(text, size);
	(void)fail_end();
	free(text);
	return 0;
}
