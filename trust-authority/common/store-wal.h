/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * So that no commit to SQLite's file waits longer than for the commits before
 * it: how one waits for another program's, and where the write-ahead log is
 * copied into the file.
 */
#ifndef TRUST_AUTHORITY_COMMON_STORE_WAL_H
#define TRUST_AUTHORITY_COMMON_STORE_WAL_H

#include <sqlite3.h>
#include <stdint.h>

/* Of one connection, as long as that is open. */
struct wal_wait {
	unsigned int most_ms;
	int64_t since;
};

/* SQLite's own handler sleeps 1, 2, 5, ... 100 ms: who has waited longest
 * comes last, and a file that is free for a while is not seen. */
void wal_wait_set(sqlite3 *db, struct wal_wait *w, unsigned int most_ms);

/* Copies the log of a file in a thread of its own, which begins when there is
 * something to copy. SQLite would do it in the commit that makes the log long,
 * with all who want to commit behind it. */
struct wal_copier;

/* NULL: no memory. file stays the caller's, as long as this. */
struct wal_copier *wal_copier_new(const char *file);
/* NULL is allowed. */
void wal_copier_free(struct wal_copier *c);
/* db is the connection that writes. */
void wal_copier_follow(struct wal_copier *c, sqlite3 *db);

#endif
