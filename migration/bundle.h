/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bundles: the states of some VMs in one file, for moving them by hand to
 * whoever holds a recipient's key, perhaps at another site. What is inside can
 * be read without a key, but is believed only once it has been authenticated.
 * doc/bundle-format.md specifies the bytes.
 */
#ifndef MIGRATION_BUNDLE_H
#define MIGRATION_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/uuid.h"
#include "migration/bundle-recipient.h"
#include "nvram-crypt/freshness.h"
#include "nvram-crypt/nvram.h"
#include "nvram-crypt/xaes.h"

#define BUNDLE_FORMAT 1u
#define BUNDLE_VMS_MAX 1024u
#define BUNDLE_HOST_SIZE 64u		/* with the final NUL */

struct bundle_vm {
	uint8_t uuid[UUID_SIZE];
	char name[NVRAM_NAME_SIZE];
	uint64_t created;		/* the TPM's file; seconds since 1970 */
	uint64_t epoch;			/* what the file claimed when it was */
	uint8_t digest[FRESHNESS_DIGEST_SIZE];	/* closed before the export */
	uint32_t state_version;		/* libtpms that wrote the state */
	uint32_t size;			/* of the state's records */
	uint8_t nonce[XAES_NONCE_SIZE];
	uint8_t tag[XAES_TAG_SIZE];
};

struct bundle_manifest {
	uint8_t id[BUNDLE_ID_SIZE];
	uint64_t exported;		/* seconds since 1970, UTC */
	char host[BUNDLE_HOST_SIZE];	/* where */
	uint32_t library_version;	/* libtpms there */
	size_t n_recipients;
	struct bundle_recipient recipients[BUNDLE_RECIPIENTS_MAX];
	size_t n_vms;
	struct bundle_vm *vms;
};

/* A new file, whole or not at all: nothing has the name path until
 * bundle_finish, which never replaces what has it (ERR_EXISTS). */
struct bundle_writer;
int bundle_create(struct bundle_writer **out, const char *path,
    struct recipient *const *recipients, size_t n_recipients, size_t n_vms,
    uint32_t library_version, struct err *err);
/* Once for each of n_vms; size, nonce and tag of *vm are not looked at. */
int bundle_add(struct bundle_writer *w, const struct bundle_vm *vm,
    const struct nvram_record *records, size_t n_records, struct err *err);
int bundle_finish(struct bundle_writer *w, struct err *err);
void bundle_writer_free(struct bundle_writer *w);

struct bundle;
/* Reads the manifest, which is anybody's until bundle_unlock. */
int bundle_open(struct bundle **out, const char *path, struct err *err);
/* The same over a descriptor, which is taken; name is for messages. */
int bundle_open_fd(struct bundle **out, int fd, const char *name,
    struct err *err);
void bundle_close(struct bundle *b);
const struct bundle_manifest *bundle_manifest(const struct bundle *b);
bool bundle_unlocked(const struct bundle *b);
/* ERR_KEY: it is for others (the text names them). ERR_AUTH: damaged, or
 * somebody changed it. */
int bundle_unlock(struct bundle *b, const struct bundle_creds *creds,
    struct err *err);
/* The i-th VM's records, authenticated and whole: slot_payload_get reads them
 * (nvram-crypt/slot.h). */
int bundle_get(struct bundle *b, size_t i, struct secret **payload,
    struct err *err);

#endif
