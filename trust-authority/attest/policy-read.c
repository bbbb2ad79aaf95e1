/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/policy-read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
type_name(json_type type)
{
	switch (type) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	default:
		return "true or false";
	}
}

int
type_check(const json_t *value, json_type type, const char *path,
    struct err *err)
{
	if (type == JSON_TRUE ? json_is_boolean(value) :
	    json_typeof(value) == type)
		return 0;
	return err_set(err, ERR_FORMAT, "policy: %s must be %s", path,
	    type_name(type));
}

static void
path_join(char out[POLICY_PATH_MAX], const char *path, const char *name)
{
	snprintf(out, POLICY_PATH_MAX, "%s%s%.40s", path,
	    path[0] == '\0' ? "" : ".", name);
}

static const struct member *
member_find(const struct member *table, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

int
members_read(json_t *object, const struct member *table, size_t count,
    struct policy *p, const char *path, struct err *err)
{
	char where[POLICY_PATH_MAX];
	const char *name;
	json_t *value;
	int rc;

	json_object_foreach(object, name, value) {
		path_join(where, path, name);
		if (member_find(table, count, name) == NULL)
			return err_set(err, ERR_FORMAT,
			    "policy: %s is not known", where);
	}
	/* In the table's order: some depend on what comes before. */
	for (size_t i = 0; i < count; i++) {
		path_join(where, path, table[i].name);
		value = json_object_get(object, table[i].name);
		if (value == NULL && table[i].required)
			return err_set(err, ERR_FORMAT,
			    "policy: %s is missing", where);
		if (value == NULL)
			continue;
		if ((rc = type_check(value, table[i].type, where, err)) < 0 ||
		    (rc = table[i].read(value, p, where, err)) < 0)
			return rc;
	}
	return 0;
}

static int
digest_read(const json_t *value, const struct hash_alg *alg, uint8_t *out,
    const char *path, size_t index, struct err *err)
{
	if (!json_is_string(value) ||
	    hash_unhex(json_string_value(value), out, alg->size) < 0)
		return err_set(err, ERR_FORMAT, "policy: %s[%zu] must be a "
		    "digest of the bank %s, %zu hexadecimal digits", path,
		    index, alg->name, 2 * alg->size);
	return 0;
}

/* Room for all elements; an empty array still gets some. */
static void *
array_room(const json_t *array, size_t size)
{
	return calloc(json_array_size(array) + 1, size);
}

int
digest_list_read(json_t *array, const struct hash_alg *alg,
    struct digest_list *list, const char *path, struct err *err)
{
	json_t *value;
	size_t i;
	int rc;

	if ((list->digest = array_room(array, sizeof(*list->digest))) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	json_array_foreach(array, i, value)
		if ((rc = digest_read(value, alg, list->digest[i], path, i,
		    err)) < 0)
			return rc;
	list->count = json_array_size(array);
	list->given = true;
	return 0;
}

void
digest_list_free(struct digest_list *list)
{
	free(list->digest);
}

bool
digest_list_has(const struct digest_list *list, const uint8_t *digest,
    size_t size)
{
	for (size_t i = 0; i < list->count; i++)
		if (memcmp(list->digest[i], digest, size) == 0)
			return true;
	return false;
}

int
text_list_read(json_t *array, struct text_list *list, const char *path,
    struct err *err)
{
	json_t *value;
	size_t i;

	if ((list->text = array_room(array, sizeof(*list->text))) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	list->given = true;
	json_array_foreach(array, i, value) {
		if (!json_is_string(value))
			return err_set(err, ERR_FORMAT,
			    "policy: %s[%zu] must be a string", path, i);
		list->text[i] = strdup(json_string_value(value));
		if (list->text[i] == NULL)
			return err_set(err, ERR_INTERNAL, "out of memory");
		list->count = i + 1;
	}
	return 0;
}

void
text_list_free(struct text_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->text[i]);
	free(list->text);
}

static int
measured_read(json_t *value, const struct hash_alg *alg,
    struct measured *item, const char *path, size_t index, struct err *err)
{
	const char *name, *digest;
	json_error_t why;
	int required = 0;

	if (json_unpack_ex(value, &why, JSON_STRICT, "{s:s,s:s,s?b}", "name",
	    &name, "digest", &digest, "required", &required) < 0)
		return err_set(err, ERR_FORMAT, "policy: %s[%zu]: %s", path,
		    index, why.text);
	if (hash_unhex(digest, item->digest, alg->size) < 0)
		return err_set(err, ERR_FORMAT, "policy: %s[%zu].digest must "
		    "be one of the bank %s, %zu hexadecimal digits", path,
		    index, alg->name, 2 * alg->size);
	if (strlen(name) > MEASURED_NAME_MAX)
		return err_set(err, ERR_FORMAT, "policy: %s[%zu].name has more "
		    "than %d bytes", path, index, MEASURED_NAME_MAX);
	item->required = required != 0;
	if ((item->name = strdup(name)) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	return 0;
}

int
measured_list_read(json_t *array, const struct hash_alg *alg,
    struct measured_list *list, const char *path, struct err *err)
{
	json_t *value;
	size_t i;
	int rc;

	if ((list->item = array_room(array, sizeof(*list->item))) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	list->given = true;
	json_array_foreach(array, i, value) {
		if ((rc = measured_read(value, alg, &list->item[i], path, i,
		    err)) < 0)
			return rc;
		list->count = i + 1;
	}
	return 0;
}

void
measured_list_free(struct measured_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->item[i].name);
	free(list->item);
}

/* "sha256:hex". */
static int
named_digest_read(const char *text, const struct hash_alg **alg,
    uint8_t out[HASH_MAX])
{
	const char *colon = strchr(text, ':');
	char name[16];
	size_t n;

	if (colon == NULL || (n = (size_t)(colon - text)) >= sizeof(name))
		return ERR_FORMAT;
	memcpy(name, text, n);
	name[n] = '\0';
	if ((*alg = hash_by_name(name)) == NULL)
		return ERR_FORMAT;
	return hash_unhex(colon + 1, out, (*alg)->size);
}

int
digest_set_read(json_t *array, struct digest_set *set, const char *path,
    struct err *err)
{
	const struct hash_alg *alg;
	uint8_t digest[HASH_MAX];
	json_t *value;
	size_t i;
	int rc;

	json_array_foreach(array, i, value) {
		if (!json_is_string(value) || named_digest_read(
		    json_string_value(value), &alg, digest) < 0)
			return err_set(err, ERR_FORMAT, "policy: %s[%zu] must "
			    "be a digest as \"sha256:...\"", path, i);
		if ((rc = digest_set_add(set, alg, digest, err)) < 0) {
			err_prefix(err, "policy: %s[%zu]", path, i);
			return rc;
		}
	}
	return 0;
}
