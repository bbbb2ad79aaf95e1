/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls to other services: JSON over HTTPS, the server's certificate checked
 * against given CAs, or one certificate, and nothing else. Many threads may
 * share a client; connections are kept.
 */
#ifndef TRUST_AUTHORITY_COMMON_HTTP_CLIENT_H
#define TRUST_AUTHORITY_COMMON_HTTP_CLIENT_H

#include "trust-authority/common/http.h"

struct http_client;

/* Zero and NULL stand for the default. */
struct http_client_config {
	/* Whom to believe; one of the three is needed. */
	const char *ca;			/* PEM file */
	const char *ca_pem;		/* PEM text */
	const char *pinned_pem;		/* the server's own certificate; its
					 * names do not matter */
	const char *certificate, *key;	/* PEM files; none */
	const char *certificate_pem, *key_pem;	/* or PEM texts */
	/* What the server's certificate must name, wherever the URL leads;
	 * also what it is asked for (SNI and Host). NULL: the URL's host. */
	const char *server_name;
	unsigned int connect_ms;	/* 3,000, handshake included */
	unsigned int call_ms;		/* 10,000: one try, all in all */
	unsigned int tries;		/* 1 */
	/* Between tries: doubles from the first to the largest, and of each
	 * a random part of at least half is waited, or what the server's
	 * Retry-After says if that is longer. */
	unsigned int pause_ms;		/* 200 */
	unsigned int pause_max_ms;	/* 10,000 */
	size_t answer_max;		/* 16 MiB */
};

struct http_call {
	enum http_method method;
	const char *url;
	const char *bearer;		/* NULL: none */
	const json_t *json;		/* NULL: no body */
	/* May be done twice. Other calls are tried again only where the server
	 * cannot have begun them: no connection, or 429 and 503. GET, PUT and
	 * DELETE are so anyway (RFC 9110, 9.2.2). */
	bool repeatable;
};

struct http_reply {
	int status;
	json_t *json;			/* NULL where there was none */
	char *text;			/* what came, of any type; NUL after */
	size_t size;
	/* With an error: the server may have done it all the same. */
	bool maybe_done;
};

int http_client_new(const struct http_client_config *config,
    struct http_client **out, struct err *err);
/* NULL is allowed. */
void http_client_free(struct http_client *client);

/* 0 for an answer of 2xx. Else the code that the problem document says, or
 * what fits the status (ERR_CLOSED where nobody answered), with the server's
 * text and its URL. *reply is to be reset in any case. */
int http_client_call(struct http_client *client, const struct http_call *call,
    struct http_reply *reply, struct err *err);
void http_reply_reset(struct http_reply *reply);

#endif
