/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads as jansson does by itself, whatever is long in it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
