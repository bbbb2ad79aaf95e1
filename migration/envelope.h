/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sealed state blobs: what GET_STATEBLOB gives to QEMU and SET_STATEBLOB takes
 * from it. All blobs of one hand-over are a session with a one-time key; each
 * blob carries that key wrapped, once for everybody who may open it.
 * doc/migration-format.md specifies the bytes.
 */
#ifndef MIGRATION_ENVELOPE_H
#define MIGRATION_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/uuid.h"

/* What is for other hosts is of version 2: its state begins with the VM's name,
 * which they have no file to read from. */
#define ENVELOPE_VERSION 1u
#define ENVELOPE_VERSION_NAMED 2u
#define ENVELOPE_KEY_SIZE 32
#define ENVELOPE_SESSION_SIZE 16
#define ENVELOPE_ID_SIZE 16
#define ENVELOPE_PARAMS_MAX 96
#define ENVELOPE_PROTECTORS_MAX 7
#define ENVELOPE_NAME_SIZE 64		/* with the final NUL */
/* An envelope is at most so much larger than the state in it. */
#define ENVELOPE_OVERHEAD_MAX 1024
/* Sealed it still fits what vtpmd takes in one piece, 256 KiB. */
#define ENVELOPE_STATE_MAX (255u * 1024u)

/* Who can open it; numbers on the wire. */
enum envelope_protector {
	ENVELOPE_BY_FILE = 1,		/* whoever opens the same nvram file */
	ENVELOPE_BY_RECIPIENT = 2,	/* the owner of a private key */
	ENVELOPE_BY_AUTHORITY = 3,	/* whom the trust authority gives the
					 * VM's key; the parameters
					 * are that key, wrapped */
};

/* A key that wraps a session's key. It must not be used for anything else. */
struct envelope_kek {
	uint16_t protector;		/* enum envelope_protector */
	uint8_t id[ENVELOPE_ID_SIZE];	/* which one, for the opener */
	uint8_t key[ENVELOPE_KEY_SIZE];
	uint8_t params[ENVELOPE_PARAMS_MAX];	/* what the opener needs to
						 * derive the key */
	size_t params_size;
};

/* What a blob says of itself: all of it authenticated when envelope_open
 * succeeds. */
struct envelope {
	uint8_t uuid[UUID_SIZE];	/* of the VM */
	uint32_t kind;			/* enum tpm_state: 1, 2 */
	uint32_t members;		/* 1 << kind of all that belong
					 * together */
	uint8_t session[ENVELOPE_SESSION_SIZE];
	uint64_t sequence;		/* in the session, from 1 */
	uint64_t epoch;			/* of the nvram file that it is from */
	uint64_t made;			/* seconds since 1970, UTC */
	uint32_t state_version;		/* TPMLIB_GetVersion() */
	char name[ENVELOPE_NAME_SIZE];	/* of the VM; with the permanent state,
					 * and only to other hosts */
};

struct envelope_session;

/* A fresh key, wrapped under each of the n keys. A recipient's may come without
 * parameters: those of the recipient before it are its. */
int envelope_session_new(struct envelope_session **out,
    const uint8_t uuid[UUID_SIZE], const struct envelope_kek *keks, size_t n,
    struct err *err);
void envelope_session_free(struct envelope_session *s);
const uint8_t *envelope_session_id(const struct envelope_session *s);

/* Seals size bytes; uuid, session and sequence of *e are set here. *out is the
 * caller's to free. */
int envelope_seal(struct envelope_session *s, struct envelope *e,
    const void *state, size_t size, uint8_t **out, size_t *out_size,
    struct err *err);

/* Gives the key of a protector: 0; ERR_NOTFOUND: not one of ours; another code
 * ends the opening. */
typedef int envelope_find(void *arg, struct envelope_kek *kek,
    struct err *err);

/* Which VM it says that it is of; nothing is authentic yet. */
int envelope_uuid(const void *bytes, size_t size, uint8_t uuid[UUID_SIZE],
    struct err *err);

/* Opens what anybody may have sent for the VM uuid. ERR_FORMAT: not an
 * envelope; ERR_UNSUPPORTED: of a later version; ERR_REFUSED: another VM's;
 * ERR_KEY: sealed for somebody else; ERR_AUTH: somebody changed it. *by is the
 * protector that opened it. */
int envelope_open(const void *bytes, size_t size,
    const uint8_t uuid[UUID_SIZE], envelope_find *find, void *arg,
    struct envelope *e, struct envelope_kek *by, struct secret **state,
    struct err *err);

#endif
