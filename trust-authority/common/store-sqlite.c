/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One file, and beside it SQLite's write-ahead log. synchronous=FULL: a commit
 * has been synced when it returns (sqlite.org/pragma.html#pragma_synchronous).
 * Several programs of one machine share the file; in each, one connection
 * writes and one reads, so that nobody who reads waits for a sync.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trust-authority/common/store-backend.h"
#include "trust-authority/common/store-wal.h"

#define APPLICATION_ID 0x76747061	/* "vtpa" */

enum statement { GET, LIST, REVISION, BEGIN, COMMIT, ROLLBACK, VERSION, BUMP,
	PUT, REMOVE, STATEMENTS };

static const char *const texts[STATEMENTS] = {
	[GET] = "SELECT key, value, version FROM record "
	    "WHERE kind = ?1 AND key = ?2",
	[LIST] = "SELECT key, value, version FROM record WHERE kind = ?1 "
	    "AND key > ?2 AND key >= ?3 AND key < ?4 AND version > ?5 "
	    "ORDER BY key LIMIT ?6",
	[REVISION] = "SELECT number FROM revision",
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[VERSION] = "SELECT version FROM record WHERE kind = ?1 AND key = ?2",
	[BUMP] = "UPDATE revision SET number = number + 1 RETURNING number",
	[PUT] = "INSERT INTO record (kind, key, version, value) "
	    "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (kind, key) "
	    "DO UPDATE SET version = ?3, value = ?4",
	[REMOVE] = "DELETE FROM record WHERE kind = ?1 AND key = ?2",
};

/* migrations[n] makes a store of schema n one of schema n + 1. Never changed
 * once released; a new schema is a new line. */
static const char *const migrations[] = {
	"CREATE TABLE record (kind TEXT NOT NULL, key TEXT NOT NULL,"
	" version INTEGER NOT NULL, value BLOB NOT NULL,"
	" PRIMARY KEY (kind, key));"
	"CREATE TABLE revision (one INTEGER PRIMARY KEY CHECK (one = 1),"
	" number INTEGER NOT NULL);"
	"INSERT INTO revision VALUES (1, 0);",
};
#define SCHEMA ((int)(sizeof(migrations) / sizeof(migrations[0])))

struct link {
	pthread_mutex_t lock;
	sqlite3 *db;
	struct wal_wait wait;
	sqlite3_stmt *statements[STATEMENTS];
};

struct sqlite {
	char *file;
	struct link reader, writer;
	struct wal_copier *copier;
};

static int
failed(const struct sqlite *s, struct link *l, int e, const char *what,
    struct err *err)
{
	int sys = l->db != NULL ? sqlite3_system_errno(l->db) : 0;
	const char *why = l->db != NULL ? sqlite3_errmsg(l->db) :
	    sqlite3_errstr(e);

	switch (e & 0xff) {
	case SQLITE_FULL:
		return err_set(err, ERR_NOSPACE, "%s %s: no space is left; "
		    "nothing was changed: make room and try again", what,
		    s->file);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(err, ERR_BUSY, "%s %s: another program holds "
		    "it for too long", what, s->file);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(err, ERR_FORMAT, "%s %s: %s; put a good copy "
		    "back", what, s->file, why);
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		if (sys != 0)
			return err_sys(err, sys, "%s %s: %s", what, s->file,
			    why);
		break;
	}
	return err_set(err, ERR_SYSTEM, "%s %s: %s", what, s->file, why);
}

static sqlite3_stmt *
statement(struct link *l, enum statement which)
{
	if (l->statements[which] == NULL)
		(void)sqlite3_prepare_v3(l->db, texts[which], -1,
		    SQLITE_PREPARE_PERSISTENT, &l->statements[which], NULL);
	return l->statements[which];
}

/* Runs a statement that has no row to give, or whose row is *number. */
static int
run(struct link *l, enum statement which, uint64_t *number)
{
	sqlite3_stmt *st = statement(l, which);
	int e;

	if (st == NULL)
		return sqlite3_extended_errcode(l->db);
	e = sqlite3_step(st);
	if (e == SQLITE_ROW) {
		if (number != NULL)
			*number = (uint64_t)sqlite3_column_int64(st, 0);
		/* An UPDATE is done when its last row was read. */
		e = sqlite3_step(st);
	}
	(void)sqlite3_reset(st);
	return e == SQLITE_DONE ? SQLITE_OK : e;
}

static int
exec(const struct sqlite *s, struct link *l, const char *sql, const char *what,
    struct err *err)
{
	int e = sqlite3_exec(l->db, sql, NULL, NULL, NULL);

	return e == SQLITE_OK ? 0 : failed(s, l, e, what, err);
}

static int
pragma(const struct sqlite *s, struct link *l, const char *sql, int *out,
    struct err *err)
{
	sqlite3_stmt *st = NULL;
	int e;

	*out = 0;
	e = sqlite3_prepare_v2(l->db, sql, -1, &st, NULL);
	if (e == SQLITE_OK && (e = sqlite3_step(st)) == SQLITE_ROW) {
		*out = sqlite3_column_int(st, 0);
		e = SQLITE_OK;
	}
	(void)sqlite3_finalize(st);
	return e == SQLITE_OK ? 0 : failed(s, l, e, "cannot read", err);
}

static int
read_schema(const struct sqlite *s, struct link *l, int *schema,
    struct err *err)
{
	int id, rc;

	if ((rc = pragma(s, l, "PRAGMA user_version", schema, err)) < 0 ||
	    (rc = pragma(s, l, "PRAGMA application_id", &id, err)) < 0)
		return rc;
	if (id != APPLICATION_ID && (id != 0 || *schema != 0))
		return err_set(err, ERR_FORMAT, "%s is the database of another "
		    "program", s->file);
	if (*schema < 0 || *schema > SCHEMA)
		return err_set(err, ERR_UNSUPPORTED, "%s was made by a newer "
		    "version of this program (schema %d, this one knows %d): "
		    "update this one", s->file, *schema, SCHEMA);
	return 0;
}

/* In a transaction that nobody else can be in. */
static int
migrate(const struct sqlite *s, struct link *l, struct err *err)
{
	char done[96];
	int schema, rc;

	/* Again: another program may have been first. */
	if ((rc = read_schema(s, l, &schema, err)) < 0)
		return rc;
	for (int i = schema; i < SCHEMA; i++)
		if ((rc = exec(s, l, migrations[i], "cannot migrate", err)) < 0)
			return rc;
	snprintf(done, sizeof(done), "PRAGMA user_version = %d;"
	    "PRAGMA application_id = %d", SCHEMA, APPLICATION_ID);
	return exec(s, l, done, "cannot migrate", err);
}

static int
prepare_file(const struct sqlite *s, struct link *l, struct err *err)
{
	int schema, rc;

	if ((rc = exec(s, l, "PRAGMA journal_mode = WAL", "cannot open",
	    err)) < 0 || (rc = read_schema(s, l, &schema, err)) < 0 ||
	    schema == SCHEMA)
		return rc;
	rc = exec(s, l, "BEGIN EXCLUSIVE", "cannot open", err);
	if (rc == 0 && (rc = migrate(s, l, err)) == 0)
		rc = exec(s, l, "COMMIT", "cannot migrate", err);
	if (rc < 0)
		(void)sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

static int
link_open(const struct sqlite *s, struct link *l, unsigned int busy_ms,
    struct err *err)
{
	int e = sqlite3_open_v2(s->file, &l->db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);

	if (e != SQLITE_OK)
		return failed(s, l, e, "cannot open", err);
	(void)sqlite3_extended_result_codes(l->db, 1);
	wal_wait_set(l->db, &l->wait, busy_ms);
	(void)sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return exec(s, l, "PRAGMA synchronous = FULL;"
	    "PRAGMA trusted_schema = OFF", "cannot open", err);
}

static void
link_close(struct link *l)
{
	for (size_t i = 0; i < STATEMENTS; i++)
		(void)sqlite3_finalize(l->statements[i]);
	(void)sqlite3_close(l->db);
	pthread_mutex_destroy(&l->lock);
}

static void
sqlite_close(void *state)
{
	struct sqlite *s = state;

	wal_copier_free(s->copier);
	link_close(&s->reader);
	link_close(&s->writer);
	free(s->file);
	free(s);
}

/* SQLite's own files beside it take this one's mode. */
static int
make_file(const char *file, struct err *err)
{
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_sys(err, errno, "cannot open the store %s", file);
	close(fd);
	return 0;
}

static int
sqlite_open(const struct store_config *config, void **state, struct err *err)
{
	unsigned int busy = config->busy_ms != 0 ? config->busy_ms : 10000;
	struct sqlite *s;
	int rc;

	if (config->file == NULL)
		return err_set(err, ERR_USAGE, "the store needs a file");
	if ((rc = make_file(config->file, err)) < 0)
		return rc;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for the store");
	pthread_mutex_init(&s->reader.lock, NULL);
	pthread_mutex_init(&s->writer.lock, NULL);
	if ((s->file = strdup(config->file)) == NULL ||
	    (s->copier = wal_copier_new(s->file)) == NULL)
		rc = err_set(err, ERR_SYSTEM, "no memory for the store");
	else if ((rc = link_open(s, &s->writer, busy, err)) == 0 &&
	    (rc = prepare_file(s, &s->writer, err)) == 0)
		rc = link_open(s, &s->reader, busy, err);
	if (rc < 0) {
		sqlite_close(s);
		return rc;
	}
	wal_copier_follow(s->copier, s->writer.db);
	*state = s;
	return 0;
}

static void
bind_text(sqlite3_stmt *st, int at, const char *text)
{
	(void)sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static int
column_record(sqlite3_stmt *st, struct store_list *list)
{
	return store_list_add(list, sqlite3_column_text(st, 0),
	    (size_t)sqlite3_column_bytes(st, 0), sqlite3_column_blob(st, 1),
	    (size_t)sqlite3_column_bytes(st, 1),
	    (uint64_t)sqlite3_column_int64(st, 2));
}

/* Reads rows of (key, value, version); at most max are kept. */
static int
read_rows(struct sqlite *s, sqlite3_stmt *st, size_t max,
    struct store_list *out, struct err *err)
{
	int e, rc = 0;

	while (rc == 0 && (e = sqlite3_step(st)) != SQLITE_DONE) {
		if (e != SQLITE_ROW)
			rc = failed(s, &s->reader, e, "cannot read", err);
		else if (out->count == max)
			out->more = true;
		else if (column_record(st, out) < 0)
			rc = err_set(err, ERR_SYSTEM, "no memory for a record");
		if (out->more)
			break;
	}
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return rc;
}

static int
sqlite_get(void *state, const char *kind, const char *key,
    struct store_record *out, struct err *err)
{
	struct store_list list = { 0 };
	struct sqlite *s = state;
	sqlite3_stmt *st;
	int rc;

	pthread_mutex_lock(&s->reader.lock);
	if ((st = statement(&s->reader, GET)) == NULL) {
		rc = failed(s, &s->reader, sqlite3_errcode(s->reader.db),
		    "cannot read", err);
	} else {
		bind_text(st, 1, kind);
		bind_text(st, 2, key);
		rc = read_rows(s, st, 1, &list, err);
	}
	pthread_mutex_unlock(&s->reader.lock);
	if (rc == 0 && list.count == 0)
		rc = ERR_NOTFOUND;
	if (rc == 0) {
		*out = list.records[0];
		list.count = 0;
	}
	store_list_reset(&list);
	return rc;
}

static int
sqlite_list(void *state, const struct store_query *q, struct store_list *out,
    struct err *err)
{
	char end[STORE_KEY_MAX + 2];
	struct sqlite *s = state;
	sqlite3_stmt *st;
	int rc;

	snprintf(end, sizeof(end), "%s" STORE_AFTER_ALL, q->prefix);
	pthread_mutex_lock(&s->reader.lock);
	if ((st = statement(&s->reader, LIST)) == NULL) {
		rc = failed(s, &s->reader, sqlite3_errcode(s->reader.db),
		    "cannot read", err);
	} else {
		bind_text(st, 1, q->kind);
		bind_text(st, 2, q->after);
		bind_text(st, 3, q->prefix);
		bind_text(st, 4, end);
		(void)sqlite3_bind_int64(st, 5, (sqlite3_int64)q->since);
		(void)sqlite3_bind_int64(st, 6, (sqlite3_int64)q->max + 1);
		rc = read_rows(s, st, q->max, out, err);
	}
	pthread_mutex_unlock(&s->reader.lock);
	return rc;
}

static int
sqlite_revision(void *state, uint64_t *revision, struct err *err)
{
	struct sqlite *s = state;
	int e, rc;

	pthread_mutex_lock(&s->reader.lock);
	e = run(&s->reader, REVISION, revision);
	rc = e == SQLITE_OK ? 0 :
	    failed(s, &s->reader, e, "cannot read", err);
	pthread_mutex_unlock(&s->reader.lock);
	return rc;
}

static int
check_op(struct sqlite *s, const struct store_op *ops, size_t i,
    size_t *bad, struct err *err)
{
	sqlite3_stmt *st = statement(&s->writer, VERSION);
	uint64_t version = 0;
	int e;

	if (ops[i].expect == STORE_ANY)
		return 0;
	if (st == NULL)
		return failed(s, &s->writer, sqlite3_errcode(s->writer.db),
		    "cannot read", err);
	bind_text(st, 1, ops[i].kind);
	bind_text(st, 2, ops[i].key);
	if ((e = run(&s->writer, VERSION, &version)) != SQLITE_OK)
		return failed(s, &s->writer, e, "cannot read", err);
	return version == ops[i].expect ? 0 :
	    store_conflict(ops, i, version, bad, err);
}

static int
apply_op(struct sqlite *s, const struct store_op *op, uint64_t version,
    struct err *err)
{
	enum statement which = op->what == STORE_PUT ? PUT : REMOVE;
	sqlite3_stmt *st = statement(&s->writer, which);
	int e;

	if (op->what == STORE_CHECK)
		return 0;
	if (st == NULL)
		return failed(s, &s->writer, sqlite3_errcode(s->writer.db),
		    "cannot write", err);
	bind_text(st, 1, op->kind);
	bind_text(st, 2, op->key);
	if (which == PUT) {
		(void)sqlite3_bind_int64(st, 3, (sqlite3_int64)version);
		/* A NULL pointer would be NULL, not an empty value. */
		(void)sqlite3_bind_blob64(st, 4,
		    op->size > 0 ? op->value : "", op->size, SQLITE_STATIC);
	}
	e = run(&s->writer, which, NULL);
	(void)sqlite3_clear_bindings(st);
	return e == SQLITE_OK ? 0 :
	    failed(s, &s->writer, e, "cannot write", err);
}

static int
transact(struct sqlite *s, const struct store_op *ops, size_t count,
    uint64_t *version, size_t *bad, struct err *err)
{
	bool writes = false;
	int e, rc;

	for (size_t i = 0; i < count; i++) {
		if ((rc = check_op(s, ops, i, bad, err)) < 0)
			return rc;
		writes |= ops[i].what != STORE_CHECK;
	}
	e = run(&s->writer, writes ? BUMP : REVISION, version);
	if (e != SQLITE_OK)
		return failed(s, &s->writer, e, "cannot write", err);
	for (size_t i = 0; i < count; i++)
		if ((rc = apply_op(s, &ops[i], *version, err)) < 0)
			return rc;
	e = run(&s->writer, COMMIT, NULL);
	return e == SQLITE_OK ? 0 :
	    failed(s, &s->writer, e, "cannot write", err);
}

static int
sqlite_commit(void *state, const struct store_op *ops, size_t count,
    uint64_t *version, size_t *bad, struct err *err)
{
	struct sqlite *s = state;
	int e, rc;

	pthread_mutex_lock(&s->writer.lock);
	e = run(&s->writer, BEGIN, NULL);
	if (e != SQLITE_OK)
		rc = failed(s, &s->writer, e, "cannot write", err);
	else
		rc = transact(s, ops, count, version, bad, err);
	/* Some errors have ended the transaction by themselves. */
	if (rc < 0 && !sqlite3_get_autocommit(s->writer.db))
		(void)run(&s->writer, ROLLBACK, NULL);
	pthread_mutex_unlock(&s->writer.lock);
	return rc;
}

const struct store_backend store_sqlite = {
	.kind = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.get = sqlite_get,
	.list = sqlite_list,
	.commit = sqlite_commit,
	.revision = sqlite_revision,
};
