/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/kmip/resolve.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "trust-authority/kmip/clock.h"

/* Lookups that were given up, and that the C library has not: no more than
 * these, or a silent name server would cost a thread for each call. */
#define ORPHANS_MAX 4

struct lookup {
	struct gaicb request;
	struct addrinfo hints;
	char *host, *port;
};

struct resolver {
	pthread_mutex_t lock;
	struct lookup *orphans[ORPHANS_MAX];
};

static void
lookup_free(struct lookup *l)
{
	if (l == NULL)
		return;
	if (l->request.ar_result != NULL)
		freeaddrinfo(l->request.ar_result);
	free(l->host);
	free(l->port);
	free(l);
}

static void
hints_set(struct addrinfo *hints)
{
	memset(hints, 0, sizeof(*hints));
	hints->ai_socktype = SOCK_STREAM;
	hints->ai_flags = AI_NUMERICSERV;
}

static struct lookup *
lookup_new(const char *host, const char *port)
{
	struct lookup *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->host = strdup(host);
	l->port = strdup(port);
	if (l->host == NULL || l->port == NULL) {
		lookup_free(l);
		return NULL;
	}
	hints_set(&l->hints);
	l->request.ar_name = l->host;
	l->request.ar_service = l->port;
	l->request.ar_request = &l->hints;
	return l;
}

struct resolver *
resolver_new(void)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (r != NULL)
		pthread_mutex_init(&r->lock, NULL);
	return r;
}

/* Releases what has ended since. Returns a free place or NULL. */
static struct lookup **
orphans_reap(struct resolver *r)
{
	struct lookup **place = NULL;

	for (size_t i = 0; i < ORPHANS_MAX; i++) {
		struct lookup **o = &r->orphans[i];

		if (*o != NULL && gai_error(&(*o)->request) != EAI_INPROGRESS) {
			lookup_free(*o);
			*o = NULL;
		}
		if (*o == NULL)
			place = o;
	}
	return place;
}

void
resolver_free(struct resolver *r)
{
	if (r == NULL)
		return;
	(void)orphans_reap(r);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static bool
may_begin(struct resolver *r)
{
	bool room;

	pthread_mutex_lock(&r->lock);
	room = orphans_reap(r) != NULL;
	pthread_mutex_unlock(&r->lock);
	return room;
}

/* The C library may go on writing to it: it is kept until it has ended. */
static void
give_up(struct resolver *r, struct lookup *l)
{
	struct lookup **place;

	if (gai_cancel(&l->request) != EAI_NOTCANCELED) {
		lookup_free(l);
		return;
	}
	pthread_mutex_lock(&r->lock);
	place = orphans_reap(r);
	if (place != NULL)
		*place = l;
	pthread_mutex_unlock(&r->lock);
	/* With no place left (threads that began at once) it stays allocated:
	 * that is less bad than memory written to after its release. */
}

static void
lookup_wait(struct lookup *l, int64_t deadline)
{
	const struct gaicb *const list[1] = { &l->request };
	int left;

	while (gai_error(&l->request) == EAI_INPROGRESS &&
	    (left = clock_left(deadline)) > 0) {
		struct timespec time = { left / 1000,
			left % 1000 * 1000000L };

		(void)gai_suspend(list, 1, &time);
	}
}

static int
lookup_by_name(struct resolver *r, const char *host, const char *port,
    int64_t deadline, struct addrinfo **out, struct err *err)
{
	struct gaicb *list[1];
	struct lookup *l;
	int rc;

	if (!may_begin(r))
		return err_set(err, ERR_CLOSED, "cannot look up %s: the name "
		    "server has not answered earlier requests", host);
	if ((l = lookup_new(host, port)) == NULL)
		return err_set(err, ERR_SYSTEM, "no memory to look up %s",
		    host);
	list[0] = &l->request;
	if ((rc = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL)) != 0) {
		lookup_free(l);
		return err_set(err, ERR_CLOSED, "cannot look up %s: %s", host,
		    gai_strerror(rc));
	}
	lookup_wait(l, deadline);
	if ((rc = gai_error(&l->request)) == EAI_INPROGRESS) {
		give_up(r, l);
		return err_set(err, ERR_CLOSED, "cannot look up %s: the name "
		    "server did not answer in time", host);
	}
	if (rc == 0) {
		*out = l->request.ar_result;
		l->request.ar_result = NULL;
	}
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
