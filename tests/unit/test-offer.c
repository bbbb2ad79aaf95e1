/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of handing over: who may offer, who may claim and how often, who may
 * take back. test-epoch.c has the model that tries them together with all the
 * others. */
#include <criterion/criterion.h>
#include <string.h>

#include "trust-authority/keyprovider/epoch.h"

#define LEASE 60

static const struct epoch_asker host_a = { "a", { 1 } };
static const struct epoch_asker host_a2 = { "a", { 2 } };
static const struct epoch_asker host_b = { "b", { 1 } };

static struct epoch_claim
claim(uint64_t epoch, uint8_t digest)
{
	struct epoch_claim c = { .epoch = epoch };

	memset(c.digest, digest, sizeof(c.digest));
	return c;
}

/* Closed at epoch 5, leaving digest 50. */
static struct epoch_record
closed(void)
{
	struct epoch_claim c = claim(5, 50);
	struct epoch_record r;

	epoch_register(&r, &c, true);
	return r;
}

static enum epoch_step
take(struct epoch_record *r, uint64_t epoch, uint8_t digest,
    const struct epoch_asker *who, int64_t now)
{
	struct epoch_claim c = claim(epoch, digest);
	enum epoch_verdict v;

	return epoch_acquire(r, &c, who, now, now + LEASE, &v);
}

static struct epoch_record
opening(void)
{
	struct epoch_record r = closed();

	cr_assert_eq(take(&r, 5, 50, &host_a, 0), EPOCH_DONE);
	return r;
}

static struct epoch_record
open_at_6(void)
{
	struct epoch_record r = opening();

	cr_assert_eq(epoch_confirm(&r, 6, &host_a), EPOCH_DONE);
	return r;
}

static void
judged(const struct epoch_record *r, uint64_t epoch, uint8_t digest,
    enum epoch_verdict want)
{
	struct epoch_claim c = claim(epoch, digest);
	enum epoch_verdict got = epoch_judge(r, &c);

	cr_assert_eq(got, want, "epoch %d digest %d: %d, not %d", (int)epoch,
	    digest, got, want);
}

static const uint8_t session_1[EPOCH_SESSION_SIZE] = { 0xa1 };
static const uint8_t session_2[EPOCH_SESSION_SIZE] = { 0xa2 };

static enum epoch_step
offered(struct epoch_record *r, uint64_t epoch, uint8_t digest,
    const uint8_t *session, const struct epoch_asker *who, int64_t now)
{
	struct epoch_claim c = claim(epoch, digest);

	return epoch_offer(r, &c, true, session, who, now, now + LEASE);
}

static enum epoch_step
taken(struct epoch_record *r, uint64_t epoch, const uint8_t *session,
    const struct epoch_asker *who, int64_t now)
{
	return epoch_take_up(r, epoch, session, who, false, now, now + LEASE);
}

static enum epoch_step
back(struct epoch_record *r, uint64_t epoch, const uint8_t *session,
    const struct epoch_asker *who, int64_t now)
{
	return epoch_take_up(r, epoch, session, who, true, now, now + LEASE);
}

/* Open on a at 6, and handed out with digest 60. */
static struct epoch_record
on_offer(void)
{
	struct epoch_record r = open_at_6();

	cr_assert_eq(offered(&r, 6, 60, session_1, &host_a, 0), EPOCH_DONE);
	return r;
}

Test(offer, by_its_owner_once)
{
	struct epoch_record r = opening();

	cr_assert_eq(offered(&r, 6, 60, session_1, &host_a, 0), EPOCH_STALE,
	    "not confirmed");
	r = open_at_6();
	cr_assert_eq(offered(&r, 6, 60, session_1, &host_b, 0), EPOCH_STALE);
	cr_assert_eq(offered(&r, 6, 60, session_1, &host_a2, 0), EPOCH_STALE);
	cr_assert_eq(offered(&r, 5, 60, session_1, &host_a, 0), EPOCH_STALE);
	cr_assert_eq(offered(&r, 6, 60, session_1, &host_a, 9), EPOCH_DONE);
	cr_assert_eq(r.owner.lease_until, 9 + LEASE);
	cr_assert_eq(offered(&r, 6, 60, session_1, &host_a, 10), EPOCH_SAME);
	cr_assert(epoch_owns(&r, &host_a), "until somebody claims");
	cr_assert_eq(epoch_renew(&r, 6, &host_a, 900, 0), EPOCH_DONE);
	cr_assert_eq(offered(&r, 6, 61, session_2, &host_a, 11), EPOCH_DONE);
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 12), EPOCH_STALE,
	    "another session came after it");
}

Test(offer, claimed_once)
{
	struct epoch_record r = on_offer();

	cr_assert_eq(taken(&r, 6, session_2, &host_b, 1), EPOCH_STALE);
	cr_assert_eq(taken(&r, 5, session_1, &host_b, 1), EPOCH_STALE);
	cr_assert_eq(taken(&r, 7, session_1, &host_b, 1), EPOCH_STALE);
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_DONE);
	cr_assert_eq(r.epoch, 7);
	cr_assert(r.synced && !r.confirmed);
	judged(&r, 6, 60, EPOCH_FRESH);
	judged(&r, 6, 61, EPOCH_FORKED);
	judged(&r, 7, 1, EPOCH_FRESH);
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 2), EPOCH_DONE,
	    "its answer was lost");
	cr_assert_eq(r.epoch, 7, "the same again");
	cr_assert_eq(taken(&r, 6, session_1, &host_a2, 2), EPOCH_BUSY);
	cr_assert_eq(back(&r, 6, session_1, &host_a, 2), EPOCH_BUSY);
	cr_assert_eq(epoch_confirm(&r, 6, &host_a), EPOCH_STALE);
	cr_assert_eq(epoch_renew(&r, 6, &host_a, 900, 0), EPOCH_STALE);
	cr_assert_eq(epoch_confirm(&r, 7, &host_b), EPOCH_DONE);
	cr_assert_eq(back(&r, 6, session_1, &host_a, 9 * LEASE), EPOCH_STALE,
	    "used: for ever");
	cr_assert_eq(taken(&r, 7, session_1, &host_b, 3), EPOCH_STALE);
}

Test(offer, taken_back)
{
	struct epoch_record r = on_offer();

	cr_assert_eq(back(&r, 6, session_1, &host_b, 1), EPOCH_STALE,
	    "who has not offered it");
	cr_assert_eq(back(&r, 6, session_1, &host_a, 1), EPOCH_DONE);
	cr_assert_eq(r.epoch, 7);
	cr_assert_eq(back(&r, 6, session_1, &host_a, 1), EPOCH_DONE);
	cr_assert_eq(r.epoch, 7, "the same again");
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_BUSY);
	cr_assert_eq(epoch_confirm(&r, 7, &host_a), EPOCH_DONE);
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_STALE);
}

Test(offer, given_back_unused)
{
	struct epoch_record r = on_offer();
	struct epoch_claim left = claim(7, 70);

	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_DONE);
	cr_assert_eq(epoch_confirm(&r, 7, &host_b), EPOCH_DONE);
	cr_assert_eq(offered(&r, 7, 70, session_1, &host_b, 2), EPOCH_DONE);
	cr_assert_eq(epoch_release(&r, &left, true, &host_b), EPOCH_DONE);
	cr_assert_eq(back(&r, 6, session_1, &host_a, 3), EPOCH_STALE,
	    "an older copy of the file");
	cr_assert_eq(back(&r, 7, session_1, &host_a, 3), EPOCH_DONE);
	cr_assert_eq(r.epoch, 8);
	judged(&r, 7, 70, EPOCH_FRESH);
	judged(&r, 6, 60, EPOCH_OLDER);
}

/* Who has a file of his own that he made of it has nothing to give but the word:
 * what counts is the offerer's file. */
Test(offer, given_back_by_one_without_the_file)
{
	struct epoch_record r = on_offer();

	cr_assert_eq(offered(&r, 6, 0, session_1, &host_b, 1), EPOCH_STALE,
	    "not his to give");
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_DONE);
	cr_assert_eq(offered(&r, 6, 0, session_2, &host_b, 2), EPOCH_STALE);
	cr_assert_eq(offered(&r, 5, 0, session_1, &host_b, 2), EPOCH_STALE);
	cr_assert_eq(offered(&r, 6, 0, session_1, &host_a, 2), EPOCH_STALE);
	cr_assert_eq(offered(&r, 6, 0, session_1, &host_b, 2), EPOCH_DONE);
	cr_assert_eq(epoch_confirm(&r, 7, &host_b), EPOCH_STALE,
	    "and then it runs nothing");
	cr_assert_eq(back(&r, 6, session_1, &host_a, 3), EPOCH_DONE,
	    "at once: no lease is waited for");
	cr_assert_eq(r.epoch, 8);
	judged(&r, 6, 60, EPOCH_FRESH);
	judged(&r, 6, 61, EPOCH_FORKED);
	judged(&r, 7, 70, EPOCH_OLDER);
	cr_assert_eq(epoch_confirm(&r, 8, &host_a), EPOCH_DONE);
	judged(&r, 6, 60, EPOCH_OLDER);

	r = on_offer();
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_DONE);
	cr_assert_eq(epoch_confirm(&r, 7, &host_b), EPOCH_DONE);
	cr_assert_eq(offered(&r, 6, 0, session_1, &host_b, 2), EPOCH_STALE,
	    "it has run");
	cr_assert_eq(back(&r, 6, session_1, &host_a, 3), EPOCH_STALE);

	r = on_offer();
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_DONE);
	cr_assert_eq(offered(&r, 6, 0, session_1, &host_b, 2), EPOCH_DONE);
	judged(&r, 7, 70, EPOCH_FRESH);		/* the same, and has not run */
	cr_assert_eq(take(&r, 6, 60, &host_a2, 3), EPOCH_DONE,
	    "the offerer's file opens");
	cr_assert_eq(epoch_confirm(&r, 8, &host_a2), EPOCH_DONE);
	judged(&r, 7, 70, EPOCH_OLDER);
}

Test(offer, its_claimer_dies)
{
	struct epoch_record r = on_offer();

	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_DONE);
	cr_assert_eq(back(&r, 6, session_1, &host_a, LEASE), EPOCH_BUSY);
	cr_assert_eq(back(&r, 6, session_1, &host_a, 1 + LEASE), EPOCH_DONE);
	cr_assert_eq(r.epoch, 8);
	cr_assert_not(r.synced);
	cr_assert_eq(epoch_confirm(&r, 7, &host_b), EPOCH_STALE,
	    "one that was only slow runs nothing");
	r = on_offer();
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_DONE);
	cr_assert_eq(epoch_fence(&r), EPOCH_DONE);
	cr_assert_eq(back(&r, 6, session_1, &host_a, 2), EPOCH_DONE,
	    "or at once, when it is fenced");
}

Test(offer, nobody_opens_it_meanwhile)
{
	struct epoch_record r = on_offer();

	cr_assert_eq(take(&r, 6, 60, &host_b, 1), EPOCH_BUSY);
	cr_assert_eq(take(&r, 6, 60, &host_a, 1), EPOCH_OFFERED,
	    "on its own host neither");
	cr_assert_eq(take(&r, 6, 60, &host_b, LEASE), EPOCH_DONE);
	cr_assert_eq(taken(&r, 6, session_1, &host_a2, LEASE), EPOCH_STALE);
	cr_assert_eq(back(&r, 6, session_1, &host_a, LEASE), EPOCH_STALE);
	r = on_offer();
	cr_assert_eq(epoch_fence(&r), EPOCH_DONE);
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_STALE);
	cr_assert_eq(back(&r, 6, session_1, &host_a, 1), EPOCH_STALE);
	cr_assert_eq(take(&r, 6, 60, &host_b, 1), EPOCH_DONE);
}

/* What was allowed of this opening is not allowed of a later one. */
Test(offer, uses_up_an_accepted_restore)
{
	struct epoch_record r = on_offer();
	struct epoch_claim left = claim(7, 70);

	r.accept = true;
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_DONE);
	cr_assert_not(r.accept);
	cr_assert_eq(epoch_confirm(&r, 7, &host_b), EPOCH_DONE);
	cr_assert_eq(epoch_release(&r, &left, true, &host_b), EPOCH_DONE);
	cr_assert_eq(take(&r, 5, 50, &host_a, 2), EPOCH_STALE);
}

Test(offer, of_a_vm_that_was_saved)
{
	struct epoch_record r = on_offer();
	struct epoch_claim left = claim(6, 60), other = claim(6, 61);

	cr_assert_eq(epoch_release(&r, &left, true, &host_a), EPOCH_DONE);
	cr_assert(r.clean && r.owner.host[0] == '\0');
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_DONE);
	r = on_offer();
	cr_assert_eq(epoch_release(&r, &other, true, &host_a), EPOCH_DONE);
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_STALE,
	    "it was used before it closed");
	r = on_offer();
	cr_assert_eq(epoch_release(&r, &left, true, &host_a), EPOCH_DONE);
	cr_assert_eq(epoch_fence(&r), EPOCH_DONE, "void, though nobody's");
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_STALE);
	cr_assert_eq(epoch_fence(&r), EPOCH_SAME);
	cr_assert_eq(take(&r, 6, 60, &host_b, 1), EPOCH_DONE);
	r = on_offer();
	cr_assert_eq(epoch_release(&r, &left, true, &host_a), EPOCH_DONE);
	cr_assert_eq(take(&r, 6, 60, &host_a, 1), EPOCH_DONE, "or started");
	cr_assert_eq(taken(&r, 6, session_1, &host_b, 1), EPOCH_STALE);
}
