/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/expiry.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/common/token-keys.h"

#define REASON "the host has not attested again in time"

static void
expire(struct attestd *d, struct directory_attested *t)
{
	struct store_op op = { .value = NULL };
	struct directory_host host;
	struct err err = { 0 };

	/* Of one that was revoked nobody expects that it comes again. */
	if (directory_host_get(d->service.store, t->host, &host, &err) < 0 ||
	    host.revoked != 0)
		return;
	text_cut(t->state, sizeof(t->state), ATTESTED_EXPIRED);
	text_cut(t->reason, sizeof(t->reason), REASON);
	t->since = t->token_expires;
	if (directory_attested_op(t, &op, &err) == 0 &&
	    store_commit(d->service.store, &op, 1, NULL, NULL, &err) == 0)
		log_event(LOG_LEVEL_WARNING, "host.expired", "host=%s "
		    "group=%s address=%s last=%lld consequence=\"no key is "
		    "given to it until it attests\"", t->host, host.group,
		    t->address, (long long)t->last);
	free((void *)(uintptr_t)op.value);
}

static int
look(void *arg, const struct store_record *r, struct err *err)
{
	struct directory_attested t;

	if (directory_attested_read(r, &t, err) == 0 &&
	    strcmp(t.state, ATTESTED_ATTESTED) == 0 &&
	    t.token_expires + TOKEN_SKEW < attestd_now())
		expire(arg, &t);
	return 0;
}

void
expiry_look(struct attestd *d)
{
	struct err err = { 0 };

	if (store_each(d->service.store, KIND_ATTESTED, look, d, &err) < 0)
		log_warning("cannot look which hosts have not attested again: "
		    "%s", err.text);
}
