/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Protectors: wrapped copies of an nvram file's DEK, as LUKS has key slots.
 * One file per kind: protector-native.c, protector-passphrase.c. The table in
 * protector.c is the only place that knows them all.
 */
#ifndef NVRAM_CRYPT_PROTECTOR_H
#define NVRAM_CRYPT_PROTECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/uuid.h"
#include "nvram-crypt/agent.h"
#include "nvram-crypt/native.h"

#define DEK_SIZE 32
#define DEK_ID_SIZE 16
#define PROTECTOR_SLOTS 8
#define PROTECTOR_ID_SIZE 8
#define PROTECTOR_LABEL_SIZE 64		/* with the final NUL */
#define PROTECTOR_BODY_MAX 896

/* Numbers on the disk; never reuse one. 0 is an empty slot. */
enum protector_kind {
	PROTECTOR_NONE = 0,
	PROTECTOR_NATIVE = 1,
	PROTECTOR_PASSPHRASE = 2,
	PROTECTOR_AUTHORITY = 3,
	PROTECTOR_RECIPIENT = 4,	/* written by later versions */
};

/* One slot. Everything but the body is plain text for `protector list`; all
 * of it is covered by the superblock's tag and, as associated data, by the
 * wrapping itself. */
struct protector {
	uint16_t kind;
	uint8_t id[PROTECTOR_ID_SIZE];		/* random; for commands */
	uint64_t created;			/* seconds since 1970, UTC */
	char label[PROTECTOR_LABEL_SIZE];	/* who can open it, in words */
	uint16_t body_size;
	uint8_t body[PROTECTOR_BODY_MAX];	/* the kind's own format */
};

/* What a VM's states are sealed under for hosts that have not got its file, and
 * to whom the trust authority gives the VM's key. */
struct authority_move {
	struct secret *key;		/* AUTHORITY_MOVE_SIZE; NULL: none */
	uint8_t wrapped[AGENT_WRAPPED_MAX];	/* what it follows from */
	size_t wrapped_size;
};
#define AUTHORITY_MOVE_SIZE 32

/* What the caller can offer to open or make protectors; NULL where it has
 * not got one. The caller keeps ownership. */
struct protector_creds {
	const struct native *native;
	const struct secret *passphrase;
	struct agent *agent;
	/* authority: the next one made gets a new KEK in the KMS, which clears
	 * it. NULL: none does. */
	bool *new_kek;
	/* authority: takes what follows from the key that was had. NULL: not
	 * wanted. */
	struct authority_move *move;
};

/* What a wrapped DEK is bound to. */
struct protector_binding {
	uint8_t uuid[UUID_SIZE];
	uint8_t dek_id[DEK_ID_SIZE];
};

struct protector_ops {
	uint16_t kind;
	const char *name;	/* "native", "passphrase" */
	/* Fills label (if empty) and body. */
	int (*wrap)(const struct protector_creds *creds,
	    const struct protector_binding *binding, const struct secret *dek,
	    struct protector *p, struct err *err);
	/* *dek is a new secret of DEK_SIZE bytes. ERR_KEY when creds do not
	 * have what it takes, or it does not fit. */
	int (*unwrap)(const struct protector_creds *creds,
	    const struct protector_binding *binding, const struct protector *p,
	    struct secret **dek, struct err *err);
};

/* NULL for a kind that this version does not know. */
const struct protector_ops *protector_ops_by_kind(uint16_t kind);
const struct protector_ops *protector_ops_by_name(const char *name);
/* The i-th kind there is, in the order of trying; NULL after the last. */
const struct protector_ops *protector_ops_at(size_t i);

/* A new one: kind, id and time are made, then ops->wrap. p->label is the
 * caller's, or empty for one that the kind makes. */
int protector_make(const struct protector_ops *ops,
    const struct protector_creds *creds,
    const struct protector_binding *binding, const struct secret *dek,
    struct protector *p, struct err *err);

/* The wrapped key in an authority's protector; lent. ERR_FORMAT. */
int authority_wrapped(const struct protector *p, struct agent_bytes *wrapped,
    struct err *err);
/* That of the wrapped key, from the authority unless it is there already. */
int authority_move_get(struct authority_move *m, struct agent *a,
    const uint8_t uuid[UUID_SIZE], const struct agent_bytes *wrapped,
    int timeout_ms, struct err *err);
void authority_move_reset(struct authority_move *m);

#endif
