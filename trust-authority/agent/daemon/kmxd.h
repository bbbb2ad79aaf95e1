/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls to vta-kmxd with this host's token. doc/authority-protocols.md. */
#ifndef AGENT_DAEMON_KMXD_H
#define AGENT_DAEMON_KMXD_H

#include "trust-authority/agent/daemon/kmxa.h"

struct kmxd_call {
	enum http_method method;
	const uint8_t *vm;	/* NULL: path stands by itself */
	const char *path;	/* behind /v1/vms/UUID, or whole */
	json_t *json;		/* given away; NULL: none */
	bool has_json;		/* json NULL is "no memory" then */
	bool once;
	bool last_token;	/* one that has ended serves, too */
};

struct kmxd_answer {
	struct authority_answer http;
	struct host_token *token;	/* the one that was used */
	enum agent_fault fault;		/* with an error */
	bool open;			/* with an error: nobody decided */
};

/* A refusal of the host, or of its token, has its consequences here. Blocks.
 * *answer is to be reset in any case. */
int kmxd_call(struct kmxa *k, const struct kmxd_call *call,
    struct kmxd_answer *answer, struct err *err);
void kmxd_answer_reset(struct kmxd_answer *answer);
/* The member "key" of an answer or a part of one. */
int kmxd_key(const struct kmxd_answer *answer, const json_t *json,
    struct secret **key, struct err *err);
/* An answer that is not what it should be. */
int kmxd_broken(const struct kmxd_answer *answer, const char *what,
    struct err *err);

#endif
