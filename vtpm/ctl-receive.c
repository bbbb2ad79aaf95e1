/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/ctl-receive.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What there is to undo. */
struct step {
	bool made_at_authority;
	bool made_record;
	bool owned;
};

static int
prepare_here(struct ctl *ctl, const struct ctl_protector *p, struct err *err)
{
	if (ctl->freshness != NULL)
		return 0;
	return p->secret != NULL ? ctl_load_records(ctl, err) :
	    ctl_load_host(ctl, true, err);
}

/* The VM is known there if it comes from a host of the same authority. */
static int
prepare_authority(struct ctl *ctl, const struct ctl_protector *p,
    const struct ctl_arrival *a, struct step *done, struct err *err)
{
	struct err why = { 0 };
	int rc;

	if ((rc = ctl_load_config(ctl, err)) < 0 ||
	    (rc = ctl_use_authority(ctl, err)) < 0)
		return rc;
	rc = ctl_authority_create(ctl, a->uuid, a->name, p->group, &why);
	if (rc == ERR_EXISTS && a->claim != NULL)
		return 0;
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	done->made_at_authority = true;
	return a->claim != NULL ?
	    freshness_register(ctl->freshness, a->claim, err) : 0;
}

static void
undo(struct ctl *ctl, const struct ctl_arrival *a, const struct step *done)
{
	/* It forgets no VM that somebody owns. */
	if (done->made_at_authority && done->owned) {
		(void)freshness_confirm(ctl->freshness, NULL);
		(void)freshness_release(ctl->freshness, a->claim->digest,
		    false, NULL);
	}
	if (done->made_at_authority)
		ctl_authority_undo(ctl, a->uuid);
	/* It is locked as long as the provider is there. */
	if (done->made_record && ctl_use_native_record(ctl, NULL) == 0)
		(void)freshness_forget(ctl->freshness, a->uuid, NULL);
}

/* What the record says is advice for a file. */
static int
refuse_stale(const struct freshness *f, const struct ctl_arrival *a,
    struct err *err)
{
	return err_set(err, ERR_STALE, "the bundle holds an older state (epoch "
	    "%llu) than what %s: to go back to it on purpose, import it with "
	    "--accept-restore%s", (unsigned long long)a->claim->epoch,
	    freshness_is_authority(f) ? "the trust authority knows of" :
	    "this host has had", freshness_is_authority(f) ?
	    ", after vtactl vm accept-restore" : "");
}

/* The record first, so that it judges what came; the file with the epoch that
 * was granted; then the record of that file. Cut short in between, the record
 * lets in what it did before, and the file if that is there: as when a vtpmd is
 * killed while it opens (doc/nvram-format.md, "Freshness"). */
static int
go_on(struct ctl *ctl, const struct ctl_arrival *a,
    struct nvram_create_args *args, bool accept, struct step *done,
    struct err *err)
{
	struct freshness *f = ctl->freshness;
	struct freshness_grant grant;
	int rc;

	done->made_record = !freshness_is_authority(f) &&
	    freshness_check(f, a->claim, NULL) == ERR_NOTFOUND;
	if ((rc = freshness_acquire(f, a->claim, accept, &grant, err)) < 0)
		return rc == ERR_STALE ? refuse_stale(f, a, err) : rc;
	done->owned = true;
	args->epoch = grant.epoch;
	if ((rc = nvram_create(args, err)) < 0)
		return rc;
	if ((rc = freshness_confirm(f, err)) < 0) {
		(void)unlink(args->path);
		return rc;
	}
	/* From here on the file is the VM's state. */
	*done = (struct step){ 0 };
	if ((rc = freshness_release(f, args->claim->digest,
	    args->claim->synced, err)) < 0)
		err_append(err, " (%s is made all the same, and is the VM's "
		    "state now)", args->path);
	return rc;
}

int
ctl_receive(struct ctl *ctl, const struct ctl_protector *p,
    const struct ctl_arrival *a, const char *path, bool accept,
    uint64_t *epoch, struct err *err)
{
	struct protector_creds creds = { .passphrase = p->secret };
	struct freshness_claim made;
	struct nvram_create_args args = { .path = path, .name = a->name,
		.claim = &made,
		.state_version = a->state_version, .protector = p->ops,
		.creds = &creds, .records = a->records,
		.n_records = a->n_records };
	struct step done = { 0 };
	struct stat st;
	int rc;

	/* nvram_create never replaces a file; this only saves the work. */
	if (lstat(path, &st) == 0)
		return err_set(err, ERR_EXISTS, "%s exists already", path);
	if ((rc = ctl_try_state(a, err)) < 0)
		return rc;
	rc = p->ops->kind == PROTECTOR_AUTHORITY ?
	    prepare_authority(ctl, p, a, &done, err) :
	    prepare_here(ctl, p, err);
	if (rc < 0)
		goto out;
	creds.native = ctl->native;
	creds.agent = ctl->agent;
	memcpy(args.uuid, a->uuid, UUID_SIZE);
	if (a->claim != NULL) {
		rc = go_on(ctl, a, &args, accept, &done, err);
	} else {
		args.freshness = ctl->freshness;
		rc = nvram_create(&args, err);
	}
	*epoch = args.epoch != 0 ? args.epoch : 1;
out:
	if (rc < 0)
		undo(ctl, a, &done);
	return rc;
}

json_t *
ctl_received(const struct ctl_arrival *a, const char *path,
    const struct ctl_protector *p, uint64_t epoch)
{
	return json_pack("{s:o, s:o, s:o, s:s, s:I, s:b}",
	    "file", ctl_json_text(path), "uuid", ctl_json_uuid(a->uuid),
	    "name", ctl_json_text(a->name != NULL ? a->name : ""),
	    "protector", p->ops->name, "epoch", (json_int_t)epoch,
	    "running", a->n_records > 1);
}

void
ctl_print_received(const json_t *one)
{
	printf("%s: holds VM %s%s%s now, opened by %s, epoch %lld%s\n",
	    ctl_text(one, "file"), ctl_text(one, "uuid"),
	    ctl_text(one, "name")[0] != '\0' ? " " : "",
	    ctl_text(one, "name"), ctl_text(one, "protector"),
	    (long long)ctl_number(one, "epoch"),
	    json_is_true(json_object_get(one, "running")) ?
	    "; its TPM goes on where it was" : "");
}
