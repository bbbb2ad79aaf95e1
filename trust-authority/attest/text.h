/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Printable ASCII out of bytes that anybody may have written. What is not
 * printable becomes \xNN or \uNNNN; such a text is told from one that was
 * printable all along, since it could be made to look like another.
 */
#ifndef ATTEST_TEXT_H
#define ATTEST_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_MAX 8192	/* bytes of a text; what is longer is cut */

struct text {
	char *data;	/* NUL at its end; NULL after a failed allocation */
	size_t size, room;
	bool plain;	/* every character was printable, none is missing */
};

void text_init(struct text *t);
void text_free(struct text *t);
void text_format(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* One zero at the end is dropped. */
void text_add_bytes(struct text *t, const uint8_t *data, size_t size);
void text_add_utf16(struct text *t, const uint8_t *data, size_t size);
/* A GUID as UEFI 2.10, appendix A writes it. */
void text_add_guid(struct text *t, const uint8_t guid[16]);
/* A device path, UEFI 2.10, clause 10.3: "\EFI\BOOT\BOOTX64.EFI" and the like;
 * nodes that say nothing to a reader as type.subtype. */
void text_add_device_path(struct text *t, const uint8_t *data, size_t size);

#endif
