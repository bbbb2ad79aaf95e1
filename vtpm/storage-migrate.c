/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state leaves by GET_STATEBLOB and comes by SET_STATEBLOB, and the file
 * goes along: doc/migration-format.md, "Who owns the state".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "nvram-crypt/freshness-authority.h"
#include "vtpm/storage-internal.h"

/* A guest that is stopped waits for this. */
#define LOCK_PAUSE_MS 1
#define CLAIM_PAUSE_MS 50

/* The file is written by its owner while it is read here: what looks torn may
 * be whole a moment later. */
#define LOOK_TRIES 20
#define LOOK_PAUSE_MS 25

static void
pause_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

void
storage_allow_restore(struct storage *s, bool allow)
{
	s->allow_restore = allow;
}

int
storage_read_note(struct storage *s, struct err *err)
{
	const uint8_t *data;
	size_t size;
	int rc;

	s->noted = false;
	if (nvram_get(s->nv, NVRAM_MIGRATION, &data, &size, NULL) < 0)
		return 0;
	if ((rc = note_decode(data, size, &s->note, err)) < 0)
		return rc;
	s->noted = true;
	return 0;
}

/* -- out -- */

/* The authority is told before any of the session leaves: so if that fails there
 * is nothing that anybody could claim, whether it has heard or not. Another host
 * reads the note from a storage that need not be this one's memory. */
static int
put_note(struct storage *s, struct err *err)
{
	int rc;

	if (!nvram_wants_authority(s->nv))
		return storage_write_note_unsynced(s, err);
	if ((rc = storage_write_note(s, err)) < 0 ||
	    (rc = nvram_offer(s->nv, s->note.session, err)) < 0)
		return rc;
	s->offered = true;
	return 0;
}

/* The state went to hosts that have no part in this file: whether they run it,
 * only people know. */
int
storage_check_sent(const struct storage *s, struct err *err)
{
	char to[2 * ENVELOPE_ID_SIZE + 1], when[32] = "";
	time_t made = (time_t)s->note.made;
	struct tm tm;

	if (!s->noted || s->note.what != NOTE_SENT)
		return 0;
	for (size_t i = 0; i < ENVELOPE_ID_SIZE; i++)
		snprintf(to + 2 * i, 3, "%02x", s->note.hosts[0][i]);
	if (gmtime_r(&made, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return err_set(err, ERR_STALE, "the VM has moved: its TPM's state was "
	    "handed out on %s, at epoch %llu, for the host with the migration "
	    "key %s%s, and may be in use there. If it is not, and never will "
	    "be, take this copy into use with: vtpmctl accept-restore FILE",
	    when, (unsigned long long)s->note.epoch, to,
	    s->note.n_hosts > 1 ? " or another one" : "");
}

int
storage_hand_out(struct storage *s, struct envelope_session **session,
    struct err *err)
{
	struct envelope_kek keks[ENVELOPE_PROTECTORS_MAX] = { 0 };
	struct note before = s->note, note = { .what = NOTE_HANDED_OUT,
		.made = (uint64_t)time(NULL) };
	bool noted = s->noted;
	size_t n = 0;
	int rc;

	*session = NULL;
	if (s->hold == STORAGE_ARRIVING)
		return storage_not_arrived(err);
	if ((rc = storage_own(s, 0, err)) < 0 ||
	    (rc = storage_keks(s, keks, &n, &note, err)) < 0 ||
	    (rc = envelope_session_new(session, nvram_header(s->nv)->uuid,
	    keks, n, err)) < 0)
		goto out;
	memcpy(note.session, envelope_session_id(*session),
	    sizeof(note.session));
	s->sending = note;
	s->note = (struct note){ .what = NOTE_HANDED_OUT, .made = note.made };
	memcpy(s->note.session, note.session, sizeof(s->note.session));
	s->noted = true;
	if ((rc = put_note(s, err)) < 0) {
		/* One that got into the file goes with the next command. */
		if (!nvram_wants_authority(s->nv)) {
			s->note = before;
			s->noted = noted;
		}
		envelope_session_free(*session);
		*session = NULL;
	}
out:
	cleanse(keks, sizeof(keks));
	return rc;
}

/* Closed as at the end. */
static void
give(struct storage *s, enum storage_hold hold)
{
	struct err err = { 0 };

	/* A file that was made of what came is no source's: it stays. */
	if (s->hold != STORAGE_OWNED || s->fenced || s->apart)
		return;
	(void)storage_offer_again(s);
	if (nvram_release(s->nv, &err) < 0) {
		log_warning("the file is kept while the state travels: %s",
		    err.text);
		return;
	}
	nvram_give(s->nv);
	s->hold = hold;
	s->raise_to = 0;
}

/* Not before, or a session that was cut short would keep the file from being
 * started anew. */
int
storage_sent(struct storage *s, struct err *err)
{
	const struct note before = s->note;
	int rc;

	if (s->sending.what != NOTE_SENT ||
	    !note_names(&s->note, s->sending.session))
		return 0;
	s->note = s->sending;
	if ((rc = storage_write_note(s, err)) < 0)
		s->note = before;
	return rc;
}

static bool
lend(struct storage *s)
{
	memcpy(s->lent, s->note.session, sizeof(s->lent));
	if (s->hold != STORAGE_OWNED || s->fenced || !nvram_lend(s->nv))
		return false;
	s->hold = STORAGE_LENT;
	return true;
}

void
storage_lend(struct storage *s)
{
	bool authority = nvram_wants_authority(s->nv);

	if (authority && !s->offered)
		return;
	/* The VM is stopped until the other side has taken it up: nothing is
	 * closed or synced now, and a note is as good as a close. */
	if (!lend(s) && !authority)
		give(s, STORAGE_LENT);
}

void
storage_end_loan(struct storage *s)
{
	struct err err = { 0 };

	if (s->hold == STORAGE_LENT && nvram_end_loan(s->nv, &err) < 0)
		log_warning("the file that was given up is not closed: %s",
		    err.text);
}

bool
storage_offer_again(struct storage *s)
{
	struct err err = { 0 };
	int rc;

	if (!s->waits || !s->noted || s->note.what != NOTE_HANDED_OUT ||
	    !nvram_wants_authority(s->nv))
		return false;
	rc = s->apart ? freshness_authority_give_back(s->freshness,
	    s->note.epoch, s->note.session, &err) :
	    nvram_offer(s->nv, s->note.session, &err);
	if (rc < 0)
		log_warning("the state that came cannot be given back to its "
		    "source: %s", err.text);
	return s->apart;
}

void
storage_give_up(struct storage *s)
{
	if (s->hold == STORAGE_ARRIVING) {
		storage_arrival_forget(s);
		return;
	}
	if (!s->waits)
		return;
	s->same = false;
	if (s->hold == STORAGE_HELD) {
		nvram_give(s->nv);
		s->hold = STORAGE_WAITING;
	}
	give(s, STORAGE_WAITING);
}

bool
storage_holds_what_came(const struct storage *s)
{
	return s->hold == STORAGE_HELD || s->same;
}

/* -- in, and back -- */

static int
was_moved(struct storage *s, struct err *err)
{
	if (!s->moved)
		log_event(LOG_LEVEL_ERROR, "storage.moved", "alarm=1 "
		    "consequence=\"another vtpmd has taken up the state that "
		    "was handed out here, and has used it: this copy of the "
		    "TPM runs no command any more\" remedy=\"end this VM\"");
	s->moved = true;
	return err_set(err, ERR_STALE, "the state that was handed out here is "
	    "in use elsewhere");
}

/* The file is locked: whether it is still what was lent. While its note is
 * there, no command has run. */
static int
check_unused(struct storage *s, const struct storage *before, struct err *err)
{
	s->known = before->hold == STORAGE_LENT;
	if (before->hold != STORAGE_LENT)
		return 0;
	if (s->noted && note_names(&s->note, before->lent))
		return 0;
	return was_moved(s, err);
}

/* Locks, reads and judges; writes nothing. */
static int
take(struct storage *s, struct err *err)
{
	struct storage before = *s;
	int rc;

	if ((rc = nvram_take(&s->nv, err)) < 0)
		return rc;
	s->floor = nvram_header(s->nv)->epoch;
	if ((rc = storage_read_note(s, err)) < 0 ||
	    (rc = check_unused(s, &before, err)) < 0 ||
	    /* The authority is asked once, when it is known for what. */
	    (!nvram_wants_authority(s->nv) &&
	    (rc = nvram_admit(s->nv, s->freshness, err)) < 0)) {
		nvram_give(s->nv);
		return rc;
	}
	s->hold = STORAGE_HELD;
	return 0;
}

static int
hold(struct storage *s, unsigned int wait_ms, struct err *err)
{
	unsigned int waited = 0;
	int rc;

	if (s->hold == STORAGE_OWNED || s->hold == STORAGE_HELD ||
	    s->hold == STORAGE_ARRIVING)
		return 0;
	if (s->moved)
		return was_moved(s, err);
	while ((rc = take(s, err)) == ERR_BUSY && waited < wait_ms) {
		pause_ms(LOCK_PAUSE_MS);
		waited += LOCK_PAUSE_MS;
	}
	return rc;
}

/* What was offered: the first of its source and those that claim it has it. */
static int
take_back(struct storage *s, struct err *err)
{
	struct err why = { 0 };
	int rc = nvram_take_up(s->nv, s->freshness, s->lent, true, &why);

	if (rc == 0) {
		s->offered = false;
		return 0;
	}
	nvram_give(s->nv);
	s->hold = STORAGE_LENT;
	if (rc != ERR_STALE)
		return err_set(err, rc, "%s", why.text);
	log_warning("%s", why.text);
	return was_moved(s, err);
}

static int
own(struct storage *s, unsigned int wait_ms, struct err *err)
{
	int rc;

	/* The session was begun, and not all of it was asked for: until it is
	 * taken back the VM is whoever's claims it, and nobody renews it. */
	if (s->offered && s->hold == STORAGE_OWNED && !lend(s))
		return err_set(err, ERR_REFUSED, "the nvram file cannot be "
		    "given up");
	if ((rc = hold(s, wait_ms, err)) < 0 || s->hold == STORAGE_OWNED)
		return rc;
	rc = s->offered ? take_back(s, err) :
	    s->known ? nvram_acquire_lent(s->nv, s->freshness, err) :
	    nvram_acquire(s->nv, s->freshness, false, err);
	if (rc < 0)
		return rc;
	s->hold = STORAGE_OWNED;
	return nvram_set_state_version(s->nv, s->version, err);
}

int
storage_own(struct storage *s, unsigned int wait_ms, struct err *err)
{
	unsigned int waited = 0;
	int rc;

	/* With the lock free it may be claimed, and not given back yet. */
	while ((rc = own(s, wait_ms, err)) == ERR_BUSY && s->offered &&
	    waited < wait_ms) {
		pause_ms(CLAIM_PAUSE_MS);
		waited += CLAIM_PAUSE_MS;
	}
	return rc;
}

int
storage_reclaim(struct storage *s, unsigned int wait_ms, struct err *err)
{
	int rc;

	if (s->hold == STORAGE_ARRIVING)
		return storage_not_arrived(err);
	/* Who handed it out himself is told by his QEMU that it stays. */
	if (s->waits && ((rc = hold(s, wait_ms, err)) < 0 ||
	    (rc = storage_check_sent(s, err)) < 0)) {
		storage_give_up(s);
		return rc;
	}
	if ((rc = storage_own(s, wait_ms, err)) < 0)
		return rc;
	s->waits = s->apart = false;
	storage_arrival_free(s);
	s->floor = nvram_header(s->nv)->epoch;
	if (!s->noted)
		return 0;
	s->noted = false;
	if ((rc = storage_write_note(s, err)) < 0)
		s->noted = true;
	return rc;
}

/* -- what comes -- */

int
storage_open_blob(struct storage *s, unsigned int wait_ms, const void *bytes,
    size_t size, struct envelope *e, struct secret **state, struct err *err)
{
	struct envelope_kek by;
	int rc;

	if (s->hold == STORAGE_ARRIVING)
		return storage_arrival_open_blob(s, bytes, size, e, state,
		    err);
	if ((rc = hold(s, wait_ms, err)) < 0 ||
	    (rc = storage_unseal(s, bytes, size, nvram_header(s->nv)->uuid, e,
	    &by, state, err)) < 0)
		return rc;
	if (by.protector == ENVELOPE_BY_AUTHORITY) {
		secret_free(*state);
		storage_arrive(s);
		return storage_arrival_open_blob(s, bytes, size, e, state,
		    err);
	}
	if ((rc = storage_judge(s, e, &by, err)) < 0) {
		secret_free(*state);
		*state = NULL;
	}
	return rc;
}

/* -- waiting for it -- */

static int
look(struct storage *s, const char *path, const struct config *config,
    const struct secret *passphrase, struct err *err)
{
	struct freshness_claim claim;
	int rc;

	if ((rc = nvram_open_waiting(&s->nv, path, err)) < 0 ||
	    (rc = storage_unlock(s, config, passphrase, err)) < 0)
		return rc;
	/* The supervisor, whose pid stays when this process is replaced. */
	nvram_act_for(s->nv, getppid());
	nvram_claim(s->nv, &claim);
	return freshness_prepare(s->freshness, &claim, err);
}

int
storage_open_waiting(struct storage **out, const char *path,
    const struct config *config, const struct secret *passphrase,
    struct agent *agent, struct err *err)
{
	struct storage *s = NULL;
	int rc = 0;

	*out = NULL;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return storage_open_arriving(out, path, config, passphrase,
		    agent, err);
	for (size_t i = 0; i < LOOK_TRIES; i++) {
		storage_free(s);
		if ((s = storage_new(agent)) == NULL)
			return err_sys(err, ENOMEM, "cannot open %s", path);
		s->hold = STORAGE_WAITING;
		s->waits = true;
		rc = look(s, path, config, passphrase, err);
		if (rc != ERR_AUTH && rc != ERR_FORMAT)
			break;
		pause_ms(LOOK_PAUSE_MS);
	}
	if (rc < 0) {
		storage_free(s);
		return rc;
	}
	if (nvram_wants_authority(s->nv))
		storage_prepare_arrival(s, path, config);
	*out = s;
	return 0;
}
