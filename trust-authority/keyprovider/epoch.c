/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/epoch.h"

#include <string.h>

static bool
same(const uint8_t a[EPOCH_DIGEST_SIZE], const uint8_t b[EPOCH_DIGEST_SIZE])
{
	return memcmp(a, b, EPOCH_DIGEST_SIZE) == 0;
}

/*
 * An owner that got an epoch may have written it into the file or not, and so
 * may one before it that never confirmed; none of them has changed the state,
 * so every epoch granted since the file was last judged anew is as good. That
 * is not every epoch above the file's: a restored copy is of an old epoch, and
 * what was used between it and the restore stays refused. The file that was
 * opened must still be what it was.
 */
static enum epoch_verdict
judge_opening(const struct epoch_record *r, const struct epoch_claim *c)
{
	if (c->epoch > r->before.since)
		return EPOCH_FRESH;
	if (c->epoch != r->before.epoch)
		return EPOCH_OLDER;
	if (r->before.clean && !same(r->before.digest, c->digest))
		return EPOCH_FORKED;
	return EPOCH_FRESH;
}

enum epoch_verdict
epoch_judge(const struct epoch_record *r, const struct epoch_claim *c)
{
	if (c->epoch > r->epoch)
		return EPOCH_AHEAD;
	if (!r->confirmed)
		return judge_opening(r, c);
	if (c->epoch < r->epoch)
		return EPOCH_OLDER;
	if (r->clean && !same(r->digest, c->digest))
		return EPOCH_FORKED;
	return EPOCH_FRESH;
}

bool
epoch_owns(const struct epoch_record *r, const struct epoch_asker *who)
{
	return r->owner.host[0] != '\0' &&
	    strcmp(r->owner.host, who->host) == 0 &&
	    memcmp(r->owner.instance, who->instance,
	    sizeof(who->instance)) == 0;
}

bool
epoch_owned(const struct epoch_record *r, const struct epoch_asker *who,
    int64_t now)
{
	return r->owner.host[0] != '\0' && !epoch_owns(r, who) &&
	    now < r->owner.lease_until;
}

void
epoch_register(struct epoch_record *r, const struct epoch_claim *c,
    bool synced)
{
	*r = (struct epoch_record){ .epoch = c->epoch, .confirmed = true,
		.clean = true, .synced = synced };
	memcpy(r->digest, c->digest, sizeof(r->digest));
}

void
epoch_set_owner(struct epoch_record *r, const struct epoch_asker *who,
    int64_t until)
{
	size_t size = strnlen(who->host, sizeof(r->owner.host) - 1);

	r->owner = (struct epoch_owner){ .lease_until = until };
	memcpy(r->owner.host, who->host, size);
	memcpy(r->owner.instance, who->instance, sizeof(who->instance));
}

/*
 * One that goes on from openings that were never confirmed grants an epoch more
 * and leaves the rest: what they found may still be what is there. Any other
 * starts anew, above whatever was used.
 */
static void
open_next(struct epoch_record *r, const struct epoch_claim *c,
    enum epoch_verdict verdict)
{
	bool accepted = verdict == EPOCH_OLDER || verdict == EPOCH_FORKED;
	bool was_clean = r->confirmed && r->clean;

	r->accept = false;
	r->offer = (struct epoch_offer){ 0 };
	if (verdict == EPOCH_FRESH && !r->confirmed) {
		r->synced = false;
		r->epoch++;
		return;
	}
	r->synced = verdict == EPOCH_FRESH && was_clean && r->synced;
	r->before.epoch = c->epoch;
	r->before.since = c->epoch > r->epoch ? c->epoch : r->epoch;
	/* While nobody runs it a file closed cleanly does not change, and of
	 * an accepted one only this copy is. One that was open when its owner
	 * died may still lose what was not synced; of one that is ahead
	 * nothing is known. */
	r->before.clean = accepted || (was_clean && verdict == EPOCH_FRESH);
	memset(r->before.digest, 0, sizeof(r->before.digest));
	if (r->before.clean)
		memcpy(r->before.digest, c->digest, sizeof(c->digest));
	r->epoch = r->before.since + 1;
	r->confirmed = r->clean = false;
	memset(r->digest, 0, sizeof(r->digest));
}

enum epoch_step
epoch_acquire(struct epoch_record *r, const struct epoch_claim *c,
    const struct epoch_asker *who, int64_t now, int64_t lease_until,
    enum epoch_verdict *verdict)
{
	bool stale;

	*verdict = epoch_judge(r, c);
	stale = *verdict == EPOCH_OLDER || *verdict == EPOCH_FORKED;
	if (epoch_owned(r, who, now))
		return EPOCH_BUSY;
	/* Not for its owner either: whoever asks for the file in this moment is
	 * not the vTPM that has handed it out, which would ask for the
	 * session. */
	if (r->offer.is && r->offer.open && r->owner.host[0] != '\0' &&
	    now < r->owner.lease_until)
		return EPOCH_OFFERED;
	if (stale && !r->accept)
		return EPOCH_STALE;
	/* Its answer was lost. */
	if (epoch_owns(r, who) && *verdict == EPOCH_FRESH && !r->accept) {
		r->owner.lease_until = lease_until;
		r->offer.is = false;
		return EPOCH_DONE;
	}
	open_next(r, c, *verdict);
	epoch_set_owner(r, who, lease_until);
	return EPOCH_DONE;
}

enum epoch_step
epoch_confirm(struct epoch_record *r, uint64_t epoch,
    const struct epoch_asker *who)
{
	if (!epoch_owns(r, who) || r->epoch != epoch)
		return EPOCH_STALE;
	if (r->confirmed)
		return EPOCH_SAME;
	r->confirmed = true;
	r->synced = false;
	memset(&r->before, 0, sizeof(r->before));
	return EPOCH_DONE;
}

enum epoch_step
epoch_release(struct epoch_record *r, const struct epoch_claim *left,
    bool synced, const struct epoch_asker *who)
{
	struct epoch_offer offer = r->offer;
	bool accept;

	/* Done, and its answer was lost. Who else knows the digest of what
	 * lies there changes nothing by saying so. */
	if (r->owner.host[0] == '\0' && r->clean && r->epoch == left->epoch &&
	    same(r->digest, left->digest))
		return EPOCH_SAME;
	if (!epoch_owns(r, who) || r->epoch != left->epoch)
		return EPOCH_STALE;
	accept = r->accept;
	epoch_register(r, left, synced);
	r->accept = accept;
	/* A VM that was saved to a file, say: what was handed out is what was
	 * left. */
	if (offer.is && offer.open && offer.epoch == left->epoch &&
	    same(offer.digest, left->digest))
		r->offer = offer;
	return EPOCH_DONE;
}

enum epoch_step
epoch_renew(struct epoch_record *r, uint64_t epoch,
    const struct epoch_asker *who, int64_t lease_until, int64_t enough)
{
	if (!epoch_owns(r, who) || r->epoch != epoch)
		return EPOCH_STALE;
	if (lease_until - r->owner.lease_until <= enough)
		return EPOCH_SAME;
	r->owner.lease_until = lease_until;
	return EPOCH_DONE;
}

enum epoch_step
epoch_fence(struct epoch_record *r)
{
	bool offered = r->offer.is && r->offer.open;

	/* One that was saved, and closed, is on offer without an owner. */
	if (r->owner.host[0] == '\0' && !offered)
		return EPOCH_SAME;
	memset(&r->owner, 0, sizeof(r->owner));
	if (offered)
		r->offer = (struct epoch_offer){ 0 };
	return EPOCH_DONE;
}
