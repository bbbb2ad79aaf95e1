/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/kept.h"
#include "trust-authority/agent/daemon/kmxd.h"
#include "trust-authority/agent/daemon/owner.h"

#define LONG_SECONDS 60
#define SHORT_SECONDS 3		/* while there is something to tell */
#define PREFETCH_SECONDS 300
#define WRAPPED_MAX AGENT_WRAPPED_MAX

struct keeper {
	struct kmxa *k;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool wanted;
	time_t prefetched;		/* monotonic */
};

/* Which wrapped key it is that is sealed. */
static int
record_hash(struct kmxa *k, const uint8_t vm[UUID_SIZE],
    const uint8_t hash[KEYS_HASH_SIZE], struct err *err)
{
	struct kept *kept = keys_kept(k->keys);
	struct kept_record r;
	int rc;

	kmxa_vm_lock(k, vm);
	rc = kept_load(kept, vm, &r, err);
	if (rc == ERR_NOTFOUND || rc == ERR_AUTH || rc == ERR_FORMAT)
		memset(&r, 0, sizeof(r));
	else if (rc < 0)
		goto out;
	memcpy(r.vm, vm, UUID_SIZE);
	memcpy(r.hash, hash, KEYS_HASH_SIZE);
	rc = kept_save(kept, &r, err);
out:
	kmxa_vm_unlock(k, vm);
	return rc;
}

static void
seal_new(struct kmxa *k)
{
	uint8_t vm[UUID_SIZE], hash[KEYS_HASH_SIZE];
	char name[UUID_TEXT_SIZE];
	struct secret *key;
	struct err err = { 0 };
	int rc;

	while (keys_next_unsealed(k->keys, vm, hash, &key)) {
		if ((rc = kept_seal(keys_kept(k->keys), vm, key, &err)) == 0)
			rc = record_hash(k, vm, hash, &err);
		secret_free(key);
		uuid_format(vm, name);
		/* Trust may have been lost meanwhile. */
		if (rc == 0 && trust_state(k->trust) != TRUST_ATTESTED) {
			keys_drop(k->keys, vm);
			continue;
		}
		if (rc == 0) {
			keys_sealed(k->keys, vm, hash);
			log_event(LOG_LEVEL_INFO, "agent.key_kept", "vm=%s",
			    name);
		} else
			log_event(LOG_LEVEL_WARNING, "agent.not_kept", "vm=%s "
			    "error=\"%s\"", name, err.text);
	}
}

/* Whether all has been told. */
static bool
tell_all(struct kmxa *k)
{
	uint8_t (*vms)[UUID_SIZE] = NULL;
	struct kept_record r;
	struct err err = { 0 };
	size_t count = 0;
	bool all = true;

	if (keys_kept(k->keys) == NULL)
		return true;
	if (kept_list(keys_kept(k->keys), &vms, &count, &err) < 0)
		log_error("%s", err.text);
	for (size_t i = 0; i < count; i++) {
		if (kept_load(keys_kept(k->keys), vms[i], &r, NULL) < 0 ||
		    !r.dirty)
			continue;
		owner_reconcile(k, vms[i]);
		all = all && kept_load(keys_kept(k->keys), vms[i], &r,
		    NULL) == 0 && !r.dirty;
	}
	free(vms);
	return all;
}

static int
put_one(struct kmxa *k, const struct kmxd_answer *answer, const json_t *one,
    struct err *err)
{
	const char *name = json_string_value(json_object_get(one, "vm"));
	uint8_t vm[UUID_SIZE], hash[KEYS_HASH_SIZE], *wrapped = NULL;
	struct secret *key = NULL;
	size_t size;
	int rc;

	if (name == NULL || uuid_parse(name, vm) < 0)
		return kmxd_broken(answer, "vm", err);
	if (kmxa_bytes(one, "wrapped", WRAPPED_MAX, &wrapped, &size) < 0)
		return kmxd_broken(answer, "wrapped", err);
	if ((rc = keys_hash(wrapped, size, hash, err)) == 0 &&
	    (rc = kmxd_key(answer, one, &key, err)) == 0)
		keys_put(k->keys, vm, hash, key, false);
	secret_free(key);
	free(wrapped);
	return rc;
}

/* One piece of the list; *after is the last VM of it. */
static int
fetch_some(struct kmxa *k, char after[UUID_TEXT_SIZE], size_t *count,
    bool *more, struct err *err)
{
	char path[64];
	struct kmxd_call call = { .method = HTTP_GET, .path = path };
	struct kmxd_answer answer;
	const json_t *list, *one;
	int rc;

	snprintf(path, sizeof(path), "/v1/keys%s%s", after[0] != '\0' ?
	    "?after=" : "", after);
	rc = kmxd_call(k, &call, &answer, err);
	list = json_object_get(answer.http.json, "keys");
	*more = json_is_true(json_object_get(answer.http.json, "more"));
	for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
		one = json_array_get(list, i);
		if ((rc = put_one(k, &answer, one, err)) < 0)
			break;
		snprintf(after, UUID_TEXT_SIZE, "%s", json_string_value(
		    json_object_get(one, "vm")));
		++*count;
	}
	if (json_array_size(list) == 0)
		*more = false;
	kmxd_answer_reset(&answer);
	return rc;
}

static void
prefetch(struct keeper *w)
{
	char after[UUID_TEXT_SIZE] = "";
	struct err err = { 0 };
	struct timespec now;
	size_t count = 0;
	bool more = true;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!w->k->settings.keys.prefetch ||
	    trust_state(w->k->trust) != TRUST_ATTESTED ||
	    (w->prefetched != 0 &&
	    now.tv_sec - w->prefetched < PREFETCH_SECONDS))
		return;
	while (rc == 0 && more)
		rc = fetch_some(w->k, after, &count, &more, &err);
	if (rc < 0) {
		log_event(LOG_LEVEL_WARNING, "agent.prefetch_failed",
		    "count=%zu error=\"%s\"", count, err.text);
		return;
	}
	w->prefetched = now.tv_sec;
	log_event(LOG_LEVEL_INFO, "agent.prefetched", "count=%zu", count);
	if (trust_state(w->k->trust) != TRUST_ATTESTED)
		kmxa_trust_lost(w->k);
}

static void *
run(void *arg)
{
	struct keeper *w = arg;
	struct timespec end;
	bool all;

	for (;;) {
		seal_new(w->k);
		prefetch(w);
		all = tell_all(w->k);
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += all ? LONG_SECONDS : SHORT_SECONDS;
		pthread_mutex_lock(&w->lock);
		if (!w->wanted)
			(void)pthread_cond_timedwait(&w->wake, &w->lock, &end);
		w->wanted = false;
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

int
keeper_start(struct kmxa *k, struct keeper **out, struct err *err)
{
	struct keeper *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;
	int sys;

	if (w == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	w->k = k;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	*out = w;
	if ((sys = pthread_create(&w->thread, NULL, run, w)) == 0)
		return 0;
	*out = NULL;
	free(w);
	return err_sys(err, sys, "cannot start a thread");
}

void
keeper_wake(struct kmxa *k)
{
	struct keeper *w = k->keeper;

	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->wanted = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}
