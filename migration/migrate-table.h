/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STATE_DIR/native/migrate: this host's migration key, and which hosts states
 * may go to and come from. All of it is sealed under the host's native key.
 * Whoever keeps the file open sees each change: it is written in place.
 * doc/migration-format.md, "Keys of hosts".
 */
#ifndef MIGRATION_MIGRATE_TABLE_H
#define MIGRATION_MIGRATE_TABLE_H

#include <stdbool.h>

#include "migration/migrate-key.h"
#include "nvram-crypt/native.h"

#define MIGRATE_PEERS_MAX 32u
/* Of one VM: so many an envelope has room for. */
#define MIGRATE_VM_PEERS_MAX (ENVELOPE_PROTECTORS_MAX - 1u)
#define MIGRATE_HOST_SIZE 64u		/* with the final NUL */
#define MIGRATE_TABLE_KEY_SIZE 32u

struct migrate_peer {
	uint8_t point[MIGRATE_POINT_SIZE];
	uint8_t id[MIGRATE_ID_SIZE];	/* follows from it */
	uint8_t uuid[UUID_SIZE];	/* that VM's alone; zeros: all */
	uint64_t added;			/* seconds since 1970, UTC */
	char host[MIGRATE_HOST_SIZE];	/* for people */
};

struct migrate_table {
	uint64_t generation;		/* 0: nothing was written yet */
	struct secret *private;		/* NULL: this host has no key */
	uint8_t point[MIGRATE_POINT_SIZE];
	uint8_t id[MIGRATE_ID_SIZE];
	uint64_t made;
	size_t n_peers;
	struct migrate_peer peers[MIGRATE_PEERS_MAX];
};

/* The key that the file is under. ERR_KEY where the native one cannot be
 * used. */
int migrate_table_key(const struct native *n, struct secret **key,
    struct err *err);
/* The file, for reading; made empty where missing. */
int migrate_table_open(const struct native *n, int *fd, struct err *err);
/* Locked against others that change it. */
int migrate_table_open_to_change(const struct native *n, int *fd,
    struct err *err);
/* An empty table of a file that was never written. ERR_AUTH: neither copy is
 * whole, or both are under another native key. */
int migrate_table_read(int fd, const struct secret *key,
    struct migrate_table *t, struct err *err);
/* As the next generation, on the disk. */
int migrate_table_write(int fd, const struct secret *key,
    struct migrate_table *t, struct err *err);
void migrate_table_reset(struct migrate_table *t);

/* Whether states of this VM may go to and come from this host. */
bool migrate_peer_serves(const struct migrate_peer *p,
    const uint8_t uuid[UUID_SIZE]);

#endif
