/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What lets a VM start while the authority is away: its key, sealed in the
 * host's TPM (dek-store.h), and a record of what this host knows of its epoch,
 * in "kept/UUID". Records carry an HMAC by a key that is sealed to the same
 * PCRs, so that nobody makes or changes one on the disk. That somebody puts an
 * old record back together with the old file of the VM, only the authority can
 * tell: doc/threat-model.md.
 */
#ifndef AGENT_DAEMON_KEPT_H
#define AGENT_DAEMON_KEPT_H

#include "trust-authority/agent/daemon/keys.h"

#define KEPT_DIGEST_SIZE 32
#define KEPT_INSTANCE_SIZE 16

struct kept_record {
	uint8_t vm[UUID_SIZE];
	uint8_t hash[KEYS_HASH_SIZE];	/* of the sealed key's wrapped form */
	bool owned;		/* this host was the last owner, as follows */
	uint64_t epoch;
	bool confirmed, clean, synced;
	uint8_t digest[KEPT_DIGEST_SIZE];	/* where clean */
	uint8_t instance[KEPT_INSTANCE_SIZE];

	/* What the authority has heard: it granted base_epoch to
	 * base_instance, which holds it still, or has left base_digest. dirty:
	 * there is more to tell it. local: epochs above base_epoch, up to
	 * epoch, that this agent granted by itself. */
	bool held, dirty;
	uint32_t local;
	uint64_t base_epoch;
	uint8_t base_digest[KEPT_DIGEST_SIZE];
	uint8_t base_instance[KEPT_INSTANCE_SIZE];
};

struct kept;

/* *out NULL where the configuration does not say keep. */
int kept_open(struct kmxa *k, struct kept **out, struct err *err);
/* NULL is allowed. */
void kept_close(struct kept *kept);

/* Seals a VM's key; the record's hash is the caller's to set. Blocks, as the
 * next does. */
int kept_seal(struct kept *kept, const uint8_t vm[UUID_SIZE],
    const struct secret *key, struct err *err);
/* ERR_NOTFOUND; ERR_STALE: other PCRs; ERR_KEY: another TPM. */
int kept_key(struct kept *kept, const uint8_t vm[UUID_SIZE],
    const uint8_t hash[KEYS_HASH_SIZE], struct secret **key,
    struct err *err);
/* ERR_NOTFOUND; ERR_AUTH: altered. */
int kept_load(struct kept *kept, const uint8_t vm[UUID_SIZE],
    struct kept_record *r, struct err *err);
int kept_save(struct kept *kept, const struct kept_record *r,
    struct err *err);
void kept_drop(struct kept *kept, const uint8_t vm[UUID_SIZE]);
int kept_wipe(struct kept *kept, size_t *count, struct err *err);
size_t kept_count(struct kept *kept);
/* The VMs that there are records of, to be freed. */
int kept_list(struct kept *kept, uint8_t (**vms)[UUID_SIZE], size_t *count,
    struct err *err);

#endif
