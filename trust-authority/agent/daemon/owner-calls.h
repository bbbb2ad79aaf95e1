/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked of vta-kmxd about a VM's epoch. */
#ifndef AGENT_DAEMON_OWNER_CALLS_H
#define AGENT_DAEMON_OWNER_CALLS_H

#include "trust-authority/agent/daemon/kmxd.h"

struct owner_claim {
	uint8_t vm[UUID_SIZE];
	uint64_t epoch;
	uint8_t digest[32];
	uint8_t instance[16];
	uint8_t session[16];	/* of a hand-over */
	bool synced;
};

struct owner_grant {
	uint64_t epoch;
	bool synced;
	uint32_t seconds;
};

/* With an error: who is to blame; open: nobody decided. */
struct owner_why {
	enum agent_fault fault;
	bool open;
};

int owner_call_acquire(struct kmxa *k, const struct owner_claim *c,
    struct owner_grant *grant, struct owner_why *why, struct err *err);
/* path: "/claim" or "/reclaim". */
int owner_call_take_up(struct kmxa *k, const char *path,
    const struct owner_claim *c, struct owner_grant *grant,
    struct owner_why *why, struct err *err);
int owner_call_offer(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err);
int owner_call_confirm(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err);
int owner_call_release(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err);
int owner_call_register(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err);
int owner_call_check(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err);

#endif
