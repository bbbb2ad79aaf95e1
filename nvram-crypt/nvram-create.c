/* SPDX-License-Identifier: BSD-3-Clause */
/* A new file: all of its bytes first, its name last. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "nvram-crypt/nvram-internal.h"

#define ZERO_CHUNK 65536u

/* Blocks that were only allocated would need metadata at their first write,
 * which fdatasync would then have to wait for; zeros written now do not. */
static int
write_zeros(struct store *store, uint64_t size, struct err *err)
{
	static const uint8_t zero[ZERO_CHUNK];

	for (uint64_t at = 0; at < size;) {
		uint64_t left = size - at;
		size_t n = left < ZERO_CHUNK ? (size_t)left : ZERO_CHUNK;
		int rc = store->ops->write(store, zero, n, at);

		if (rc < 0)
			return err_sys(err, -rc, "cannot allocate %llu bytes",
			    (unsigned long long)size);
		at += n;
	}
	return 0;
}

static int
check_args(const struct nvram_create_args *args, uint32_t *slot_size,
    size_t *payload_size, struct err *err)
{
	*slot_size = args->slot_size != 0 ? args->slot_size :
	    SLOT_SIZE_DEFAULT;
	if (*slot_size < SLOT_SIZE_MIN || *slot_size > SLOT_SIZE_MAX ||
	    *slot_size % PAGE_BYTES != 0)
		return err_set(err, ERR_USAGE, "a slot size of %u bytes is "
		    "not a multiple of %u between %u and %u", *slot_size,
		    PAGE_BYTES, SLOT_SIZE_MIN, SLOT_SIZE_MAX);
	if (args->name != NULL && strlen(args->name) >= NVRAM_NAME_SIZE)
		return err_set(err, ERR_USAGE, "the name \"%.64s...\" is "
		    "longer than %d bytes", args->name, NVRAM_NAME_SIZE - 1);
	if (slot_payload_size(args->records, args->n_records,
	    payload_size) < 0 || *payload_size > *slot_size - SLOT_HEADER_SIZE)
		return err_set(err, ERR_NOSPACE,
		    "the first state does not fit a slot of %u bytes",
		    *slot_size);
	return 0;
}

/* Header, DEK and first protector. */
static int
make_superblock(struct nvram *nv, const struct nvram_create_args *args,
    uint32_t slot_size, struct err *err)
{
	struct nvram_header *h = &nv->sb.header;
	struct protector_binding binding;
	struct secret *dek = NULL;
	int rc;

	h->format = SUPERBLOCK_FORMAT;
	h->superblock_size = SUPERBLOCK_SIZE;
	h->slot_size = slot_size;
	memcpy(h->uuid, args->uuid, UUID_SIZE);
	if (args->name != NULL)
		memcpy(h->name, args->name, strlen(args->name));
	h->created = (uint64_t)time(NULL);
	h->epoch = args->epoch != 0 ? args->epoch : 1;
	h->state_version = args->state_version;
	if ((rc = nvram_dek_new(&dek, h->dek_id, err)) < 0 ||
	    (rc = nvram_keys_make(&nv->keys, dek, h->uuid, h->dek_id,
	    err)) < 0)
		return rc;
	memcpy(nv->sb.commitment, nv->keys.commitment,
	    sizeof(nv->sb.commitment));
	memcpy(binding.uuid, h->uuid, UUID_SIZE);
	memcpy(binding.dek_id, h->dek_id, DEK_ID_SIZE);
	h->n_protectors = 1;
	return protector_make(args->protector, args->creds, &binding,
	    nv->keys.dek, &h->protectors[0], err);
}

/* The first state goes to slot 0 with sequence 1, the superblock to both. */
static int
write_contents(struct nvram *nv, const struct nvram_create_args *args,
    size_t payload_size, struct err *err)
{
	struct superblock first;
	uint8_t *payload;
	int rc;

	nv->slot.index = 1;
	if ((rc = nvram_state_reserve(nv, 0, payload_size, err)) < 0)
		return rc;
	payload = secret_data(nv->state[0]);
	if (slot_payload_put(args->records, args->n_records, payload,
	    payload_size) < 0 || slot_payload_check(payload, payload_size) < 0)
		return err_set(err, ERR_USAGE,
		    "a state with two records of one kind");
	if ((rc = nvram_slot_put(nv, nv->keys.slot, nv->sb.header.dek_id,
	    payload_size, NVRAM_PUT_WHOLE, err)) < 0)
		return rc;
	first = nv->sb;
	nvram_set_floor(&first, &nv->slot);
	return nvram_superblock_put(nv, &first, nv->keys.superblock, true,
	    err);
}

/* dek: takes a copy of the key; or NULL. */
static int
format(struct store *store, const struct nvram_create_args *args,
    struct freshness_claim *claim, struct secret **dek, struct err *err)
{
	char name[] = "the new file";
	struct nvram nv = { .store = store, .name = name, .synced = true };
	uint32_t slot_size = 0;
	size_t payload_size = 0;
	int rc;

	if ((rc = check_args(args, &slot_size, &payload_size, err)) < 0)
		return rc;
	if ((rc = make_superblock(&nv, args, slot_size, err)) < 0 ||
	    (rc = nvram_buffers_make(&nv, err)) < 0 ||
	    (!args->prepared && (rc = write_zeros(store,
	    nvram_slot_offset(&nv, SLOT_COUNT), err)) < 0) ||
	    (rc = write_contents(&nv, args, payload_size, err)) < 0)
		goto out;
	nvram_claim(&nv, claim);
	if (dek != NULL && (*dek = secret_from(secret_bytes(nv.keys.dek),
	    secret_size(nv.keys.dek))) == NULL)
		rc = err_sys(err, errno, "cannot lock memory for a key");
out:
	nvram_keys_free(&nv.keys);
	secret_free(nv.state[0]);
	free(nv.io);
	return rc;
}

int
nvram_format(struct store *store, const struct nvram_create_args *args,
    struct freshness_claim *claim, struct err *err)
{
	return format(store, args, claim, NULL, err);
}

int
nvram_create_opened(struct nvram **out, struct store *store,
    const struct nvram_create_args *args, struct err *err)
{
	struct freshness_claim claim;
	struct secret *dek = NULL;
	int rc;

	*out = NULL;
	if ((rc = format(store, args, &claim, &dek, err)) < 0) {
		store->ops->close(store);
		goto out;
	}
	if ((rc = nvram_open_store(out, store, "the new file", err)) < 0)
		goto out;
	if ((rc = nvram_unlock_dek(*out, secret_bytes(dek), err)) < 0) {
		nvram_close(*out);
		*out = NULL;
	}
out:
	secret_free(dek);
	return rc;
}

int
nvram_create_store(struct store *store, const struct nvram_create_args *args,
    struct err *err)
{
	struct freshness_claim claim;

	return nvram_format(store, args, &claim, err);
}

static int
sync_directory(const char *dir, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0 || fsync(fd) < 0)
		rc = err_sys(err, errno, "cannot sync the directory %s", dir);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* What root makes in somebody's directory is his, or he could not use it. */
static int
give_to_owner_of(const char *dir, int fd, struct err *err)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (stat(dir, &st) < 0 ||
	    (st.st_uid != 0 && fchown(fd, st.st_uid, st.st_gid) < 0))
		return err_sys(err, errno, "cannot give the new file to the "
		    "owner of %s", dir);
	return 0;
}

/* Fills the file under its temporary name and gives it its own. */
static int
fill_and_link(int fd, const char *temporary, const char *dir,
    const struct nvram_create_args *args, struct freshness_claim *claim,
    struct err *err)
{
	struct store *store = NULL;
	int rc;

	if ((rc = store_from_fd(&store, fd, err)) < 0)
		return rc;
	if ((rc = nvram_format(store, args, claim, err)) < 0) {
		err_prefix(err, "cannot create %s", args->path);
		goto out;
	}
	if ((rc = give_to_owner_of(dir, fd, err)) < 0)
		goto out;
	if (fchmod(fd, 0600) < 0 || fsync(fd) < 0) {
		rc = err_sys(err, errno, "cannot sync %s", temporary);
		goto out;
	}
	/* link, unlike rename, never replaces; every file system has it. */
	if (link(temporary, args->path) < 0) {
		rc = errno == EEXIST ?
		    err_set(err, ERR_EXISTS, "%s exists already", args->path) :
		    err_sys(err, errno, "cannot link %s", args->path);
		goto out;
	}
	if ((rc = sync_directory(dir, err)) == 0)
		claim->synced = true;
out:
	store->ops->close(store);
	return rc;
}

int
nvram_create(const struct nvram_create_args *args, struct err *err)
{
	struct freshness_claim claim;
	char *temporary = NULL, *copy = NULL;
	const char *dir;
	struct stat st;
	int fd, rc;

	if (lstat(args->path, &st) == 0)
		return err_set(err, ERR_EXISTS, "%s exists already",
		    args->path);
	if ((copy = strdup(args->path)) == NULL)
		return err_sys(err, ENOMEM, "cannot create %s", args->path);
	dir = dirname(copy);
	if (asprintf(&temporary, "%s/.vtpm-new.XXXXXX", dir) < 0) {
		temporary = NULL;
		rc = err_sys(err, ENOMEM, "cannot create %s", args->path);
		goto out;
	}
	if ((fd = mkostemp(temporary, O_CLOEXEC)) < 0) {
		rc = err_sys(err, errno, "cannot create a file in %s", dir);
		goto out;
	}
	rc = fill_and_link(fd, temporary, dir, args, &claim, err);
	if (unlink(temporary) < 0 && rc == 0)
		rc = err_sys(err, errno, "cannot remove %s", temporary);
	/* The record comes second: a crash before it leaves a file that says
	 * what to do, a crash the other way round only a puzzle. */
	if (rc == 0 && args->freshness != NULL &&
	    (rc = freshness_register(args->freshness, &claim, err)) < 0) {
		err_prefix(err, "cannot create %s", args->path);
		(void)unlink(args->path);
		(void)sync_directory(dir, NULL);
	}
	if (rc == 0 && args->claim != NULL)
		*args->claim = claim;
out:
	free(temporary);
	free(copy);
	return rc;
}
