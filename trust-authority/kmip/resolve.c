/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/kmip/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "trust-authority/kmip/clock.h"

/*
 * Each lookup is a thread, which ends when getaddrinfo(3) does, whether its
 * caller still waits or not. (getaddrinfo_a(3) would do the same, but by threads
 * of the C library that ThreadSanitizer does not know of, and crashes in.) No
 * more than these at a time, or a silent name server would cost a thread for
 * each call.
 */
#define RUNNING_MAX 4

/* Released by who is last of its owner and its threads. */
struct resolver {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	size_t running;
	bool orphaned;
};

struct lookup {
	struct resolver *resolver;
	char *host, *port;
	/* Under the resolver's lock. */
	bool done, given_up;
	int rc;			/* of getaddrinfo */
	struct addrinfo *result;
};

static void
hints_set(struct addrinfo *hints)
{
	memset(hints, 0, sizeof(*hints));
	hints->ai_socktype = SOCK_STREAM;
	hints->ai_flags = AI_NUMERICSERV;
}

static void
lookup_free(struct lookup *l)
{
	if (l->result != NULL)
		freeaddrinfo(l->result);
	free(l->host);
	free(l->port);
	free(l);
}

static struct lookup *
lookup_new(struct resolver *r, const char *host, const char *port)
{
	struct lookup *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->resolver = r;
	l->host = strdup(host);
	l->port = strdup(port);
	if (l->host == NULL || l->port == NULL) {
		lookup_free(l);
		return NULL;
	}
	return l;
}

struct resolver *
resolver_new(void)
{
	struct resolver *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;

	if (r == NULL)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	/* The clock of clock_ms. */
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->ended, &attr);
	pthread_condattr_destroy(&attr);
	return r;
}

static void
resolver_release(struct resolver *r)
{
	pthread_cond_destroy(&r->ended);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void
resolver_free(struct resolver *r)
{
	bool last;

	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->orphaned = true;
	last = r->running == 0;
	pthread_mutex_unlock(&r->lock);
	if (last)
		resolver_release(r);
}

static void *
lookup_run(void *arg)
{
	struct lookup *l = arg;
	struct resolver *r = l->resolver;
	struct addrinfo hints, *result = NULL;
	bool given_up, last;
	int rc;

	hints_set(&hints);
	rc = getaddrinfo(l->host, l->port, &hints, &result);
	pthread_mutex_lock(&r->lock);
	l->rc = rc;
	l->result = rc == 0 ? result : NULL;
	l->done = true;
	given_up = l->given_up;
	r->running--;
	last = r->orphaned && r->running == 0;
	pthread_cond_broadcast(&r->ended);
	pthread_mutex_unlock(&r->lock);
	if (given_up)
		lookup_free(l);
	if (last)
		resolver_release(r);
	return NULL;
}

/* Signals are for the program's own threads. 0 or an errno. */
static int
lookup_start(struct lookup *l)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	sigfillset(&all);
	if ((rc = pthread_attr_init(&attr)) != 0)
		return rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, &attr, lookup_run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

/* Counts one more, if there may be one more. */
static bool
may_run(struct resolver *r)
{
	bool room;

	pthread_mutex_lock(&r->lock);
	if ((room = r->running < RUNNING_MAX))
		r->running++;
	pthread_mutex_unlock(&r->lock);
	return room;
}

static void
not_run(struct resolver *r)
{
	pthread_mutex_lock(&r->lock);
	r->running--;
	pthread_mutex_unlock(&r->lock);
}

/* True: it is done, and the caller's again. False: it is its thread's. */
static bool
lookup_wait(struct lookup *l, int64_t deadline)
{
	struct resolver *r = l->resolver;
	struct timespec until = { .tv_sec = deadline / 1000,
		.tv_nsec = deadline % 1000 * 1000000 };
	bool done;

	pthread_mutex_lock(&r->lock);
	while (!l->done && pthread_cond_timedwait(&r->ended, &r->lock,
	    &until) != ETIMEDOUT)
		;
	done = l->done;
	l->given_up = !done;
	pthread_mutex_unlock(&r->lock);
	return done;
}

static int
lookup_by_name(struct resolver *r, const char *host, const char *port,
    int64_t deadline, struct addrinfo **out, struct err *err)
{
	struct lookup *l = lookup_new(r, host, port);
	int rc;

	if (l == NULL)
		return err_sys(err, ENOMEM, "cannot look up %s", host);
	if (!may_run(r)) {
		lookup_free(l);
		return err_set(err, ERR_CLOSED, "cannot look up %s: the name "
		    "server has not answered earlier requests", host);
	}
	if ((rc = lookup_start(l)) != 0) {
		not_run(r);
		lookup_free(l);
		return err_sys(err, rc, "cannot start a thread to look up %s",
		    host);
	}
	if (!lookup_wait(l, deadline))
		return err_set(err, ERR_CLOSED, "cannot look up %s: the name "
		    "server did not answer in time", host);
	rc = l->rc;
	*out = l->result;
	l->result = NULL;
	lookup_free(l);
	if (rc != 0)
		return err_set(err, ERR_CLOSED, "cannot look up %s: %s", host,
		    gai_strerror(rc));
	return 0;
}

int
resolver_lookup(struct resolver *r, const char *host, const char *port,
    int64_t deadline, struct addrinfo **out, struct err *err)
{
	struct addrinfo hints;

	*out = NULL;
	hints_set(&hints);
	hints.ai_flags |= AI_NUMERICHOST;
	if (getaddrinfo(host, port, &hints, out) == 0)
		return 0;
	return lookup_by_name(r, host, port, deadline, out, err);
}
