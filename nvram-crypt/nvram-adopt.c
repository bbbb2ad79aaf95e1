/* SPDX-License-Identifier: BSD-3-Clause */
/* A file in use goes from one process to the next with its descriptor, and so
 * with its lock; or without, and then it is read anew. */
#include <errno.h>
#include <fcntl.h>
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
	    NVRAM_PUT_SYNCED, err)) < 0))
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

void
nvram_keep_unconfirmed(struct nvram *nv, struct freshness *f)
{
	nv->freshness = f;
	nv->unconfirmed = true;
}

static int
read_anew(struct nvram **out, const struct nvram *old, struct err *err)
{
	struct nvram *nv = NULL;
	struct store *store;
	int fd, rc;

	*out = NULL;
	/* The lock is that of the open file, which both numbers name. */
	fd = fcntl(store_file(old->store), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_sys(err, errno, "cannot read %s anew", old->name);
	if ((rc = store_from_fd(&store, fd, err)) < 0 ||
	    (rc = nvram_open_store(&nv, store, old->name, err)) < 0)
		return rc;
	if ((rc = nvram_unlock_dek(nv, secret_bytes(old->keys.dek),
	    err)) < 0) {
		nvram_close(nv);
		return rc;
	}
	nv->acts_for = old->acts_for;
	memcpy(nv->host, old->host, sizeof(nv->host));
	*out = nv;
	return 0;
}

int
nvram_take(struct nvram **nv, struct err *err)
{
	struct nvram *fresh;
	int rc;

	if (!(*nv)->unlocked || store_file((*nv)->store) < 0)
		return err_set(err, ERR_INTERNAL, "%s cannot be taken",
		    (*nv)->name);
	if ((rc = store_lock((*nv)->store, (*nv)->name, err)) < 0)
		return rc;
	if ((rc = read_anew(&fresh, *nv, err)) < 0) {
		store_unlock((*nv)->store);
		return rc;
	}
	nvram_close(*nv);
	*nv = fresh;
	return 0;
}

void
nvram_give(struct nvram *nv)
{
	if (nv->freshness != NULL)
		(void)freshness_let_go(nv->freshness);
	nv->freshness = NULL;
	store_unlock(nv->store);
}

int
nvram_admit(struct nvram *nv, struct freshness *f, struct err *err)
{
	struct freshness_claim claim;
	int rc;

	if (nv->fallback)
		return nvram_refuse_fallback(nv, err);
	nvram_claim(nv, &claim);
	if ((rc = freshness_admit(f, &claim, err)) < 0)
		return err_prefix(err, "%s", nv->name);
	nv->freshness = f;
	return 0;
}

bool
nvram_lend(struct nvram *nv)
{
	if (!nv->acquired || nv->releasing || nvram_in_doubt(nv) ||
	    nv->freshness == NULL || freshness_let_go(nv->freshness) < 0)
		return false;
	nv->acquired = false;
	nv->lent = true;
	store_unlock(nv->store);
	return true;
}

int
nvram_end_loan(struct nvram *nv, struct err *err)
{
	uint8_t digest[FRESHNESS_DIGEST_SIZE];
	int rc;

	if (!nv->lent)
		return 0;
	/* The file before the record, which will let in only this. A failure is
	 * said once: the next sync succeeds, and what it was about is not on the
	 * disk. The lock to write it again is another's, so it stays open. */
	if ((rc = nvram_sync(nv, err)) < 0) {
		nv->lent = false;
		nv->freshness = NULL;
		return rc;
	}
	if ((rc = nvram_digest(nv, digest, err)) < 0 ||
	    (rc = freshness_end_loan(nv->freshness, digest,
	    nvram_copy_synced(nv), err)) < 0)
		return rc;
	nv->lent = false;
	nv->freshness = NULL;
	return 0;
}
