/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What came of judging a host: for each policy its rules, each passed or failed
 * and why, with the event behind it (doc/protocols.md, "Verdicts"). Without
 * memory for a reason the rule has still failed.
 */
#ifndef ATTEST_VERDICT_H
#define ATTEST_VERDICT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct verdict;

struct verdict *verdict_new(void);
void verdict_free(struct verdict *v);

/* Opens a policy; it is passed when all of its rules are, and it has one. */
void verdict_policy(struct verdict *v, const char *name);
/* Opens a rule of it, named as the policy's member. */
void verdict_rule(struct verdict *v, const char *rule);
/* The open rule has failed, by this event (taken over; NULL: none). Of many
 * failures of a rule the first 16 are kept, and how many there were. */
void verdict_fail(struct verdict *v, json_t *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What it has passed by. */
void verdict_because(struct verdict *v, json_t *event);
/* After the last rule of the last policy. */
void verdict_end(struct verdict *v);

/* At least one policy is passed. Only after verdict_end. */
bool verdict_accepted(const struct verdict *v);
/* The first policy that is passed; NULL if none. */
const char *verdict_policy_passed(const struct verdict *v);
/* One line for a log: the policy that is passed, or the first failure of the
 * last policy judged. */
const char *verdict_reason(const struct verdict *v);
/* Borrowed; NULL without memory. */
json_t *verdict_json(struct verdict *v);

#endif
