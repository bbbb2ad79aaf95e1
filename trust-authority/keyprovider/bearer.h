/* SPDX-License-Identifier: BSD-3-Clause */
/* The host that asks, by its token and by its record. */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_BEARER_H
#define TRUST_AUTHORITY_KEYPROVIDER_BEARER_H

#include "trust-authority/common/directory.h"
#include "trust-authority/keyprovider/kmxd.h"
#include "trust-authority/keyprovider/vm.h"

#define POLICY_NONE "(none)"	/* it is who it is, but meets no policy */

struct bearer {
	struct token_claims claims;
	bool trusted;		/* meets a policy, and did not fail since */
	char refusal[DIRECTORY_REASON_MAX];	/* why it failed since */
};

/* Faults token and host. bearer_reset in any case. */
int bearer_read(struct kmxd *k, const struct http_request *request,
    struct bearer *b, struct http_answer *answer, struct err *err);
void bearer_reset(struct bearer *b);

/* Whether this host may have this VM: faults grant and policy; and what was
 * shredded is gone for all. */
int bearer_may(const struct bearer *b, const struct vm *vm,
    struct http_answer *answer, struct err *err);
/* The error for one that is not trusted; what: "the VM ...", which needs it. */
int bearer_untrusted(const struct bearer *b, const char *what,
    struct http_answer *answer, struct err *err);

/* Both, for the routes that have a VM in their path: its UUID, its record.
 * vm_reset and bearer_reset in any case. */
struct asked {
	int64_t at;		/* ms of CLOCK_MONOTONIC; both were read */
	struct bearer bearer;
	uint8_t uuid[UUID_SIZE];
	char text[UUID_TEXT_SIZE];
	struct vm vm;
};
int asked_read(struct kmxd *k, const struct http_request *request,
    const char *uuid, struct asked *a, struct http_answer *answer,
    struct err *err);
/* The same for a host that gives back what it owns: the instance and the epoch
 * say that it may, whatever became of its trust or the grant since it acquired
 * them. */
int asked_read_owner(struct kmxd *k, const struct http_request *request,
    const char *uuid, struct asked *a, struct http_answer *answer,
    struct err *err);
void asked_reset(struct asked *a);
/* Where a KMS let it wait, the host and the VM are judged again by what their
 * records say now: before a key is given. */
int asked_again(struct kmxd *k, struct asked *a, struct http_answer *answer,
    struct err *err);
/* The host alone: revoked or moved since, or refused when it attested again. */
int bearer_again(struct kmxd *k, struct bearer *b,
    struct http_answer *answer, struct err *err);
/* That, and takes from a list of objects with "vm" what it may not have now. */
int bearer_keep(struct kmxd *k, struct bearer *b, json_t *list,
    struct http_answer *answer, struct err *err);
/* Whether so long ago (of monotonic_ms) that it has to be done again. */
bool long_ago(int64_t at);
int64_t monotonic_ms(void);
/* UUID as lower-case text; ERR_USAGE. */
int uuid_canonical(const char *text, uint8_t uuid[UUID_SIZE],
    char out[UUID_TEXT_SIZE], struct err *err);

#endif
