/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VM's state changes hands while the VM is between two hosts. The source
 * offers; then it or another takes the session up, whoever comes first; the
 * commit of the record decides. Until its epoch is confirmed, which comes before
 * the first command, the one that has it has changed nothing.
 */
#include <string.h>

#include "trust-authority/keyprovider/epoch.h"

bool
epoch_offerer(const struct epoch_record *r, const struct epoch_asker *who)
{
	return r->offer.is && strcmp(r->offer.host, who->host) == 0 &&
	    memcmp(r->offer.instance, who->instance,
	    sizeof(who->instance)) == 0;
}

static bool
is_of(const struct epoch_record *r, const uint8_t session[EPOCH_SESSION_SIZE])
{
	return r->offer.is && memcmp(r->offer.session, session,
	    EPOCH_SESSION_SIZE) == 0;
}

static bool
is_same(const struct epoch_offer *o, const struct epoch_claim *c)
{
	return o->open && o->epoch == c->epoch && memcmp(o->digest, c->digest,
	    sizeof(o->digest)) == 0;
}

/*
 * One that took the session up without the offerer's file has not run it, and
 * gives it back: it knows the epoch that was offered, and nothing else of that
 * file, which is the one that counts again. Nobody owns it until somebody comes.
 */
static bool
gives_back(const struct epoch_record *r, uint64_t epoch,
    const uint8_t session[EPOCH_SESSION_SIZE], const struct epoch_asker *who)
{
	return is_of(r, session) && !r->offer.open && !r->confirmed &&
	    r->offer.epoch == epoch && r->epoch > epoch && epoch_owns(r, who);
}

enum epoch_step
epoch_offer(struct epoch_record *r, const struct epoch_claim *c, bool synced,
    const uint8_t session[EPOCH_SESSION_SIZE], const struct epoch_asker *who,
    int64_t now, int64_t lease_until)
{
	struct epoch_offer next = { .is = true, .open = true,
		.synced = synced, .epoch = c->epoch, .at = now };

	if (gives_back(r, c->epoch, session, who)) {
		r->offer.open = true;
		memset(&r->owner, 0, sizeof(r->owner));
		return EPOCH_DONE;
	}
	if (!epoch_owns(r, who) || r->epoch != c->epoch || !r->confirmed)
		return EPOCH_STALE;
	if (is_of(r, session) && is_same(&r->offer, c))
		return EPOCH_SAME;
	memcpy(next.session, session, sizeof(next.session));
	memcpy(next.digest, c->digest, sizeof(next.digest));
	memcpy(next.host, r->owner.host, sizeof(next.host));
	memcpy(next.instance, r->owner.instance, sizeof(next.instance));
	if (is_of(r, session)) {
		memcpy(next.host, r->offer.host, sizeof(next.host));
		memcpy(next.instance, r->offer.instance,
		    sizeof(next.instance));
	}
	r->offer = next;
	r->owner.lease_until = lease_until;
	return EPOCH_DONE;
}

/* As acquire after a clean close: the file is what was offered, and the next
 * epoch may not get into it. */
static void
grant(struct epoch_record *r, const struct epoch_asker *who,
    int64_t lease_until)
{
	const struct epoch_offer *o = &r->offer;
	bool first = o->open;

	if (first) {
		r->before.epoch = o->epoch;
		r->before.since = r->epoch;
		r->before.clean = true;
		memcpy(r->before.digest, o->digest, sizeof(o->digest));
	}
	/* Of one who has claimed before the file may have got the epoch, in
	 * memory that was lost. */
	r->synced = first && o->synced;
	r->epoch++;
	/* An accepted restore was for the next who opens it; it must not wait
	 * for a copy that somebody puts there much later. */
	r->accept = false;
	r->confirmed = r->clean = false;
	memset(r->digest, 0, sizeof(r->digest));
	r->offer.open = false;
	epoch_set_owner(r, who, lease_until);
}

enum epoch_step
epoch_take_up(struct epoch_record *r, uint64_t epoch,
    const uint8_t session[EPOCH_SESSION_SIZE], const struct epoch_asker *who,
    bool back, int64_t now, int64_t lease_until)
{
	if (!is_of(r, session) || (back && !epoch_offerer(r, who)) ||
	    epoch < r->offer.epoch || epoch > r->epoch)
		return EPOCH_STALE;
	if (!r->offer.open && r->confirmed)
		return EPOCH_STALE;
	/* Its answer was lost. */
	if (!r->offer.open && epoch_owns(r, who)) {
		r->owner.lease_until = lease_until;
		return EPOCH_DONE;
	}
	if (!r->offer.open && epoch_owned(r, who, now))
		return EPOCH_BUSY;
	grant(r, who, lease_until);
	return EPOCH_DONE;
}
