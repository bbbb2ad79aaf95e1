/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRUST_AUTHORITY_VTACTL_VM_FIND_H
#define TRUST_AUTHORITY_VTACTL_VM_FIND_H

#include "base/uuid.h"
#include "trust-authority/vtactl/vtactl.h"

/* All VMs that vta-kmxd knows, page by page: {"vms": [...]}. */
int vm_list(struct vtactl *v, json_t **out, struct err *err);
/* The UUID of a VM, by that or by its name, where only one has it. */
int vm_find(struct vtactl *v, const char *who, char uuid[UUID_TEXT_SIZE],
    struct err *err);

#endif
