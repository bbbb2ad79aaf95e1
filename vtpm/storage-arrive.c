/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VM comes from another host, and its file is not here: one is made. All that
 * can fail for want of space or rights is done at the start, under a name that
 * nobody opens; the file gets its own once libtpms has taken the state.
 * doc/migration-format.md, "Storage that is not shared".
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "nvram-crypt/freshness-authority.h"
#include "nvram-crypt/freshness-instance.h"
#include "vtpm/storage-internal.h"

int
storage_not_arrived(struct err *err)
{
	return err_set(err, ERR_REFUSED, "there is no nvram file, and no state "
	    "has come: a TPM is made by vtpmctl create, or moves here from its "
	    "host");
}

/* -- the start -- */

/* Whether there is an agent, by which a VM of the authority's may come: it says
 * which, and whether this host may have it, when that has come. */
static int
find_agent(struct storage *s, const struct native_config *config,
    struct err *err)
{
	struct agent_message q = { .type = AGENT_STATUS }, answer;
	struct storage_arrival *a = &s->arrival;
	int rc;

	if (s->agent == NULL)
		return err_set(err, ERR_CLOSED, "there is no agent");
	rc = agent_ask(s->agent, &q, AGENT_TIME_RUNNING, &answer, err);
	agent_forget(s->agent);
	if (rc < 0 || (rc = freshness_instance_directory(config,
	    &a->instances, err)) < 0)
		return rc;
	return freshness_authority(&a->authority, s->agent, config, err);
}

static int
check_keys(struct storage *s, const char *path, const struct err *agent,
    struct err *err)
{
	struct migrate_table t = { 0 };
	struct err why = { 0 };
	int rc = 0;

	storage_keys_open(s);
	if (s->keys_fd >= 0)
		rc = migrate_table_read(s->keys_fd, s->keys_key, &t, &why);
	if (rc < 0)
		rc = err_set(err, rc, "%s", why.text);
	else if (s->arrival.authority != NULL)
		rc = 0;
	else if (t.private == NULL)
		rc = err_set(err, ERR_NOTFOUND, "there is no file %s; and no "
		    "other host can send its TPM, for this one has no "
		    "migration key: vtpmctl migrate-key makes it. Nor does "
		    "the trust authority: %s", path, agent->text);
	else if (t.n_peers == 0)
		rc = err_set(err, ERR_NOTFOUND, "there is no file %s; and no "
		    "other host is trusted to send its TPM: vtpmctl "
		    "migrate-key --trust. Nor does the trust authority: %s",
		    path, agent->text);
	migrate_table_reset(&t);
	return rc;
}

/* Who can open the new file. */
static int
choose_protector(struct storage *s, const struct secret *passphrase,
    struct err *err)
{
	struct storage_arrival *a = &s->arrival;

	a->protector = protector_ops_by_kind(passphrase != NULL ?
	    PROTECTOR_PASSPHRASE : PROTECTOR_NATIVE);
	if (passphrase == NULL)
		return 0;
	a->passphrase = secret_from(secret_bytes(passphrase),
	    secret_size(passphrase));
	return a->passphrase != NULL ? 0 : err_sys(err, errno,
	    "cannot lock memory for a passphrase");
}

/* The file's contents, over again: of the VM, with nothing but the note, or at
 * the start of none. */
static int
format(struct storage *s, struct err *err)
{
	struct storage_arrival *a = &s->arrival;
	const struct protector_creds creds = { .native = s->native,
		.passphrase = a->passphrase, .agent = s->agent,
		.move = &s->move };
	uint8_t note[NOTE_SIZE_MAX];
	struct nvram_record record = { NVRAM_MIGRATION, note,
		note_encode(&s->note, note) };
	struct nvram_create_args args = { .name = a->first.name,
		.state_version = s->version, .protector = a->protector,
		.creds = &creds, .records = &record, .n_records = 1,
		.epoch = 1 + (a->last > a->first.epoch ? a->last :
		    a->first.epoch), .prepared = a->room };
	struct store *store = NULL;
	struct nvram *nv = NULL;
	int fd, rc;

	memcpy(args.uuid, a->first.uuid, UUID_SIZE);
	/* Taken here, it is the one that was granted. */
	if (a->granted > 0) {
		args.epoch = a->granted - 1;
		args.protector = protector_ops_by_kind(PROTECTOR_AUTHORITY);
	}
	fd = fcntl(a->store, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_sys(err, errno, "cannot make the file");
	if ((rc = store_from_fd(&store, fd, err)) < 0)
		return rc;
	if ((rc = store_lock(store, "the new file", err)) < 0) {
		store->ops->close(store);
		return rc;
	}
	if ((rc = nvram_create_opened(&nv, store, &args, err)) < 0)
		return rc;
	nvram_act_for(nv, getppid());
	if ((rc = nvram_acquire(nv, NULL, false, err)) < 0) {
		nvram_close(nv);
		return rc;
	}
	nvram_close(s->nv);
	s->nv = nv;
	a->room = true;
	return 0;
}

/* replaces: the space for it is taken when a state comes. */
static int
make_room(struct storage *s, const char *path, bool replaces,
    struct err *err)
{
	struct storage_arrival *a = &s->arrival;
	struct porter_places places = { .native = s->native,
		.instances = a->instances };
	struct new_file *f = NULL;
	char *copy = strdup(path);
	int rc;

	if (copy == NULL)
		return err_sys(err, ENOMEM, "cannot create %s", path);
	if ((rc = replaces ? new_file_open_over(&f, path, err) :
	    new_file_open(&f, path, err)) < 0)
		goto out;
	places.file = dirname(copy);
	a->replaces = replaces;
	a->store = fcntl(new_file_fd(f), F_DUPFD_CLOEXEC, 3);
	if (a->store < 0)
		rc = err_sys(err, errno, "cannot create %s", path);
	else if (!replaces)
		rc = format(s, err);
	if (rc < 0)
		new_file_free(f);
	else
		rc = porter_start(&a->porter, f, &places, err);
out:
	free(copy);
	return rc;
}

void
storage_prepare_arrival(struct storage *s, const char *path,
    const struct config *config)
{
	struct native_config native = config_native(config);
	struct storage_arrival *a = &s->arrival;
	struct err err = { 0 };

	if (freshness_instance_directory(&native, &a->instances, &err) == 0 &&
	    make_room(s, path, true, &err) == 0 &&
	    freshness_authority(&a->authority, s->agent, &native, &err) == 0)
		return;
	log_info("the state is taken by this file alone, as no other can be "
	    "made: %s", err.text);
	storage_arrival_free(s);
}

int
storage_open_arriving(struct storage **out, const char *path,
    const struct config *config, const struct secret *passphrase,
    struct agent *agent, struct err *err)
{
	struct native_config native = config_native(config);
	struct err why = { 0 };
	struct storage *s;
	int rc;

	*out = NULL;
	if ((s = storage_new(agent)) == NULL)
		return err_sys(err, ENOMEM, "cannot create %s", path);
	s->hold = STORAGE_ARRIVING;
	s->waits = true;
	/* What is not known yet to be of a VM is this host's alone. */
	rc = native_open(&s->native, &native,
	    find_agent(s, &native, &why) == 0, err);
	if (rc == ERR_NOTFOUND)
		err_prefix(err, "there is no file %s; to make one of a TPM "
		    "that comes from another host", path);
	if (rc < 0 || (rc = check_keys(s, path, &why, err)) < 0 ||
	    (rc = choose_protector(s, passphrase, err)) < 0 ||
	    (rc = freshness_native(&s->freshness, s->native, err)) < 0 ||
	    (rc = make_room(s, path, false, err)) < 0)
		goto out;
	log_info("there is no file %s yet: it is made of the state that comes",
	    path);
	*out = s;
	s = NULL;
out:
	storage_free(s);
	return rc;
}

/* -- a state comes -- */

static void
give_back(struct storage *s)
{
	struct storage_arrival *a = &s->arrival;
	struct err err = { 0 };

	if (a->granted > 0 && freshness_authority_give_back(a->authority,
	    a->first.epoch, a->first.session, &err) < 0)
		log_warning("the state that came cannot be given back to its "
		    "source: %s", err.text);
	a->granted = 0;
}

void
storage_arrival_forget(struct storage *s)
{
	struct storage_arrival *a = &s->arrival;

	give_back(s);
	if (a->record >= 0)
		close(a->record);
	a->record = -1;
	a->last = 0;
	a->begun = a->formatted = false;
	memset(&a->first, 0, sizeof(a->first));
	s->noted = false;
}

void
storage_arrival_free(struct storage *s)
{
	struct storage_arrival *a = &s->arrival;

	if (s->hold == STORAGE_ARRIVING)
		storage_arrival_forget(s);
	porter_end(&a->porter);
	if (a->store >= 0)
		close(a->store);
	if (a->instances >= 0)
		close(a->instances);
	a->store = a->instances = -1;
	freshness_free(a->authority);
	a->authority = NULL;
	secret_free(a->passphrase);
	a->passphrase = NULL;
}

void
storage_arrive(struct storage *s)
{
	log_info("the VM has gone on without this file, which is replaced by "
	    "what comes");
	nvram_give(s->nv);
	s->hold = STORAGE_ARRIVING;
	s->noted = false;
}

/* What this host remembers of the VM, from when it was here before. */
static int
judge_arrival(struct storage *s, const struct envelope *e, struct err *err)
{
	struct storage_arrival *a = &s->arrival;
	struct err why = { 0 };
	int rc;

	if ((rc = porter_record(&a->porter, e->uuid, false, 0, &a->record,
	    &why)) == ERR_NOTFOUND)
		return 0;
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	rc = freshness_record_judge(a->record, e->uuid, e->epoch, &a->last,
	    &why);
	if (rc < 0 && (rc != ERR_STALE || !s->allow_restore))
		return err_set(err, rc, "%s", why.text);
	if (rc == ERR_STALE)
		log_event(LOG_LEVEL_WARNING, "migration.restored", "epoch=%llu "
		    "file_epoch=%llu allowed_by=configuration consequence="
		    "\"the TPM goes back to an older state\"",
		    (unsigned long long)e->epoch, (unsigned long long)a->last);
	return 0;
}

/* The session is on offer, or it is not the latest: the authority says so. */
static int
claim(struct storage *s, const struct envelope *e, struct err *err)
{
	struct storage_arrival *a = &s->arrival;
	struct freshness_claim c = { .epoch = e->epoch };
	struct freshness_grant grant = { 0 };
	struct err why = { 0 };
	int fd, rc;

	memcpy(c.uuid, e->uuid, UUID_SIZE);
	if ((rc = porter_instance(&a->porter, e->uuid, &fd, &why)) == 0) {
		freshness_authority_expect(a->authority, fd);
		rc = freshness_take_up(a->authority, &c, e->session, false,
		    &grant, &why);
	}
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	a->granted = grant.epoch;
	return 0;
}

static int
judge(struct storage *s, const struct envelope *e,
    const struct envelope_kek *by, struct err *err)
{
	struct storage_arrival *a = &s->arrival;
	bool known = by->protector == ENVELOPE_BY_AUTHORITY;
	int rc;

	if (a->begun)
		return known == (a->granted > 0) ? 0 : err_set(err,
		    ERR_REFUSED, "its parts are sealed for different hosts");
	if ((rc = known ? claim(s, e, err) : judge_arrival(s, e, err)) < 0)
		return rc;
	a->first = *e;
	a->begun = true;
	return 0;
}

int
storage_arrival_open_blob(struct storage *s, const void *bytes, size_t size,
    struct envelope *e, struct secret **state, struct err *err)
{
	struct storage_arrival *a = &s->arrival;
	uint8_t uuid[UUID_SIZE];
	struct envelope_kek by;
	int rc;

	*state = NULL;
	if ((rc = envelope_uuid(bytes, size, uuid, err)) < 0)
		return rc;
	/* Of a second blob it has to be that of the first. */
	if ((rc = storage_unseal(s, bytes, size, a->begun ? a->first.uuid :
	    a->replaces ? nvram_header(s->nv)->uuid : uuid, e, &by, state,
	    err)) < 0)
		return rc;
	if ((rc = judge(s, e, &by, err)) < 0) {
		secret_free(*state);
		*state = NULL;
		return rc;
	}
	if (e->name[0] != '\0')
		memcpy(a->first.name, e->name, sizeof(e->name));
	return 0;
}

int
storage_receive(struct storage *s, struct err *err)
{
	struct storage_arrival *a = &s->arrival;
	char uuid[UUID_TEXT_SIZE];
	int rc;

	if (s->hold != STORAGE_ARRIVING)
		return 0;
	s->note = (struct note){ .what = NOTE_HANDED_OUT,
		.made = a->first.made, .epoch = a->first.epoch };
	memcpy(s->note.session, a->first.session, sizeof(s->note.session));
	s->noted = true;
	if ((rc = format(s, err)) < 0)
		return rc;
	a->formatted = true;
	uuid_format(a->first.uuid, uuid);
	log_set_context(uuid);
	return 0;
}

/* The record is there before the file, and says only how far the other host
 * was: cut short in between, the state can come once more. */
static int
get_record(struct storage *s, struct err *err)
{
	struct storage_arrival *a = &s->arrival;
	uint64_t last;
	int rc;

	if (a->record >= 0)
		return 0;
	if ((rc = porter_record(&a->porter, a->first.uuid, true,
	    a->first.epoch - 1, &a->record, err)) < 0)
		return rc;
	/* Somebody may have been quicker. */
	return freshness_record_judge(a->record, a->first.uuid, a->first.epoch,
	    &last, err);
}

static int
record(struct storage *s, struct err *err)
{
	struct storage_arrival *a = &s->arrival;
	int fd = a->record, rc;

	a->record = -1;
	if ((rc = freshness_record_take(s->freshness, fd, a->first.uuid,
	    nvram_header(s->nv)->epoch, err)) < 0)
		porter_unname(&a->porter);
	else
		nvram_keep_fresh(s->nv, s->freshness);
	return rc;
}

/* The authority has it already, and is told that it counts with the first
 * command. */
static void
keep_authority(struct storage *s)
{
	struct storage_arrival *a = &s->arrival;

	freshness_free(s->freshness);
	s->freshness = a->authority;
	a->authority = NULL;
	a->granted = 0;
	nvram_keep_unconfirmed(s->nv, s->freshness);
	s->apart = true;
}

int
storage_arrived(struct storage *s, struct err *err)
{
	struct storage_arrival *a = &s->arrival;
	struct note note = s->note;
	int rc;

	if (s->hold != STORAGE_ARRIVING)
		return 0;
	if ((a->granted == 0 && (rc = get_record(s, err)) < 0) ||
	    (rc = porter_name(&a->porter, err)) < 0 ||
	    (a->granted == 0 && (rc = record(s, err)) < 0))
		return rc;
	log_event(LOG_LEVEL_INFO, "migration.arrived", "epoch=%llu "
	    "file_epoch=%llu consequence=\"the nvram file is made\"",
	    (unsigned long long)a->first.epoch,
	    (unsigned long long)nvram_header(s->nv)->epoch);
	if (a->granted > 0)
		keep_authority(s);
	s->floor = nvram_header(s->nv)->epoch;
	storage_arrival_free(s);
	/* That has forgotten what is of the state itself. */
	s->note = note;
	s->noted = true;
	s->hold = STORAGE_OWNED;
	return nvram_set_state_version(s->nv, s->version, err);
}
