/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The native provider: what one host keeps for its own VMs when there is no
 * trust authority. A directory with the host's wrapping key and, per VM, a
 * freshness record.
 *
 *   STATE_DIR/native/key          the key, or its TPM-sealed form
 *   STATE_DIR/native/records/UUID freshness (see freshness.h)
 *   STATE_DIR/native/migrate      migration/migrate-table.h
 *
 * All directories 0700 and files 0600, owned by `owner`, also when root makes
 * them on the owner's behalf.
 */
#ifndef NVRAM_CRYPT_NATIVE_H
#define NVRAM_CRYPT_NATIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/secret.h"

#define NATIVE_KEY_ID_SIZE 16

struct native_config {
	const char *state_dir;	/* absolute */
	bool seal_to_tpm;	/* new keys are sealed by the host's TPM */
	const char *tcti;	/* tpm2-tss TCTI configuration; NULL: default */
	const char *helper;	/* path of vtpm-hostkey, which alone maps
				 * tpm2-tss; NULL: the installed one */
	uid_t owner;		/* of files made; (uid_t)-1: the caller */
	gid_t group;
};

struct native;

/* Opens the provider. With create, directory and key are made where missing
 * (atomically: two first users at once get the same key); without, a missing
 * key is ERR_NOTFOUND. Refuses (ERR_REFUSED) a key that others may read. An
 * existing TPM-sealed key is unsealed whatever seal_to_tpm says. */
int native_open(struct native **out, const struct native_config *config,
    bool create, struct err *err);
/* The same without create, for somebody who has another key to his file. One of
 * the host's that is there but cannot be opened (its TPM was cleared, it is
 * damaged, others may read it) is logged and done without, as the records are
 * good all the same: native_key is NULL then. ERR_NOTFOUND as above. */
int native_open_beside(struct native **out, const struct native_config *config,
    struct err *err);
void native_free(struct native *n);

/* The key (32 bytes, or NULL), and its public name: derived from it, not
 * secret. */
const struct secret *native_key(const struct native *n);
const uint8_t *native_key_id(const struct native *n);
/* "file" or "tpm". */
const char *native_key_storage(const struct native *n);
/* Descriptor of STATE_DIR/native/records. */
int native_records_fd(const struct native *n);
/* And of STATE_DIR/native. */
int native_directory_fd(const struct native *n);

#endif
