/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/json-long.h"

#include <openssl/rand.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORTH_IT 512	/* bytes */
#define NAME_SIZE 33	/* a letter and 128 random bits in hex */

struct run {
	size_t at, size;
};

static const bool plain[256] = {
	['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
	['-'] = true, ['_'] = true,
};

/* The longest run of base64url between two quotation marks of which the first
 * is not escaped. Where that is not a string of JSON, the text is no JSON, and
 * is none with another such run in its place either: none of these characters
 * means anything to who reads JSON, in a string or out of it, and a run that
 * begins with a letter and is not true, false or null is nothing else. */
static struct run
longest(const char *text, size_t size)
{
	struct run best = { 0, 0 };

	for (size_t i = 0; i < size;) {
		const char *quote = memchr(text + i, '"', size - i);
		size_t from, to;

		if (quote == NULL)
			break;
		from = to = (size_t)(quote - text) + 1;
		while (to < size && plain[(unsigned char)text[to]])
			to++;
		if (to < size && text[to] == '"' && to - from > best.size &&
		    (from < 2 || text[from - 2] != '\\'))
			best = (struct run){ from, to - from };
		/* The mark at its end may be the first of the next. */
		i = to;
	}
	return best;
}

/* A name that nobody else knows, so that no other text can be equal to it. */
static bool
make_name(char name[NAME_SIZE + 1])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t random[16];

	if (RAND_bytes(random, sizeof(random)) != 1)
		return false;
	name[0] = 'L';
	for (size_t i = 0; i < sizeof(random); i++) {
		name[1 + 2 * i] = digits[random[i] >> 4];
		name[2 + 2 * i] = digits[random[i] & 15];
	}
	name[NAME_SIZE] = '\0';
	return true;
}

/* What the name stands for, as the value of a member. */
static bool
put_back(json_t *json, const char *name, const char *text, size_t size)
{
	const char *key;
	json_t *value;

	json_object_foreach(json, key, value)
		if (json_string_length(value) == NAME_SIZE &&
		    strcmp(json_string_value(value), name) == 0)
			return json_object_set_new_nocheck(json, key,
			    json_stringn_nocheck(text, size)) == 0;
	return false;
}

json_t *
json_long_load(const char *text, size_t size, json_error_t *why)
{
	struct run run = longest(text, size);
	size_t rest = run.at + run.size;
	char name[NAME_SIZE + 1], *shorter;
	json_t *json = NULL;

	if (run.size < WORTH_IT || !make_name(name) ||
	    (shorter = malloc(size - run.size + NAME_SIZE)) == NULL)
		return json_loadb(text, size, JSON_REJECT_DUPLICATES, why);
	memcpy(shorter, text, run.at);
	memcpy(shorter + run.at, name, NAME_SIZE);
	memcpy(shorter + run.at + NAME_SIZE, text + rest, size - rest);
	json = json_loadb(shorter, size - run.size + NAME_SIZE,
	    JSON_REJECT_DUPLICATES, NULL);
	free(shorter);
	if (json != NULL && put_back(json, name, text + run.at, run.size))
		return json;
	/* Not as a member, or not JSON: with errors in the text as it is. */
	json_decref(json);
	return json_loadb(text, size, JSON_REJECT_DUPLICATES, why);
}
