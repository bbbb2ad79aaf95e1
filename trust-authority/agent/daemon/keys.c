/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/kept.h"

#define BUCKETS 4096
#define SLAB_KEYS 512		/* 16 KiB of locked memory at a time */
#define SLABS_MAX 256

struct entry {
	struct entry *next;
	uint8_t vm[UUID_SIZE];
	uint8_t hash[KEYS_HASH_SIZE];
	uint8_t *key;			/* in a slab */
	bool to_seal, sealed;
};

struct keys {
	struct kmxa *k;
	pthread_mutex_t lock;
	struct entry *bucket[BUCKETS];
	size_t count;
	struct secret *slab[SLABS_MAX];
	size_t slabs, used;		/* of the last slab */
	uint8_t **spare;		/* places that were given back */
	size_t spares;
	struct kept *kept;
};

int
keys_hash(const void *wrapped, size_t size, uint8_t hash[KEYS_HASH_SIZE],
    struct err *err)
{
	const struct hash_part part = { wrapped, size };
	uint8_t out[HASH_MAX];
	int rc;

	if ((rc = hash_digest(hash_by_id(TPM_ALG_SHA256), &part, 1, out,
	    err)) == 0)
		memcpy(hash, out, KEYS_HASH_SIZE);
	return rc;
}

int
keys_open(struct kmxa *k, struct keys **out, struct err *err)
{
	struct keys *keys = calloc(1, sizeof(*keys));
	int rc;

	if (keys == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	keys->k = k;
	pthread_mutex_init(&keys->lock, NULL);
	if ((keys->spare = calloc(SLABS_MAX * SLAB_KEYS,
	    sizeof(*keys->spare))) == NULL)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	else
		rc = kept_open(k, &keys->kept, err);
	if (rc == 0)
		*out = keys;
	else {
		free(keys->spare);
		free(keys);
	}
	return rc;
}

static void
drop_all(struct keys *keys)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct entry *e;

		while ((e = keys->bucket[i]) != NULL) {
			keys->bucket[i] = e->next;
			free(e);
		}
	}
	while (keys->slabs > 0)
		secret_free(keys->slab[--keys->slabs]);
	keys->count = keys->used = keys->spares = 0;
}

void
keys_cleanse(struct keys *keys)
{
	pthread_mutex_lock(&keys->lock);
	drop_all(keys);
	pthread_mutex_unlock(&keys->lock);
}

struct kept *
keys_kept(struct keys *keys)
{
	return keys->kept;
}

/* UUIDs are random, or near enough. */
static struct entry **
place_of(struct keys *keys, const uint8_t vm[UUID_SIZE])
{
	struct entry **at = &keys->bucket[(vm[0] << 8 | vm[15]) % BUCKETS];

	while (*at != NULL && memcmp((*at)->vm, vm, UUID_SIZE) != 0)
		at = &(*at)->next;
	return at;
}

static uint8_t *
room_for_key(struct keys *keys)
{
	if (keys->spares > 0)
		return keys->spare[--keys->spares];
	if (keys->slabs == 0 || keys->used == SLAB_KEYS) {
		struct secret *s = keys->slabs < SLABS_MAX ?
		    secret_new((size_t)SLAB_KEYS * DEK_SIZE) : NULL;

		if (s == NULL)
			return NULL;
		keys->slab[keys->slabs++] = s;
		keys->used = 0;
	}
	return secret_data(keys->slab[keys->slabs - 1]) +
	    keys->used++ * DEK_SIZE;
}

static struct entry *
entry_make(struct keys *keys, const uint8_t vm[UUID_SIZE])
{
	struct entry **at = place_of(keys, vm), *e;
	uint8_t *room;

	if (*at != NULL)
		return *at;
	if ((e = calloc(1, sizeof(*e))) == NULL ||
	    (room = room_for_key(keys)) == NULL) {
		free(e);
		return NULL;
	}
	e->key = room;
	memcpy(e->vm, vm, UUID_SIZE);
	*at = e;
	keys->count++;
	return e;
}

void
keys_put(struct keys *keys, const uint8_t vm[UUID_SIZE],
    const uint8_t hash[KEYS_HASH_SIZE], const struct secret *key, bool opened)
{
	struct entry *e;

	if (keys->kept == NULL && !keys->k->settings.keys.prefetch)
		return;
	pthread_mutex_lock(&keys->lock);
	if ((e = entry_make(keys, vm)) == NULL) {
		pthread_mutex_unlock(&keys->lock);
		log_warning("no room for another VM's key in locked memory "
		    "(%zu are there): it is not there while the KMS is away",
		    keys->count);
		return;
	}
	if (memcmp(e->hash, hash, KEYS_HASH_SIZE) != 0)
		e->sealed = false;
	if (keys->kept != NULL && opened)
		e->to_seal = !e->sealed;
	memcpy(e->hash, hash, KEYS_HASH_SIZE);
	memcpy(e->key, secret_bytes(key), DEK_SIZE);
	pthread_mutex_unlock(&keys->lock);
}

static struct secret *
from_memory(struct keys *keys, const uint8_t vm[UUID_SIZE],
    const uint8_t hash[KEYS_HASH_SIZE])
{
	struct secret *s = NULL;
	struct entry *e;

	pthread_mutex_lock(&keys->lock);
	e = *place_of(keys, vm);
	if (e != NULL && memcmp(e->hash, hash, KEYS_HASH_SIZE) == 0)
		s = secret_from(e->key, DEK_SIZE);
	pthread_mutex_unlock(&keys->lock);
	return s;
}

int
keys_get(struct keys *keys, const uint8_t vm[UUID_SIZE],
    const uint8_t hash[KEYS_HASH_SIZE], struct secret **key, struct err *err)
{
	if ((*key = from_memory(keys, vm, hash)) != NULL)
		return 0;
	if (keys->kept == NULL)
		return err_set(err, ERR_NOTFOUND, "this host keeps no keys "
		    "([keys] keep in vta-kmxa.conf)");
	return kept_key(keys->kept, vm, hash, key, err);
}

bool
keys_next_unsealed(struct keys *keys, uint8_t vm[UUID_SIZE],
    uint8_t hash[KEYS_HASH_SIZE], struct secret **key)
{
	*key = NULL;
	pthread_mutex_lock(&keys->lock);
	for (size_t i = 0; i < BUCKETS && *key == NULL; i++)
		for (struct entry *e = keys->bucket[i]; e != NULL;
		    e = e->next) {
			if (!e->to_seal)
				continue;
			e->to_seal = false;
			memcpy(vm, e->vm, UUID_SIZE);
			memcpy(hash, e->hash, KEYS_HASH_SIZE);
			*key = secret_from(e->key, DEK_SIZE);
			break;
		}
	pthread_mutex_unlock(&keys->lock);
	return *key != NULL;
}

void
keys_sealed(struct keys *keys, const uint8_t vm[UUID_SIZE],
    const uint8_t hash[KEYS_HASH_SIZE])
{
	struct entry *e;

	pthread_mutex_lock(&keys->lock);
	e = *place_of(keys, vm);
	if (e != NULL && memcmp(e->hash, hash, KEYS_HASH_SIZE) == 0)
		e->sealed = true;
	pthread_mutex_unlock(&keys->lock);
}

void
keys_drop(struct keys *keys, const uint8_t vm[UUID_SIZE])
{
	struct entry **at, *e;

	pthread_mutex_lock(&keys->lock);
	at = place_of(keys, vm);
	if ((e = *at) != NULL) {
		*at = e->next;
		cleanse(e->key, DEK_SIZE);
		keys->spare[keys->spares++] = e->key;
		keys->count--;
		free(e);
	}
	pthread_mutex_unlock(&keys->lock);
	if (keys->kept != NULL)
		kept_drop(keys->kept, vm);
}

int
keys_wipe(struct keys *keys, size_t *count, struct err *err)
{
	size_t sealed = 0;
	int rc = 0;

	pthread_mutex_lock(&keys->lock);
	*count = keys->count;
	drop_all(keys);
	pthread_mutex_unlock(&keys->lock);
	if (keys->kept != NULL)
		rc = kept_wipe(keys->kept, &sealed, err);
	*count = *count > sealed ? *count : sealed;
	return rc;
}

void
keys_count(struct keys *keys, size_t *memory, size_t *sealed)
{
	pthread_mutex_lock(&keys->lock);
	*memory = keys->count;
	pthread_mutex_unlock(&keys->lock);
	*sealed = keys->kept != NULL ? kept_count(keys->kept) : 0;
}
