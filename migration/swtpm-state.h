/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What swtpm keeps of a TPM 2.0: a blob each for permanent and volatile state,
 * in files of a directory or in sections of one file; plain, or under a key.
 * The format is that of swtpm 0.1 to 0.10: stefanberger/swtpm, src/swtpm/
 * swtpm_nvstore.c (header, encryption), tlv.h, swtpm_nvstore_dir.c (names),
 * swtpm_nvstore_linear.h (one file). doc/bundle-format.md, "swtpm".
 */
#ifndef MIGRATION_SWTPM_STATE_H
#define MIGRATION_SWTPM_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

/* swtpm-key.c: what swtpm's --key takes. */
struct swtpm_key;
/* "file=F|fd=N[,format=hex|binary][,mode=M]" or
 * "pwdfile=F|pwdfd=N[,kdf=pbkdf2|sha512][,mode=M]". */
int swtpm_key_parse(struct swtpm_key **out, const char *spec,
    struct err *err);
void swtpm_key_free(struct swtpm_key *k);
/* Bytes of the AES key that it is said to be for; 0: not said. */
size_t swtpm_key_size(const struct swtpm_key *k);
/* The key itself, 16 or 32 bytes; ERR_KEY where it is not for that size. */
int swtpm_key_get(const struct swtpm_key *k, size_t size,
    struct secret **bytes, struct err *err);

/* swtpm-blob.c. key NULL: the blob is to be plain; ERR_KEY where it is not, and
 * where the key does not fit; ERR_REFUSED where there is a key and the blob is
 * plain all the same. */
int swtpm_blob_decode(const uint8_t *bytes, size_t size,
    const struct swtpm_key *key, struct secret **state, struct err *err);
int swtpm_blob_encode(const uint8_t *state, size_t size,
    const struct swtpm_key *key, struct secret **blob, struct err *err);

struct swtpm_states {
	struct secret *permanent;
	struct secret *volatile_state;	/* NULL: none */
	int lock;			/* keeps swtpm away; -1 */
};

/* path: swtpm's directory, or its file. ERR_BUSY while swtpm runs,
 * ERR_NOTFOUND. */
int swtpm_state_read(struct swtpm_states *s, const char *path,
    const struct swtpm_key *key, struct err *err);
void swtpm_states_free(struct swtpm_states *s);
/* Into a directory, which is made if it is not there; both or neither.
 * ERR_EXISTS where it holds a state. volatile_state may be of size 0. */
int swtpm_state_write(const char *directory, const uint8_t *permanent,
    size_t permanent_size, const uint8_t *volatile_state,
    size_t volatile_size, const struct swtpm_key *key, struct err *err);

#endif
