/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policies in the store and, parsed, in memory. A document is up to 64 MiB and
 * lies in parts named by its digest; the record `policy` under its name says
 * which. What is parsed is used until that record is another.
 */
#ifndef ATTESTD_POLICIES_H
#define ATTESTD_POLICIES_H

#include "trust-authority/attest/policy.h"
#include "trust-authority/common/directory.h"

#define KIND_POLICY "policy"
#define KIND_POLICY_PART "policy-part"
/* Its one record is written with every change of a list of approved policies:
 * who saw that a policy is approved for no group makes sure of it with that
 * record's version. */
#define KIND_APPROVALS "approvals"
#define APPROVALS_KEY "last"

struct policy_record {
	char name[NAME_MAX_SIZE];	/* the key */
	char sha256[DIRECTORY_FINGERPRINT_SIZE];
	int64_t size, parts, added;
	char description[257];
	uint64_t version;
};

int policy_record_read(const struct store_record *r,
    struct policy_record *out, struct err *err);
int policy_record_get(struct store *store, const char *name,
    struct policy_record *out, struct err *err);
int policy_record_op(const struct policy_record *p, struct store_op *op,
    struct err *err);

/* Fills sha256, size and parts for this document. */
int policy_describe(const char *text, struct policy_record *p,
    struct err *err);
/* Writes the parts of a document that p describes; harmless where they are
 * there. They become a policy with the commit of its record. */
int policy_parts_write(struct store *store, const char *text,
    const struct policy_record *p, struct err *err);
/* The document, malloc'ed. ERR_FORMAT where its parts are not what the record
 * says. */
int policy_parts_read(struct store *store, const struct policy_record *p,
    char **text, struct err *err);

/* The parts of a document as they are before a commit that gives it up, so that
 * somebody who writes it again in that moment keeps it. */
struct policy_litter {
	struct store_list parts;
};
int policy_litter_find(struct store *store, const struct policy_record *p,
    struct policy_litter *l, struct err *err);
/* After that commit; what cannot be removed is logged. Releases l. */
void policy_litter_remove(struct store *store, struct policy_litter *l,
    bool committed);

struct policies;
struct policy_used;

/* NULL: no memory. */
struct policies *policies_new(struct store *store);
/* NULL is allowed. */
void policies_free(struct policies *p);
/* The policy of this name as it is in the store now. ERR_NOTFOUND. */
int policies_take(struct policies *p, const char *name,
    struct policy_used **out, struct err *err);
const struct policy *policy_used(const struct policy_used *u);
/* NULL is allowed. */
void policies_give(struct policies *p, struct policy_used *u);

#endif
