/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The records that vta-attestd and vta-kmxd share (doc/authority-protocols.md,
 * "Records in the store"): who administers, which hosts there are, what became
 * of their last attestation. A struct is read from one record and remembers its
 * version, with which it is to be committed. Each has its _get (ERR_NOTFOUND;
 * ERR_INTERNAL where it is damaged), _read for a record of a list, and _op,
 * which makes the text of a commit's operation; the caller frees op->value.
 */
#ifndef TRUST_AUTHORITY_COMMON_DIRECTORY_H
#define TRUST_AUTHORITY_COMMON_DIRECTORY_H

#include "trust-authority/common/fields.h"
#include "trust-authority/common/store.h"

#define DIRECTORY_PEM_MAX 8192
#define DIRECTORY_REASON_MAX 513
#define DIRECTORY_FINGERPRINT_SIZE 65	/* SHA-256 in hex with NUL */
#define DIRECTORY_GROUP_POLICIES 16

#define KIND_ADMIN "admin"
#define KIND_HOST "host"
#define KIND_HOST_EK "host-ek"
#define KIND_ATTESTED "attested"
#define KIND_GROUP "group"
/* {} under a group's name: written with each host that comes into it. */
#define KIND_GROUP_ENTERED "group-entered"

struct directory_admin {
	char fingerprint[DIRECTORY_FINGERPRINT_SIZE];	/* the key */
	char name[128];
	char role[16];			/* admin, operator, auditor */
	int64_t added;
	uint64_t version;
};

struct directory_host {
	char name[NAME_MAX_SIZE];	/* the key */
	char ek[DIRECTORY_FINGERPRINT_SIZE];	/* of SubjectPublicKeyInfo */
	char ek_pem[2048];
	bool ek_trusted;		/* without a certificate */
	/* DER in base64url. */
	char ek_certificate[DIRECTORY_PEM_MAX * 4 / 3 + 4];
	char group[NAME_MAX_SIZE];
	int64_t added;
	int64_t revoked;		/* when; 0: it is not */
	char reason[DIRECTORY_REASON_MAX];
	bool enrolled;			/* by itself */
	/* Tokens that were signed before are another TPM's, another group's,
	 * or from before a revocation. */
	int64_t tokens_from;
	uint64_t version;
};

#define ATTESTED_ATTESTED "attested"	/* a policy is met */
#define ATTESTED_REFUSED "refused"
#define ATTESTED_EXPIRED "expired"	/* it did not come again */

struct directory_attested {
	char host[NAME_MAX_SIZE];	/* the key */
	char state[16];
	char reason[DIRECTORY_REASON_MAX];
	char policy[NAME_MAX_SIZE];
	int64_t since, last;		/* this state; an attestation */
	int64_t token_expires;
	int64_t session;		/* began, ms since 1970 */
	char ak[2048];			/* TPMT_PUBLIC, base64url */
	bool has_clock;			/* of the last that was accepted */
	int64_t clock, resets, restarts;
	bool safe;
	char evidence[DIRECTORY_FINGERPRINT_SIZE];
	char address[48];
	int64_t agent_port;		/* 0: not told */
	char agent_certificate[DIRECTORY_PEM_MAX];
	uint64_t version;
};

struct directory_group {
	char name[NAME_MAX_SIZE];	/* the key */
	char description[257];
	char policies[DIRECTORY_GROUP_POLICIES][NAME_MAX_SIZE];
	size_t policy_count;
	int64_t token_seconds;
	bool enroll;
	int64_t added;
	uint64_t version;
};

int directory_admin_read(const struct store_record *r,
    struct directory_admin *out, struct err *err);
int directory_admin_get(struct store *store, const char *fingerprint,
    struct directory_admin *out, struct err *err);
/* expect is ->version, as for all of them: 0 for a new one. */
int directory_admin_op(const struct directory_admin *a, struct store_op *op,
    struct err *err);

int directory_host_read(const struct store_record *r,
    struct directory_host *out, struct err *err);
int directory_host_get(struct store *store, const char *name,
    struct directory_host *out, struct err *err);
int directory_host_op(const struct directory_host *h, struct store_op *op,
    struct err *err);

/* The name of the host with this EK. */
int directory_host_by_ek(struct store *store, const char *ek,
    char name[NAME_MAX_SIZE], uint64_t *version, struct err *err);
int directory_host_ek_op(const struct directory_host *h, uint64_t expect,
    struct store_op *op, struct err *err);

int directory_attested_read(const struct store_record *r,
    struct directory_attested *out, struct err *err);
int directory_attested_get(struct store *store, const char *host,
    struct directory_attested *out, struct err *err);
int directory_attested_op(const struct directory_attested *a,
    struct store_op *op, struct err *err);

int directory_group_read(const struct store_record *r,
    struct directory_group *out, struct err *err);
int directory_group_get(struct store *store, const char *name,
    struct directory_group *out, struct err *err);
int directory_group_op(const struct directory_group *g, struct store_op *op,
    struct err *err);
/* A JSON array of names into ->policies; ERR_USAGE. */
int directory_group_policies(struct directory_group *g, const json_t *array,
    int code, struct err *err);
json_t *directory_group_policies_json(const struct directory_group *g);

#endif
