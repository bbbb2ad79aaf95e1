/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wrapped key W: a VM key K under a KEK, opaque to all but vta-kmxd.
 *
 *	u8 version 1 | u32 KEK number | 16 bytes KEK id | 24 bytes nonce |
 *	32 bytes K, encrypted | 16 bytes tag
 *
 * XAES-256-GCM under SP 800-108 of the KEK (counter mode, HMAC-SHA-256, label
 * "vta-vm-key", context UUID and KEK number), whose first 32 bytes are the key
 * and whose next 16 the id: it commits to the KEK, so that another KEK is told
 * from an altered W. Associated data: UUID, and W up to the nonce. Nothing of
 * it says which group may have it: that is the VM's record's to say.
 */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_VM_KEY_H
#define TRUST_AUTHORITY_KEYPROVIDER_VM_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/uuid.h"

#define VM_KEY_SIZE 32
#define VM_KEY_KEK_SIZE 32
#define VM_KEY_WRAPPED_SIZE (1 + 4 + 16 + 24 + VM_KEY_SIZE + 16)

/* key: VM_KEY_SIZE bytes. */
int vm_key_wrap(const uint8_t kek[VM_KEY_KEK_SIZE], uint32_t n,
    const uint8_t uuid[UUID_SIZE], const struct secret *key,
    uint8_t wrapped[VM_KEY_WRAPPED_SIZE], struct err *err);
/* Which KEK it says that it is under. ERR_FORMAT: not one of ours. */
int vm_key_number(const uint8_t *wrapped, size_t size, uint32_t *n,
    struct err *err);
/* ERR_KEY: of another KEK or VM. ERR_AUTH: altered. */
int vm_key_unwrap(const uint8_t kek[VM_KEY_KEK_SIZE],
    const uint8_t uuid[UUID_SIZE], const uint8_t *wrapped, size_t size,
    struct secret **key, struct err *err);

#endif
