/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/etcd-json.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "trust-authority/common/store-backend.h"

static json_t *
to_base64(const void *data, size_t size)
{
	size_t room = (size + 2) / 3 * 4 + 1;
	unsigned char *text = malloc(room);
	json_t *out;

	if (text == NULL)
		return NULL;
	(void)EVP_EncodeBlock(text, data, (int)size);
	out = json_string((const char *)text);
	cleanse(text, room);
	free(text);
	return out;
}

/* RFC 4648, 4. *out is malloc'ed. */
static int
from_base64(const char *text, uint8_t **out, size_t *size)
{
	size_t length = strlen(text), padding = 0;
	int n;

	if (length % 4 != 0 || length > INT32_MAX ||
	    (*out = malloc(length / 4 * 3 + 1)) == NULL)
		return ERR_FORMAT;
	while (padding < 2 && padding < length &&
	    text[length - 1 - padding] == '=')
		padding++;
	n = EVP_DecodeBlock(*out, (const unsigned char *)text, (int)length);
	if (n < 0 || (size_t)n < padding) {
		free(*out);
		*out = NULL;
		return ERR_FORMAT;
	}
	*size = (size_t)n - padding;
	return 0;
}

json_t *
etcd_key(const char *prefix, const char *kind, const char *key,
    const void *tail, size_t tail_size)
{
	char text[64 + STORE_KIND_MAX + STORE_KEY_MAX + 8];
	int n = snprintf(text, sizeof(text), "%s/%s/%s", prefix, kind, key);

	if (n < 0 || (size_t)n + tail_size > sizeof(text))
		return NULL;
	if (tail_size > 0)
		memcpy(text + n, tail, tail_size);
	return to_base64(text, (size_t)n + tail_size);
}

json_t *
etcd_number(uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	return json_string(text);
}

/* Ranges are ordered by key unless they say otherwise. */
json_t *
etcd_range_request(const char *prefix, const struct store_query *q)
{
	bool on = strcmp(q->after, q->prefix) >= 0;

	/* The key behind `after` is `after` and a NUL. */
	return json_pack("{so so so so*}",
	    "key", etcd_key(prefix, q->kind, on ? q->after : q->prefix, "",
	    on && q->after[0] != '\0' ? 1 : 0),
	    "range_end", etcd_key(prefix, q->kind, q->prefix, STORE_AFTER_ALL,
	    1),
	    "limit", etcd_number(q->max + 1),
	    "min_mod_revision", q->since == 0 ? NULL :
	    etcd_number(q->since + 1));
}

static int
add_op(json_t *compare, json_t *success, json_t *failure, const char *prefix,
    const struct store_op *op)
{
	json_t *key = etcd_key(prefix, op->kind, op->key, NULL, 0);
	int failed = key == NULL;

	if (op->expect != STORE_ANY) {
		failed |= json_array_append_new(compare, json_pack(
		    "{sO ss so ss}", "key", key, "target", "MOD",
		    "mod_revision", etcd_number(op->expect), "result",
		    "EQUAL"));
		failed |= json_array_append_new(failure, json_pack(
		    "{s{sO}}", "request_range", "key", key));
	}
	if (op->what == STORE_PUT)
		failed |= json_array_append_new(success, json_pack(
		    "{s{sO so}}", "request_put", "key", key, "value",
		    to_base64(op->size > 0 ? op->value : "", op->size)));
	else if (op->what == STORE_REMOVE)
		failed |= json_array_append_new(success, json_pack(
		    "{s{sO}}", "request_delete_range", "key", key));
	json_decref(key);
	return failed ? ERR_SYSTEM : 0;
}

static int
add_mark(json_t *success, json_t *failure, const char *prefix,
    const struct store_op *mark)
{
	json_t *key = etcd_key(prefix, mark->kind, mark->key, NULL, 0);
	int failed = key == NULL;

	failed |= json_array_append_new(success, json_pack("{s{sO so}}",
	    "request_put", "key", key, "value",
	    to_base64(mark->value, mark->size)));
	failed |= json_array_append_new(failure, json_pack("{s{sO}}",
	    "request_range", "key", key));
	json_decref(key);
	return failed ? ERR_SYSTEM : 0;
}

json_t *
etcd_txn_request(const char *prefix, const struct store_op *ops, size_t count,
    const struct store_op *mark)
{
	json_t *compare = json_array(), *success = json_array();
	json_t *failure = json_array(), *out = NULL;
	int failed = compare == NULL || success == NULL || failure == NULL;

	for (size_t i = 0; i < count && !failed; i++)
		failed = add_op(compare, success, failure, prefix, &ops[i]) < 0;
	if (!failed && add_mark(success, failure, prefix, mark) == 0)
		out = json_pack("{sO sO sO}", "compare", compare, "success",
		    success, "failure", failure);
	json_decref(compare);
	json_decref(success);
	json_decref(failure);
	return out;
}

int
etcd_get_number(const json_t *object, const char *name, uint64_t *out)
{
	const json_t *value = json_object_get(object, name);
	const char *text = json_string_value(value);
	char *end;

	*out = 0;
	if (value == NULL)
		return 0;
	if (text == NULL || !isdigit((unsigned char)text[0]))
		return ERR_FORMAT;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return *end == '\0' && errno == 0 ? 0 : ERR_FORMAT;
}

static int
get_record(const json_t *kv, size_t prefix_size, struct store_list *out)
{
	const char *key64 = json_string_value(json_object_get(kv, "key"));
	const char *value64 = json_string_value(json_object_get(kv, "value"));
	uint8_t *key = NULL, *value = NULL;
	size_t key_size = 0, size = 0;
	uint64_t version;
	int rc = ERR_FORMAT;

	if (key64 == NULL || from_base64(key64, &key, &key_size) < 0 ||
	    key_size <= prefix_size || memchr(key, '\0', key_size) != NULL ||
	    (value64 != NULL && from_base64(value64, &value, &size) < 0) ||
	    etcd_get_number(kv, "mod_revision", &version) < 0 || version == 0)
		goto out;
	rc = store_list_add(out, key + prefix_size, key_size - prefix_size,
	    value, size, version);
out:
	free(key);
	if (value != NULL)
		cleanse(value, size);
	free(value);
	return rc;
}

int
etcd_get_records(const json_t *range, size_t prefix_size,
    struct store_list *out)
{
	const json_t *kvs = json_object_get(range, "kvs"), *kv;
	size_t i;
	int rc;

	if (!json_is_object(range) || (kvs != NULL && !json_is_array(kvs)))
		return ERR_FORMAT;
	json_array_foreach(kvs, i, kv)
		if ((rc = get_record(kv, prefix_size, out)) < 0)
			return rc;
	return 0;
}
