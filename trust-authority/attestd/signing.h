/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys that sign tokens now, followed as they rotate. */
#ifndef ATTESTD_SIGNING_H
#define ATTESTD_SIGNING_H

#include "trust-authority/common/token.h"

struct signing;

int signing_new(struct store *store, const struct secret *sealing,
    const struct token_times *times, struct signing **out, struct err *err);
/* NULL is allowed. */
void signing_free(struct signing *s);

/* Reads the keys again and makes those that are due; called now and then. An
 * error leaves the old ones, and is an event and an alarm. */
void signing_refresh(struct signing *s, int64_t now);
int signing_issue(struct signing *s, struct token_claims *claims,
    int64_t lifetime, int64_t now, char **out, struct err *err);
/* NULL: no memory. */
json_t *signing_jwks(struct signing *s);
/* Whether there is a key that signs now; what was wrong at the last refresh,
 * empty for nothing. */
bool signing_good(struct signing *s, int64_t now, struct err *last);

#endif
