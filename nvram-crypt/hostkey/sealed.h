/* SPDX-License-Identifier: BSD-3-Clause */
/* A key as a sealed data object of the host's TPM; doc/native-key.md. */
#ifndef HOSTKEY_SEALED_H
#define HOSTKEY_SEALED_H

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "nvram-crypt/hostkey/hosttpm.h"

#define SEALED_KEY_SIZE 32
#define SEALED_MAX 1024

/* Writes the blob of key (SEALED_KEY_SIZE bytes) to out. */
int sealed_make(struct hosttpm *t, const struct secret *key, struct buf *out,
    struct err *err);
/* *key is a new secret. ERR_FORMAT: no such blob; ERR_KEY: of another TPM,
 * or of this one before it was cleared. */
int sealed_open(struct hosttpm *t, struct buf *in, struct secret **key,
    struct err *err);

#endif
