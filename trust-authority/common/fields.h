/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON objects as structs, by a table: bodies of requests and records of the
 * store. Strict: a member that is not in the table, of another type, too long
 * or, if required, missing is refused by its name.
 */
#ifndef TRUST_AUTHORITY_COMMON_FIELDS_H
#define TRUST_AUTHORITY_COMMON_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define NAME_MAX_SIZE 65	/* a name with its NUL */

enum field_type {
	FIELD_TEXT,	/* char[room]; no control characters */
	FIELD_NAME,	/* char[NAME_MAX_SIZE]: name_is_good */
	FIELD_HEX,	/* char[room]: room - 1 lower-case digits, exactly */
	FIELD_FLAG,	/* bool */
	FIELD_NUMBER,	/* int64_t, 0 to 2^53 */
	FIELD_BYTES,	/* struct field_bytes: base64url; room: most bytes */
	FIELD_JSON,	/* json_t *, borrowed from what is read */
};

enum {
	FIELD_NEEDED = 1,
	FIELD_MAY_BE_EMPTY = 2,	/* "" is a FIELD_NAME or FIELD_HEX too */
	FIELD_LINES = 4,	/* a FIELD_TEXT of several lines, as PEM */
};

struct field_bytes {
	uint8_t *data;		/* malloc'ed; NULL where it was not there */
	size_t size;
};

struct field {
	const char *name;
	enum field_type type;
	size_t at, room;
	unsigned int flags;
};

/* 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot or a dash. */
bool name_is_good(const char *name);

/* Into a struct that the caller has set to its defaults. what: "the body",
 * "the record host/lab-7". code: that of what is wrong, ERR_USAGE for a request.
 * After an error, too, the caller frees the bytes (fields_reset). */
int fields_read(const json_t *json, const struct field *fields, size_t count,
    void *into, int code, const char *what, struct err *err);
/* Texts that are empty, bytes that are not there, JSON that is NULL, numbers of
 * zero and flags of false are left out, unless FIELD_NEEDED. NULL: no memory. */
json_t *fields_write(const struct field *fields, size_t count,
    const void *from);
/* Canonical text (RFC 8785): sorted, without spaces. NULL: no memory. */
char *fields_text(const struct field *fields, size_t count, const void *from);
/* Frees all FIELD_BYTES. */
void fields_reset(const struct field *fields, size_t count, void *from);

#define FIELD_AT(type, member) offsetof(type, member), \
	sizeof(((type *)NULL)->member)
#define FIELD_JSON_AT(type, member) offsetof(type, member), 0
#define FIELDS_COUNT(table) (sizeof(table) / sizeof((table)[0]))

#endif
