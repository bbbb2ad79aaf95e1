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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migration/envelope.h"

enum note_what {
	NOTE_HANDED_OUT = 1,	/* to whoever may open this file too */
	NOTE_ACCEPTED = 2,	/* an administrator wants whatever session of
				 * this VM comes next, once */
	NOTE_SENT = 3,		/* handed out, for other hosts too, which have
				 * no part in this file: it is not started anew
				 * without an administrator's word */
};

#define NOTE_HOSTS_MAX (ENVELOPE_PROTECTORS_MAX - 1u)
#define NOTE_SIZE 36u		/* without epoch and hosts */
#define NOTE_SIZE_MAX (44u + NOTE_HOSTS_MAX * ENVELOPE_ID_SIZE)

struct note {
	uint32_t what;
	uint8_t session[ENVELOPE_SESSION_SIZE];	/* handed out: which */
	uint64_t made;		/* seconds since 1970, UTC */
	/* Where states come and go without the file: the epoch of the file that
	 * the session is from; else 0. */
	uint64_t epoch;
	uint32_t n_hosts;	/* sent: the ids of their keys */
	uint8_t hosts[NOTE_HOSTS_MAX][ENVELOPE_ID_SIZE];
};

/* Returns its size. */
size_t note_encode(const struct note *n, uint8_t bytes[NOTE_SIZE_MAX]);
/* Whether it says that this session was handed out. */
bool note_names(const struct note *n,
    const uint8_t session[ENVELOPE_SESSION_SIZE]);
/* ERR_UNSUPPORTED for one that a later version wrote. */
int note_decode(const uint8_t *bytes, size_t size, struct note *n,
    struct err *err);

#endif
