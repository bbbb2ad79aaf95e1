/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes of who can open a file: protectors added, removed and made anew, and
 * a new DEK. */
#include <string.h>
#include <time.h>

#include "nvram-crypt/nvram-internal.h"

static void
make_binding(const struct nvram_header *h, struct protector_binding *binding)
{
	memcpy(binding->uuid, h->uuid, UUID_SIZE);
	memcpy(binding->dek_id, h->dek_id, DEK_ID_SIZE);
}

int
nvram_protector_add(struct nvram *nv, const struct protector_ops *ops,
    const struct protector_creds *creds, const char *label, struct err *err)
{
	struct superblock next = nv->sb;
	struct nvram_header *h = &next.header;
	struct protector_binding binding;
	struct protector *p;
	int rc;

	if ((rc = nvram_check_writable(nv, "add a protector", err)) < 0)
		return rc;
	if (h->n_protectors == PROTECTOR_SLOTS)
		return err_set(err, ERR_NOSPACE, "%s has %d protectors already,"
		    " which is as many as it can have: remove one first",
		    nv->name, PROTECTOR_SLOTS);
	if (label != NULL && strlen(label) >= PROTECTOR_LABEL_SIZE)
		return err_set(err, ERR_USAGE, "the label \"%.64s...\" is "
		    "longer than %d bytes", label, PROTECTOR_LABEL_SIZE - 1);
	p = &h->protectors[h->n_protectors++];
	memset(p, 0, sizeof(*p));
	if (label != NULL)
		memcpy(p->label, label, strlen(label));
	make_binding(h, &binding);
	if ((rc = protector_make(ops, creds, &binding, nv->keys.dek, p,
	    err)) < 0)
		return rc;
	nvram_set_floor(&next, &nv->slot);
	return nvram_superblock_put(nv, &next, nv->keys.superblock, false,
	    err);
}

int
nvram_protector_remove(struct nvram *nv, const uint8_t id[PROTECTOR_ID_SIZE],
    struct err *err)
{
	struct superblock next = nv->sb;
	struct nvram_header *h = &next.header;
	size_t i = 0;
	int rc;

	if ((rc = nvram_check_writable(nv, "remove a protector", err)) < 0)
		return rc;
	while (i < h->n_protectors &&
	    memcmp(h->protectors[i].id, id, PROTECTOR_ID_SIZE) != 0)
		i++;
	if (i == h->n_protectors)
		return err_set(err, ERR_NOTFOUND,
		    "%s has no protector of this id", nv->name);
	if (h->n_protectors == 1)
		return err_set(err, ERR_REFUSED, "this is the last protector "
		    "of %s, nobody could open the file without it: add another "
		    "first", nv->name);
	h->n_protectors--;
	memmove(&h->protectors[i], &h->protectors[i + 1],
	    (h->n_protectors - i) * sizeof(h->protectors[0]));
	memset(&h->protectors[h->n_protectors], 0, sizeof(h->protectors[0]));
	nvram_set_floor(&next, &nv->slot);
	return nvram_superblock_put(nv, &next, nv->keys.superblock, true,
	    err);
}

/* Wraps dek anew in *p under the same id and label, but only where creds open
 * what is there: otherwise a passphrase would silently become another. */
static int
rewrap(const struct protector_creds *creds,
    const struct protector_binding *before,
    const struct protector_binding *after, const struct secret *dek,
    struct protector *p, struct err *err)
{
	const struct protector_ops *ops = protector_ops_by_kind(p->kind);
	struct secret *opened = NULL;
	int rc;

	if (ops == NULL)
		return err_set(err, ERR_KEY,
		    "this version does not know its kind");
	rc = ops->unwrap(creds, before, p, &opened, err);
	secret_free(opened);
	if (rc < 0)
		return rc;
	p->created = (uint64_t)time(NULL);
	memset(p->body, 0, sizeof(p->body));
	return ops->wrap(creds, after, dek, p, err);
}

static int
rewrap_all(const struct nvram *nv, struct superblock *next,
    const struct secret *dek, bool every,
    const struct protector_creds *creds, struct err *err)
{
	struct protector_binding before, after;
	size_t done = 0;

	make_binding(&nv->sb.header, &before);
	make_binding(&next->header, &after);
	for (size_t i = 0; i < next->header.n_protectors; i++) {
		struct protector *p = &next->header.protectors[i];
		struct err why = { 0 };
		int rc = rewrap(creds, &before, &after, dek, p, &why);

		if (rc == 0)
			done++;
		else if (rc != ERR_KEY || every)
			return err_set(err, rc, "%s: cannot make the protector "
			    "\"%s\" anew: %s. Nothing was changed", nv->name,
			    p->label, why.text);
	}
	if (done == 0)
		return err_set(err, ERR_KEY, "%s: none of its protectors can "
		    "be made anew with the keys given here", nv->name);
	return 0;
}

static int
rekey_shallow(struct nvram *nv, const struct protector_creds *creds,
    struct err *err)
{
	struct superblock next = nv->sb;
	int rc;

	if ((rc = rewrap_all(nv, &next, nv->keys.dek, false, creds, err)) < 0)
		return rc;
	nvram_set_floor(&next, &nv->slot);
	return nvram_superblock_put(nv, &next, nv->keys.superblock, true,
	    err);
}

/*
 * The state under the new DEK to the inactive slot; the superblock that names
 * the new DEK, over both areas; the state once more, over the slot that is
 * still under the old DEK. Until the superblock is durable the old slot and
 * the old superblock are whole, and from then on the new ones are.
 */
static int
replace_dek(struct nvram *nv, struct superblock *next, struct nvram_keys *keys,
    struct err *err)
{
	struct slot before = nv->slot;
	struct nvram_keys old;
	int rc;

	if ((rc = nvram_slot_copy(nv, keys->slot, next->header.dek_id,
	    NVRAM_PUT_WHOLE, err)) < 0)
		return rc;
	nvram_set_floor(next, &nv->slot);
	rc = nvram_superblock_put(nv, next, keys->superblock, true, err);
	if (memcmp(nv->sb.header.dek_id, next->header.dek_id,
	    DEK_ID_SIZE) != 0) {
		nv->slot = before;
		return rc;
	}
	old = nv->keys;
	nv->keys = *keys;
	*keys = old;		/* for the caller to release */
	if (rc < 0)
		return rc;
	if ((rc = nvram_slot_copy(nv, nv->keys.slot, nv->sb.header.dek_id,
	    NVRAM_PUT_WHOLE, err)) < 0)
		err_append(err, ". The new key is in use, but the state under "
		    "the old one could not be overwritten: repeat the rekey");
	return rc;
}

static int
rekey_deep(struct nvram *nv, const struct protector_creds *creds,
    struct err *err)
{
	struct superblock next = nv->sb;
	struct nvram_keys keys = { 0 };
	struct secret *dek = NULL;
	int rc;

	if ((rc = nvram_dek_new(&dek, next.header.dek_id, err)) < 0 ||
	    (rc = nvram_keys_make(&keys, dek, next.header.uuid,
	    next.header.dek_id, err)) < 0)
		return rc;
	memcpy(next.commitment, keys.commitment, sizeof(next.commitment));
	if ((rc = rewrap_all(nv, &next, keys.dek, true, creds, err)) == 0)
		rc = replace_dek(nv, &next, &keys, err);
	nvram_keys_free(&keys);
	return rc;
}

int
nvram_rekey(struct nvram *nv, bool deep, const struct protector_creds *creds,
    struct err *err)
{
	int rc;

	if ((rc = nvram_check_writable(nv, "rekey it", err)) < 0 ||
	    (rc = nvram_settle(nv, err)) < 0)
		return rc;
	return deep ? rekey_deep(nv, creds, err) :
	    rekey_shallow(nv, creds, err);
}
