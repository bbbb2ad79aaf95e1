/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a policy, for what reads it, captures it and judges by it. */
#ifndef ATTEST_POLICY_PARTS_H
#define ATTEST_POLICY_PARTS_H

#include "trust-authority/attest/digest-set.h"
#include "trust-authority/attest/policy.h"

#define POLICY_FORMAT 1

/* A list that is not given judges nothing; one that is empty allows nothing. */
struct digest_list {
	bool given;
	size_t count;
	uint8_t (*digest)[HASH_MAX];
};

struct text_list {
	bool given;
	size_t count;
	char **text;
};

#define MEASURED_NAME_MAX 160	/* bytes; fits whole into a verdict */

struct measured {
	char *name;
	uint8_t digest[HASH_MAX];
	bool required;
};

struct measured_list {
	bool given;
	size_t count;
	struct measured *item;
};

/* Lists of digests of which a PCR consists, separators and actions aside. */
enum { MEASURED_DRIVERS, MEASURED_APPLICATIONS, MEASURED_PARTITIONS,
	MEASURED_FILES, MEASURED_MOK, MEASURED_COUNT };
struct measured_kind {
	const char *member;	/* of event_log */
	uint32_t pcr;
};
extern const struct measured_kind measured_kinds[MEASURED_COUNT];

enum { VARIABLE_PK, VARIABLE_KEK, VARIABLE_DB, VARIABLE_DBX, VARIABLE_COUNT };
extern const char *const variable_names[VARIABLE_COUNT];

struct policy {
	char name[POLICY_NAME_MAX + 1];
	const struct hash_alg *bank;
	struct digest_list pcr[PCR_COUNT];

	bool events;			/* event_log is given */
	uint32_t replay;		/* PCRs that the log must explain */
	bool secure_boot;		/* must be on */
	struct digest_list variable[VARIABLE_COUNT];
	struct digest_list authorities;
	struct measured_list measured[MEASURED_COUNT];
	struct text_list kernel_commands, boot_commands, actions;

	bool ima;
	enum ima_extend ima_extend;
	bool ima_violations;		/* are allowed */
	bool ima_boot_aggregate;	/* must be right */
	struct digest_set *ima_digests;

	bool firmware_given;
	size_t firmware_count;
	uint64_t *firmware;
	bool clock_safe;		/* must be */
	bool resets, restarts;		/* are allowed */
};

bool digest_list_has(const struct digest_list *list, const uint8_t *digest,
    size_t size);

#endif
