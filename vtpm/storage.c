/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/storage-internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/uuid.h"
#include "nvram-crypt/freshness-authority.h"

/* Pauses between tries of a store, in milliseconds: about a second in all,
 * well under any guest's time-out for a TPM command. */
static const long retry_pauses[] = { 10, 50, 200, 700 };
#define RETRIES (sizeof(retry_pauses) / sizeof(retry_pauses[0]))

/*
 * A file that was removed, or replaced, under a running vTPM takes all writes
 * and is gone when vtpmd ends: that has to be said while it can be rescued. At
 * most once in a second of use, so that it does not show in the writes; where there
 * is no use the monitor asks (storage_look).
 */
static void
look_for_name(struct storage *s, bool now)
{
	struct timespec t;
	char where[64];

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	if (s->vanished || (!now && t.tv_sec == s->looked))
		return;
	s->looked = t.tv_sec;
	s->vanished = nvram_vanished(s->nv, where, sizeof(where));
	if (s->vanished)
		log_event(LOG_LEVEL_ERROR, "storage.vanished", "alarm=1 "
		    "at=%s consequence=\"the nvram file was removed or "
		    "replaced: what the TPM holds is lost when vtpmd ends\" "
		    "remedy=\"before the VM is powered off: cp %s FILE, as "
		    "root; see vtpmd(8)\"", where, where);
}

struct storage *
storage_new(struct agent *agent)
{
	struct storage *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->agent = agent;
	s->keys_fd = -1;
	s->arrival.record = s->arrival.store = s->arrival.instances = -1;
	s->arrival.porter.sock = -1;
	return s;
}

int
storage_check_fence(struct storage *s, struct err *err)
{
	if (!storage_fenced(s))
		return 0;
	return err_set(err, ERR_STALE, "the trust authority has given this VM "
	    "to another owner: nothing is written any more");
}

static void
fence(struct storage *s, const char *why)
{
	if (s->fenced)
		return;
	s->fenced = true;
	log_event(LOG_LEVEL_ERROR, "storage.fenced", "alarm=1 epoch=%llu "
	    "reason=\"%s\" consequence=\"another host owns this VM: nothing is "
	    "written any more; commands that need NV are answered "
	    "TPM_RC_NV_UNAVAILABLE\" remedy=\"end this VM; see vtactl vm "
	    "show\"", (unsigned long long)nvram_header(s->nv)->epoch, why);
}

bool
storage_fenced(struct storage *s)
{
	const char *why = s->fenced ? NULL : agent_lost(s->agent);

	if (why != NULL)
		fence(s, why);
	return s->fenced;
}

/* This host's key is of no use to a file that only the authority opens, and
 * may take long to be had (its TPM). */
static bool
may_open_natively(const struct nvram *nv)
{
	const struct nvram_header *h = nvram_header(nv);

	for (size_t i = 0; i < h->n_protectors; i++)
		if (h->protectors[i].kind == PROTECTOR_NATIVE)
			return true;
	return !nvram_wants_authority(nv);
}

static int
open_native(struct storage *s, const struct native_config *native,
    bool other_key, struct err *err)
{
	struct err why = { 0 };
	int rc;

	if (!may_open_natively(s->nv))
		return 0;
	/* A key that is not there yet is made only once the file has opened by
	 * other means: a fresh key could not have opened it. */
	rc = other_key ? native_open_beside(&s->native, native, &why) :
	    native_open(&s->native, native, false, &why);
	if (rc == 0 || (rc == ERR_NOTFOUND && other_key))
		return 0;
	*err = why;
	return rc;
}

int
storage_unlock(struct storage *s, const struct config *config,
    const struct secret *passphrase, struct err *err)
{
	struct native_config native = config_native(config);
	struct protector_creds creds = { .passphrase = passphrase,
		.agent = s->agent, .move = &s->move };
	int rc;

	if ((rc = open_native(s, &native, passphrase != NULL ||
	    nvram_wants_authority(s->nv), err)) < 0)
		return rc;
	creds.native = s->native;
	if ((rc = nvram_unlock(s->nv, &creds, err)) < 0)
		return rc;
	/* By now the protectors are authentic: who has only the file cannot
	 * choose who is asked whether it is the latest. */
	if (nvram_wants_authority(s->nv))
		return freshness_authority(&s->freshness, s->agent, &native,
		    err);
	if (s->native == NULL &&
	    (rc = native_open(&s->native, &native, true, err)) < 0)
		return rc;
	storage_keys_open(s);
	return freshness_native(&s->freshness, s->native, err);
}

int
storage_open(struct storage **out, const char *path,
    const struct config *config, const struct secret *passphrase,
    struct agent *agent, struct err *err)
{
	struct storage *s;
	int rc;

	*out = NULL;
	if ((s = storage_new(agent)) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	s->hold = STORAGE_OPENED;
	if ((rc = nvram_open(&s->nv, path, true, err)) < 0 ||
	    (rc = storage_unlock(s, config, passphrase, err)) < 0) {
		storage_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

int
storage_acquire(struct storage *s, struct err *err)
{
	int rc;

	/* The supervisor, whose pid stays when this process is replaced. */
	nvram_act_for(s->nv, getppid());
	s->floor = nvram_header(s->nv)->epoch;
	if ((rc = storage_read_note(s, err)) < 0 ||
	    (rc = storage_check_sent(s, err)) < 0 ||
	    (rc = nvram_acquire(s->nv, s->freshness, false, err)) < 0)
		return rc;
	s->hold = STORAGE_OWNED;
	return 0;
}

void
storage_abandon(struct storage *s)
{
	storage_free(s);
}

void
storage_free(struct storage *s)
{
	if (s == NULL)
		return;
	storage_arrival_free(s);
	storage_keys_close(s);
	authority_move_reset(&s->move);
	nvram_close(s->nv);
	freshness_free(s->freshness);
	native_free(s->native);
	free(s);
}

int
storage_close(struct storage *s, struct err *err)
{
	int rc = 0;

	if (s == NULL)
		return 0;
	look_for_name(s, true);
	storage_end_loan(s);
	/* What a waiting one has not acquired, its giver closes. */
	if (s->hold == STORAGE_HELD && !s->waits)
		rc = storage_own(s, 0, err);
	/* The record is another's, and so is the end. */
	if (s->hold == STORAGE_OWNED &&
	    (rc = storage_check_fence(s, err)) == 0 && !storage_offer_again(s))
		rc = nvram_release(s->nv, err);
	storage_abandon(s);
	return rc;
}

void
storage_rest(struct storage *s)
{
	/* The authority lets the session be claimed, and keeps others away. */
	if (!nvram_wants_authority(s->nv))
		storage_end_loan(s);
	nvram_rest(s->nv);
}

bool
storage_look(struct storage *s)
{
	look_for_name(s, true);
	return s->vanished;
}

const struct nvram_header *
storage_header(const struct storage *s)
{
	return nvram_header(s->nv);
}

static int
nvram_kind_of(enum tpm_state which)
{
	switch (which) {
	case TPM_STATE_PERMANENT:
		return NVRAM_PERMANENT;
	case TPM_STATE_VOLATILE:
		return NVRAM_VOLATILE;
	case TPM_STATE_SAVESTATE:
		break;
	}
	return ERR_NOTFOUND;
}

int
storage_load(struct storage *s, enum tpm_state which, const uint8_t **data,
    size_t *size, struct err *err)
{
	int kind = nvram_kind_of(which);

	if (kind < 0)
		return err_set(err, ERR_NOTFOUND, "a TPM 2.0 has no such state");
	return nvram_get(s->nv, (enum nvram_kind)kind, data, size, err);
}

static void
pause_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* How a state is written, and how often it is tried again. */
struct way {
	int (*put)(struct nvram *nv, const struct nvram_record *records,
	    size_t n, struct err *err);
	size_t retries;
};

static const struct way patient = { nvram_commit, RETRIES };
static const struct way once = { nvram_commit, 0 };
static const struct way unsynced = { nvram_commit_unsynced, RETRIES };

/* records has room for one more: the note goes along. */
static int
commit_by(struct storage *s, const struct way *way,
    struct nvram_record *records, size_t n, struct err *err)
{
	uint8_t note[NOTE_SIZE_MAX];
	int rc;

	s->undoable = false;
	if ((rc = storage_check_fence(s, err)) < 0)
		return rc;
	if (s->hold == STORAGE_HELD && (rc = storage_own(s, 0, err)) < 0)
		return rc;
	/* On offer it is what the authority was told. */
	if ((s->hold != STORAGE_OWNED && !s->arrival.formatted) || s->offered)
		return err_set(err, ERR_REFUSED, "the nvram file is not this "
		    "vTPM's now: its state was handed out");
	if (s->noted)
		records[n++] = (struct nvram_record){ NVRAM_MIGRATION, note,
			note_encode(&s->note, note) };
	if ((rc = nvram_raise_epoch(s->nv, s->raise_to, err)) < 0)
		return rc;
	for (size_t i = 0;; i++) {
		rc = way->put(s->nv, records, n, err);
		if (rc == 0)
			break;
		if (rc == ERR_STALE)
			fence(s, err->text);
		if (!s->failing)
			log_event(LOG_LEVEL_ERROR, "storage.failed",
			    "error=\"%s\"", err->text);
		s->failing = true;
		/* Only what the system said may pass by itself. */
		if (i == way->retries || err->sys == 0)
			return rc;
		pause_ms(retry_pauses[i]);
	}
	if (s->failing)
		log_event(LOG_LEVEL_WARNING, "storage.recovered",
		    "nothing was lost");
	s->failing = s->same = false;
	look_for_name(s, false);
	return 0;
}

static int
commit(struct storage *s, struct nvram_record *records, size_t n,
    struct err *err)
{
	return commit_by(s, &patient, records, n, err);
}

/* libtpms stores what SET_STATEBLOB brought when it starts with it. Where that
 * is what the file holds, byte for byte, it is stored. */
static bool
is_held_already(const struct storage *s, const uint8_t *state, size_t n)
{
	const uint8_t *data;
	size_t size;

	return storage_holds_what_came(s) &&
	    nvram_get(s->nv, NVRAM_PERMANENT, &data, &size, NULL) == 0 &&
	    size == n && memcmp(data, state, size) == 0 &&
	    nvram_get(s->nv, NVRAM_VOLATILE, &data, &size, NULL) < 0;
}

int
storage_store(struct storage *s, enum tpm_state which, const uint8_t *data,
    size_t size, struct err *err)
{
	struct nvram_record records[3];
	int rc;

	if (which == TPM_STATE_PERMANENT) {
		if (is_held_already(s, data, size)) {
			s->undoable = false;
			return 0;
		}
		records[0] = (struct nvram_record){ NVRAM_PERMANENT, data,
			size };
		rc = commit(s, records, 1, err);
		s->undoable = rc == 0;
		return rc;
	}
	if (which != TPM_STATE_VOLATILE)
		return err_set(err, ERR_NOTFOUND,
		    "a TPM 2.0 has no such state");
	records[0].kind = NVRAM_PERMANENT;
	if ((rc = nvram_get(s->nv, NVRAM_PERMANENT, &records[0].data,
	    &records[0].size, err)) < 0)
		return rc;
	records[1] = (struct nvram_record){ NVRAM_VOLATILE, data, size };
	return commit(s, records, 2, err);
}

static int
commit_again(struct storage *s, const struct way *way, bool with_volatile,
    struct err *err)
{
	struct nvram_record records[3] = { { .kind = NVRAM_PERMANENT },
		{ .kind = NVRAM_VOLATILE } };
	size_t n = 1;
	int rc;

	if ((rc = nvram_get(s->nv, NVRAM_PERMANENT, &records[0].data,
	    &records[0].size, err)) < 0)
		return rc;
	if (with_volatile && nvram_get(s->nv, NVRAM_VOLATILE,
	    &records[1].data, &records[1].size, NULL) == 0)
		n++;
	return commit_by(s, way, records, n, err);
}

int
storage_write_note(struct storage *s, struct err *err)
{
	return commit_again(s, &patient, true, err);
}

int
storage_write_note_unsynced(struct storage *s, struct err *err)
{
	return commit_again(s, &unsynced, true, err);
}

int
storage_undo(struct storage *s, struct err *err)
{
	struct err why = { 0 };
	int rc;

	if (!s->undoable || s->hold != STORAGE_OWNED)
		return err_set(err, ERR_NOTFOUND, "the last that was written "
		    "is not what a command stored");
	if ((rc = nvram_undo(s->nv, err)) < 0)
		return rc;
	/* Once: what comes next tries again, and waits. No volatile state: what
	 * may have been beside it was void when the command began. */
	if (commit_again(s, &once, false, &why) < 0)
		log_warning("what was taken back may still be in the file "
		    "until the next store: %s", why.text);
	return 0;
}

int
storage_drop_volatile(struct storage *s, struct err *err)
{
	const uint8_t *data;
	size_t size;

	if (nvram_get(s->nv, NVRAM_VOLATILE, &data, &size, NULL) < 0)
		return 0;
	return commit_again(s, &patient, false, err);
}

int
storage_note_version(struct storage *s, uint32_t version, struct err *err)
{
	s->version = version;
	return s->hold == STORAGE_OWNED ?
	    nvram_set_state_version(s->nv, version, err) : 0;
}
