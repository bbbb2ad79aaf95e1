/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file of this host's becomes one of the trust authority's. The protector is
 * in the file before the authority has a record of it, so whoever is killed in
 * between leaves a file that asks an authority that does not know: this host's
 * record says then which copy it was, and the same command finishes.
 */
#include <string.h>

#include "nvram-crypt/freshness-authority.h"
#include "vtpm/vtpmctl.h"

/* One that is there without a record was left by who was killed before the file
 * had the protector. */
static int
begin(struct ctl *ctl, struct nvram *nv, struct freshness *authority,
    const struct ctl_protector *p, const char *label, struct err *err)
{
	const struct nvram_header *h = nvram_header(nv);
	struct protector_creds creds = { .agent = ctl->agent };
	struct freshness_claim claim;
	uint8_t uuid[UUID_SIZE];
	int rc;

	memcpy(uuid, h->uuid, sizeof(uuid));
	nvram_claim(nv, &claim);
	rc = ctl_authority_create(ctl, uuid, h->name, p->group, err);
	if (rc < 0 && (rc != ERR_EXISTS ||
	    freshness_check(authority, &claim, NULL) != ERR_NOTFOUND))
		return rc;
	if ((rc = nvram_protector_add(nv, p->ops, &creds, label, err)) < 0)
		ctl_authority_undo(ctl, uuid);
	return rc;
}

/* Without its protector the VM at the authority is of no use. One that cannot
 * be removed needs it, and is finished another time. */
static void
undo(struct ctl *ctl, struct nvram *nv)
{
	const struct nvram_header *h = nvram_header(nv);
	uint8_t uuid[UUID_SIZE], id[PROTECTOR_ID_SIZE];

	memcpy(uuid, h->uuid, sizeof(uuid));
	memcpy(id, h->protectors[h->n_protectors - 1].id, sizeof(id));
	if (nvram_protector_remove(nv, id, NULL) == 0)
		ctl_authority_undo(ctl, uuid);
}

/* Its own record stays, so that a copy from before is older than what that
 * says. */
static int
give(struct ctl *ctl, struct nvram *nv, const struct ctl_protector *p,
    const char *label, struct err *err)
{
	struct native_config native = config_native(&ctl->config);
	struct freshness *authority = NULL;
	struct freshness_claim claim;
	int rc;

	if ((rc = freshness_authority(&authority, ctl->agent, &native,
	    err)) < 0 ||
	    (rc = begin(ctl, nv, authority, p, label, err)) < 0)
		goto out;
	nvram_claim(nv, &claim);
	if ((rc = freshness_register(authority, &claim, err)) < 0)
		undo(ctl, nv);
out:
	freshness_free(authority);
	return rc;
}

static int
check_here(struct ctl *ctl, const struct nvram *nv, struct err *err)
{
	struct freshness_claim claim;
	struct err why = { 0 };
	int rc;

	nvram_claim(nv, &claim);
	if ((rc = freshness_check(ctl->freshness, &claim, &why)) == 0)
		return 0;
	return err_set(err, rc, "%s: the trust authority has no record of this "
	    "VM, and this host's does not say that this copy is the latest "
	    "(%s). Finish where it was begun; or take the VM away from the "
	    "authority with: vtpmctl accept-restore --without-authority %s; "
	    "and give it again", ctl->operands[0], why.text,
	    ctl->operands[0]);
}

/* The authority gets the record of a file that is closed: one that is killed
 * before has changed nothing that this host's record does not know. */
static int
finish(struct ctl *ctl, struct nvram *nv, struct err *err)
{
	struct freshness *authority = ctl->freshness;
	struct freshness_claim claim;
	int rc;

	ctl->freshness = NULL;
	if ((rc = ctl_use_native_record(ctl, err)) < 0 ||
	    (rc = check_here(ctl, nv, err)) < 0 ||
	    (rc = nvram_acquire(nv, ctl->freshness, true, err)) < 0 ||
	    (rc = nvram_release(nv, err)) < 0)
		goto out;
	nvram_claim(nv, &claim);
	rc = freshness_register(authority, &claim, err);
out:
	freshness_free(authority);
	return rc;
}

/* Nothing is wrong with it: it has what was asked for. */
static int
is_given(struct ctl *ctl, struct nvram *nv, struct err *err)
{
	int rc = nvram_release(nv, err);

	return rc < 0 ? rc : err_set(err, ERR_EXISTS, "%s has an authority "
	    "protector already; vtpmctl rekey makes it anew",
	    ctl->operands[0]);
}

int
ctl_give(struct ctl *ctl, const struct ctl_protector *p, const char *label,
    struct nvram **out, struct err *err)
{
	struct err why = { 0 };
	struct nvram *nv = NULL;
	int rc, released;

	*out = NULL;
	if ((rc = ctl_open_unlocked(ctl, true, &nv, err)) < 0)
		return rc;
	rc = ctl_acquire(ctl, nv, false, &why);
	if (rc == ERR_NOTFOUND && nvram_wants_authority(nv))
		rc = finish(ctl, nv, err);
	else if (rc < 0)
		*err = why;
	else if (nvram_wants_authority(nv))
		rc = is_given(ctl, nv, err);
	else {
		rc = give(ctl, nv, p, label, err);
		released = nvram_release(nv, rc == 0 ? err : NULL);
		rc = rc < 0 ? rc : released;
	}
	*out = nv;
	return rc;
}
