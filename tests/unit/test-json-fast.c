/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads as jansson does by itself, whatever is long in it. */
#include <criterion/criterion.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "trust-authority/common/json-fast.h"

#define RUN 2000

/* %s of the pattern becomes RUN characters of base64url. */
static char *
text_of(const char *pattern)
{
	char run[RUN + 1];
	char *out = NULL;

	for (size_t i = 0; i < RUN; i++)
		run[i] = "ABCXYZabcxyz019-_"[i % 17];
	run[RUN] = '\0';
	cr_assert(asprintf(&out, pattern, run, run) >= 0);
	return out;
}

static void
same(const char *pattern)
{
	char *text = text_of(pattern);
	json_error_t why = { 0 }, want_why = { 0 };
	json_t *want = json_loadb(text, strlen(text), JSON_REJECT_DUPLICATES,
	    &want_why);
	json_t *got = json_fast_load(text, strlen(text), &why);

	cr_assert_eq(got == NULL, want == NULL, "%s", pattern);
	cr_assert(want == NULL || json_equal(got, want), "%s", pattern);
	cr_assert_str_eq(why.text, want_why.text, "%s", pattern);
	json_decref(want);
	json_decref(got);
	free(text);
}

Test(json_fast, like_jansson)
{
	static const char *const patterns[] = {
		"{\"a\":\"%s\",\"b\":1}", "{\"b\":\"x\",\"a\":\"%s\"}",
		"{\"a\":\"%s\",\"b\":\"%s\"}", "{\"a\":\"%s\"}",
		"[\"%s\"]", "\"%s\"", "{\"a\":{\"b\":\"%s\"}}",
		"{\"%s\":1}", "{\"%s\":1,\"%s\":2}", "{\"%s\":\"%s\"}",
		"{\"a\":\"x\\\"%s\\\"y\"}", "{\"a\":\"\\\\\",\"b\":\"%s\"}",
		"{\"a\":\"x\\\"%s\"}", "{\"a\":\" %s\"}", "{\"a\":\"%s=\"}",
		/* Not JSON, before as after. */
		"{\"a\":%s}", "{\"a\"%s\"b\":1}", "{\"a\":\"x\"%s\"y\"}",
		"{\"a\":\"%s", "{\"a\":\"%s\",}", "{\"a\":\"%s\"\"b\"}",
		"{\"a\":\"%s\",\"a\":1}", "{\"a\":\"%s\"} x", "\"%s\"%s\"",
		"{\"a\":\"\\\\\"%s\"}",
	};

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		same(patterns[i]);
}

Test(json_fast, not_a_run)
{
	static const char bad[] = "{\"a\":\"\xff\"}";

	same("{}");
	same("");
	cr_assert(json_fast_load(bad, sizeof(bad) - 1, NULL) == NULL);
}

static void
same_dump(const json_t *json, bool sorted, const char *text)
{
	char *want = json_dumps(json, JSON_COMPACT |
	    (sorted ? JSON_SORT_KEYS : 0));
	char *got = json_fast_dump(json, sorted);

	cr_assert_str_eq(got, want, "of %s", text);
	free(want);
	free(got);
}

/* Read, and what was read written, as jansson does both. */
static void
compare(const char *text, size_t size)
{
	json_t *want = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	json_t *got = json_fast_load(text, size, NULL);

	cr_assert_eq(got == NULL, want == NULL, "%.*s", (int)size, text);
	cr_assert(want == NULL || json_equal(got, want), "%.*s", (int)size,
	    text);
	if (got != NULL) {
		same_dump(got, false, text);
		same_dump(got, true, text);
	}
	json_decref(want);
	json_decref(got);
}

static const char *const documents[] = {
	"{\"state\":\"attested\",\"last\":1795341018,\"clock\":{\"resets\":0,"
	"\"safe\":true},\"agent\":{\"port\":7890,\"certificate\":"
	"\"-----BEGIN CERTIFICATE-----\\nMIIB\\n\"}}",
	"{\"b\":[1,-2,[],{},null,false],\"a\":\"x/y\\/z\\\"\\\\\\t\\r\"}",
	"[ 0 , -0, 10, 01, 1e3, 1.5, 123456789012345678, 1234567890123456789,"
	" -9223372036854775808, 9223372036854775808 ]",
	" {\"\":\"\", \"a\" : { \"a\" : [ \"a\" ] } }\n",
	"{\"a\":\"\\u00e9\xc3\xa9\\b\\f\\u0000\",\"b\":\"\x7f\"}",
	"[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", "{\"a\":1,\"a\":2}",
	"{\"\\u0061\":1,\"a\":2}", "\"text\"", "1", "true", "", "[1]x", "[1",
	"[tru]", "[truex]", "[1 2]", "[1,]", "{\"a\":}", "{a:1}", "[-]", "[+1]",
};

Test(json_fast, reads_and_writes)
{
	char many[8192];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
		compare(documents[i], strlen(documents[i]));
	/* More members than are sorted by hand. */
	for (int i = 0; i < 200; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n,
		    "%c\"n%d\":%d", i > 0 ? ',' : '{', i * 7 % 200, i);
	many[n++] = '}';
	compare(many, n);
}

/* The same series each time. */
static uint32_t
draw(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525 + 1013904223;
	return (*state >> 8) % below;
}

Test(json_fast, altered_texts, .timeout = 120)
{
	static const char bytes[] = "\"\\{}[]:,-+.eE0123456789 \n\ttfnul/au";
	uint32_t state = 1;

	for (int i = 0; i < 100000; i++) {
		const char *from = documents[draw(&state,
		    sizeof(documents) / sizeof(documents[0]))];
		size_t size = strlen(from);
		char text[512];

		memcpy(text, from, size + 1);
		for (uint32_t k = draw(&state, 4); k > 0 && size > 0; k--) {
			size_t at = draw(&state, (uint32_t)size);

			if (draw(&state, 3) == 0)	/* one less */
				memmove(text + at, text + at + 1, size-- - at);
			else if (draw(&state, 9) == 0)
				text[at] = (char)draw(&state, 256);
			else
				text[at] = bytes[draw(&state,
				    sizeof(bytes) - 1)];
		}
		compare(text, size);
	}
}

static long
faults(void)
{
	struct rusage used;

	cr_assert_eq(getrusage(RUSAGE_SELF, &used), 0);
	return used.ru_minflt;
}

/* What is put aside for a text is as large as that, not as what is left: of
 * blocks too large for the heap each is a mapping, and its first page a
 * fault. */
Test(json_fast, many_texts_with_escapes)
{
	enum { COUNT = 200000, EACH = 5 };
	char *text = malloc(COUNT * EACH + 1);
	json_t *json;
	long before;

	cr_assert_not_null(text);
	for (size_t i = 0; i < COUNT; i++)
		memcpy(text + i * EACH, i == 0 ? "[\"\\n\"" : ",\"\\n\"",
		    EACH);
	text[COUNT * EACH] = ']';
	/* Of no effect where a sanitizer has an allocator of its own. */
	(void)mallopt(M_MMAP_THRESHOLD, 4096);
	before = faults();
	json = json_fast_load(text, COUNT * EACH + 1, NULL);
	cr_assert_eq(json_array_size(json), COUNT);
	cr_assert_str_eq(json_string_value(json_array_get(json, COUNT - 1)),
	    "\n");
	cr_assert_lt(faults() - before, COUNT / 2);
	json_decref(json);
	free(text);
}
