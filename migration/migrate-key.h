/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The key that a host is sent states by, and sends them with: P-256, for both
 * sides are made while a VM stands still. A state's key is agreed on between an
 * ephemeral key and both hosts' (SP 800-56A, 6.2.1, one-pass unified model), so
 * that only the one can open it, and only the other can have made it.
 * doc/migration-format.md, "Sealed blob".
 */
#ifndef MIGRATION_MIGRATE_KEY_H
#define MIGRATION_MIGRATE_KEY_H

#include "migration/envelope.h"

#define MIGRATE_POINT_SIZE 64u		/* x, y */
#define MIGRATE_PRIVATE_SIZE 32u
#define MIGRATE_ID_SIZE 16u
#define MIGRATE_SENDER_SIZE 8u		/* so much of the sender's id */
#define MIGRATE_DER_SIZE 91u
#define MIGRATE_PARAMS_SIZE (MIGRATE_POINT_SIZE + MIGRATE_SENDER_SIZE)

/* A new pair; *private is the caller's. */
int migrate_key_make(struct secret **private,
    uint8_t point[MIGRATE_POINT_SIZE], struct err *err);
/* SubjectPublicKeyInfo (RFC 5480). */
void migrate_key_der(const uint8_t point[MIGRATE_POINT_SIZE],
    uint8_t der[MIGRATE_DER_SIZE]);
/* The start of SHA-256 of that. */
int migrate_key_id(const uint8_t point[MIGRATE_POINT_SIZE],
    uint8_t id[MIGRATE_ID_SIZE], struct err *err);

struct migrate_own {
	const struct secret *private;
	const uint8_t *point;
};

/* Keys that wrap a session's for each of the n hosts; the first one's
 * parameters are for all. */
int migrate_key_send(const struct migrate_own *own,
    const uint8_t (*to)[MIGRATE_POINT_SIZE], size_t n,
    const uint8_t uuid[UUID_SIZE], struct envelope_kek *keks,
    struct err *err);
/* kek->key by its parameters, which are anybody's, if they come from this
 * host: ERR_FORMAT, ERR_KEY. */
int migrate_key_receive(const struct migrate_own *own,
    const uint8_t from[MIGRATE_POINT_SIZE], const uint8_t uuid[UUID_SIZE],
    struct envelope_kek *kek, struct err *err);

#endif
