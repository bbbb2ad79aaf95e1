/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/record.h"

#include <stdio.h>
#include <string.h>

#include "trust-authority/common/json-fast.h"

int
record_damaged(const char *kind, const char *key, struct err *err)
{
	return err_set(err, ERR_FORMAT, "the store's record %s/%s is damaged: "
	    "restore the store from a backup", kind, key);
}

int
record_parse(const char *kind, const struct store_record *record,
    json_t **out, struct err *err)
{
	*out = json_fast_load(record->value, record->size, NULL);
	if (json_is_object(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return record_damaged(kind, record->key, err);
}

int
record_get(struct store *store, const char *kind, const char *key,
    json_t **out, uint64_t *version, struct err *err)
{
	struct store_record record = { 0 };
	int rc = store_get(store, kind, key, &record, err);

	*out = NULL;
	if (rc == 0) {
		if (version != NULL)
			*version = record.version;
		rc = record_parse(kind, &record, out, err);
	}
	store_record_reset(&record);
	return rc;
}

char *
record_text(const json_t *json)
{
	return json_fast_dump(json, true);
}

struct store_op
record_put(const char *kind, const char *key, const char *text,
    uint64_t expect)
{
	return (struct store_op){ .what = STORE_PUT, .kind = kind, .key = key,
		.value = text, .size = strlen(text), .expect = expect };
}

int
err_as(struct err *err, int code)
{
	if (err != NULL)
		err->code = code;
	return code;
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
hex_read(const char *text, uint8_t *out, size_t size)
{
	if (text == NULL || strlen(text) != 2 * size)
		return ERR_FORMAT;
	for (size_t i = 0; i < size; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return ERR_FORMAT;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

void
hex_write(const uint8_t *data, size_t size, char *out)
{
	for (size_t i = 0; i < size; i++)
		snprintf(out + 2 * i, 3, "%02x", data[i]);
}
