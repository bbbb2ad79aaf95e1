/* SPDX-License-Identifier: BSD-3-Clause */
/* The KMSes that the store names, and this process's clients of them. */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_KMS_H
#define TRUST_AUTHORITY_KEYPROVIDER_KMS_H

#include "trust-authority/keyprovider/record.h"
#include "trust-authority/kmip/kmip.h"

#define KMS_KIND "kms"
/* {}: written whenever one becomes the default. */
#define KMS_DEFAULT_KIND "kms-default"
#define KMS_DEFAULT_KEY "head"
#define KMS_PEM_MAX 16384
#define KMS_NODE_MAX 256

/* The record, and what an administrator sends, but for the key. */
struct kms_record {
	char name[NAME_MAX_SIZE];
	char nodes[KMIP_NODES_MAX][KMS_NODE_MAX];
	size_t node_count;
	char ca[KMS_PEM_MAX], certificate[KMS_PEM_MAX];	/* PEM */
	char server_name[KMS_NODE_MAX];
	bool is_default;
	struct secret *key;	/* PEM */
	uint64_t version;
};

/* From a request's body (key in PEM) or, with sealing, from the store (key as
 * JWE). kms_record_reset in any case. */
int kms_record_read(const json_t *json, const char *name,
    const struct secret *sealing, struct kms_record *r, struct err *err);
void kms_record_reset(struct kms_record *r);
/* sealing NULL: as it is shown, without the key. NULL and *err. */
json_t *kms_record_json(const struct kms_record *r,
    const struct secret *sealing, struct err *err);
/* A client for all nodes, or for one (node < node_count). */
int kms_connect(const struct kms_record *r, size_t node, struct kmip **out,
    struct err *err);
#define KMS_ALL_NODES SIZE_MAX

struct alarms;
struct kms_table;
struct kms;			/* one of them, held */

int kms_table_new(struct store *store, const struct secret *sealing,
    struct kms_table **out, struct err *err);
/* Nobody may hold one. NULL is allowed. */
void kms_table_free(struct kms_table *t);

/* By name, as it is in the store now; name NULL: the default one. ERR_NOTFOUND
 * says what to do. */
int kms_hold(struct kms_table *t, const char *name, struct kms **out,
    struct err *err);
void kms_release(struct kms_table *t, struct kms *k);
struct kmip *kms_client(const struct kms *k);
const struct kms_record *kms_of(const struct kms *k);

/* Health checks, and then kms_judge; takes in what the store has now. For a
 * thread of its own. */
void kms_check(struct kms_table *t, struct alarms *alarms);
/* Raises kms.unreachable for each KMS of which no node answers, clears it for
 * the others. Never waits for the network. */
void kms_judge(struct kms_table *t, struct alarms *alarms);
/* {name: {nodes: [{name, health, since, error}], default}}; all of them, or
 * one. */
json_t *kms_status(struct kms_table *t, const char *only);

#endif
