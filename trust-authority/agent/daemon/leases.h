/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VMs that this host owns, and the thread that renews their leases, all in
 * one call each third of a lease. A VM whose connection has ended is renewed
 * for two lease periods more, so that its vtpmd can come back (ATTACH).
 */
#ifndef AGENT_DAEMON_LEASES_H
#define AGENT_DAEMON_LEASES_H

#include "trust-authority/agent/daemon/kmxa.h"

#define LEASES_INSTANCE_SIZE 16
#define LEASES_ALONE_SECONDS 60	/* where the agent grants by itself */
#define LEASES_UNKNOWN_SECONDS 12	/* until the authority says */

struct leases;

struct lease {
	uint8_t vm[UUID_SIZE];
	uint64_t epoch;
	uint8_t instance[LEASES_INSTANCE_SIZE];
	uint32_t seconds;
	bool alone;		/* the authority does not know of it yet */
	uint64_t connection;	/* 0: none */
};

int leases_start(struct kmxa *k, struct leases **out, struct err *err);

/* This instance owns the VM; another one's entry is replaced. */
int leases_add(struct leases *l, const struct lease *lease, struct err *err);
/* The same for one that came back: true where it was there as it says. */
bool leases_attach(struct leases *l, const struct lease *lease);
void leases_remove(struct leases *l, const uint8_t vm[UUID_SIZE],
    const uint8_t instance[LEASES_INSTANCE_SIZE]);
/* The authority knows of it now. */
void leases_known(struct leases *l, const uint8_t vm[UUID_SIZE]);
/* Another instance than this one has the VM, and its connection lives. */
bool leases_is_held(struct leases *l, const uint8_t vm[UUID_SIZE],
    const uint8_t instance[LEASES_INSTANCE_SIZE]);
/* The instance of a VM whose connection has ended; false: there is none. */
bool leases_left(struct leases *l, const uint8_t vm[UUID_SIZE],
    uint8_t instance[LEASES_INSTANCE_SIZE]);
/* A connection has ended. */
void leases_gone(struct leases *l, uint64_t connection);
/* The VM's epoch is another's: its connection is told. which is as it was when
 * the authority was asked: a VM that was closed and opened since has another
 * epoch, and has lost nothing. With the VM's lock, so that no release of it is
 * on the way. */
void leases_lost(struct leases *l, const uint8_t vm[UUID_SIZE],
    uint64_t epoch, const uint8_t instance[LEASES_INSTANCE_SIZE],
    enum agent_fault fault, const char *why);
/* How long a lease is, as the authority has just said. */
void leases_set_seconds(struct leases *l, uint32_t seconds);
/* The VMs that filter lets through, as UUIDs. */
json_t *leases_json(struct leases *l, bool (*filter)(void *arg,
    const uint8_t vm[UUID_SIZE]), void *arg, size_t *count);

#endif
