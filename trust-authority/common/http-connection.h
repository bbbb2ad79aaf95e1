/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server's connections: how many, of whom, until when. evhttp has them;
 * each struct connection belongs to the SSL of one and ends with it. To end a
 * connection its socket is shut down, which is right whatever evhttp is doing
 * with it.
 */
#ifndef TRUST_AUTHORITY_COMMON_HTTP_CONNECTION_H
#define TRUST_AUTHORITY_COMMON_HTTP_CONNECTION_H

#include <event2/event.h>
#include <event2/util.h>
#include <openssl/types.h>
#include <time.h>

#include "trust-authority/common/http.h"

struct connection;

struct connections {
	struct event_base *base;
	SSL_CTX *tls;
	size_t max, per_peer;
	struct timeval request;		/* how long one may take */
	size_t bodies_max, bodies;	/* bytes that wait in all of them */
	size_t count;
	struct connection *first;
	/* Called when the last one is gone; NULL: not. */
	void (*none_left)(void *arg);
	void *arg;
};

/* For evhttp_set_bevcb; arg is struct connections. */
struct bufferevent *connection_accept(struct event_base *base, void *arg);
/* NULL: a connection without TLS, which is not answered. */
struct connection *connection_of(struct bufferevent *bev);
/* A request has come whole: no deadline until connection_answered. */
void connection_asked(struct connection *c);
/* An answer is on its way, or has been taken and the next request may come. */
void connection_answered(struct connection *c, bool taken);
void connection_peer(struct connection *c, struct http_peer *peer);
/* The loop that serves them; NULL: it cannot be had. */
struct event_base *connections_base(void);
/* Ends those that have no request. */
void connections_close_idle(struct connections *all);

#endif
