/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading values of a policy's JSON, with the path of each for errors. */
#ifndef ATTEST_POLICY_READ_H
#define ATTEST_POLICY_READ_H

#include <jansson.h>

#include "trust-authority/attest/policy-parts.h"

#define POLICY_PATH_MAX 128

/* One member of an object, and what reads it into the policy. */
struct member {
	const char *name;
	bool required;
	json_type type;		/* JSON_TRUE: a boolean */
	int (*read)(json_t *value, struct policy *p, const char *path,
	    struct err *err);
};

/* All members of the object by the table; "" is the outermost path. */
int members_read(json_t *object, const struct member *table, size_t count,
    struct policy *p, const char *path, struct err *err);
/* JSON_TRUE stands for both booleans. */
int type_check(const json_t *value, json_type type, const char *path,
    struct err *err);

int digest_list_read(json_t *array, const struct hash_alg *alg,
    struct digest_list *list, const char *path, struct err *err);
void digest_list_free(struct digest_list *list);
int text_list_read(json_t *array, struct text_list *list, const char *path,
    struct err *err);
void text_list_free(struct text_list *list);
int measured_list_read(json_t *array, const struct hash_alg *alg,
    struct measured_list *list, const char *path, struct err *err);
void measured_list_free(struct measured_list *list);
/* "sha256:..." each. */
int digest_set_read(json_t *array, struct digest_set *set, const char *path,
    struct err *err);

#endif
