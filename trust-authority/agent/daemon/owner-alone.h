/* SPDX-License-Identifier: BSD-3-Clause */
/* The half of owner.h that the authority does not see, until it is told. */
#ifndef AGENT_DAEMON_OWNER_ALONE_H
#define AGENT_DAEMON_OWNER_ALONE_H

#include "trust-authority/agent/daemon/kept.h"
#include "trust-authority/agent/daemon/owner.h"

/* Whether this host may open this file by itself. Fills *r for it, but does not
 * store it. ERR_STALE, ERR_BUSY, ERR_CLOSED: only the authority can tell. */
int owner_alone_judge(struct kept_record *r, const struct owner_claim *c,
    struct err *err);
/* What the authority granted. */
void owner_record_grant(struct kept_record *r, const struct owner_claim *c,
    const struct owner_grant *grant);
void owner_record_clean(struct kept_record *r, const struct owner_claim *c);
/* Tells the authority what it has not heard; *r is as far as it came, and
 * stored. ERR_STALE: another has it. With the VM's lock. */
int owner_tell(struct kmxa *k, struct kept_record *r, struct owner_why *why,
    struct err *err);

#endif
