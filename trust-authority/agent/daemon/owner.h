/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Epochs of the VMs on this host: what the authority grants, and, where keys
 * are kept and nobody of the authority answers, what the agent may grant by
 * itself: only to the file that this very host left, or had open, last. The
 * authority is told when it is back; if it gave the epoch to another meanwhile,
 * the vTPM here hears that it has lost.
 */
#ifndef AGENT_DAEMON_OWNER_H
#define AGENT_DAEMON_OWNER_H

#include "trust-authority/agent/daemon/owner-calls.h"

int owner_acquire(struct kmxa *k, const struct owner_claim *c,
    uint64_t connection, struct owner_grant *grant, struct owner_why *why,
    struct err *err);
/* Lets another host claim the session. From before the authority is asked this
 * host does not grant the VM by itself any more, whatever comes of it. */
int owner_offer(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err);
/* CLAIM, RECLAIM: never without the authority. */
int owner_take_up(struct kmxa *k, const struct owner_claim *c,
    uint64_t connection, struct owner_grant *grant, struct owner_why *why,
    struct err *err);
int owner_take_back(struct kmxa *k, const struct owner_claim *c,
    uint64_t connection, struct owner_grant *grant, struct owner_why *why,
    struct err *err);
int owner_confirm(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err);
int owner_release(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err);
/* ERR_STALE: it is lost. */
int owner_attach(struct kmxa *k, const struct owner_claim *c,
    uint64_t connection, struct owner_why *why, struct err *err);
/* Judges only. */
int owner_check(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err);
/* Tells the authority what it has not heard of this VM. */
void owner_reconcile(struct kmxa *k, const uint8_t vm[UUID_SIZE]);

#endif
