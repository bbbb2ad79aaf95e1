/* SPDX-License-Identifier: BSD-3-Clause */
/* A host's request about a VM's epoch: its body, the record that it is about,
 * and the change of that, by compare-and-swap. */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_EPOCH_REQUEST_H
#define TRUST_AUTHORITY_KEYPROVIDER_EPOCH_REQUEST_H

#include "trust-authority/keyprovider/epoch-record.h"
#include "trust-authority/keyprovider/host-route.h"

struct epoch_body {
	int64_t epoch;
	char digest[2 * EPOCH_DIGEST_SIZE + 1];
	char instance[2 * EPOCH_INSTANCE_SIZE + 1], ended[2 *
	    EPOCH_INSTANCE_SIZE + 1];
	char session[2 * EPOCH_SESSION_SIZE + 1];
	bool synced;
};

/* For the tables of members. */
#define EPOCH_FIELD { "epoch", FIELD_NUMBER, \
	FIELD_AT(struct epoch_body, epoch), FIELD_NEEDED }
#define DIGEST_FIELD { "digest", FIELD_HEX, \
	FIELD_AT(struct epoch_body, digest), FIELD_NEEDED }
#define INSTANCE_FIELD { "instance", FIELD_HEX, \
	FIELD_AT(struct epoch_body, instance), FIELD_NEEDED }
#define SESSION_FIELD { "session", FIELD_HEX, \
	FIELD_AT(struct epoch_body, session), FIELD_NEEDED }

struct epoch_request {
	struct kmxd *k;
	const char *audit;	/* NULL: the change has no audit record */
	struct http_peer peer;
	struct asked asked;
	struct epoch_body body;
	struct epoch_claim claim;
	struct epoch_asker who;
	uint8_t session[EPOCH_SESSION_SIZE];
	struct epoch_record record;
	enum epoch_verdict verdict;
	struct http_answer *answer;
};

/* asked_read or asked_read_owner. */
typedef int (*epoch_asked)(struct kmxd *k, const struct http_request *request,
    const char *uuid, struct asked *a, struct http_answer *answer,
    struct err *err);

/* asked_reset(&q->asked) in any case. */
int epoch_request_read(struct epoch_request *q, struct kmxd *k,
    const struct http_request *request, epoch_asked asked,
    const struct field *fields, size_t count, struct http_answer *answer,
    struct err *err);
/* Stores q->record where it was of that version; 0: new. */
int epoch_request_put(struct epoch_request *q, uint64_t version,
    struct err *err);
/* Reads, lets step think, commits; again where somebody else was faster. */
int epoch_request_change(struct epoch_request *q,
    enum epoch_step (*step)(struct epoch_request *q), enum epoch_step *done,
    struct err *err);
/* The epoch is not this host's: says why. */
int epoch_request_lost(struct epoch_request *q, struct err *err);
/* It is another's, whose lease runs. */
int epoch_request_owned(struct epoch_request *q, struct err *err);
/* The answer to whoever was granted q->record.epoch. */
void epoch_request_granted(struct epoch_request *q);
/* Until when a lease that begins now runs, in the record. */
int64_t epoch_request_lease(const struct epoch_request *q, int64_t now);

#endif
