/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store in memory that fails, stops and loses power on demand. It keeps two
 * images: what a reader sees (the page cache) and what is durable (the disk).
 * A sync carries the one to the other; a power cut goes back, for each sector
 * that was not synced, to the one or the other.
 */
#ifndef TESTS_FAULT_FAULT_STORE_H
#define TESTS_FAULT_FAULT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvram-crypt/store.h"

#define FAULT_SECTOR 512u

enum fault_cut {
	FAULT_CUT_LOSE,		/* nothing that was not synced survives */
	FAULT_CUT_KEEP,		/* all of it does */
	FAULT_CUT_MIX,		/* each sector by the seed */
	FAULT_CUT_KILL,		/* only the process dies: the cache stays, and
				 * what is not synced remains so */
};

struct fault_store;

struct fault_store *fault_store_new(size_t size);
void fault_store_free(struct fault_store *fs);
/* Makes to what from is, durable and not, without armed faults. */
void fault_store_copy(struct fault_store *to, const struct fault_store *from);

/* To be given to nvram_open_store, again and again: close does nothing. */
struct store *fault_store_base(struct fault_store *fs);
/* The image as readers see it; changes to it count as durable after
 * fault_store_settle. */
uint8_t *fault_store_bytes(struct fault_store *fs);
size_t fault_store_size(const struct fault_store *fs);
void fault_store_settle(struct fault_store *fs);

/* Writes and syncs since the last arming or creation, counted together. */
unsigned int fault_store_operations(const struct fault_store *fs);
/* The operation-th write or sync from now on (0 is the next) fails once with
 * errno sys; a write does its first `bytes` bytes. After a failed sync the
 * sectors it was for are never durable until written again, as in Linux. */
void fault_store_fail_at(struct fault_store *fs, unsigned int operation,
    int sys, size_t bytes);
/* The same, and everything after it fails too, with EIO. */
void fault_store_stop_at(struct fault_store *fs, unsigned int operation,
    size_t bytes);
/* Whether that point was reached. */
bool fault_store_stopped(const struct fault_store *fs);
/* Counts from 0 again and fails nothing. */
void fault_store_disarm(struct fault_store *fs);
/* The machine (or the process) goes down and comes up again. */
void fault_store_cut(struct fault_store *fs, enum fault_cut how,
    uint32_t seed);

#endif
