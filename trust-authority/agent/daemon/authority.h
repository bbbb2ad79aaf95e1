/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls to the authority's services. Each has several nodes: the one that
 * answered last is asked first, then the others. While none answers, calls fail
 * at once for a pause, after which one of them tries again: a silent authority
 * must not hold up all workers.
 */
#ifndef AGENT_DAEMON_AUTHORITY_H
#define AGENT_DAEMON_AUTHORITY_H

#include "nvram-crypt/agent-wire.h"
#include "trust-authority/agent/daemon/settings.h"
#include "trust-authority/common/http-client.h"

enum service { SERVICE_ATTESTD, SERVICE_KMXD, SERVICES };

struct authority;

struct authority_call {
	enum service service;
	enum http_method method;
	const char *path;
	const char *bearer;
	const json_t *json;
	bool once;	/* doing it twice would do harm */
	bool now;	/* also in the pause after a failure */
};

struct authority_answer {
	json_t *json;		/* NULL where there was none */
	enum agent_fault fault;	/* with an error */
	bool unreachable;	/* with an error: nobody there to decide */
	bool maybe_done;	/* another try of it may have been done */
	char url[SETTINGS_URL_MAX];	/* who answered */
	struct http_reply reply;
};

int authority_new(const struct settings *s, struct authority **out,
    struct err *err);
/* NULL is allowed. */
void authority_free(struct authority *a);

/* 0, or what went wrong with its fault. From any thread; blocks. *answer is to
 * be reset in any case. */
int authority_call(struct authority *a, const struct authority_call *call,
    struct authority_answer *answer, struct err *err);
void authority_answer_reset(struct authority_answer *answer);
/* Whether the last call got an answer; true before the first. */
bool authority_is_up(struct authority *a, enum service service);

#endif
