/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/fields.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "trust-authority/common/base64url.h"
#include "trust-authority/common/json-fast.h"

#define NUMBER_MAX (INT64_C(1) << 53)

bool
name_is_good(const char *name)
{
	size_t size = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return size > 0 && size < NAME_MAX_SIZE && name[size] == '\0' &&
	    name[0] != '.' && name[0] != '-';
}

static const struct field *
find(const struct field *fields, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

/* Texts end up in lines of logs; those that may have lines do not. */
static bool
has_control(const char *text, bool lines)
{
	for (; *text != '\0'; text++)
		if (((unsigned char)*text < 0x20 || *text == 0x7f) &&
		    !(lines && strchr("\r\n\t", *text) != NULL))
			return true;
	return false;
}

static const char *
read_text(const struct field *f, const json_t *value, char *out)
{
	const char *text = json_string_value(value);

	if (text == NULL)
		return "is a text";
	if (f->flags & FIELD_MAY_BE_EMPTY && text[0] == '\0') {
		out[0] = '\0';
		return NULL;
	}
	if (strlen(text) != json_string_length(value) ||
	    has_control(text, f->flags & FIELD_LINES))
		return "has control characters";
	if (strlen(text) >= f->room)
		return "is too long";
	if (f->type == FIELD_NAME && !name_is_good(text))
		return "is 1 to 64 of A-Z a-z 0-9 . _ - and begins with none "
		    "of . and -";
	if (f->type == FIELD_HEX && (strlen(text) != f->room - 1 ||
	    text[strspn(text, "0123456789abcdef")] != '\0'))
		return "is not so many lower-case hexadecimal digits as it "
		    "must have";
	memcpy(out, text, strlen(text) + 1);
	return NULL;
}

static const char *
read_bytes(const struct field *f, const json_t *value,
    struct field_bytes *out)
{
	const char *text = json_string_value(value);
	size_t length = json_string_length(value), size = length / 4 * 3 + 3;

	if (text == NULL)
		return "is a text";
	if (length > BASE64URL_SIZE(f->room))
		return "is too large";
	if ((out->data = malloc(size)) == NULL)
		return "does not fit into memory";
	if (base64url_decode(text, length, out->data, &size) < 0)
		return "is not base64url without padding";
	out->size = size;
	return NULL;
}

/* NULL, or what is wrong. */
static const char *
read_one(const struct field *f, json_t *value, void *into)
{
	char *at = (char *)into + f->at;
	int64_t n;

	switch (f->type) {
	case FIELD_FLAG:
		if (!json_is_boolean(value))
			return "is true or false";
		*(bool *)(void *)at = json_is_true(value);
		return NULL;
	case FIELD_NUMBER:
		n = json_integer_value(value);
		if (!json_is_integer(value) || n < 0 || n > NUMBER_MAX)
			return "is a whole number from 0 on";
		memcpy(at, &n, sizeof(n));
		return NULL;
	case FIELD_BYTES:
		return read_bytes(f, value, (void *)at);
	case FIELD_JSON:
		*(json_t **)(void *)at = value;
		return NULL;
	default:
		return read_text(f, value, at);
	}
}

int
fields_read(const json_t *json, const struct field *fields, size_t count,
    void *into, int code, const char *what, struct err *err)
{
	const char *name, *wrong;
	json_t *value;

	if (!json_is_object(json))
		return err_set(err, code, "%s is not a JSON object", what);
	json_object_foreach((json_t *)(uintptr_t)json, name, value) {
		const struct field *f = find(fields, count, name);

		if (f == NULL)
			return err_set(err, code, "%s: unknown member "
			    "\"%.64s\"", what, name);
		if ((wrong = read_one(f, value, into)) != NULL)
			return err_set(err, code, "%s: \"%s\" %s", what, name,
			    wrong);
	}
	for (size_t i = 0; i < count; i++)
		if (fields[i].flags & FIELD_NEEDED &&
		    json_object_get(json, fields[i].name) == NULL)
			return err_set(err, code, "%s: \"%s\" is missing",
			    what, fields[i].name);
	return 0;
}

static json_t *
bytes_json(const struct field_bytes *bytes)
{
	char *text = malloc(BASE64URL_SIZE(bytes->size) + 1);
	json_t *json = NULL;

	if (text != NULL) {
		base64url_encode(bytes->data, bytes->size, text);
		json = json_string(text);
	}
	free(text);
	return json;
}

/* *out stays NULL for what is left out. ERR_INTERNAL: no memory. */
static int
write_one(const struct field *f, const void *from, json_t **out)
{
	const char *at = (const char *)from + f->at;
	const struct field_bytes *bytes = (const void *)at;
	bool always = f->flags & FIELD_NEEDED;
	bool there = true;
	int64_t n;

	switch (f->type) {
	case FIELD_FLAG:
		if ((there = *(const bool *)(const void *)at || always))
			*out = json_boolean(*(const bool *)(const void *)at);
		break;
	case FIELD_NUMBER:
		memcpy(&n, at, sizeof(n));
		if ((there = n != 0 || always))
			*out = json_integer(n);
		break;
	case FIELD_BYTES:
		if ((there = bytes->data != NULL))
			*out = bytes_json(bytes);
		break;
	case FIELD_JSON:
		*out = *(json_t *const *)(const void *)at;
		there = *out != NULL;
		json_incref(*out);
		break;
	default:
		if ((there = at[0] != '\0' || always))
			*out = json_string(at);
	}
	return there && *out == NULL ? ERR_INTERNAL : 0;
}

json_t *
fields_write(const struct field *fields, size_t count, const void *from)
{
	json_t *json = json_object();

	for (size_t i = 0; json != NULL && i < count; i++) {
		json_t *value = NULL;

		if (write_one(&fields[i], from, &value) < 0 ||
		    (value != NULL && json_object_set_new(json,
		    fields[i].name, value) < 0)) {
			json_decref(json);
			json = NULL;
		}
	}
	return json;
}

char *
fields_text(const struct field *fields, size_t count, const void *from)
{
	json_t *json = fields_write(fields, count, from);
	char *text = NULL;

	if (json != NULL)
		text = json_fast_dump(json, true);
	json_decref(json);
	return text;
}

void
fields_reset(const struct field *fields, size_t count, void *from)
{
	for (size_t i = 0; i < count; i++) {
		struct field_bytes *bytes;

		if (fields[i].type != FIELD_BYTES)
			continue;
		bytes = (void *)((char *)from + fields[i].at);
		if (bytes->data != NULL)
			cleanse(bytes->data,
			    malloc_usable_size(bytes->data));
		free(bytes->data);
		*bytes = (struct field_bytes){ NULL, 0 };
	}
}
