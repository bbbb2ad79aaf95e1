/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VM's KEKs in the KMS: made, used, destroyed. Everything that a crash or a
 * lost answer can interrupt is recorded first and can be done again.
 */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_KEK_H
#define TRUST_AUTHORITY_KEYPROVIDER_KEK_H

#include "trust-authority/keyprovider/kmxd.h"
#include "trust-authority/keyprovider/vm.h"

/* Faults kms and authority. */

/* KEK n of the VM, from the cache or the KMS, until kek_cache_release. */
int kek_hold(struct kmxd *k, const struct vm *vm, uint32_t n,
    struct kek_entry **entry, const uint8_t **key,
    struct http_answer *answer, struct err *err);

/* One more KEK for a VM, of which *vm is the record (version 0: a new one); it
 * is the newest then. One that somebody began is finished first. who is for
 * the audit record. ERR_BUSY while another process makes one. */
int kek_make(struct kmxd *k, struct vm *vm, const char *who,
    const char *from, struct http_answer *answer, struct err *err);

/* All KEKs of the VM that the record says are to be destroyed, in every node of
 * their KMS. 0: none is left. */
int kek_destroy(struct kmxd *k, const char *uuid, struct err *err);

#endif
