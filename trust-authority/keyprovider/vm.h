/* SPDX-License-Identifier: BSD-3-Clause */
/* The record of kind vm: which groups may have a VM's keys, and where its KEKs
 * are. */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_VM_H
#define TRUST_AUTHORITY_KEYPROVIDER_VM_H

#include "base/uuid.h"
#include "trust-authority/keyprovider/record.h"
#include "trust-authority/kmip/kmip.h"

#define VM_KIND "vm"
#define VM_KEY_KIND "vm-key"

#define VM_GROUP_KIND "vm-group"	/* GROUP/UUID: an index */
#define VM_SHREDDING_KIND "vm-shredding"	/* UUID: KEKs to be destroyed */

#define VM_GROUPS_MAX 8
#define VM_KEKS_MAX 256		/* kept or destroyed, of one VM */
#define VM_SERIALS_MAX 256	/* of its EK certificates */
#define VM_SERIAL_SIZE 41	/* hex, with the NUL */
#define VM_TITLE_SIZE 129	/* what people call it; with the NUL */
#define VM_BY_SIZE 160

/*
 * A KEK that is being made has its number and the KMS before the KMS is asked,
 * so that whoever goes on after a crash finds it there by its name; of one that
 * is to be destroyed the record says so first, so that it is used no more,
 * whatever comes of asking the KMS.
 */
enum kek_state { KEK_MAKING, KEK_ACTIVE, KEK_DESTROYING, KEK_DESTROYED };

struct vm_kek {
	uint32_t n;			/* from 1 */
	enum kek_state state;
	char kms[NAME_MAX_SIZE];
	char id[KMIP_TEXT_SIZE];	/* "" while it is being made */
	int64_t making_until;		/* one process makes it until then */
};

struct vm {
	char uuid[UUID_TEXT_SIZE];
	char title[VM_TITLE_SIZE];
	char groups[VM_GROUPS_MAX][NAME_MAX_SIZE];
	size_t group_count;
	bool needs_trust;
	struct vm_kek *keks;		/* by n; malloc'ed */
	size_t kek_count;
	char (*serials)[VM_SERIAL_SIZE];	/* malloc'ed */
	size_t serial_count;
	int64_t created, shredded;	/* shredded: 0, or when */
	bool forgotten;			/* shredded by its owner: the UUID may
					 * be used again */
	char by[VM_BY_SIZE];
	uint64_t version;		/* of the record; 0: none yet */
};

/* vm_reset it in any case. ERR_NOTFOUND says so of the VM. */
int vm_load(struct store *store, const char *uuid, struct vm *vm,
    struct err *err);
int vm_read(const json_t *json, const char *uuid, struct vm *vm,
    struct err *err);
json_t *vm_json(const struct vm *vm);
/* What to store; free it. */
char *vm_text(const struct vm *vm);
void vm_reset(struct vm *vm);

bool vm_has_group(const struct vm *vm, const char *group);
/* NULL: none of that number. */
struct vm_kek *vm_kek(const struct vm *vm, uint32_t n);
/* The newest that can be used, NULL: none. */
struct vm_kek *vm_newest(const struct vm *vm);
/* The one that is being made, NULL: none. */
struct vm_kek *vm_making(const struct vm *vm);
/* One more, being made; NULL: no memory, or VM_KEKS_MAX. */
struct vm_kek *vm_add_kek(struct vm *vm, const char *kms);
int vm_add_serial(struct vm *vm, const char *serial, struct err *err);
const char *kek_state_name(enum kek_state state);

#endif
