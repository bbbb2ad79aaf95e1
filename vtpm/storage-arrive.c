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
#include "vtpm/storage-internal.h"

int
storage_not_arrived(struct err *err)
{
	return err_set(err, ERR_REFUSED, "there is no nvram file, and no state "
	    "has come: a TPM is made by vtpmctl create, or moves here from its "
	    "host");
}

/* -- the start -- */

static int
check_keys(struct storage *s, const char *path, struct err *err)
{
	struct migrate_table t = { 0 };
	struct err why = { 0 };
	int rc = 0;

	storage_keys_open(s);
	if (s->keys_fd >= 0)
		rc = migrate_table_read(s->keys_fd, s->keys_key, &t, &why);
	if (rc < 0)
		rc = err_set(err, rc, "%s", why.text);
	else if (t.private == NULL)
		rc = err_set(err, ERR_NOTFOUND, "there is no file %s; and no "
		    "other host can send its TPM, for this one has no "
		    "migration key: vtpmctl migrate-key makes it", path);
	else if (t.n_peers == 0)
		rc = err_set(err, ERR_NOTFOUND, "there is no file %s; and no "
		    "other host is trusted to send its TPM: vtpmctl "
		    "migrate-key --trust", path);
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
		.passphrase = a->passphrase };
	uint8_t note[NOTE_SIZE_MAX];
	struct nvram_record record = { NVRAM_MIGRATION, note,
		note_encode(&s->note, note) };
	struct nvram_create_args args = { .name = a->first.name,
		.state_version = s->version, .protector = a->protector,
		.creds = &creds, .records = &record, .n_records = 1,
		.epoch = 1 + (a->last > a->first.epoch ? a->last :
		    a->first.epoch), .prepared = s->nv != NULL };
	struct store *store = NULL;
	struct nvram *nv = NULL;
	int fd, rc;

	memcpy(args.uuid, a->first.uuid, UUID_SIZE);
	fd = fcntl(a->store, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_sys(err, errno, "cannot make the file");
	if ((rc = store_from_fd(&store, fd, err)) < 0)
		return rc;
	if ((rc = store_lock(store, "the new file", err)) < 0 ||
	    (rc = nvram_create_store(store, &args, err)) < 0) {
		store->ops->close(store);
		return rc;
	}
	if ((rc = nvram_open_store(&nv, store, "the new file", err)) < 0)
		return rc;
	nvram_act_for(nv, getppid());
	if ((rc = nvram_unlock(nv, &creds, err)) < 0 ||
	    (rc = nvram_acquire(nv, NULL, false, err)) < 0) {
		nvram_close(nv);
		return rc;
	}
	nvram_close(s->nv);
	s->nv = nv;
	return 0;
}

static int
make_room(struct storage *s, const char *path, struct err *err)
{
	struct new_file *f = NULL;
	char *copy = strdup(path);
	int rc;

	if (copy == NULL)
		return err_sys(err, ENOMEM, "cannot create %s", path);
	s->arrival.store = -1;
	if ((rc = new_file_open(&f, path, err)) < 0)
		goto out;
	s->arrival.store = fcntl(new_file_fd(f), F_DUPFD_CLOEXEC, 3);
	if (s->arrival.store < 0)
		rc = err_sys(err, errno, "cannot create %s", path);
	else
		rc = format(s, err);
	if (rc < 0)
		new_file_free(f);
	else
		rc = porter_start(&s->arrival.porter, f, dirname(copy),
		    s->native, err);
out:
	free(copy);
	return rc;
}

int
storage_open_arriving(struct storage **out, const char *path,
    const struct config *config, const struct secret *passphrase,
    struct agent *agent, struct err *err)
{
	struct native_config native = config_native(config);
	struct storage *s;
	int rc;

	*out = NULL;
	if ((s = storage_new(agent)) == NULL)
		return err_sys(err, ENOMEM, "cannot create %s", path);
	s->hold = STORAGE_ARRIVING;
	s->waits = true;
	rc = native_open(&s->native, &native, false, err);
	if (rc == ERR_NOTFOUND)
		err_prefix(err, "there is no file %s; to make one of a TPM "
		    "that comes from another host", path);
	if (rc < 0 || (rc = check_keys(s, path, err)) < 0 ||
	    (rc = choose_protector(s, passphrase, err)) < 0 ||
	    (rc = freshness_native(&s->freshness, s->native, err)) < 0 ||
	    (rc = make_room(s, path, err)) < 0)
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

void
storage_arrival_forget(struct storage *s)
{
	struct storage_arrival *a = &s->arrival;

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

	if (s->hold != STORAGE_ARRIVING)
		return;
	storage_arrival_forget(s);
	porter_end(&a->porter);
	if (a->store >= 0)
		close(a->store);
	secret_free(a->passphrase);
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
	    uuid, e, &by, state, err)) < 0)
		return rc;
	if (!a->begun && (rc = judge_arrival(s, e, err)) < 0) {
		secret_free(*state);
		*state = NULL;
		return rc;
	}
	if (!a->begun)
		a->first = *e;
	a->begun = true;
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

int
storage_arrived(struct storage *s, struct err *err)
{
	struct storage_arrival *a = &s->arrival;
	int rc, fd;

	if (s->hold != STORAGE_ARRIVING)
		return 0;
	if ((rc = get_record(s, err)) < 0 ||
	    (rc = porter_name(&a->porter, err)) < 0)
		return rc;
	fd = a->record;
	a->record = -1;
	if ((rc = freshness_record_take(s->freshness, fd, a->first.uuid,
	    nvram_header(s->nv)->epoch, err)) < 0) {
		porter_unname(&a->porter);
		return rc;
	}
	nvram_keep_fresh(s->nv, s->freshness);
	log_event(LOG_LEVEL_INFO, "migration.arrived", "epoch=%llu "
	    "file_epoch=%llu consequence=\"the nvram file is made\"",
	    (unsigned long long)a->first.epoch,
	    (unsigned long long)nvram_header(s->nv)->epoch);
	s->floor = nvram_header(s->nv)->epoch;
	storage_arrival_free(s);
	/* That has forgotten what is of the state itself. */
	s->noted = true;
	s->hold = STORAGE_OWNED;
	return nvram_set_state_version(s->nv, s->version, err);
}
