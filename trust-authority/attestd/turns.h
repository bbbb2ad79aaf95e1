/* SPDX-License-Identifier: BSD-3-Clause */
/* How many attestations one address may have under way: verifying logs is work,
 * and no host may take it all. */
#ifndef ATTESTD_TURNS_H
#define ATTESTD_TURNS_H

#include "base/err.h"

struct turns;

/* NULL: no memory. */
struct turns *turns_new(unsigned int per_address);
/* NULL is allowed. */
void turns_free(struct turns *t);

/* ERR_BUSY where it has as many as it may. */
int turns_take(struct turns *t, const char *address, struct err *err);
void turns_give(struct turns *t, const char *address);

#endif
