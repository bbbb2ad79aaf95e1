/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fault/fault-store.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum sector { CLEAN, DIRTY, LIMBO };	/* LIMBO: its sync failed */

struct fault_store {
	struct store base;	/* first: the two are cast into each other */
	size_t size;
	uint8_t *cache;
	uint8_t *disk;
	uint8_t *sectors;	/* enum sector of each */
	unsigned int operations;
	unsigned int fail_at;	/* UINT_MAX: never */
	int fail_with;
	size_t fail_bytes;
	bool stop;		/* with the failure, for good */
	bool stopped;
};

static size_t
sector_count(const struct fault_store *fs)
{
	return (fs->size + FAULT_SECTOR - 1) / FAULT_SECTOR;
}

static int
fault_read(struct store *s, void *data, size_t size, uint64_t offset)
{
	struct fault_store *fs = (struct fault_store *)s;

	if (offset > fs->size || size > fs->size - offset)
		return -ENODATA;
	memcpy(data, fs->cache + offset, size);
	return 0;
}

/* Whether this operation fails, and how. */
static int
step(struct fault_store *fs)
{
	if (fs->stopped)
		return -EIO;
	if (fs->operations++ != fs->fail_at)
		return 0;
	fs->stopped = fs->stop;
	return -fs->fail_with;
}

static int
fault_write(struct store *s, const void *data, size_t size, uint64_t offset)
{
	struct fault_store *fs = (struct fault_store *)s;
	bool stopped = fs->stopped;
	int rc = step(fs);

	if (offset > fs->size || size > fs->size - offset)
		return -ENOSPC;
	if (stopped)
		return rc;
	if (rc < 0 && size > fs->fail_bytes)
		size = fs->fail_bytes;
	memcpy(fs->cache + offset, data, size);
	if (size > 0)
		for (uint64_t i = offset / FAULT_SECTOR;
		    i <= (offset + size - 1) / FAULT_SECTOR; i++)
			fs->sectors[i] = DIRTY;
	return rc;
}

static void
carry(struct fault_store *fs, size_t i, uint8_t *to, const uint8_t *from)
{
	size_t at = i * FAULT_SECTOR;
	size_t n = fs->size - at < FAULT_SECTOR ? fs->size - at : FAULT_SECTOR;

	memcpy(to + at, from + at, n);
}

static int
fault_sync(struct store *s)
{
	struct fault_store *fs = (struct fault_store *)s;
	bool stopped = fs->stopped;
	int rc = step(fs);

	if (stopped || fs->stopped)
		return rc;
	for (size_t i = 0; i < sector_count(fs); i++) {
		if (fs->sectors[i] != DIRTY)
			continue;
		fs->sectors[i] = rc < 0 ? LIMBO : CLEAN;
		if (rc == 0)
			carry(fs, i, fs->disk, fs->cache);
	}
	return rc;
}

static int64_t
fault_size(struct store *s)
{
	return (int64_t)((struct fault_store *)s)->size;
}

static int
fault_reserve(struct store *s, uint64_t size)
{
	return size <= ((struct fault_store *)s)->size ? 0 : -ENOSPC;
}

static int
fault_vanished(struct store *s, char *where, size_t where_size)
{
	(void)s;
	(void)where;
	(void)where_size;
	return 0;
}

static void
fault_close(struct store *s)
{
	(void)s;
}

static const struct store_ops fault_ops = {
	.read = fault_read,
	.write = fault_write,
	.sync = fault_sync,
	.size = fault_size,
	.reserve = fault_reserve,
	.vanished = fault_vanished,
	.close = fault_close,
};

struct fault_store *
fault_store_new(size_t size)
{
	struct fault_store *fs = calloc(1, sizeof(*fs));

	if (fs == NULL)
		abort();
	fs->base.ops = &fault_ops;
	fs->size = size;
	fs->fail_at = UINT_MAX;
	fs->cache = calloc(1, size);
	fs->disk = calloc(1, size);
	fs->sectors = calloc(1, sector_count(fs));
	if (fs->cache == NULL || fs->disk == NULL || fs->sectors == NULL)
		abort();
	return fs;
}

void
fault_store_free(struct fault_store *fs)
{
	if (fs == NULL)
		return;
	free(fs->cache);
	free(fs->disk);
	free(fs->sectors);
	free(fs);
}

void
fault_store_copy(struct fault_store *to, const struct fault_store *from)
{
	if (to->size != from->size)
		abort();
	memcpy(to->cache, from->cache, from->size);
	memcpy(to->disk, from->disk, from->size);
	memcpy(to->sectors, from->sectors, sector_count(from));
	fault_store_disarm(to);
}

struct store *
fault_store_base(struct fault_store *fs)
{
	return &fs->base;
}

uint8_t *
fault_store_bytes(struct fault_store *fs)
{
	return fs->cache;
}

size_t
fault_store_size(const struct fault_store *fs)
{
	return fs->size;
}

void
fault_store_settle(struct fault_store *fs)
{
	memcpy(fs->disk, fs->cache, fs->size);
	memset(fs->sectors, CLEAN, sector_count(fs));
}

unsigned int
fault_store_operations(const struct fault_store *fs)
{
	return fs->operations;
}

bool
fault_store_stopped(const struct fault_store *fs)
{
	return fs->stopped;
}

void
fault_store_disarm(struct fault_store *fs)
{
	fs->operations = 0;
	fs->fail_at = UINT_MAX;
	fs->stop = false;
	fs->stopped = false;
}

void
fault_store_fail_at(struct fault_store *fs, unsigned int operation, int sys,
    size_t bytes)
{
	fault_store_disarm(fs);
	fs->fail_at = operation;
	fs->fail_with = sys;
	fs->fail_bytes = bytes;
}

void
fault_store_stop_at(struct fault_store *fs, unsigned int operation,
    size_t bytes)
{
	fault_store_fail_at(fs, operation, EIO, bytes);
	fs->stop = true;
}

void
fault_store_cut(struct fault_store *fs, enum fault_cut how, uint32_t seed)
{
	fault_store_disarm(fs);
	if (how == FAULT_CUT_KILL)
		return;
	for (size_t i = 0; i < sector_count(fs); i++) {
		bool keep = how == FAULT_CUT_KEEP;

		if (fs->sectors[i] == CLEAN)
			continue;
		/* xorshift32: any spread of bits will do */
		seed ^= seed << 13;
		seed ^= seed >> 17;
		seed ^= seed << 5;
		if (how == FAULT_CUT_MIX)
			keep = (seed >> 7 & 1) != 0;
		if (keep)
			carry(fs, i, fs->disk, fs->cache);
		else
			carry(fs, i, fs->cache, fs->disk);
		fs->sectors[i] = CLEAN;
	}
}
