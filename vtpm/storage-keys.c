/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keys that wrap a session's: the file's own, and those of the hosts that
 * this one trusts. The table of the latter is read anew for each session, so
 * that a running vTPM knows of a host that was added, or removed, a moment ago.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "vtpm/storage-internal.h"

/* Whoever has the DEK can read all that the file held anyway. */
static int
file_kek(const struct storage *s, struct envelope_kek *kek, struct err *err)
{
	const struct nvram_header *h = nvram_header(s->nv);

	kek->protector = ENVELOPE_BY_FILE;
	memcpy(kek->id, h->dek_id, sizeof(kek->id));
	return nvram_derive_key(s->nv, "vtpmd envelope file key", h->uuid,
	    UUID_SIZE, kek->key, err);
}

void
storage_keys_open(struct storage *s)
{
	struct err err = { 0 };

	if (s->native == NULL || native_key(s->native) == NULL)
		return;
	if (migrate_table_open(s->native, &s->keys_fd, &err) == 0 &&
	    migrate_table_key(s->native, &s->keys_key, &err) == 0)
		return;
	log_warning("no state goes to, or comes from, a host without this "
	    "file: %s", err.text);
	storage_keys_close(s);
}

void
storage_keys_close(struct storage *s)
{
	if (s->keys_fd >= 0)
		close(s->keys_fd);
	s->keys_fd = -1;
	secret_free(s->keys_key);
	s->keys_key = NULL;
}

void
storage_adopt_keys(struct storage *s, int fd,
    const uint8_t key[MIGRATE_TABLE_KEY_SIZE])
{
	storage_keys_close(s);
	s->keys_fd = fd;
	s->keys_key = secret_from(key, MIGRATE_TABLE_KEY_SIZE);
	if (s->keys_key == NULL)
		storage_keys_close(s);
}

/* -- out -- */

static int
send_keks(const struct storage *s, const struct migrate_table *t,
    struct envelope_kek *keks, struct note *note, struct err *err)
{
	const struct migrate_own own = { t->private, t->point };
	const uint8_t *uuid = nvram_header(s->nv)->uuid;
	uint8_t to[MIGRATE_VM_PEERS_MAX][MIGRATE_POINT_SIZE];
	uint32_t n = 0;
	int rc;

	for (size_t i = 0; i < t->n_peers && n < MIGRATE_VM_PEERS_MAX; i++) {
		if (!migrate_peer_serves(&t->peers[i], uuid))
			continue;
		memcpy(note->hosts[n], t->peers[i].id, MIGRATE_ID_SIZE);
		memcpy(to[n++], t->peers[i].point, MIGRATE_POINT_SIZE);
	}
	if ((rc = migrate_key_send(&own, (const uint8_t (*)
	    [MIGRATE_POINT_SIZE])to, n, uuid, keks, err)) < 0 || n == 0)
		return rc;
	note->what = NOTE_SENT;
	note->epoch = nvram_header(s->nv)->epoch;
	note->n_hosts = n;
	return 0;
}

/* K that was had to open the file is not asked for again; where that was done
 * otherwise, or by another process, it is, once. */
static int
authority_kek(struct storage *s, struct envelope_kek *kek, struct err *err)
{
	const struct nvram_header *h = nvram_header(s->nv);
	struct agent_bytes wrapped = { NULL, 0 };
	size_t i = 0;
	int rc;

	while (i < h->n_protectors &&
	    h->protectors[i].kind != PROTECTOR_AUTHORITY)
		i++;
	if (i == h->n_protectors)
		return ERR_NOTFOUND;
	if ((rc = authority_wrapped(&h->protectors[i], &wrapped, err)) < 0)
		return rc;
	if (wrapped.size > sizeof(kek->params))
		return err_set(err, ERR_UNSUPPORTED, "the authority's wrapped "
		    "key of %zu bytes does not fit a session", wrapped.size);
	if ((rc = authority_move_get(&s->move, s->agent, h->uuid, &wrapped,
	    AGENT_TIME_RUNNING, err)) < 0)
		return rc;
	kek->protector = ENVELOPE_BY_AUTHORITY;
	memcpy(kek->id, h->uuid, sizeof(kek->id));
	memcpy(kek->params, wrapped.data, wrapped.size);
	kek->params_size = wrapped.size;
	memcpy(kek->key, secret_bytes(s->move.key), sizeof(kek->key));
	return 0;
}

/* Who has the file can still take it. */
static void
tell_unsealed(const struct err *why)
{
	log_event(LOG_LEVEL_WARNING, "migration.unsealed", "reason=\"%s\" "
	    "consequence=\"no host without this file can take the state\"",
	    why->text);
}

int
storage_keks(struct storage *s,
    struct envelope_kek keks[ENVELOPE_PROTECTORS_MAX], size_t *n,
    struct note *note, struct err *err)
{
	struct migrate_table t = { 0 };
	struct err why = { 0 };
	int rc;

	if ((rc = file_kek(s, &keks[0], err)) < 0)
		return rc;
	*n = 1;
	if ((rc = authority_kek(s, &keks[1], &why)) == 0)
		*n = 2;
	else if (rc != ERR_NOTFOUND)
		tell_unsealed(&why);
	/* Hosts that people trust are none that the authority may not. */
	if (rc != ERR_NOTFOUND || s->keys_fd < 0)
		return 0;
	rc = migrate_table_read(s->keys_fd, s->keys_key, &t, &why);
	if (rc == 0 && t.private != NULL)
		rc = send_keks(s, &t, keks + 1, note, &why);
	*n += note->n_hosts;
	migrate_table_reset(&t);
	if (rc < 0)
		tell_unsealed(&why);
	return 0;
}

/* -- in -- */

struct find {
	struct storage *s;
	const uint8_t *uuid;
};

static int
from_whom(const struct migrate_table *t, const struct find *f,
    const struct envelope_kek *kek, const struct migrate_peer **from,
    struct err *err)
{
	const uint8_t *id = kek->params + MIGRATE_POINT_SIZE;

	*from = NULL;
	if (kek->params_size != MIGRATE_PARAMS_SIZE)
		return err_set(err, ERR_FORMAT, "a recipient's part has the "
		    "wrong length");
	for (size_t i = 0; i < t->n_peers && *from == NULL; i++)
		if (memcmp(t->peers[i].id, id, MIGRATE_SENDER_SIZE) == 0 &&
		    migrate_peer_serves(&t->peers[i], f->uuid))
			*from = &t->peers[i];
	if (*from != NULL)
		return 0;
	return err_set(err, ERR_KEY, "it comes from a host that is not trusted "
	    "here, with the migration key %02x%02x%02x%02x...: vtpmctl "
	    "migrate-key --trust takes what vtpmctl migrate-key prints there",
	    id[0], id[1], id[2], id[3]);
}

static int
recipient_kek(const struct find *f, struct envelope_kek *kek,
    struct err *err)
{
	const struct migrate_peer *from;
	struct migrate_table t = { 0 };
	struct migrate_own own;
	int rc;

	if (f->s->keys_fd < 0)
		return ERR_NOTFOUND;
	if ((rc = migrate_table_read(f->s->keys_fd, f->s->keys_key, &t,
	    err)) < 0)
		return rc == ERR_AUTH ? ERR_KEY : rc;
	own = (struct migrate_own){ t.private, t.point };
	if (t.private == NULL || memcmp(t.id, kek->id, sizeof(t.id)) != 0)
		rc = ERR_NOTFOUND;
	else if ((rc = from_whom(&t, f, kek, &from, err)) == 0)
		rc = migrate_key_receive(&own, from->point, f->uuid, kek, err);
	migrate_table_reset(&t);
	return rc;
}

/* Only where it may come so: from who shares the file it comes by that. */
static int
given_kek(const struct find *f, struct envelope_kek *kek, struct err *err)
{
	const struct agent_bytes wrapped = { kek->params, kek->params_size };
	struct storage *s = f->s;
	struct err why = { 0 };
	int rc;

	if (s->arrival.authority == NULL)
		return ERR_NOTFOUND;
	if (wrapped.size == 0 ||
	    memcmp(kek->id, f->uuid, sizeof(kek->id)) != 0)
		return err_set(err, ERR_FORMAT, "the authority's part names "
		    "another VM, or no key");
	if ((rc = authority_move_get(&s->move, s->agent, f->uuid, &wrapped,
	    AGENT_TIME_CLOSE, &why)) < 0)
		return err_set(err, rc, "%s", why.text);
	memcpy(kek->key, secret_bytes(s->move.key), sizeof(kek->key));
	return 0;
}

static int
find_kek(void *arg, struct envelope_kek *kek, struct err *err)
{
	const struct find *f = arg;

	if (kek->protector == ENVELOPE_BY_RECIPIENT)
		return recipient_kek(f, kek, err);
	if (kek->protector == ENVELOPE_BY_AUTHORITY)
		return given_kek(f, kek, err);
	if (kek->protector != ENVELOPE_BY_FILE || kek->params_size != 0 ||
	    f->s->hold == STORAGE_ARRIVING ||
	    memcmp(kek->id, nvram_header(f->s->nv)->dek_id,
	    sizeof(kek->id)) != 0)
		return ERR_NOTFOUND;
	return file_kek(f->s, kek, err);
}

int
storage_unseal(struct storage *s, const void *bytes, size_t size,
    const uint8_t uuid[UUID_SIZE], struct envelope *e,
    struct envelope_kek *by, struct secret **state, struct err *err)
{
	struct find f = { s, uuid };

	return envelope_open(bytes, size, uuid, find_kek, &f, e, by, state,
	    err);
}
