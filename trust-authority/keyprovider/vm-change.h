/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes of a VM's records that are made in several places. */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_VM_CHANGE_H
#define TRUST_AUTHORITY_KEYPROVIDER_VM_CHANGE_H

#include "trust-authority/keyprovider/kmxd.h"
#include "trust-authority/keyprovider/vm.h"

/* A new VM, of which only uuid, title, groups and by are set; or one whose UUID
 * was forgotten. Without a KEK yet. ERR_EXISTS. */
int vm_add(struct kmxd *k, struct vm *vm, const char *from, struct err *err);

/* Its groups and whether it needs trust. */
int vm_set_grants(struct kmxd *k, const struct vm *before,
    const struct vm *after, const struct audit_entry *entry,
    struct err *err);

/* First, and in one commit: nobody may have it any more, it has no owner, its
 * KEKs are to be destroyed. vm is as it was loaded; ERR_STALE: load it
 * again. forgetter: the host whose request it is, NULL: an administrator's;
 * ERR_BUSY where another host runs the VM. */
int vm_shred(struct kmxd *k, const struct vm *vm, const char *forgetter,
    const struct audit_entry *entry, struct err *err);
/* The KEKs older than the newest are to be destroyed. ERR_REFUSED where the
 * newest key is under one of them. */
int vm_retire(struct kmxd *k, const struct vm *vm,
    const struct audit_entry *entry, size_t *count, struct err *err);
/* What is left to do after these: KEKs destroyed in the KMS, certificates on
 * the revocation list. May be done any number of times, by anybody; 0 when
 * nothing is left. */
int vm_finish(struct kmxd *k, const char *uuid, struct err *err);
/* The same for all that is left. */
void vm_finish_all(struct kmxd *k);

/* Ends the alarms of VMs that were shredded, or mended by another node. */
void vm_review_alarms(struct kmxd *k);

#endif
