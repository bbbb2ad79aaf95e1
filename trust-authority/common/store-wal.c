/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/store-wal.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

#define SHORT_TRIES 10
#define SHORT_NS 200000
#define LONG_NS 1000000
#define COPY_PAGES 1000		/* SQLite's own measure: 4 MB */
#define MOST_PAGES 16000	/* then those who write have to wait */
#define COPIER_BUSY_MS 1000

struct wal_copier {
	const char *file;
	pthread_mutex_t lock;
	pthread_cond_t more;
	pthread_t thread;
	bool started, ending, wanted;
	int pages;			/* in the log */
	int copied;			/* when it was copied last */
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
on_busy(void *arg, int tries)
{
	struct timespec t = { 0, tries < SHORT_TRIES ? SHORT_NS : LONG_NS };
	struct wal_wait *w = arg;

	if (tries == 0)
		w->since = now_ms();
	if (now_ms() - w->since >= w->most_ms)
		return 0;
	(void)nanosleep(&t, NULL);
	return 1;
}

void
wal_wait_set(sqlite3 *db, struct wal_wait *w, unsigned int most_ms)
{
	w->most_ms = most_ms;
	(void)sqlite3_busy_handler(db, on_busy, w);
}

/* The thread's own connection. */
struct link {
	sqlite3 *db;			/* NULL: not open */
	struct wal_wait wait;
};

static void
tell_failed(const struct wal_copier *c, const char *why)
{
	log_warning("the write-ahead log of %s cannot be copied into it: %s; "
	    "it grows until it can", c->file, why);
}

/* Opened when there is something to copy, and then again if it could not be:
 * a want of descriptors passes. */
static bool
is_open(const struct wal_copier *c, struct link *l)
{
	int e;

	if (l->db != NULL)
		return true;
	e = sqlite3_open_v2(c->file, &l->db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_FULLMUTEX, NULL);
	if (e == SQLITE_OK)
		e = sqlite3_exec(l->db, "PRAGMA synchronous = FULL", NULL,
		    NULL, NULL);
	if (e == SQLITE_OK) {
		wal_wait_set(l->db, &l->wait, COPIER_BUSY_MS);
		return true;
	}
	tell_failed(c, sqlite3_errstr(e));
	(void)sqlite3_close(l->db);
	l->db = NULL;
	return false;
}

/* Another program may be copying: then there is nothing to do. */
static void
copy(const struct wal_copier *c, struct link *l, int pages)
{
	int mode = pages >= MOST_PAGES ? SQLITE_CHECKPOINT_RESTART :
	    SQLITE_CHECKPOINT_PASSIVE;
	int e;

	if (!is_open(c, l))
		return;
	e = sqlite3_wal_checkpoint_v2(l->db, NULL, mode, NULL, NULL);
	if (e != SQLITE_OK && (e & 0xff) != SQLITE_BUSY &&
	    (e & 0xff) != SQLITE_LOCKED)
		tell_failed(c, sqlite3_errmsg(l->db));
}

static void *
work(void *arg)
{
	struct wal_copier *c = arg;
	struct link own = { .db = NULL };
	int pages;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->wanted && !c->ending)
			pthread_cond_wait(&c->more, &c->lock);
		if (c->ending)
			break;
		c->wanted = false;
		pages = c->pages;
		pthread_mutex_unlock(&c->lock);
		copy(c, &own, pages);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	(void)sqlite3_close(own.db);
	return NULL;
}

/* Signals are for the loop's thread. */
static bool
start(struct wal_copier *c)
{
	sigset_t all, before;

	if (c->started)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	c->started = pthread_create(&c->thread, NULL, work, c) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return c->started;
}

/* After each commit; the log begins anew when all of it has been copied. */
static int
on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct wal_copier *c = arg;
	bool here = false;

	pthread_mutex_lock(&c->lock);
	c->pages = pages;
	if (pages < c->copied)
		c->copied = 0;
	if (pages - c->copied >= COPY_PAGES) {
		c->copied = pages;
		c->wanted = true;
		here = !start(c);
		pthread_cond_signal(&c->more);
	}
	pthread_mutex_unlock(&c->lock);
	if (here)
		(void)sqlite3_wal_checkpoint_v2(db, name,
		    SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

struct wal_copier *
wal_copier_new(const char *file)
{
	struct wal_copier *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->file = file;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	return c;
}

void
wal_copier_free(struct wal_copier *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
	if (c->started)
		pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void
wal_copier_follow(struct wal_copier *c, sqlite3 *db)
{
	(void)sqlite3_wal_hook(db, on_commit, c);
}
