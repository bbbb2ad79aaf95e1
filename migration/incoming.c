/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration/incoming.h"

#include <string.h>

#define PERMANENT 1u
#define VOLATILE 2u

static const char *
name(uint32_t kind)
{
	return kind == PERMANENT ? "permanent" : kind == VOLATILE ?
	    "volatile" : "unknown";
}

void
incoming_reset(struct incoming *in)
{
	memset(in, 0, sizeof(*in));
}

/* TPMLIB_GetVersion: major, minor and micro in a byte each below the top one.
 * libtpms reads what an older minor version wrote, not what a later one did. */
static int
check_version(const struct envelope *e, uint32_t version, struct err *err)
{
	if (e->state_version >> 8 <= version >> 8)
		return 0;
	return err_set(err, ERR_UNSUPPORTED, "it was written by libtpms "
	    "%u.%u, and this host has %u.%u: bring this host's libtpms up "
	    "to date", e->state_version >> 16 & 0xff,
	    e->state_version >> 8 & 0xff, version >> 16 & 0xff,
	    version >> 8 & 0xff);
}

int
incoming_add(struct incoming *in, const struct envelope *e, uint32_t kind,
    uint32_t version, struct err *err)
{
	if (e->kind != kind)
		return err_set(err, ERR_REFUSED, "it is %s state, brought in "
		    "as %s", name(e->kind), name(kind));
	if (kind != PERMANENT && kind != VOLATILE)
		return err_set(err, ERR_REFUSED, "a TPM 2.0 has no state of "
		    "kind %u", kind);
	if ((e->members & 1u << kind) == 0)
		return err_set(err, ERR_REFUSED, "it does not belong to its "
		    "own session");
	if (in->begun && (memcmp(e->session, in->first.session,
	    sizeof(e->session)) != 0 || e->members != in->first.members))
		return err_set(err, ERR_REFUSED, "it is of another session "
		    "than the %s state that came before it: the two were not "
		    "taken at the same moment", name(in->first.kind));
	if ((in->got & 1u << kind) != 0)
		return err_set(err, ERR_REFUSED, "the %s state came twice",
		    name(kind));
	if (check_version(e, version, err) < 0)
		return ERR_UNSUPPORTED;
	if (!in->begun)
		in->first = *e;
	in->begun = true;
	in->got |= 1u << kind;
	return 0;
}

int
incoming_complete(const struct incoming *in, struct err *err)
{
	uint32_t missing = in->first.members & ~in->got;

	if (missing == 0)
		return 0;
	return err_set(err, ERR_REFUSED, "the %s state that belongs to it has "
	    "not come", name((missing & 1u << PERMANENT) != 0 ? PERMANENT :
	    VOLATILE));
}
