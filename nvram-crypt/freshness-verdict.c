/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/freshness-verdict.h"

#include <inttypes.h>

#include "base/log.h"

int
freshness_refuse(enum freshness_verdict v, const struct freshness_record *r,
    const struct freshness_claim *c, struct err *err)
{
	if (v == FRESHNESS_OLDER)
		return err_set(err, ERR_STALE, "this is an older copy: it is "
		    "of epoch %" PRIu64 ", and the VM was last opened at "
		    "epoch %" PRIu64 ". If it was put back on purpose, accept "
		    "it with: vtpmctl accept-restore FILE", c->epoch,
		    r->epoch);
	return err_set(err, ERR_STALE, "this is another copy than the one that "
	    "was closed last: both are of epoch %" PRIu64 " (the VM's record "
	    "is at %" PRIu64 "), but with another content. If it was put back "
	    "on purpose, accept it with: vtpmctl accept-restore FILE",
	    c->epoch, r->epoch);
}

static void
report(enum log_level level, const char *event, const char *reason,
    const struct freshness_record *r, const struct freshness_claim *c)
{
	char uuid[UUID_TEXT_SIZE];

	uuid_format(c->uuid, uuid);
	log_event(level, event, "uuid=%s reason=%s file_epoch=%" PRIu64
	    " record_epoch=%" PRIu64, uuid, reason, c->epoch, r->epoch);
}

int
freshness_verdict_on(const struct freshness_record *r,
    const struct freshness_claim *c, bool accept, bool *accepted,
    struct err *err)
{
	enum freshness_verdict v = freshness_judge(r, c);
	const char *reason = v == FRESHNESS_OLDER ? "older" : "forked";

	if (v == FRESHNESS_FRESH)
		return 0;
	if (v == FRESHNESS_AHEAD) {
		report(LOG_LEVEL_WARNING, "freshness.ahead", "elsewhere", r,
		    c);
		return 0;
	}
	if (accept) {
		*accepted = true;
		report(LOG_LEVEL_WARNING, "freshness.accepted", reason, r, c);
		return 0;
	}
	report(LOG_LEVEL_ERROR, "freshness.stale", reason, r, c);
	return freshness_refuse(v, r, c, err);
}

int
freshness_judge_missing(int why, const struct freshness_claim *c, bool accept,
    struct err *err)
{
	static const struct freshness_record none;
	const char *reason = why == ERR_NOTFOUND ? "missing" : "damaged";

	if (accept) {
		report(LOG_LEVEL_WARNING, "freshness.accepted", reason, &none,
		    c);
		return 0;
	}
	if (why == ERR_NOTFOUND && !c->host_bound) {
		report(LOG_LEVEL_WARNING, "freshness.new", reason, &none, c);
		return 0;
	}
	report(LOG_LEVEL_ERROR, "freshness.stale", reason, &none, c);
	return err_set(err, ERR_STALE, "this host's record of the VM is %s, so "
	    "nothing tells whether the file (epoch %" PRIu64 ") is the latest. "
	    "If it is, accept it with: vtpmctl accept-restore FILE", reason,
	    c->epoch);
}
