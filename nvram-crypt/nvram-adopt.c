/* SPDX-License-Identifier: BSD-3-Clause */
/* A file in use goes from one process to the next with its descriptor, and so
 * with its lock. */
#include <string.h>

#include "nvram-crypt/nvram-internal.h"

int
nvram_hand_over(struct nvram *nv, int *fd,
    struct nvram_handover *h, struct err *err)
{
	int rc;

	if (!nv->acquired || nv->releasing)
		return err_set(err, ERR_REFUSED, "%s is not in use", nv->name);
	if ((*fd = store_file(nv->store)) < 0)
		return err_set(err, ERR_UNSUPPORTED, "%s is not a file",
		    nv->name);
	/* What a failed write left there would be read as the state; and the
	 * record must be that of an owner. */
	if ((rc = nvram_settle(nv, err)) < 0 || (nv->slot_uncertain &&
	    (rc = nvram_slot_copy(nv, nv->keys.slot, nv->sb.header.dek_id,
	    false, err)) < 0))
		return rc;
	if ((rc = nvram_confirm(nv, err)) < 0)
		return rc;
	memcpy(h->dek, secret_bytes(nv->keys.dek), sizeof(h->dek));
	return nvram_digest(nv, h->digest, err);
}

static int
check_same(const struct nvram *nv, const struct nvram_handover *h,
    struct err *err)
{
	uint8_t digest[FRESHNESS_DIGEST_SIZE];
	int rc;

	if ((rc = nvram_digest(nv, digest, err)) < 0)
		return rc;
	if (memcmp(digest, h->digest, sizeof(digest)) == 0 && !nv->fallback)
		return 0;
	return err_set(err, ERR_AUTH, "%s does not hold the state that was "
	    "handed over", nv->name);
}

int
nvram_adopt(struct nvram **out, int fd, const char *name,
    const struct nvram_handover *h, struct err *err)
{
	struct nvram *nv = NULL;
	struct store *store;
	int rc;

	*out = NULL;
	if ((rc = store_from_fd(&store, fd, err)) < 0 ||
	    (rc = nvram_open_store(&nv, store, name, err)) < 0)
		return rc;
	if ((rc = nvram_unlock_dek(nv, h->dek, err)) < 0 ||
	    (rc = check_same(nv, h, err)) < 0 ||
	    /* See nvram_acquire. */
	    (rc = nvram_state_reserve(nv, nv->slot.index ^ 1u, 0, err)) < 0)
		goto out;
	nv->acquired = true;
	*out = nv;
	nv = NULL;
out:
	nvram_close(nv);
	return rc;
}

void
nvram_keep_fresh(struct nvram *nv, struct freshness *f)
{
	nv->freshness = f;
}
