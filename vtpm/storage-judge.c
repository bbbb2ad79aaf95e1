/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether what came by SET_STATEBLOB is the latest there is of the VM, where its
 * file is here: doc/migration-format.md, "Who owns the state".
 */
#include <string.h>

#include "base/log.h"
#include "vtpm/storage-internal.h"

static int
refuse_older(const struct storage *s, const struct envelope *e,
    struct err *err)
{
	return err_set(err, ERR_STALE, "it is older than the state in the "
	    "nvram file, or was taken up once already (it was taken at epoch "
	    "%llu, and the file is at epoch %llu). To go back to it on "
	    "purpose: vtpmctl accept-restore --saved-state FILE, or "
	    "[migration] allow_restore = yes",
	    (unsigned long long)e->epoch,
	    (unsigned long long)nvram_header(s->nv)->epoch);
}

static bool
has_volatile(const struct storage *s)
{
	const uint8_t *data;
	size_t size;

	return nvram_get(s->nv, NVRAM_VOLATILE, &data, &size, NULL) == 0;
}

/* From the authority. The note says that no command has run since; so where
 * nobody has it on offer any more (its source was killed, started again, and
 * ended before a command), it is as any file that nobody has open. */
static int
claim(struct storage *s, const struct envelope *e, struct err *err)
{
	struct err why = { 0 };
	int rc = nvram_take_up(s->nv, s->freshness, e->session, false, &why);

	if (rc == ERR_STALE) {
		why = (struct err){ 0 };
		rc = nvram_acquire(s->nv, s->freshness, false, &why);
	}
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	s->hold = STORAGE_OWNED;
	s->same = !has_volatile(s);
	return nvram_set_state_version(s->nv, s->version, err);
}

/* The VM has gone on elsewhere, without this file, since the state in it: from
 * where a note says that it went, or from its last epoch here. */
static bool
is_later(const struct storage *s, const struct envelope *e,
    const struct envelope_kek *by)
{
	uint64_t floor = s->noted && s->note.epoch != 0 ? s->note.epoch :
	    s->floor;

	return by->protector == ENVELOPE_BY_RECIPIENT && e->epoch > floor;
}

/* From here on the session is the one that is out: until a command runs, it
 * can be brought in again. What is not the state in the file will be stored,
 * and that takes an owner. */
static void
note_session(struct storage *s, const struct envelope *e,
    const struct envelope_kek *by)
{
	bool comes = by->protector == ENVELOPE_BY_RECIPIENT;

	s->note = (struct note){ .what = NOTE_HANDED_OUT, .made = e->made,
		.epoch = comes ? e->epoch : 0 };
	memcpy(s->note.session, e->session, sizeof(s->note.session));
	s->noted = true;
	/* Once the note is gone, the epoch keeps this blob and those before it
	 * away; and who sent it takes only what is of a later one. */
	if (comes && e->epoch < UINT64_MAX)
		s->raise_to = e->epoch + 1;
}

/* It says that the state went to other hosts: that has to go before anybody is
 * told that it is back. */
static int
take_known(struct storage *s, const struct envelope *e, struct err *err)
{
	bool sent = s->note.what == NOTE_SENT;

	s->note.what = NOTE_HANDED_OUT;
	if (s->hold == STORAGE_HELD && nvram_wants_authority(s->nv))
		return claim(s, e, err);
	/* A volatile state in the file is not the one that came. */
	return sent || has_volatile(s) ? storage_own(s, 0, err) : 0;
}

int
storage_judge(struct storage *s, const struct envelope *e,
    const struct envelope_kek *by, struct err *err)
{
	bool accepted = s->noted && s->note.what == NOTE_ACCEPTED;
	int rc;

	s->known = s->noted && note_names(&s->note, e->session);
	if (s->known)
		return take_known(s, e, err);
	if (is_later(s, e, by)) {
		if ((rc = storage_own(s, 0, err)) < 0)
			return rc;
		log_event(LOG_LEVEL_INFO, "migration.arrived", "epoch=%llu "
		    "file_epoch=%llu consequence=\"the state replaces what the "
		    "file had when the VM left\"",
		    (unsigned long long)e->epoch, (unsigned long long)s->floor);
		note_session(s, e, by);
		return 0;
	}
	if (!accepted && !s->allow_restore)
		return refuse_older(s, e, err);
	if ((rc = storage_own(s, 0, err)) < 0)
		return rc;
	log_event(LOG_LEVEL_WARNING, "migration.restored", "epoch=%llu "
	    "file_epoch=%llu allowed_by=%s consequence=\"the TPM goes back to "
	    "an older state\"", (unsigned long long)e->epoch,
	    (unsigned long long)nvram_header(s->nv)->epoch,
	    accepted ? "accept-restore" : "configuration");
	note_session(s, e, by);
	return 0;
}
