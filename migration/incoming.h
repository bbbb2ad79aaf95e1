/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The blobs of one hand-over as they come in: whether they belong together, and
 * whether all are there. They may come in any order; the first one says which
 * session it is.
 */
#ifndef MIGRATION_INCOMING_H
#define MIGRATION_INCOMING_H

#include <stdbool.h>

#include "migration/envelope.h"

struct incoming {
	bool begun;
	uint32_t got;			/* 1 << kind */
	struct envelope first;
};

/* Nothing has come; what had is forgotten. */
void incoming_reset(struct incoming *in);
/* kind is what the blob was brought in as, version the libtpms here.
 * ERR_REFUSED or ERR_UNSUPPORTED and why; nothing is added then. */
int incoming_add(struct incoming *in, const struct envelope *e, uint32_t kind,
    uint32_t version, struct err *err);
/* 0 once every member is there; ERR_REFUSED and which one is not. */
int incoming_complete(const struct incoming *in, struct err *err);

#endif
