/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/json-fast.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define DEPTH_MAX 16
#define DIGITS_MAX 18		/* fit into 64 bits */
#define MEMBER_NAME_MAX 64
#define MEMBERS_MAX 64		/* of an object that is written sorted */

/* What stands for itself in a text (RFC 8259, 7), of ASCII. */
static const bool plain[256] = {
	[' '] = true, ['!'] = true, ['#' ... '['] = true, [']' ... '~'] = true,
};

/* What is left to read. */
struct text {
	const char *at, *end;
};

static int
next(struct text *t)
{
	while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' ||
	    *t->at == '\t' || *t->at == '\r'))
		t->at++;
	return t->at < t->end ? (unsigned char)*t->at : -1;
}

static bool
take(struct text *t, char c)
{
	if (next(t) != (unsigned char)c)
		return false;
	t->at++;
	return true;
}

/* One in which nothing is escaped, without its quotation marks. */
static bool
take_plain(struct text *t, const char **from, size_t *size)
{
	const char *at = t->at + 1;

	while (at < t->end && plain[(unsigned char)*at])
		at++;
	if (at == t->end || *at != '"')
		return false;
	*from = t->at + 1;
	*size = (size_t)(at - *from);
	t->at = at + 1;
	return true;
}

static char
unescaped(char c)
{
	switch (c) {
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case '"':
	case '\\':
	case '/': return c;
	default: return '\0';
	}
}

/* The quotation mark at its end; NULL: there is none. */
static const char *
end_of_text(const struct text *t)
{
	for (const char *at = t->at + 1; at < t->end; at++) {
		if (*at == '"')
			return at;
		if (*at == '\\')
			at++;
	}
	return NULL;
}

/* The lines of a certificate. With room for this text and not for all that is
 * left: of many texts each would be a mapping of its own. */
static json_t *
take_escaped(struct text *t)
{
	const char *end = end_of_text(t);
	json_t *json = NULL;
	char *out = NULL;
	size_t n = 0;

	if (end == NULL || (out = malloc((size_t)(end - t->at))) == NULL)
		goto out;
	for (const char *at = t->at + 1; at < end; at++) {
		char c = *at;

		if (c == '\\') {
			if ((c = unescaped(*++at)) == '\0')
				goto out;
		} else if (!plain[(unsigned char)c]) {
			goto out;
		}
		out[n++] = c;
	}
	json = json_stringn_nocheck(out, n);
	t->at = end + 1;
out:
	if (out != NULL)
		cleanse(out, n);
	free(out);
	return json;
}

static json_t *
take_string(struct text *t)
{
	const char *from;
	size_t size;

	if (take_plain(t, &from, &size))
		return json_stringn_nocheck(from, size);
	return take_escaped(t);
}

static json_t *
take_number(struct text *t)
{
	const char *at = t->at;
	bool negative = *at == '-';
	json_int_t n = 0;
	const char *from;

	at += negative;
	for (from = at; at < t->end && *at >= '0' && *at <= '9' &&
	    at - from < DIGITS_MAX; at++)
		n = n * 10 + (*at - '0');
	/* No fraction, no exponent, no more digits, no zero before others. */
	if (at == from || at == t->end || *at == '\0' ||
	    strchr(",}] \n\t\r", *at) == NULL ||
	    (*from == '0' && (at - from > 1 || negative)))
		return NULL;
	t->at = at;
	return json_integer(negative ? -n : n);
}

static json_t *
take_word(struct text *t, const char *word, size_t size, json_t *json)
{
	if ((size_t)(t->end - t->at) < size ||
	    memcmp(t->at, word, size) != 0)
		return NULL;
	t->at += size;
	return json;
}

static json_t *take_value(struct text *t, size_t depth);

/* A name that is there twice makes the object no larger. */
static bool
take_member(struct text *t, json_t *object, size_t depth)
{
	size_t before = json_object_size(object), size;
	char name[MEMBER_NAME_MAX];
	const char *from;
	json_t *value;

	if (next(t) != '"' || !take_plain(t, &from, &size) ||
	    size >= sizeof(name) || !take(t, ':') ||
	    (value = take_value(t, depth)) == NULL)
		return false;
	memcpy(name, from, size);
	name[size] = '\0';
	return json_object_set_new_nocheck(object, name, value) == 0 &&
	    json_object_size(object) == before + 1;
}

static bool
take_item(struct text *t, json_t *list, size_t depth)
{
	json_t *value = take_value(t, depth);

	return value != NULL && json_array_append_new(list, value) == 0;
}

/* After its first bracket. */
static json_t *
take_members(struct text *t, json_t *all, char end, size_t depth,
    bool (*one)(struct text *t, json_t *all, size_t depth))
{
	t->at++;
	if (all == NULL || take(t, end))
		return all;
	do {
		if (!one(t, all, depth)) {
			json_decref(all);
			return NULL;
		}
	} while (take(t, ','));
	if (take(t, end))
		return all;
	json_decref(all);
	return NULL;
}

static json_t *
take_value(struct text *t, size_t depth)
{
	int c = next(t);

	if (depth == DEPTH_MAX)
		return NULL;
	switch (c) {
	case '{':
		return take_members(t, json_object(), '}', depth + 1,
		    take_member);
	case '[':
		return take_members(t, json_array(), ']', depth + 1,
		    take_item);
	case '"': return take_string(t);
	case 't': return take_word(t, "true", 4, json_true());
	case 'f': return take_word(t, "false", 5, json_false());
	case 'n': return take_word(t, "null", 4, json_null());
	case '-':
	case '0' ... '9': return take_number(t);
	default: return NULL;
	}
}

json_t *
json_fast_load(const char *text, size_t size, json_error_t *why)
{
	struct text t = { text, text + size };
	int c = next(&t);
	json_t *json = c == '{' || c == '[' ? take_value(&t, 0) : NULL;

	if (json != NULL && next(&t) < 0)
		return json;
	json_decref(json);
	return json_loadb(text, size, JSON_REJECT_DUPLICATES, why);
}

/* Both passes of writing: out NULL only counts. */
struct writer {
	char *out;
	size_t size;
	bool sorted;
};

static void
put(struct writer *w, const char *text, size_t size)
{
	if (w->out != NULL)
		memcpy(w->out + w->size, text, size);
	w->size += size;
}

static bool
put_text(struct writer *w, const char *text, size_t size)
{
	size_t from = 0;

	put(w, "\"", 1);
	for (size_t i = 0; i < size; i++) {
		if (plain[(unsigned char)text[i]])
			continue;
		if (text[i] != '\n')
			return false;
		put(w, text + from, i - from);
		put(w, "\\n", 2);
		from = i + 1;
	}
	put(w, text + from, size - from);
	put(w, "\"", 1);
	return true;
}

static void
put_number(struct writer *w, json_int_t n)
{
	char digits[24], *at = digits + sizeof(digits);
	uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

	do
		*--at = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (n < 0)
		*--at = '-';
	put(w, at, (size_t)(digits + sizeof(digits) - at));
}

static bool put_value(struct writer *w, const json_t *json, size_t depth);

static bool
put_members(struct writer *w, json_t *object, size_t depth)
{
	const char *names[MEMBERS_MAX], *name;
	size_t n = 0;
	json_t *value;

	if (json_object_size(object) > MEMBERS_MAX)
		return false;
	json_object_foreach(object, name, value) {
		size_t i = n++;

		/* Most are written in order. */
		for (; w->sorted && i > 0 && strcmp(names[i - 1], name) > 0;
		    i--)
			names[i] = names[i - 1];
		names[i] = name;
	}
	put(w, "{", 1);
	for (size_t i = 0; i < n; i++) {
		put(w, ",", i > 0);
		if (!put_text(w, names[i], strlen(names[i])))
			return false;
		put(w, ":", 1);
		if (!put_value(w, json_object_get(object, names[i]), depth))
			return false;
	}
	put(w, "}", 1);
	return true;
}

static bool
put_items(struct writer *w, const json_t *list, size_t depth)
{
	put(w, "[", 1);
	for (size_t i = 0; i < json_array_size(list); i++) {
		put(w, ",", i > 0);
		if (!put_value(w, json_array_get(list, i), depth))
			return false;
	}
	put(w, "]", 1);
	return true;
}

static bool
put_value(struct writer *w, const json_t *json, size_t depth)
{
	if (depth == DEPTH_MAX)
		return false;
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return put_members(w, (json_t *)(uintptr_t)json, depth + 1);
	case JSON_ARRAY: return put_items(w, json, depth + 1);
	case JSON_STRING:
		return put_text(w, json_string_value(json),
		    json_string_length(json));
	case JSON_INTEGER:
		put_number(w, json_integer_value(json));
		return true;
	case JSON_TRUE: put(w, "true", 4); return true;
	case JSON_FALSE: put(w, "false", 5); return true;
	case JSON_NULL: put(w, "null", 4); return true;
	default: return false;
	}
}

char *
json_fast_dump(const json_t *json, bool sorted)
{
	struct writer w = { .sorted = sorted };

	if ((json_is_object(json) || json_is_array(json)) &&
	    put_value(&w, json, 0) && (w.out = malloc(w.size + 1)) != NULL) {
		w.size = 0;
		(void)put_value(&w, json, 0);
		w.out[w.size] = '\0';
		return w.out;
	}
	return json_dumps(json, JSON_COMPACT | (sorted ? JSON_SORT_KEYS : 0));
}
