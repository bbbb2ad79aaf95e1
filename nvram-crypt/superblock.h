/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The superblock: who the file is, who can open it, and the floor under its
 * slots. Fixed layout, see doc/nvram-format.md, "Superblock". Two areas of the
 * file hold one each; they are byte copies of each other except while one is
 * being replaced.
 */
#ifndef NVRAM_CRYPT_SUPERBLOCK_H
#define NVRAM_CRYPT_SUPERBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "nvram-crypt/nvram.h"
#include "nvram-crypt/xaes.h"

#define SUPERBLOCK_SIZE 12288u
#define SUPERBLOCK_FORMAT 1u
#define SUPERBLOCK_COMMITMENT_SIZE 32
#define SLOT_COUNT 2u
#define SLOT_SIZE_MIN 8192u
#define SLOT_SIZE_MAX (1024u * 1024u + 4096u)
#define SLOT_SIZE_DEFAULT (NVRAM_STATE_MAX + 4096u)
#define PAGE_BYTES 4096u	/* unit of writes; all areas start on one */

struct superblock {
	struct nvram_header header;
	uint64_t floor_sequence;	/* slots below it are of the past */
	uint8_t floor_tag[XAES_TAG_SIZE];
	uint8_t commitment[SUPERBLOCK_COMMITMENT_SIZE];	/* to the DEK */
	uint8_t nonce[XAES_NONCE_SIZE];
	uint8_t tag[XAES_TAG_SIZE];
};

/* What the bytes are without a key. ERR_AUTH: torn or damaged (the checksum at
 * its end does not fit); ERR_FORMAT: not a superblock of ours at all;
 * ERR_UNSUPPORTED: of a later format. *sb is filled on success only. */
int superblock_decode(const uint8_t bytes[SUPERBLOCK_SIZE],
    struct superblock *sb, struct err *err);
/* Whether the tag in the bytes fits: 0 or ERR_AUTH. */
int superblock_authenticate(const uint8_t bytes[SUPERBLOCK_SIZE],
    struct xaes *key, struct err *err);
/* Draws a nonce, and sets sb's nonce and tag. */
int superblock_seal(struct superblock *sb, struct xaes *key,
    uint8_t bytes[SUPERBLOCK_SIZE], struct err *err);

#endif
