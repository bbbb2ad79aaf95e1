/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one way to read and write structured bytes. Integers are big-endian,
 * as the TPM 2.0 library, QEMU's control channel and our own formats are,
 * unless the function's name says otherwise.
 * All functions return 0, or ERR_FORMAT when the bytes or the room run out;
 * after a failure the buffer stays failed, so a run of calls needs one check
 * (buf_ok) at its end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t size;	/* bytes there are (reader) or room (writer) */
	size_t pos;	/* next byte to read or write */
	bool failed;
	bool readonly;
};

/* A reader over size bytes that the caller keeps alive. */
struct buf buf_reader(const void *data, size_t size);
/* A writer into size bytes of room that the caller keeps alive. */
struct buf buf_writer(void *data, size_t size);

bool buf_ok(const struct buf *b);
/* Bytes left to read, or room left. */
size_t buf_left(const struct buf *b);

int buf_get_u8(struct buf *b, uint8_t *v);
int buf_get_u16be(struct buf *b, uint16_t *v);
int buf_get_u32be(struct buf *b, uint32_t *v);
int buf_get_u64be(struct buf *b, uint64_t *v);
/* Little-endian, for what PC firmware and the kernel write: event logs. */
int buf_get_u16le(struct buf *b, uint16_t *v);
int buf_get_u32le(struct buf *b, uint32_t *v);
int buf_get_u64le(struct buf *b, uint64_t *v);
/* Copies n bytes to out; out may be NULL to skip. */
int buf_get_bytes(struct buf *b, void *out, size_t n);
/* Points *out at n bytes inside the buffer. */
int buf_get_ref(struct buf *b, const uint8_t **out, size_t n);
/* A sub-reader over the next n bytes. */
int buf_get_sub(struct buf *b, struct buf *out, size_t n);

int buf_put_u8(struct buf *b, uint8_t v);
int buf_put_u16be(struct buf *b, uint16_t v);
int buf_put_u32be(struct buf *b, uint32_t v);
int buf_put_u64be(struct buf *b, uint64_t v);
int buf_put_bytes(struct buf *b, const void *data, size_t n);
int buf_put_zero(struct buf *b, size_t n);
/* Length-prefixed: u16 size and bytes, the TPM2B of TPM 2.0 Part 2, 10.4. */
int buf_put_tpm2b(struct buf *b, const void *data, size_t n);
int buf_get_tpm2b(struct buf *b, const uint8_t **data, size_t *n);
/* Overwrites a u16 or u32 already written at offset `at`. */
int buf_patch_u16be(struct buf *b, size_t at, uint16_t v);
int buf_patch_u32be(struct buf *b, size_t at, uint32_t v);

#endif
