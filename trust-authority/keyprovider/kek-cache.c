/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/kek-cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/secret.h"

enum state { FREE, FETCHING, READY, FAILED };

struct kek_entry {
	enum state state;
	bool dropped;		/* nobody new may have it */
	size_t users;		/* that hold it or wait for it */
	uint8_t uuid[UUID_SIZE];
	uint32_t n;
	int64_t expires;	/* ms of CLOCK_MONOTONIC */
	struct err why;		/* failed */
};

struct kek_cache {
	pthread_mutex_t lock;
	pthread_cond_t fetched;
	struct secret *keys;	/* KEK_SIZE bytes of each entry */
	size_t count;
	unsigned int seconds;
	struct kek_entry entries[];
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int
kek_cache_new(size_t entries, unsigned int seconds, struct kek_cache **out,
    struct err *err)
{
	struct kek_cache *c = calloc(1, sizeof(*c) +
	    entries * sizeof(c->entries[0]));

	if (c == NULL || (c->keys = secret_new(entries * KEK_SIZE)) == NULL) {
		free(c);
		return err_sys(err, errno, "cannot lock memory for %zu KEKs "
		    "(LimitMEMLOCK=)", entries);
	}
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->fetched, NULL);
	c->count = entries;
	c->seconds = seconds;
	*out = c;
	return 0;
}

void
kek_cache_free(struct kek_cache *c)
{
	if (c == NULL)
		return;
	secret_free(c->keys);
	pthread_cond_destroy(&c->fetched);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static uint8_t *
key_of(struct kek_cache *c, const struct kek_entry *e)
{
	return secret_data(c->keys) + (size_t)(e - c->entries) * KEK_SIZE;
}

static void
clear(struct kek_cache *c, struct kek_entry *e)
{
	cleanse(key_of(c, e), KEK_SIZE);
	e->state = FREE;
}

/* The one that is there or on its way; else a free one, *fresh then; else
 * NULL. */
static struct kek_entry *
find(struct kek_cache *c, const uint8_t uuid[UUID_SIZE], uint32_t n,
    bool *fresh)
{
	struct kek_entry *room = NULL;
	int64_t now = now_ms();

	for (size_t i = 0; i < c->count; i++) {
		struct kek_entry *e = &c->entries[i];

		if (e->state == READY && e->users == 0 && now >= e->expires)
			clear(c, e);
		if (e->state != FREE && e->n == n && !e->dropped &&
		    e->state != FAILED && (e->state == FETCHING ||
		    now < e->expires) &&
		    memcmp(e->uuid, uuid, UUID_SIZE) == 0)
			return e;
		if (e->state == FREE) {
			if (room == NULL || room->state != FREE)
				room = e;
		} else if (e->state == READY && e->users == 0 &&
		    (room == NULL || (room->state == READY &&
		    e->expires < room->expires))) {
			room = e;
		}
	}
	*fresh = true;
	return room;
}

static void
fetch_into(struct kek_cache *c, struct kek_entry *e,
    int (*fetch)(void *arg, uint8_t key[KEK_SIZE], struct err *err),
    void *arg)
{
	struct err why = { 0 };
	int rc;

	pthread_mutex_unlock(&c->lock);
	rc = fetch(arg, key_of(c, e), &why);
	pthread_mutex_lock(&c->lock);
	e->state = rc < 0 ? FAILED : READY;
	e->why = why;
	e->why.code = rc;
	e->expires = now_ms() + (int64_t)c->seconds * 1000;
	pthread_cond_broadcast(&c->fetched);
}

static void
let_go(struct kek_cache *c, struct kek_entry *e)
{
	if (--e->users == 0 && (e->state == FAILED || e->dropped ||
	    now_ms() >= e->expires))
		clear(c, e);
}

int
kek_cache_hold(struct kek_cache *c, const uint8_t uuid[UUID_SIZE], uint32_t n,
    int (*fetch)(void *arg, uint8_t key[KEK_SIZE], struct err *err), void *arg,
    struct kek_entry **entry, const uint8_t **key, struct err *err)
{
	struct kek_entry *e;
	bool fresh = false;
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	if ((e = find(c, uuid, n, &fresh)) == NULL) {
		rc = err_set(err, ERR_BUSY, "too many KEKs are in use at "
		    "once; try again");
		goto out;
	}
	if (fresh) {
		clear(c, e);
		*e = (struct kek_entry){ .state = FETCHING, .n = n,
			.users = 1 };
		memcpy(e->uuid, uuid, UUID_SIZE);
		fetch_into(c, e, fetch, arg);
	} else {
		e->users++;
		while (e->state == FETCHING)
			pthread_cond_wait(&c->fetched, &c->lock);
	}
	if (e->state == FAILED) {
		rc = e->why.code;
		if (err != NULL)
			*err = e->why;
		let_go(c, e);
		goto out;
	}
	*entry = e;
	*key = key_of(c, e);
out:
	pthread_mutex_unlock(&c->lock);
	return rc;
}

void
kek_cache_release(struct kek_cache *c, struct kek_entry *e)
{
	pthread_mutex_lock(&c->lock);
	let_go(c, e);
	pthread_mutex_unlock(&c->lock);
}

void
kek_cache_forget(struct kek_cache *c, const uint8_t *uuid)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->count; i++) {
		struct kek_entry *e = &c->entries[i];

		if (e->state == FREE || (uuid != NULL &&
		    memcmp(e->uuid, uuid, UUID_SIZE) != 0))
			continue;
		e->dropped = true;
		if (e->users == 0)
			clear(c, e);
	}
	pthread_mutex_unlock(&c->lock);
}

size_t
kek_cache_expire(struct kek_cache *c)
{
	int64_t now = now_ms();
	size_t kept = 0;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->count; i++) {
		struct kek_entry *e = &c->entries[i];

		if (e->state == READY && e->users == 0 && now >= e->expires)
			clear(c, e);
		kept += e->state != FREE;
	}
	pthread_mutex_unlock(&c->lock);
	return kept;
}
