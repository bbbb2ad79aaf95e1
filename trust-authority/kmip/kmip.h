/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The KMIP client: keys in a key management server, by KMIP 1.1 to 2.0 over
 * mutually authenticated TLS 1.2 or 1.3. A struct kmip stands for one KMS of
 * one or more nodes that hold the same keys. It may be used by any number of
 * threads at once: a call blocks its thread, never longer than
 * call_timeout_ms, and uses a connection of its own, which is kept for the
 * next call. A connection counts 68 KiB towards RLIMIT_MEMLOCK.
 *
 * A node that fails is left alone for a pause that doubles with each failure
 * and is different by chance in each process; when the pause is over, one call
 * (or kmip_check) tries it, alone. Calls use the first node in the
 * configured order that is not failing, and go on to the next if it fails.
 *
 * Errors name the node, and what the KMS gave as result status, reason and
 * message. Codes of all calls:
 *	ERR_CLOSED	no node could be used: try later. After kmip_create the
 *			key may exist all the same: kmip_locate its name
 *			before the next try.
 *	ERR_NOTFOUND	the KMS has no such object (any more)
 *	ERR_REFUSED	the KMS refused, for this client or in this state
 *	ERR_UNSUPPORTED	the KMS cannot do it, or speaks no version of ours
 *	ERR_FORMAT	what the KMS has is not what was asked for (a key that
 *			is not AES-256)
 *	ERR_AUTH	a wrapped key does not unwrap with the key given
 *	ERR_SYSTEM, ERR_CRYPTO, ERR_USAGE	as everywhere
 */
#ifndef TRUST_AUTHORITY_KMIP_KMIP_H
#define TRUST_AUTHORITY_KMIP_KMIP_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

#define KMIP_KEY_SIZE 32	/* bytes: AES-256 */
/* Room for a Unique Identifier, a Name and other texts, with the final NUL.
 * The specification sets no limit; UUIDs are common. */
#define KMIP_TEXT_SIZE 256
#define KMIP_NODES_MAX 16
#define KMIP_CUSTOM_MAX 8

/* Cryptographic Usage Mask (KMIP 1.4, 9.1.3.3.1). */
#define KMIP_USE_ENCRYPT 0x04u
#define KMIP_USE_DECRYPT 0x08u
#define KMIP_USE_WRAP 0x10u
#define KMIP_USE_UNWRAP 0x20u

/* State (KMIP 1.4, 9.1.3.2.18). */
enum kmip_state {
	KMIP_PRE_ACTIVE = 1,
	KMIP_ACTIVE = 2,
	KMIP_DEACTIVATED = 3,
	KMIP_COMPROMISED = 4,
	KMIP_DESTROYED = 5,
	KMIP_DESTROYED_COMPROMISED = 6,
};

/* Revocation Reason Code (KMIP 1.4, 9.1.3.2.19). */
enum kmip_revocation {
	KMIP_UNSPECIFIED = 1,
	KMIP_KEY_COMPROMISE = 2,	/* the state becomes Compromised */
	KMIP_AFFILIATION_CHANGED = 4,
	KMIP_SUPERSEDED = 5,
	KMIP_CESSATION_OF_OPERATION = 6,
	KMIP_PRIVILEGE_WITHDRAWN = 7,
};

struct kmip;

struct kmip_version {
	uint8_t major, minor;
};

/* Zero and NULL stand for the default in brackets; texts are copied, files
 * are read by kmip_new. Times are milliseconds. */
struct kmip_config {
	/* "host", "host:5696", "192.0.2.1:5696", "[2001:db8::1]:5696". */
	const char *const *nodes;
	size_t node_count;
	/* PEM. The key must not be encrypted: nobody is there to ask. */
	const char *ca_file, *cert_file, *key_file;
	/* What the nodes' certificates must name [each node's host]. */
	const char *server_name;
	/* Of TLS 1.2, openssl-ciphers(1) [ECDHE or DHE with AES-GCM]. */
	const char *ciphers;
	struct kmip_version version_max;	/* [2.0] */
	uint32_t connect_timeout_ms;	/* name, TCP and TLS [3000] */
	uint32_t answer_timeout_ms;	/* from sending to the end of the
					 * answer [5000] */
	uint32_t call_timeout_ms;	/* over all nodes [12000] */
	uint32_t idle_timeout_ms;	/* a kept connection's age at rest
					 * [60000] */
	uint32_t check_interval_ms;	/* kmip_check, of a healthy node
					 * [10000] */
	uint32_t backoff_first_ms;	/* [500] */
	uint32_t backoff_max_ms;	/* [30000] */
	uint32_t keep;			/* connections at rest for each node
					 * [4] */
	/* No events kms.unreachable and kms.reachable: the caller tells them,
	 * from kmip_status. */
	bool no_reach_events;
	/* OpenSSL's library context, for FIPS [the default one]; must outlive
	 * the client. */
	OSSL_LIB_CTX *libctx;
};

/* Opens no connection yet. SIGPIPE is ignored from then on unless the program
 * has a handler of its own: libssl writes with write(2). */
int kmip_new(const struct kmip_config *config, struct kmip **k,
    struct err *err);
/* No call may be under way. NULL is allowed. */
void kmip_free(struct kmip *k);

/* A client's own attribute: "x-NAME" in KMIP 1.x (1.4, 3.37), NAME of vendor
 * "x" in 2.0 (2.0, 4.58). Not every KMS takes them: PyKMIP does not. */
struct kmip_custom {
	const char *name;
	const char *value;
};

/* What a new AES-256 key gets, or what is searched for. */
struct kmip_key_spec {
	const char *name;		/* NULL for none */
	uint32_t usage;			/* KMIP_USE_ ...; not for kmip_locate */
	enum kmip_state state;		/* 0 for any; for kmip_locate only */
	struct kmip_custom custom[KMIP_CUSTOM_MAX];
	size_t custom_count;
};

struct kmip_attributes {
	uint32_t object_type;		/* 2 is a symmetric key */
	uint32_t algorithm;		/* 3 is AES */
	int32_t length;			/* bits */
	uint32_t usage;
	enum kmip_state state;
	int64_t initial_date, activation_date;	/* seconds since 1970, 0 */
	char name[KMIP_TEXT_SIZE];	/* the first; "" for none */
};

/* What a KMS says about itself (KMIP 1.4, 4.25). */
struct kmip_info {
	char node[KMIP_TEXT_SIZE];
	struct kmip_version version;
	char vendor[KMIP_TEXT_SIZE];	/* "" where it does not say */
	uint64_t operations;		/* bit N: operation N (N < 64) */
	bool complete;		/* it can do all that this header asks of it */
	char missing[KMIP_TEXT_SIZE];	/* what it lacks, by name */
};

int kmip_query(struct kmip *k, struct kmip_info *info, struct err *err);

/* id gets the new key's Unique Identifier; its state is Pre-Active. Never
 * repeated by itself after it may have been received. */
int kmip_create(struct kmip *k, const struct kmip_key_spec *spec,
    char id[KMIP_TEXT_SIZE], struct err *err);
int kmip_activate(struct kmip *k, const char *id, struct err *err);
/* The caller frees *key, KMIP_KEY_SIZE bytes. */
int kmip_get(struct kmip *k, const char *id, struct secret **key,
    struct err *err);
/* The same, but the KMS wraps it (RFC 3394, NIST SP 800-38F KW) under its key
 * wrapping_id, whose bytes the caller has: unwrapped here. It does not pass
 * the connection in clear, whatever ends TLS. */
int kmip_get_wrapped(struct kmip *k, const char *id, const char *wrapping_id,
    const struct secret *wrapping_key, struct secret **key, struct err *err);
int kmip_get_attributes(struct kmip *k, const char *id,
    struct kmip_attributes *attributes, struct err *err);
/* Symmetric keys that have all that spec names. At most max identifiers go to
 * ids; *count is how many there are in the answer, 0 is no error. */
int kmip_locate(struct kmip *k, const struct kmip_key_spec *spec,
    char (*ids)[KMIP_TEXT_SIZE], size_t max, size_t *count, struct err *err);
/* message may be NULL. */
int kmip_revoke(struct kmip *k, const char *id, enum kmip_revocation why,
    const char *message, struct err *err);
int kmip_destroy(struct kmip *k, const char *id, struct err *err);

/* Tries the nodes whose pause is over, and those that have been silent for
 * check_interval_ms. Returns after how many milliseconds to call it again. For
 * a thread of its own: it may take connect_timeout_ms + answer_timeout_ms for
 * each node. */
uint32_t kmip_check(struct kmip *k);

enum kmip_health { KMIP_UNKNOWN, KMIP_UP, KMIP_DOWN };

struct kmip_node_status {
	char name[KMIP_TEXT_SIZE];
	enum kmip_health health;
	struct kmip_version version;	/* 0.0 until it is known */
	int64_t since;			/* of health, seconds since 1970 */
	uint32_t failures;		/* in a row */
	uint32_t next_try_ms;		/* of one that is down */
	uint64_t connections;		/* that were tried */
	uint64_t answers;
	char error[ERR_TEXT_MAX];	/* the last one */
};

/* Returns how many nodes there are; fills at most max. Never waits for the
 * network. */
size_t kmip_status(struct kmip *k, struct kmip_node_status *nodes, size_t max);

/* A name for people, as in the specification; never NULL. */
const char *kmip_state_name(enum kmip_state state);

#endif
