/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTPS: one thread has the connections (libevent's evhttp over TLS), a few
 * workers run the handlers. What does not come in or go out in time ends its
 * connection, however slowly it drips; what comes while the workers' queue is
 * full is answered 503 at once.
 */
#ifndef TRUST_AUTHORITY_COMMON_HTTP_SERVER_H
#define TRUST_AUTHORITY_COMMON_HTTP_SERVER_H

#include "trust-authority/common/http.h"

struct http_server;

/* Zero stands for the default. */
struct http_server_config {
	const char *address;		/* IP address */
	unsigned int port;		/* 0: any */
	const char *certificate, *key;	/* PEM files; with signals the texts
					 * must stay, as client_ca */
	const char *client_ca;		/* PEM file, NULL: none asked for */
	size_t workers;			/* 8 */
	size_t queue_max;		/* 1024 requests */
	size_t connections;		/* 4096 */
	/* By address, IPv6 by /64; 64. */
	size_t connections_per_peer;
	size_t header_max;		/* 16 KiB */
	/* Bytes of requests that have not been answered, in all; 128 MiB, or
	 * the largest body of the routes if that is more. */
	size_t bodies_max;
	/* For a request to come, handshake and pause before it included, and
	 * for an answer to be taken; 20. */
	unsigned int request_seconds;
	/* SIGTERM and SIGINT call http_server_stop. SIGHUP reads the
	 * certificates anew, for connections from then on. */
	bool signals;
};

/* Listens. service and its routes must stay. */
int http_server_new(const struct http_server_config *config,
    const struct http_service *service, struct http_server **out,
    struct err *err);
unsigned int http_server_port(const struct http_server *server);
/* Serves until http_server_stop, and then until what was begun is answered,
 * request_seconds at most. */
int http_server_run(struct http_server *server, struct err *err);
/* From any thread. */
void http_server_stop(struct http_server *server);
/* NULL is allowed. */
void http_server_free(struct http_server *server);

#endif
