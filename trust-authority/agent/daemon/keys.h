/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VM keys in memory, for while the KMS is away: those that were opened on this
 * host where keys are kept, and those of the host's group where they are
 * fetched ahead. And, by kept.h, sealed in the host's TPM. Without either
 * setting there is nothing here.
 */
#ifndef AGENT_DAEMON_KEYS_H
#define AGENT_DAEMON_KEYS_H

#include "trust-authority/agent/daemon/kmxa.h"

#define KEYS_HASH_SIZE 32

struct kept;

int keys_open(struct kmxa *k, struct keys **out, struct err *err);
/* At the program's end, with other threads about. */
void keys_cleanse(struct keys *keys);
struct kept *keys_kept(struct keys *keys);	/* NULL: not kept */

/* SHA-256 of a wrapped key, which is its name here. */
int keys_hash(const void *wrapped, size_t size,
    uint8_t hash[KEYS_HASH_SIZE], struct err *err);

/* A key that came from the authority; opened: on this host, so that it is to be
 * sealed. */
void keys_put(struct keys *keys, const uint8_t vm[UUID_SIZE],
    const uint8_t hash[KEYS_HASH_SIZE], const struct secret *key,
    bool opened);
/* ERR_NOTFOUND; ERR_STALE, ERR_KEY, ... where the TPM does not give it. Blocks
 * where the TPM is asked. */
int keys_get(struct keys *keys, const uint8_t vm[UUID_SIZE],
    const uint8_t hash[KEYS_HASH_SIZE], struct secret **key,
    struct err *err);
/* One that was opened and is not sealed yet; false: none. *key is to be
 * freed. */
bool keys_next_unsealed(struct keys *keys, uint8_t vm[UUID_SIZE],
    uint8_t hash[KEYS_HASH_SIZE], struct secret **key);
/* It has been. */
void keys_sealed(struct keys *keys, const uint8_t vm[UUID_SIZE],
    const uint8_t hash[KEYS_HASH_SIZE]);
/* The authority says that this VM's key is not for us any more. */
void keys_drop(struct keys *keys, const uint8_t vm[UUID_SIZE]);
/* All, in memory and on the disk. */
int keys_wipe(struct keys *keys, size_t *count, struct err *err);
void keys_count(struct keys *keys, size_t *memory, size_t *sealed);

#endif
