/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration/note.h"

#include <string.h>

#include "base/buf.h"

#define NOTE_VERSION 1u

void
note_encode(const struct note *n, uint8_t bytes[NOTE_SIZE])
{
	struct buf b = buf_writer(bytes, NOTE_SIZE);

	buf_put_u32be(&b, NOTE_VERSION);
	buf_put_u32be(&b, n->what);
	buf_put_bytes(&b, n->session, sizeof(n->session));
	buf_put_u64be(&b, n->made);
	buf_put_zero(&b, 4);
}

int
note_decode(const uint8_t *bytes, size_t size, struct note *n,
    struct err *err)
{
	struct buf b = buf_reader(bytes, size);
	uint32_t version = 0;

	memset(n, 0, sizeof(*n));
	buf_get_u32be(&b, &version);
	buf_get_u32be(&b, &n->what);
	buf_get_bytes(&b, n->session, sizeof(n->session));
	buf_get_u64be(&b, &n->made);
	if (buf_ok(&b) && size == NOTE_SIZE && version == NOTE_VERSION &&
	    (n->what == NOTE_HANDED_OUT || n->what == NOTE_ACCEPTED))
		return 0;
	return err_set(err, ERR_UNSUPPORTED, "the nvram file holds a note of "
	    "a hand-over that this version does not know: use a later one");
}
