/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KEKs for some seconds, in one piece of locked memory. Many that ask for one
 * that is not there wait for one fetch, and get what comes of it.
 */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_KEK_CACHE_H
#define TRUST_AUTHORITY_KEYPROVIDER_KEK_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"

#define KEK_SIZE 32

struct kek_cache;
struct kek_entry;

/* seconds may be 0: kept only while held. */
int kek_cache_new(size_t entries, unsigned int seconds,
    struct kek_cache **out, struct err *err);
/* Nobody may hold one. NULL is allowed. */
void kek_cache_free(struct kek_cache *cache);

/* *key stays good until kek_cache_release. fetch is called without a lock, for
 * one caller at a time for each KEK. ERR_BUSY when there is no room. */
int kek_cache_hold(struct kek_cache *cache, const uint8_t uuid[UUID_SIZE],
    uint32_t n, int (*fetch)(void *arg, uint8_t key[KEK_SIZE],
    struct err *err), void *arg, struct kek_entry **entry,
    const uint8_t **key, struct err *err);
void kek_cache_release(struct kek_cache *cache, struct kek_entry *entry);
/* Those of one VM (NULL: all): gone at once, or when the last who holds one
 * lets go; nobody gets one that was asked for before. */
void kek_cache_forget(struct kek_cache *cache, const uint8_t *uuid);
/* Wipes what is over; to be called each second. Returns how many are kept. */
size_t kek_cache_expire(struct kek_cache *cache);

#endif
