/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The few operations that an nvram file needs of its storage, as a table, so
 * that tests can put a storage under it that tears, loses and fails writes.
 */
#ifndef NVRAM_CRYPT_STORE_H
#define NVRAM_CRYPT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct store;

/* Each returns 0 (size: bytes) or -errno; transfers are whole. */
struct store_ops {
	int (*read)(struct store *s, void *data, size_t size, uint64_t offset);
	int (*write)(struct store *s, const void *data, size_t size,
	    uint64_t offset);
	int (*sync)(struct store *s);		/* fdatasync */
	int64_t (*size)(struct store *s);
	/* Takes the space for size bytes where it is not taken already. */
	int (*reserve)(struct store *s, uint64_t size);
	/* 1 when no name leads to it any more: it goes with this process, and
	 * where says how it can be read until then. Else 0. */
	int (*vanished)(struct store *s, char *where, size_t where_size);
	void (*close)(struct store *s);
};

struct store {
	const struct store_ops *ops;
};

/* A regular file: opened, checked, and with writable locked (OFD lock,
 * exclusive, not waiting: ERR_BUSY). ERR_NOTFOUND, ERR_REFUSED for anything
 * but a regular file. */
int store_open_file(struct store **out, const char *path, bool writable,
    struct err *err);
/* The same for writing, but not locked yet. */
int store_open_unlocked(struct store **out, const char *path, struct err *err);
/* Takes and gives back the lock of a store that is a file, as store_open_file
 * does; name is for messages. Any other store has none. */
int store_lock(struct store *s, const char *name, struct err *err);
void store_unlock(struct store *s);
/* The descriptor of a store that is a file; -1 for any other. */
int store_file(const struct store *s);
/* Over a descriptor of the caller's, which goes over to the store, also on
 * failure. */
int store_from_fd(struct store **out, int fd, struct err *err);

#endif
