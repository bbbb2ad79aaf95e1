/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an nvram file remembers, beside the state, of a hand-over (record kind
 * NVRAM_MIGRATION). While the note is there, the state in the file and in the
 * session's blobs are the same, and no command has run since, here or
 * elsewhere: whoever runs one removes the note first. So a note that names a
 * blob's session is what tells that blob from an older one.
 */
#ifndef MIGRATION_NOTE_H
#define MIGRATION_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "migration/envelope.h"

enum note_what {
	NOTE_HANDED_OUT = 1,	/* to whoever may open this file too */
	NOTE_ACCEPTED = 2,	/* an administrator wants whatever session of
				 * this VM comes next, once */
};

#define NOTE_SIZE 36u

struct note {
	uint32_t what;
	uint8_t session[ENVELOPE_SESSION_SIZE];	/* handed out: which */
	uint64_t made;		/* seconds since 1970, UTC */
};

void note_encode(const struct note *n, uint8_t bytes[NOTE_SIZE]);
/* ERR_UNSUPPORTED for one that a later version wrote. */
int note_decode(const uint8_t *bytes, size_t size, struct note *n,
    struct err *err);

#endif
