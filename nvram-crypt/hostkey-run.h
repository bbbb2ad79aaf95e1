/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs vtpm-hostkey, the one program that maps tpm2-tss, so that its code is
 * never in the address space of a vtpmd. The key goes to it and comes back
 * through pipes only. doc/native-key.md tells the blob's format.
 */
#ifndef NVRAM_CRYPT_HOSTKEY_RUN_H
#define NVRAM_CRYPT_HOSTKEY_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "nvram-crypt/native.h"

#define HOSTKEY_BLOB_MAX 1024

/* Seals key with the host's TPM; *size becomes the blob's bytes. ERR_TPM
 * when there is no TPM or it declines. */
int hostkey_seal(const struct native_config *config, const struct secret *key,
    uint8_t blob[HOSTKEY_BLOB_MAX], size_t *size, struct err *err);

/* *key is a new secret. ERR_KEY: another TPM's blob, or the TPM was cleared;
 * ERR_FORMAT: not a blob; ERR_TPM. */
int hostkey_unseal(const struct native_config *config, const uint8_t *blob,
    size_t size, struct secret **key, struct err *err);

#endif
