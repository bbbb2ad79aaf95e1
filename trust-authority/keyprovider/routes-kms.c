/* SPDX-License-Identifier: BSD-3-Clause */
/* Which KMSes there are, for administrators. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/keyprovider/kmxd.h"
#include "trust-authority/keyprovider/vm.h"

#define PUT_TRIES 5

static int
check_name(const char *name, struct err *err)
{
	return name_is_good(name) ? 0 : err_set(err, ERR_USAGE, "a name of a "
	    "KMS is 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with . or -");
}

/* The record as it is shown, with the state of its nodes. */
static int
shown(struct kmxd *k, const struct store_record *record, json_t **out,
    struct err *err)
{
	struct kms_record *r = calloc(1, sizeof(*r));
	json_t *json = NULL, *status;
	int rc;

	if (r == NULL)
		return err_sys(err, errno, "no memory");
	if ((rc = record_parse(KMS_KIND, record, &json, err)) == 0 &&
	    (rc = kms_record_read(json, record->key, k->kms_sealing, r,
	    err)) == 0) {
		if ((*out = kms_record_json(r, NULL, err)) == NULL)
			rc = ERR_SYSTEM;
	}
	if (rc == 0) {
		status = kms_status(k->kms, record->key);
		json_object_set_new(*out, "name", json_string(record->key));
		json_object_set(*out, "state", json_object_get(
		    json_object_get(status, record->key), "nodes"));
		json_decref(status);
	}
	kms_record_reset(r);
	free(r);
	json_decref(json);
	return rc;
}

static int
get_all(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;
	struct store_list list = { 0 };
	json_t *all = json_array();
	int rc = store_list(k->service.store, &(struct store_query){
	    .kind = KMS_KIND }, &list, err);

	(void)request;
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		json_t *one = NULL;

		if ((rc = shown(k, &list.records[i], &one, err)) == 0)
			json_array_append_new(all, one);
	}
	if (rc == 0)
		answer->json = json_pack("{sO}", "kms", all);
	json_decref(all);
	store_list_reset(&list);
	return rc;
}

static int
get_one(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;
	struct store_record record = { 0 };
	int rc = check_name(request->params[0], err);

	if (rc == 0)
		rc = store_get(k->service.store, KMS_KIND,
		    request->params[0], &record, err);
	if (rc == 0)
		rc = shown(k, &record, &answer->json, err);
	store_record_reset(&record);
	return rc;
}

/* Each node answers and can do what is needed of it. */
static int
try_it(const struct kms_record *r, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->node_count; i++) {
		struct kmip_info info;
		struct kmip *c = NULL;

		if ((rc = kms_connect(r, i, &c, err)) == 0 &&
		    (rc = kmip_query(c, &info, err)) == 0 && !info.complete)
			rc = err_set(err, ERR_UNSUPPORTED, "the node %s "
			    "cannot do all that is needed: it lacks %s",
			    r->nodes[i], info.missing);
		kmip_free(c);
	}
	if (rc == 0)
		return 0;
	/* Not this service's fault, and to be mended by who asks. */
	err_prefix(err, "the KMS was tried, and is not taken");
	err_append(err, " (or add it with --untested)");
	return err_as(err, ERR_REFUSED);
}

/* The other that was the default, which it is no more. */
static int
other_default(struct kmxd *k, const char *name, char key[NAME_MAX_SIZE],
    char **text, uint64_t *version, struct err *err)
{
	struct store_list list = { 0 };
	int rc = store_list(k->service.store, &(struct store_query){
	    .kind = KMS_KIND }, &list, err);

	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		json_t *json = NULL;

		rc = record_parse(KMS_KIND, &list.records[i], &json, err);
		if (rc == 0 && strcmp(list.records[i].key, name) != 0 &&
		    json_is_true(json_object_get(json, "default"))) {
			json_object_set_new(json, "default", json_false());
			*text = record_text(json);
			*version = list.records[i].version;
			snprintf(key, NAME_MAX_SIZE, "%s",
			    list.records[i].key);
		}
		json_decref(json);
	}
	store_list_reset(&list);
	return rc;
}

/* The version of the record that is written whenever the default is chosen: so
 * two who choose at once do not both find that there is none. */
static int
default_version(struct kmxd *k, uint64_t *version, struct err *err)
{
	struct store_record record = { 0 };
	int rc = store_get(k->service.store, KMS_DEFAULT_KIND,
	    KMS_DEFAULT_KEY, &record, err);

	*version = record.version;
	store_record_reset(&record);
	return rc == ERR_NOTFOUND ? 0 : rc;
}

static int
put_record(struct kmxd *k, const struct http_request *request,
    const struct kms_record *r, struct err *err)
{
	char key[NAME_MAX_SIZE], object[NAME_MAX_SIZE + 8], *other = NULL;
	char *text = NULL;
	struct store_op ops[3];
	uint64_t version = 0, chosen = 0;
	json_t *json = NULL;
	size_t count = 1;
	int rc = 0;

	if (r->is_default && (rc = default_version(k, &chosen, err)) == 0)
		rc = other_default(k, r->name, key, &other, &version, err);
	if (rc < 0)
		goto out;
	if ((json = kms_record_json(r, k->kms_sealing, err)) == NULL ||
	    (text = record_text(json)) == NULL) {
		rc = err_set(err, ERR_SYSTEM, "cannot seal the KMS's key");
		goto out;
	}
	ops[0] = record_put(KMS_KIND, r->name, text, STORE_ANY);
	if (other != NULL)
		ops[count++] = record_put(KMS_KIND, key, other, version);
	if (r->is_default)
		ops[count++] = record_put(KMS_DEFAULT_KIND, KMS_DEFAULT_KEY,
		    "{}", chosen);
	snprintf(object, sizeof(object), "kms/%s", r->name);
	rc = change_commit(k->service.store, request, (struct change){
	    "kms.put", object, json_pack("{ss sb}", "first_node", r->nodes[0],
	    "default", r->is_default) }, ops, count, err);
out:
	json_decref(json);
	free(text);
	free(other);
	return rc;
}

static int
put_one(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	const char *untested = http_query(request, "untested");
	struct kms_record *r = calloc(1, sizeof(*r));
	struct kmxd *k = ctx;
	int rc;

	if (r == NULL)
		return err_sys(err, errno, "no memory");
	if ((rc = check_name(request->params[0], err)) == 0 &&
	    (rc = kms_record_read(request->json, request->params[0], NULL, r,
	    err)) == 0 && (untested == NULL || strcmp(untested, "1") != 0))
		rc = try_it(r, err);
	/* Again where another default was chosen at the same moment. */
	for (int i = 0; rc == 0 && i < PUT_TRIES; i++) {
		rc = put_record(k, request, r, err);
		if ((rc != ERR_STALE && rc != ERR_EXISTS) ||
		    i == PUT_TRIES - 1)
			break;
		rc = 0;
	}
	if (rc == 0)
		answer->json = kms_record_json(r, NULL, err);
	kms_record_reset(r);
	free(r);
	return rc;
}

/* How many VMs have a KEK there that is not destroyed. */
static int
count_users(struct kmxd *k, const char *name, size_t *count, struct err *err)
{
	struct store_query query = { .kind = VM_KIND };
	char after[UUID_TEXT_SIZE];
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		struct store_list list = { 0 };

		rc = store_list(k->service.store, &query, &list, err);
		more = list.more;
		for (size_t i = 0; rc == 0 && i < list.count; i++) {
			json_t *json = NULL;
			struct vm vm = { 0 };
			bool uses = false;

			if ((rc = record_parse(VM_KIND, &list.records[i],
			    &json, err)) == 0)
				rc = vm_read(json, list.records[i].key, &vm,
				    err);
			for (size_t j = 0; j < vm.kek_count; j++)
				uses |= vm.keks[j].state != KEK_DESTROYED &&
				    strcmp(vm.keks[j].kms, name) == 0;
			*count += uses;
			snprintf(after, sizeof(after), "%s",
			    list.records[i].key);
			vm_reset(&vm);
			json_decref(json);
		}
		query.after = after;
		store_list_reset(&list);
	}
	return rc;
}

static int
delete_one(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	const char *name = request->params[0];
	char object[NAME_MAX_SIZE + 8];
	struct kmxd *k = ctx;
	struct store_record record = { 0 };
	struct store_op op = { .what = STORE_REMOVE, .kind = KMS_KIND,
		.key = name };
	size_t count = 0;
	int rc;

	(void)answer;
	if ((rc = check_name(name, err)) < 0 ||
	    (rc = store_get(k->service.store, KMS_KIND, name, &record,
	    err)) < 0 || (rc = count_users(k, name, &count, err)) < 0)
		goto out;
	if (count > 0) {
		rc = err_set(err, ERR_REFUSED, "%zu VMs have their KEK in the "
		    "KMS %s: shred them, or rekey them into another KMS and "
		    "retire the older KEKs", count, name);
		goto out;
	}
	op.expect = record.version;
	snprintf(object, sizeof(object), "kms/%s", name);
	rc = change_commit(k->service.store, request, (struct change){
	    "kms.remove", object, NULL }, &op, 1, err);
out:
	store_record_reset(&record);
	return rc;
}

const struct http_route routes_kms[] = {
	{ HTTP_GET, "/v1/kms", MAY_READ, 0, 0, get_all },
	{ HTTP_GET, "/v1/kms/{}", MAY_READ, 0, 0, get_one },
	{ HTTP_PUT, "/v1/kms/{}", MAY_ADMINISTER, 128 * 1024, 0, put_one },
	{ HTTP_DELETE, "/v1/kms/{}", MAY_ADMINISTER, 0, 0, delete_one },
	{ .path = NULL },
};
