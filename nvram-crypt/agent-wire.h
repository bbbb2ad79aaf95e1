/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What vtpmd and vtpmctl say to the host's agent (vta-kmxa) and it to them:
 * doc/authority-protocols.md, "The agent's socket". One message is one packet
 * of a SOCK_SEQPACKET socket. Both directions, for either side; base/ only.
 */
#ifndef NVRAM_CRYPT_AGENT_WIRE_H
#define NVRAM_CRYPT_AGENT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/uuid.h"

#define AGENT_WIRE_VERSION 1
#define AGENT_WIRE_MAX 32768u		/* bytes of a message */
#define AGENT_WRAPPED_MAX 640u
#define AGENT_KEY_SIZE 32u
#define AGENT_DIGEST_SIZE 32u
#define AGENT_INSTANCE_SIZE 16u
#define AGENT_SESSION_SIZE 16u
#define AGENT_CERTS_MAX 4u		/* EKs, certificates, CAs above them */

enum agent_type {
	AGENT_HELLO = 1,
	AGENT_VM_CREATE,
	AGENT_KEY_MAKE,
	AGENT_KEY_OPEN,
	AGENT_REGISTER,
	AGENT_ACQUIRE,
	AGENT_CONFIRM,
	AGENT_RELEASE,
	AGENT_CHECK,
	AGENT_ATTACH,
	AGENT_VM_FORGET,
	AGENT_EK_CERTIFY,
	AGENT_STATUS,
	AGENT_ATTEST,
	AGENT_HOST_EXPORT,
	AGENT_OFFER,
	AGENT_CLAIM,
	AGENT_RECLAIM,
	AGENT_TYPE_LAST = AGENT_RECLAIM,
};

/* A notice's type; numbers of their own. */
#define AGENT_LOST 1

enum agent_way {
	AGENT_REQUEST,
	AGENT_ANSWER,
	AGENT_NOTICE,
};

/* Who is to blame. */
enum agent_fault {
	AGENT_FAULT_NONE,
	AGENT_FAULT_HOST,
	AGENT_FAULT_POLICY,
	AGENT_FAULT_TOKEN,
	AGENT_FAULT_GRANT,
	AGENT_FAULT_EPOCH,
	AGENT_FAULT_KMS,
	AGENT_FAULT_AUTHORITY,
	AGENT_FAULT_AGENT,
	AGENT_FAULT_LAST = AGENT_FAULT_AGENT,
};

/* Points into the message when read; at the caller's when written. A text has
 * no terminating NUL. */
struct agent_bytes {
	const uint8_t *data;
	size_t size;
};

/* Every field there is; a message has those that the table in the document
 * gives its type, the others are zero. */
struct agent_message {
	enum agent_way way;
	uint16_t type;
	uint32_t id;
	int32_t result;		/* answers: 0, or a code of base/err.h and only
				 * fault and text */

	uint16_t version;
	uint8_t uuid[UUID_SIZE];
	uint64_t epoch;
	uint8_t digest[AGENT_DIGEST_SIZE];
	uint8_t instance[AGENT_INSTANCE_SIZE];
	uint8_t session[AGENT_SESSION_SIZE];	/* of a hand-over */
	uint32_t lease_seconds;
	bool synced;
	bool new_kek;
	uint8_t fault;		/* ATTACH's answer: 0, kept, or why lost */
	struct agent_bytes name, group;
	struct agent_bytes authority, state;
	struct agent_bytes wrapped, label;
	struct agent_bytes key;	/* AGENT_KEY_SIZE; secret */
	struct agent_bytes text;	/* JSON, or why something failed */
	size_t n_certs;		/* EKs' public keys in the request */
	struct agent_bytes certs[AGENT_CERTS_MAX];
	size_t n_chain;
	struct agent_bytes chain[AGENT_CERTS_MAX];
};

/* Writes a whole message. ERR_FORMAT: it is none, or there is no room. */
int agent_wire_put(struct buf *b, const struct agent_message *m,
    struct err *err);
/* Reads one that is all of b. ERR_FORMAT for anything that the document does
 * not give, down to one byte too many. */
int agent_wire_get(struct buf *b, struct agent_message *m, struct err *err);

/* "policy" for AGENT_FAULT_POLICY; "none" for what has none. */
const char *agent_fault_name(uint8_t fault);
/* AGENT_FAULT_NONE for a name that is none. */
uint8_t agent_fault_by_name(const char *name);
/* "KEY_OPEN" for AGENT_KEY_OPEN. */
const char *agent_type_name(uint16_t type);

#endif
