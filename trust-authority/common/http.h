/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests, answers and routes, without the network: what the server
 * (http-server.h) reads from a connection comes through here, and every
 * handler of the trust authority's services is called from here.
 * Sources: RFC 9110 (HTTP), RFC 9457 (problem details), RFC 6750 2.1 (bearer
 * tokens), RFC 8259 (JSON; duplicate names are refused).
 */
#ifndef TRUST_AUTHORITY_COMMON_HTTP_H
#define TRUST_AUTHORITY_COMMON_HTTP_H

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HTTP_TARGET_MAX 2048	/* bytes of path and query */
#define HTTP_PARAMS_MAX 4	/* pieces in braces of one path */
#define HTTP_QUERY_MAX 8	/* names in one query */
#define HTTP_BEARER_MAX 8192

enum http_method { HTTP_GET = 1, HTTP_POST = 2, HTTP_PUT = 4,
	HTTP_DELETE = 8 };

/* Roles are bits; all others are the program's own. */
enum {
	HTTP_ANYBODY = 0,
	HTTP_CERTIFIED = 1,	/* has a certificate by client_ca that is valid
				 * now */
};

struct http_peer {
	char address[INET6_ADDRSTRLEN];
	/* All empty without a certificate. */
	bool certified;
	char name[128];		/* subject's common name, as it stands there */
	char fingerprint[65];	/* SHA-256 of the DER, hex */
	unsigned int roles;
};

struct http_route;

struct http_request {
	const struct http_route *route;
	enum http_method method;
	struct http_peer peer;
	const char *params[HTTP_PARAMS_MAX];	/* decoded; in path's order */
	json_t *json;			/* the body, NULL for none */
	const char *bearer;		/* the token, NULL for none */
	struct {
		const char *name, *value;
	} query[HTTP_QUERY_MAX];
	size_t query_count;
	char target[HTTP_TARGET_MAX];	/* what the pointers point into */
	char token[HTTP_BEARER_MAX];
};

/* Zero-initialised by the caller of a handler. status 0 is 200, or 204 where
 * nothing else was set. */
struct http_answer {
	int status;
	json_t *json;		/* released with the answer */
	char *text;		/* instead of json: malloc'ed, cleansed when it
				 * is released */
	size_t text_size;
	const char *type;	/* of text; a string that stays */
	unsigned int retry_after;	/* seconds; 0 for none */
	unsigned int allow;		/* methods, with status 405 */
	/* Who is to blame for an error: "host", "policy", "token", "grant",
	 * "epoch", "kms", "authority" (doc/authority-protocols.md). A string
	 * that stays; NULL: nobody, and the authority for 5xx. */
	const char *fault;
};

enum {
	/* The handler is called in the loop's thread: it must not wait for
	 * anything. */
	HTTP_AT_ONCE = 1,
};

struct http_route {
	enum http_method method;
	const char *path;	/* "/v1/vms/{}/owner" */
	unsigned int roles;	/* the peer has one of them, or ANYBODY */
	size_t body_max;	/* bytes; 0: no body */
	unsigned int flags;
	/* Called in a worker's thread, many at a time. 0 and *answer, or a
	 * negative code and *err, which become a problem document. */
	int (*handle)(void *ctx, const struct http_request *request,
	    struct http_answer *answer, struct err *err);
};

struct http_service {
	const struct http_route *routes;
	size_t count;
	void *ctx;
	/* The roles of a peer beside HTTP_CERTIFIED, which is only called for
	 * one that has it; NULL: none. In a worker's thread. */
	unsigned int (*roles)(void *ctx, const struct http_peer *peer);
};

/* The value of a name in the query, NULL if it is not there. */
const char *http_query(const struct http_request *request, const char *name);

/* Reads the request's first line and its Authorization header (NULL: none)
 * into *request, whose peer the caller has set, and finds its route. Negative
 * where there is nothing to call; *answer says it then. */
int http_request_read(const struct http_service *service,
    struct http_request *request, enum http_method method, const char *target,
    const char *authorization, struct http_answer *answer);
/* Checks the peer's role, parses the body (type: its Content-Type, NULL for
 * none) and calls the handler. *answer is always something to send. */
void http_request_run(const struct http_service *service,
    struct http_request *request, const char *type, const void *body,
    size_t size, struct http_answer *answer);
void http_request_reset(struct http_request *request);

/* Makes *answer the problem document of an error. The text goes to a peer only
 * where it is about its request, or where the peer is certified; of others it
 * is in the log. */
void http_answer_problem(struct http_answer *answer, int status,
    const struct http_peer *peer, const struct err *err);
int http_status_of(int code);
/* The other way round: of a problem document's `code` (NULL: it had none), or
 * what fits the status. */
int http_code_of(const char *name, int status);
/* The body to send and its size; NULL for none. It is in answer->text then. */
const char *http_answer_text(struct http_answer *answer);
void http_answer_reset(struct http_answer *answer);
/* "Not Found" (RFC 9110, 15). */
const char *http_phrase(int status);

#endif
