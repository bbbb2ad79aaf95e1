/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration/note.h"

#include <string.h>

#include "base/buf.h"

/* The first has no epoch and no hosts. */
#define NOTE_VERSION 1u
#define NOTE_VERSION_HOSTS 2u

size_t
note_encode(const struct note *n, uint8_t bytes[NOTE_SIZE_MAX])
{
	struct buf b = buf_writer(bytes, NOTE_SIZE_MAX);
	bool plain = n->epoch == 0 && n->n_hosts == 0;

	buf_put_u32be(&b, plain ? NOTE_VERSION : NOTE_VERSION_HOSTS);
	buf_put_u32be(&b, n->what);
	buf_put_bytes(&b, n->session, sizeof(n->session));
	buf_put_u64be(&b, n->made);
	if (plain) {
		buf_put_zero(&b, 4);
		return b.pos;
	}
	buf_put_u64be(&b, n->epoch);
	buf_put_u32be(&b, n->n_hosts);
	for (uint32_t i = 0; i < n->n_hosts && i < NOTE_HOSTS_MAX; i++)
		buf_put_bytes(&b, n->hosts[i], sizeof(n->hosts[i]));
	return b.pos;
}

static bool
get_hosts(struct buf *b, struct note *n)
{
	buf_get_u64be(b, &n->epoch);
	if (buf_get_u32be(b, &n->n_hosts) < 0 || n->n_hosts > NOTE_HOSTS_MAX)
		return false;
	for (uint32_t i = 0; i < n->n_hosts; i++)
		buf_get_bytes(b, n->hosts[i], sizeof(n->hosts[i]));
	return buf_ok(b) && buf_left(b) == 0;
}

int
note_decode(const uint8_t *bytes, size_t size, struct note *n,
    struct err *err)
{
	struct buf b = buf_reader(bytes, size);
	uint32_t version = 0;
	bool good;

	memset(n, 0, sizeof(*n));
	buf_get_u32be(&b, &version);
	buf_get_u32be(&b, &n->what);
	buf_get_bytes(&b, n->session, sizeof(n->session));
	buf_get_u64be(&b, &n->made);
	good = buf_ok(&b) && (version == NOTE_VERSION ? size == NOTE_SIZE :
	    version == NOTE_VERSION_HOSTS && get_hosts(&b, n));
	if (good && (n->what == NOTE_HANDED_OUT || n->what == NOTE_ACCEPTED ||
	    (n->what == NOTE_SENT && version == NOTE_VERSION_HOSTS)))
		return 0;
	return err_set(err, ERR_UNSUPPORTED, "the nvram file holds a note of "
	    "a hand-over that this version does not know: use a later one");
}

bool
note_names(const struct note *n,
    const uint8_t session[ENVELOPE_SESSION_SIZE])
{
	return (n->what == NOTE_HANDED_OUT || n->what == NOTE_SENT) &&
	    memcmp(n->session, session, sizeof(n->session)) == 0;
}
