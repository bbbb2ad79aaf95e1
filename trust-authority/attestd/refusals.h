/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who was refused before it had proven who it is. It does not change what is
 * known of that host, for anybody could have asked in its name, but an
 * administrator who looks why a host is not attested finds it in `status`. In
 * memory, the newest of each name, a few hundred.
 */
#ifndef ATTESTD_REFUSALS_H
#define ATTESTD_REFUSALS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct refusals;

/* NULL: no memory. */
struct refusals *refusals_new(void);
/* NULL is allowed. */
void refusals_free(struct refusals *r);

/* name: of a known host, or what an unknown one calls itself; ek: its
 * fingerprint, may be empty. */
void refusals_add(struct refusals *r, const char *name, bool known,
    const char *ek, const char *address, const char *reason, int64_t now);
/* It has proven itself since. */
void refusals_forget(struct refusals *r, const char *host);
/* A host's last, {reason, address, at}; NULL for none after `since`. */
json_t *refusals_of(struct refusals *r, const char *name, int64_t since);
/* The unknown ones: a list of {name, ek, reason, address, at}. */
json_t *refusals_unknown(struct refusals *r);

#endif
