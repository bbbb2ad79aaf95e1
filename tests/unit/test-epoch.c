/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of epochs and owners: each state against each kind of claim, in the
 * words of nvram-crypt/freshness.h; and a model of hosts that crash, come late,
 * are fenced, and of somebody who puts old files back.
 */
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

Test(epoch, closed)
{
	struct epoch_record r = closed();

	judged(&r, 5, 50, EPOCH_FRESH);
	judged(&r, 5, 51, EPOCH_FORKED);
	judged(&r, 4, 50, EPOCH_OLDER);
	judged(&r, 0, 50, EPOCH_OLDER);
	judged(&r, 6, 50, EPOCH_AHEAD);
}

Test(epoch, opening_after_a_clean_close)
{
	struct epoch_record r = opening();

	cr_assert_eq(r.epoch, 6);
	cr_assert(r.synced, "what a clean close left");
	judged(&r, 5, 50, EPOCH_FRESH);		/* not written yet */
	judged(&r, 5, 51, EPOCH_FORKED);
	judged(&r, 6, 99, EPOCH_FRESH);		/* written */
	judged(&r, 4, 50, EPOCH_OLDER);
	judged(&r, 7, 50, EPOCH_AHEAD);
}

Test(epoch, opening_after_openings)
{
	struct epoch_record r = opening();

	cr_assert_eq(take(&r, 5, 50, &host_b, LEASE), EPOCH_DONE);
	cr_assert_eq(take(&r, 6, 9, &host_a, 2 * LEASE), EPOCH_DONE);
	cr_assert_eq(r.epoch, 8);
	cr_assert_not(r.synced);
	for (uint64_t e = 6; e <= 8; e++)
		judged(&r, e, 77, EPOCH_FRESH);
	judged(&r, 5, 50, EPOCH_FRESH);
	judged(&r, 5, 51, EPOCH_FORKED);
	judged(&r, 4, 50, EPOCH_OLDER);
}

Test(epoch, is_open)
{
	struct epoch_record r = open_at_6();

	judged(&r, 6, 1, EPOCH_FRESH);
	judged(&r, 6, 2, EPOCH_FRESH);
	judged(&r, 5, 50, EPOCH_OLDER);
	judged(&r, 7, 1, EPOCH_AHEAD);
}

Test(epoch, opening_after_a_crash)
{
	struct epoch_record r = open_at_6();

	cr_assert_eq(take(&r, 6, 1, &host_b, LEASE), EPOCH_DONE);
	cr_assert_eq(r.epoch, 7);
	cr_assert_not(r.synced);
	judged(&r, 6, 2, EPOCH_FRESH);	/* what was not synced may be lost */
	judged(&r, 7, 2, EPOCH_FRESH);
	judged(&r, 5, 50, EPOCH_OLDER);
}

Test(epoch, accepted_restore)
{
	struct epoch_record r = closed();

	cr_assert_eq(take(&r, 3, 30, &host_a, 0), EPOCH_STALE);
	r.accept = true;
	cr_assert_eq(take(&r, 3, 30, &host_a, 0), EPOCH_DONE);
	cr_assert_eq(r.epoch, 6, "above whatever was used");
	cr_assert_not(r.accept, "good for one");
	judged(&r, 3, 30, EPOCH_FRESH);
	judged(&r, 3, 31, EPOCH_FORKED);
	judged(&r, 4, 30, EPOCH_OLDER);
	judged(&r, 5, 50, EPOCH_OLDER);	/* what was used until then */
	judged(&r, 6, 1, EPOCH_FRESH);
	cr_assert_eq(take(&r, 3, 30, &host_a, 1), EPOCH_DONE, "repeated");
	cr_assert_eq(r.epoch, 6);
	cr_assert_eq(epoch_confirm(&r, 6, &host_a), EPOCH_DONE);
	cr_assert_eq(take(&r, 3, 30, &host_b, LEASE + 1), EPOCH_STALE);
}

Test(epoch, ahead)
{
	struct epoch_record r = closed();

	cr_assert_eq(take(&r, 9, 1, &host_a, 0), EPOCH_DONE);
	cr_assert_eq(r.epoch, 10);
	cr_assert_not(r.synced);
	judged(&r, 9, 2, EPOCH_FRESH);
	judged(&r, 10, 2, EPOCH_FRESH);
	judged(&r, 8, 1, EPOCH_OLDER);
	judged(&r, 5, 50, EPOCH_OLDER);
}

Test(epoch, one_owner)
{
	struct epoch_record r = opening(), same = r;

	cr_assert_eq(take(&r, 5, 50, &host_b, LEASE - 1), EPOCH_BUSY);
	cr_assert_eq(take(&r, 5, 50, &host_a2, LEASE - 1), EPOCH_BUSY);
	cr_assert_eq(memcmp(&r, &same, sizeof(r)), 0, "nothing has changed");
	cr_assert_eq(take(&r, 5, 50, &host_a, 1), EPOCH_DONE);
	cr_assert_eq(r.epoch, 6, "the same answer again");
	cr_assert(r.synced);
	cr_assert_eq(r.owner.lease_until, 1 + LEASE);
	r.accept = true;
	cr_assert_eq(take(&r, 1, 1, &host_b, 2), EPOCH_BUSY,
	    "an accepted restore takes nothing from an owner");
	r.accept = false;
	cr_assert_eq(take(&r, 5, 50, &host_b, 1 + LEASE), EPOCH_DONE);
	cr_assert_eq(r.epoch, 7);
	cr_assert_eq(epoch_confirm(&r, 6, &host_a), EPOCH_STALE);
	cr_assert_eq(epoch_confirm(&r, 7, &host_a), EPOCH_STALE);
	cr_assert_eq(epoch_renew(&r, 6, &host_a, 500, 0), EPOCH_STALE);
}

Test(epoch, confirm_release_renew)
{
	struct epoch_record r = opening();
	struct epoch_claim left = claim(6, 60), other = claim(6, 61);

	cr_assert_eq(epoch_confirm(&r, 5, &host_a), EPOCH_STALE);
	cr_assert_eq(epoch_confirm(&r, 6, &host_a2), EPOCH_STALE);
	cr_assert_eq(epoch_confirm(&r, 6, &host_a), EPOCH_DONE);
	cr_assert_eq(epoch_confirm(&r, 6, &host_a), EPOCH_SAME);
	cr_assert_eq(epoch_renew(&r, 6, &host_a, LEASE + 20, 20), EPOCH_SAME);
	cr_assert_eq(epoch_renew(&r, 6, &host_a, LEASE + 21, 20), EPOCH_DONE);
	cr_assert_eq(epoch_renew(&r, 5, &host_a, 900, 20), EPOCH_STALE);
	cr_assert_eq(epoch_release(&r, &left, true, &host_b), EPOCH_STALE);
	cr_assert_eq(epoch_release(&r, &left, true, &host_a), EPOCH_DONE);
	cr_assert(r.clean && r.synced && r.owner.host[0] == '\0');
	cr_assert_eq(epoch_release(&r, &left, true, &host_a), EPOCH_SAME);
	cr_assert_eq(epoch_release(&r, &other, true, &host_a), EPOCH_STALE);
	cr_assert_eq(epoch_renew(&r, 6, &host_a, 900, 20), EPOCH_STALE);
}

Test(epoch, fence)
{
	struct epoch_record r = open_at_6();
	struct epoch_claim left = claim(6, 60);

	cr_assert_eq(epoch_fence(&r), EPOCH_DONE);
	cr_assert_eq(epoch_fence(&r), EPOCH_SAME);
	cr_assert_eq(epoch_renew(&r, 6, &host_a, 900, 0), EPOCH_STALE);
	cr_assert_eq(epoch_confirm(&r, 6, &host_a), EPOCH_STALE);
	cr_assert_eq(epoch_release(&r, &left, true, &host_a), EPOCH_STALE);
	cr_assert_eq(take(&r, 6, 200, &host_b, 1), EPOCH_DONE,
	    "at once, with whatever it left");
	cr_assert_eq(r.epoch, 7);
}

/* -- the model ------------------------------------------------------------ */

#define HOSTS 3
#define COPIES 6

static uint64_t seed;

static unsigned int
any(unsigned int n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(seed >> 33) % n;
}

/* A file, and what the rules cannot see: which opening wrote it, and, where
 * that may not have been confirmed, which confirmed one came before it. After a
 * crash any file of the last opening is taken, the first of it too. */
struct file {
	struct epoch_claim says;
	uint64_t opening, after;
	unsigned int note;	/* of a session; no command has run since */
};

struct host {
	struct epoch_asker who;
	enum { IDLE, GRANTED, WRITTEN, OPEN, LENT } at;
	struct file file;		/* what it has in its hands */
	uint64_t epoch;
	int64_t lease_until;		/* as it believes */
};

struct world {
	struct epoch_record record;
	struct file disk, copies[COPIES];
	struct host hosts[HOSTS];
	int64_t now;
	uint64_t opening;		/* the last that was confirmed */
	unsigned int accepted, taken, openings, sessions, moves;
	struct file offered;		/* in the last session */
	bool closed;			/* cleanly, leaving: */
	struct epoch_claim left;
};

static void
touch(struct file *f)
{
	for (size_t i = 0; i < sizeof(f->says.digest); i++)
		f->says.digest[i] = (uint8_t)any(256);
}

static void
do_acquire(struct world *w, struct host *h)
{
	uint64_t before = w->record.epoch;
	enum epoch_verdict v;

	if (h->at != IDLE)
		return;
	if (epoch_acquire(&w->record, &w->disk.says, &h->who, w->now,
	    w->now + LEASE, &v) != EPOCH_DONE)
		return;
	cr_assert(w->record.epoch > before || h->epoch == before,
	    "epochs go up");
	/* What follows the last confirmed opening, and after a clean close
	 * only what it left: or an administrator's word. */
	if (v == EPOCH_FRESH) {
		cr_assert(w->disk.opening == w->opening ||
		    w->disk.after == w->opening, "an older copy was taken");
		cr_assert(!w->closed || w->disk.says.epoch > w->left.epoch ||
		    memcmp(&w->left, &w->disk.says, sizeof(w->left)) == 0,
		    "a fork was taken");
		w->taken++;
	} else {
		/* From here on this copy is the one, wherever it lies. */
		w->accepted++;
		w->opening = UINT32_MAX + (uint64_t)w->accepted;
		for (size_t i = 0; i < COPIES; i++)
			if (memcmp(&w->copies[i].says, &w->disk.says,
			    sizeof(w->disk.says)) == 0)
				w->copies[i].opening = w->opening;
		w->disk.opening = w->opening;
		w->closed = true;
		w->left = w->disk.says;
	}
	h->file = w->disk;
	if (h->file.opening == w->opening)
		h->file.after = w->opening;
	h->epoch = w->record.epoch;
	h->lease_until = w->now + LEASE;
	h->at = GRANTED;
}

static void
do_step(struct world *w, struct host *h)
{
	if (h->at == GRANTED) {
		h->file.says.epoch = h->epoch;
		h->file.opening = h->epoch;
		touch(&h->file);
		w->disk = h->file;	/* also of one that comes late */
		h->at = WRITTEN;
	} else if (h->at == WRITTEN) {
		if (epoch_confirm(&w->record, h->epoch, &h->who) ==
		    EPOCH_STALE) {
			h->at = IDLE;
			return;
		}
		h->file.note = 0;	/* before the first command */
		h->file.after = w->opening = h->epoch;
		w->openings++;
		w->closed = false;
		w->disk = h->file;
		h->at = OPEN;
	} else if (h->at == OPEN) {
		touch(&h->file);
		w->disk = h->file;
	}
}

static void
session_name(unsigned int n, uint8_t out[EPOCH_SESSION_SIZE])
{
	memset(out, 0, EPOCH_SESSION_SIZE);
	memcpy(out, &n, sizeof(n));
}

/* It runs nothing from here on, until it has taken that back. */
static void
do_offer(struct world *w, struct host *h)
{
	uint8_t session[EPOCH_SESSION_SIZE];

	if (h->at != OPEN)
		return;
	touch(&h->file);
	h->file.note = ++w->sessions;
	w->disk = h->file;
	session_name(w->sessions, session);
	if (epoch_offer(&w->record, &h->file.says, true, session, &h->who,
	    w->now, w->now + LEASE) == EPOCH_STALE) {
		h->at = IDLE;
		return;
	}
	w->offered = h->file;
	h->at = LENT;
	h->lease_until = 0;
}

/* With the session of whatever file is there, old ones too. */
static void
do_take_up(struct world *w, struct host *h)
{
	uint8_t session[EPOCH_SESSION_SIZE];

	if ((h->at != IDLE && h->at != LENT) || w->disk.note == 0)
		return;
	session_name(w->disk.note, session);
	if (epoch_take_up(&w->record, w->disk.says.epoch, session, &h->who,
	    h->at == LENT, w->now, w->now + LEASE) != EPOCH_DONE)
		return;
	cr_assert_eq(w->disk.note, w->offered.note,
	    "an older session was taken");
	cr_assert_eq(w->opening, w->offered.opening, "a used one was taken");
	h->file = w->disk;
	h->file.after = w->opening;
	h->epoch = w->record.epoch;
	h->lease_until = w->now + LEASE;
	h->at = GRANTED;
	w->closed = true;
	w->left = w->offered.says;
	w->moves++;
}

static void
do_release(struct world *w, struct host *h)
{
	if (h->at != OPEN)
		return;
	h->at = IDLE;
	if (epoch_release(&w->record, &h->file.says, true, &h->who) !=
	    EPOCH_DONE)
		return;
	cr_assert_eq(h->file.opening, w->opening);
	w->disk = h->file;
	w->closed = true;
	w->left = h->file.says;
}

static void
do_renew(struct world *w, struct host *h)
{
	if (h->at == IDLE || h->at == LENT)
		return;
	if (epoch_renew(&w->record, h->epoch, &h->who, w->now + LEASE, 0) ==
	    EPOCH_STALE)
		h->at = IDLE;		/* it hears that it has lost it */
	else
		h->lease_until = w->record.owner.lease_until;
}

static void
check_owners(const struct world *w)
{
	int owners = 0;

	for (size_t i = 0; i < HOSTS; i++)
		owners += w->hosts[i].at != IDLE &&
		    w->hosts[i].at != LENT && w->now < w->hosts[i].lease_until;
	cr_assert(owners <= 1, "%d owners whose lease runs", owners);
}

static void
one_action(struct world *w)
{
	struct host *h = &w->hosts[any(HOSTS)];

	switch (any(20)) {
	case 0: case 1: case 2:
		do_acquire(w, h);
		break;
	case 3: case 4: case 5: case 6: case 7:
		do_step(w, h);
		break;
	case 8:
		do_release(w, h);
		break;
	case 9:
		do_renew(w, h);
		break;
	case 10:		/* it dies; another vtpmd on it is another */
		h->at = IDLE;
		h->lease_until = 0;
		h->who.instance[1]++;
		h->who.instance[2] = (uint8_t)any(256);
		break;
	case 11:
		w->now += any(LEASE);
		break;
	case 12:		/* whom an administrator fences is off */
		if (any(4) == 0 && epoch_fence(&w->record) == EPOCH_DONE)
			for (size_t i = 0; i < HOSTS; i++)
				w->hosts[i].lease_until = 0;
		break;
	case 13:
		w->copies[any(COPIES)] = w->disk;
		break;
	case 14:		/* an attack, if nobody asked for it */
		w->disk = w->copies[any(COPIES)];
		break;
	case 15:
		do_offer(w, h);
		break;
	case 16: case 17: case 18:
		do_take_up(w, h);
		break;
	default:
		if (any(8) == 0)
			w->record.accept = true;
	}
}

Test(epoch, model, .timeout = 60)
{
	unsigned int taken = 0, accepted = 0, openings = 0, moves = 0;

	for (unsigned int run = 0; run < 3000; run++) {
		struct world w = { .now = 1000 };
		uint64_t last = 0;

		seed = run * 7919u + 1;
		w.disk.says = claim(1, 7);
		epoch_register(&w.record, &w.disk.says, true);
		w.closed = true;
		w.left = w.disk.says;
		for (size_t i = 0; i < HOSTS; i++)
			w.hosts[i].who = (struct epoch_asker){
				i == 0 ? "a" : i == 1 ? "b" : "c",
				{ (uint8_t)i } };
		for (size_t i = 0; i < COPIES; i++)
			w.copies[i] = w.disk;
		for (int i = 0; i < 500; i++) {
			one_action(&w);
			cr_assert(w.record.epoch >= last, "epochs go back");
			last = w.record.epoch;
			check_owners(&w);
		}
		taken += w.taken;
		accepted += w.accepted;
		openings += w.openings;
		moves += w.moves;
	}
	/* It was about something. */
	cr_assert_gt(taken, 10000);
	cr_assert_gt(accepted, 1000);
	cr_assert_gt(openings, 10000);
	cr_assert_gt(moves, 1000);
}
