/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One node of a KMS: where it is, how it is, and its connections at rest. All
 * functions but node_parse need the client's lock held, except where they say
 * otherwise; none of them waits.
 */
#ifndef TRUST_AUTHORITY_KMIP_NODE_H
#define TRUST_AUTHORITY_KMIP_NODE_H

#include "trust-authority/kmip/connection.h"
#include "trust-authority/kmip/kmip.h"

#define KEEP_MAX 16
#define KMIP_PORT "5696"	/* IANA; KMIP Profiles 2.0, 3.1.4 */

struct node {
	char name[KMIP_TEXT_SIZE];	/* as configured, for messages */
	char host[KMIP_TEXT_SIZE], port[8];
	struct endpoint to;

	enum kmip_health health;
	bool probing;		/* one call is trying a node that is down */
	uint32_t failures;	/* in a row */
	int64_t next_try;	/* clock_ms */
	int64_t answered;	/* clock_ms of the last answer */
	int64_t since;		/* seconds since 1970, of health */
	struct kmip_version version;	/* 0.0: ask for it */
	uint64_t connections, answers;
	char error[ERR_TEXT_MAX];

	struct connection *rest[KEEP_MAX];	/* the last used at the end */
	size_t rest_count;
};

/* Sets name, host and port from "host", "host:port" or "[v6]:port". */
int node_parse(struct node *n, const char *text, struct err *err);

/* Whether a call may go to it now. For a node that is down this is so once
 * after its pause: the caller has to tell how it ended (node_succeeded,
 * node_failed). */
bool node_claim(struct node *n);
/* A claim that came to nothing that says anything about the node. */
void node_unclaim(struct node *n);
/* Both return whether health changed. first and max: the pauses, ms. */
bool node_succeeded(struct node *n);
bool node_failed(struct node *n, const char *why, uint32_t first,
    uint32_t max);

/* The connection at rest that was last used, if it is not older than idle_ms;
 * older ones go to *stale, for connection_close without the lock. */
struct connection *node_take(struct node *n, uint32_t idle_ms,
    struct connection *stale[KEEP_MAX], size_t *stale_count);
/* False where there are enough already: the caller closes it. */
bool node_give(struct node *n, struct connection *c, size_t keep);

/* A pause after so many failures in a row: doubles from first to max, and of
 * that the half and a random part of the other half, so that those who lost
 * the node together do not come back together. */
uint32_t node_pause(uint32_t failures, uint32_t first, uint32_t max);

#endif
