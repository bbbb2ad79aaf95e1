/* SPDX-License-Identifier: BSD-3-Clause */
/* The native key's file, doc/native-key.md. */
#ifndef NVRAM_CRYPT_NATIVE_KEY_H
#define NVRAM_CRYPT_NATIVE_KEY_H

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "nvram-crypt/native-dir.h"
#include "nvram-crypt/native.h"

#define NATIVE_KEY_SIZE 32

/* Numbers on the disk; never reuse one. */
enum native_storage {
	NATIVE_STORAGE_FILE = 1,
	NATIVE_STORAGE_TPM = 2,
};

struct native_key {
	struct secret *key;		/* NATIVE_KEY_SIZE bytes; the caller's */
	uint8_t id[NATIVE_KEY_ID_SIZE];
	enum native_storage storage;
};

/* Reads file "key" in directory dirfd, whose path is for messages. A sealed
 * one goes through the helper. ERR_NOTFOUND; ERR_REFUSED for one that others
 * may read; ERR_FORMAT for a damaged one; ERR_KEY for one sealed by another
 * TPM; ERR_TPM. */
int native_key_load(int dirfd, const char *path,
    const struct native_config *config, const struct native_owner *owner,
    struct native_key *key, struct err *err);

/* Makes a random one and its file. ERR_EXISTS when somebody was quicker. */
int native_key_create(int dirfd, const char *path,
    const struct native_config *config, const struct native_owner *owner,
    struct err *err);
/* Removes the temporary files of makers that died. */
void native_key_clean(int dirfd, const struct native_owner *owner);

#endif
