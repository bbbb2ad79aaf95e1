/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/kms.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/keyprovider/alarms.h"

#define OBJECT_SIZE (NAME_MAX_SIZE + 8)
#define UNREACHABLE "kms.unreachable"

struct kms {
	struct kms *next;
	size_t users;		/* the table is one, while it is listed */
	struct kms_record record;
	struct kmip *client;
};

struct kms_table {
	pthread_mutex_t lock;
	struct store *store;
	const struct secret *sealing;
	struct kms *first;
};

int
kms_table_new(struct store *store, const struct secret *sealing,
    struct kms_table **out, struct err *err)
{
	struct kms_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return err_sys(err, errno, "no memory for a table of KMSes");
	pthread_mutex_init(&t->lock, NULL);
	t->store = store;
	t->sealing = sealing;
	*out = t;
	return 0;
}

static void
kms_free(struct kms *k)
{
	kmip_free(k->client);
	kms_record_reset(&k->record);
	free(k);
}

void
kms_table_free(struct kms_table *t)
{
	if (t == NULL)
		return;
	while (t->first != NULL) {
		struct kms *k = t->first;

		t->first = k->next;
		kms_free(k);
	}
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* With the lock. */
static void
let_go(struct kms *k)
{
	if (--k->users == 0)
		kms_free(k);
}

static void
unlist(struct kms **at)
{
	struct kms *k = *at;

	*at = k->next;
	let_go(k);
}

/* The listed one of this record and version, held; others of its name go. */
static struct kms *
find(struct kms_table *t, const char *name, uint64_t version)
{
	struct kms **at = &t->first, *found = NULL;

	while (*at != NULL) {
		if (strcmp((*at)->record.name, name) != 0) {
			at = &(*at)->next;
		} else if ((*at)->record.version == version) {
			found = *at;
			at = &(*at)->next;
		} else {
			unlist(at);
		}
	}
	if (found != NULL)
		found->users++;
	return found;
}

static int
make(struct kms_table *t, const struct store_record *record, struct kms **out,
    struct err *err)
{
	struct kms *k = calloc(1, sizeof(*k));
	json_t *json = NULL;
	int rc;

	if (k == NULL)
		return err_sys(err, errno, "no memory for a KMS");
	if ((rc = record_parse(KMS_KIND, record, &json, err)) == 0 &&
	    (rc = kms_record_read(json, record->key, t->sealing, &k->record,
	    err)) == 0)
		rc = kms_connect(&k->record, KMS_ALL_NODES, &k->client, err);
	json_decref(json);
	if (rc < 0) {
		kms_free(k);
		return rc;
	}
	k->record.version = record->version;
	*out = k;
	return 0;
}

static int
hold_record(struct kms_table *t, const struct store_record *record,
    struct kms **out, struct err *err)
{
	struct kms *k;
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	k = find(t, record->key, record->version);
	if (k == NULL && (rc = make(t, record, &k, err)) == 0) {
		k->users = 2;
		k->next = t->first;
		t->first = k;
	}
	pthread_mutex_unlock(&t->lock);
	*out = k;
	return rc;
}

static int
find_default(struct kms_table *t, char name[NAME_MAX_SIZE], struct err *err)
{
	struct store_list list = { 0 };
	int rc = store_list(t->store, &(struct store_query){
	    .kind = KMS_KIND }, &list, err);

	name[0] = '\0';
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		json_t *json = NULL;

		if ((rc = record_parse(KMS_KIND, &list.records[i], &json,
		    err)) == 0 && (list.count == 1 ||
		    json_is_true(json_object_get(json, "default"))))
			snprintf(name, NAME_MAX_SIZE, "%s",
			    list.records[i].key);
		json_decref(json);
	}
	if (rc == 0 && name[0] == '\0')
		rc = list.count == 0 ? err_set(err, ERR_NOTFOUND, "this "
		    "authority has no KMS yet: add one with vtactl kms add") :
		    err_set(err, ERR_NOTFOUND, "none of the %zu KMSes is the "
		    "default one: vtactl kms add --default", list.count);
	store_list_reset(&list);
	return rc;
}

int
kms_hold(struct kms_table *t, const char *name, struct kms **out,
    struct err *err)
{
	struct store_record record = { 0 };
	char found[NAME_MAX_SIZE];
	int rc;

	*out = NULL;
	if (name == NULL) {
		if ((rc = find_default(t, found, err)) < 0)
			return rc;
		name = found;
	}
	rc = store_get(t->store, KMS_KIND, name, &record, err);
	if (rc == ERR_NOTFOUND)
		rc = err_set(err, rc, "the KMS %s has been removed from this "
		    "authority: add it again with vtactl kms add", name);
	else if (rc == 0)
		rc = hold_record(t, &record, out, err);
	store_record_reset(&record);
	return rc;
}

void
kms_release(struct kms_table *t, struct kms *k)
{
	if (k == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	let_go(k);
	pthread_mutex_unlock(&t->lock);
}

struct kmip *
kms_client(const struct kms *k)
{
	return k->client;
}

const struct kms_record *
kms_of(const struct kms *k)
{
	return &k->record;
}

static void
alarm_object(const struct kms *k, char out[OBJECT_SIZE])
{
	snprintf(out, OBJECT_SIZE, "kms/%s", k->record.name);
}

static void
forget_removed(struct kms_table *t, const struct store_list *list,
    struct alarms *alarms)
{
	char object[OBJECT_SIZE];
	struct kms **at = &t->first;

	pthread_mutex_lock(&t->lock);
	while (*at != NULL) {
		bool there = false;

		for (size_t i = 0; i < list->count; i++)
			there |= strcmp(list->records[i].key,
			    (*at)->record.name) == 0;
		if (there) {
			at = &(*at)->next;
			continue;
		}
		alarm_object(*at, object);
		alarm_clear(alarms, UNREACHABLE, object);
		unlist(at);
	}
	pthread_mutex_unlock(&t->lock);
}

/* Before the first call nothing is known of a node: what there was stays. */
static void
judge_one(const struct kms *k, struct alarms *alarms)
{
	struct kmip_node_status nodes[KMIP_NODES_MAX];
	size_t count = kmip_status(k->client, nodes, KMIP_NODES_MAX);
	char object[OBJECT_SIZE], text[KMIP_TEXT_SIZE + ERR_TEXT_MAX + 128];
	size_t down = 0, up = 0;

	for (size_t i = 0; i < count; i++) {
		down += nodes[i].health == KMIP_DOWN;
		up += nodes[i].health == KMIP_UP;
	}
	alarm_object(k, object);
	if (up > 0)
		alarm_clear(alarms, UNREACHABLE, object);
	if (down < count)
		return;
	snprintf(text, sizeof(text), "%s: %s%s. Keys that are held go on; "
	    "no other can be got", nodes[0].name, nodes[0].error, count > 1 ?
	    ", and the other nodes do not answer either" : "");
	alarm_raise(alarms, UNREACHABLE, object, text);
}

void
kms_judge(struct kms_table *t, struct alarms *alarms)
{
	pthread_mutex_lock(&t->lock);
	for (const struct kms *k = t->first; k != NULL; k = k->next)
		judge_one(k, alarms);
	pthread_mutex_unlock(&t->lock);
}

void
kms_check(struct kms_table *t, struct alarms *alarms)
{
	struct store_list list = { 0 };
	struct err err = { 0 };

	if (store_list(t->store, &(struct store_query){ .kind = KMS_KIND },
	    &list, &err) < 0) {
		log_warning("cannot read which KMSes there are: %s", err.text);
		return;
	}
	forget_removed(t, &list, alarms);
	for (size_t i = 0; i < list.count; i++) {
		struct kms *k;

		err = (struct err){ 0 };
		if (hold_record(t, &list.records[i], &k, &err) < 0) {
			log_warning("%s", err.text);
			continue;
		}
		(void)kmip_check(k->client);
		kms_release(t, k);
		/* The next one may take seconds. */
		kms_judge(t, alarms);
	}
	store_list_reset(&list);
}

static json_t *
nodes_json(const struct kms *k)
{
	static const char *const health[] = { "unknown", "up", "down" };
	struct kmip_node_status nodes[KMIP_NODES_MAX];
	size_t count = kmip_status(k->client, nodes, KMIP_NODES_MAX);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_pack("{ss ss sI ss sI}",
		    "name", nodes[i].name, "health", health[nodes[i].health],
		    "since", (json_int_t)nodes[i].since, "error",
		    nodes[i].health == KMIP_DOWN ? nodes[i].error : "",
		    "answers", (json_int_t)nodes[i].answers));
	return list;
}

json_t *
kms_status(struct kms_table *t, const char *only)
{
	json_t *all = json_object();

	pthread_mutex_lock(&t->lock);
	for (struct kms *k = t->first; k != NULL; k = k->next)
		if (only == NULL || strcmp(only, k->record.name) == 0)
			json_object_set_new(all, k->record.name, json_pack(
			    "{so sb}", "nodes", nodes_json(k), "default",
			    k->record.is_default));
	pthread_mutex_unlock(&t->lock);
	return all;
}
