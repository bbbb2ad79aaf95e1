/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a file: superblocks as they look. nvram-unlock.c authenticates. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/process.h"
#include "nvram-crypt/nvram-internal.h"

#define STATE_UNIT 32768u	/* state buffers are multiples of it */

const uint8_t nvram_destroyed_mark[NVRAM_MARK_SIZE] = { 'V', 'T', 'P', 'M',
	'G', 'O', 'N', 'E' };

uint64_t
nvram_slot_offset(const struct nvram *nv, uint32_t index)
{
	return 2 * SUPERBLOCK_SIZE +
	    (uint64_t)index * nv->sb.header.slot_size;
}

int
nvram_buffers_make(struct nvram *nv, struct err *err)
{
	size_t size = nv->sb.header.slot_size;

	if (size < SUPERBLOCK_SIZE)
		size = SUPERBLOCK_SIZE;
	/* Of several pages only those that get used become resident. */
	if ((nv->io = aligned_alloc(PAGE_BYTES, size)) == NULL)
		return err_sys(err, ENOMEM, "%s: no memory for a buffer",
		    nv->name);
	nv->io_size = size;
	return 0;
}

int
nvram_state_reserve(struct nvram *nv, uint32_t index, size_t size,
    struct err *err)
{
	struct secret *grown;

	/* Whoever asks writes there. */
	nv->undoable = false;
	if (nv->state[index] != NULL && secret_size(nv->state[index]) >= size)
		return 0;
	size = (size + STATE_UNIT) / STATE_UNIT * STATE_UNIT;
	if ((grown = secret_new(size)) == NULL)
		return err_sys(err, errno, "%s: cannot lock %zu bytes of "
		    "memory for the state (raise the memlock limit)",
		    nv->name, size);
	secret_free(nv->state[index]);
	nv->state[index] = grown;
	return 0;
}

static int
read_candidates(struct nvram *nv, struct err *err)
{
	if ((nv->candidates = calloc(2, sizeof(*nv->candidates))) == NULL)
		return err_sys(err, ENOMEM, "cannot open %s", nv->name);
	for (size_t i = 0; i < 2; i++) {
		struct nvram_candidate *c = &nv->candidates[i];
		struct err why = { 0 };
		int rc = nv->store->ops->read(nv->store, c->bytes,
		    SUPERBLOCK_SIZE, i * SUPERBLOCK_SIZE);

		if (rc == -ENODATA)
			return err_set(err, ERR_FORMAT, "%s is too short for "
			    "an nvram file", nv->name);
		if (rc < 0)
			return err_sys(err, -rc, "cannot read %s", nv->name);
		/* That it could not be checked does not make it damaged. */
		c->rc = superblock_decode(c->bytes, &c->sb, &why);
		if (c->rc != 0 && c->rc != ERR_AUTH && c->rc != ERR_FORMAT &&
		    c->rc != ERR_UNSUPPORTED)
			return err_set(err, c->rc, "%s: %s", nv->name,
			    why.text);
	}
	return 0;
}

static bool
is_marked(const struct nvram *nv)
{
	return memcmp(nv->candidates[0].bytes, nvram_destroyed_mark,
	    NVRAM_MARK_SIZE) == 0;
}

/* Why neither superblock can be used: the better of two bad reasons. */
static int
no_superblock(const struct nvram *nv, struct err *err)
{
	const struct nvram_candidate *c = nv->candidates;

	for (size_t i = 0; i < 2; i++)
		if (c[i].rc == ERR_UNSUPPORTED)
			return err_set(err, ERR_UNSUPPORTED, "%s was written "
			    "by a later version of this program: use that "
			    "version", nv->name);
	if (is_marked(nv))
		return err_set(err, ERR_FORMAT, "%s is being destroyed, and "
		    "nothing of it can be read any more. To finish that: "
		    "vtpmctl destroy %s", nv->name, nv->name);
	if (c[0].rc == ERR_FORMAT && c[1].rc == ERR_FORMAT)
		return err_set(err, ERR_FORMAT, "%s is not an nvram file",
		    nv->name);
	return err_set(err, ERR_AUTH, "%s: both superblocks are damaged. "
	    "Nothing was changed. Put back a copy of the file and take it "
	    "into use with: vtpmctl accept-restore FILE", nv->name);
}

static int
choose_candidate(struct nvram *nv, struct err *err)
{
	const struct nvram_candidate *c = nv->candidates;

	if (c[0].rc < 0 && c[1].rc < 0)
		return no_superblock(nv, err);
	nv->sb_active = c[0].rc < 0 || (c[1].rc == 0 &&
	    c[1].sb.header.generation > c[0].sb.header.generation);
	nv->sb = c[nv->sb_active].sb;
	return 0;
}

/* begun: what is left of a file that was being destroyed will do. NULL: it will
 * not. */
static int
open_store(struct nvram **out, struct store *store, const char *name,
    bool *begun, struct err *err)
{
	struct nvram *nv = calloc(1, sizeof(*nv));
	struct err why = { 0 };
	int rc;

	*out = NULL;
	if (nv == NULL) {
		store->ops->close(store);
		return err_sys(err, ENOMEM, "cannot open %s", name);
	}
	nv->store = store;
	nv->writable = true;
	if ((nv->name = strdup(name)) == NULL) {
		rc = err_sys(err, ENOMEM, "cannot open %s", name);
		goto out;
	}
	if ((rc = read_candidates(nv, err)) < 0)
		goto out;
	if ((rc = choose_candidate(nv, &why)) < 0) {
		if (begun == NULL || !is_marked(nv)) {
			if (err != NULL)
				*err = why;
			goto out;
		}
		*begun = true;
		rc = 0;
	}
	*out = nv;
	nv = NULL;
out:
	nvram_close(nv);
	return rc;
}

int
nvram_open_store(struct nvram **out, struct store *store, const char *name,
    struct err *err)
{
	return open_store(out, store, name, NULL, err);
}

/* The owner that the file's header names, as far as it can be read. */
static void
read_owner(const char *path, char owner[NVRAM_OWNER_SIZE])
{
	struct nvram *nv = NULL;

	owner[0] = '\0';
	if (nvram_open(&nv, path, false, NULL) < 0)
		return;
	memcpy(owner, nv->sb.header.owner, NVRAM_OWNER_SIZE);
	nvram_close(nv);
}

/* A process that was killed is waited for, so that its VM can be started again
 * at once. Whoever forges the owner record brings about this short wait. */
static int
lock_store(struct store **store, const char *path, bool writable, bool *waited,
    struct err *err)
{
	char owner[NVRAM_OWNER_SIZE];
	unsigned int ms = 0;
	int rc;

	while ((rc = store_open_file(store, path, writable,
	    err)) == ERR_BUSY) {
		read_owner(path, owner);
		if (!nvram_owner_has_ended(owner) ||
		    !process_wait_for_leaving(&ms, PROCESS_LEAVES_MS)) {
			if (owner[0] != '\0')
				err_append(err, " by %s", owner);
			break;
		}
	}
	*waited = ms > 0;
	return rc;
}

static int
open_file(struct nvram **out, const char *path, bool writable, bool *begun,
    struct err *err)
{
	struct store *store = NULL;
	bool waited;
	int rc;

	*out = NULL;
	if ((rc = lock_store(&store, path, writable, &waited, err)) < 0 ||
	    (rc = open_store(out, store, path, begun, err)) < 0)
		return rc;
	(*out)->writable = writable;
	(*out)->owner_left = waited;
	return 0;
}

int
nvram_open(struct nvram **out, const char *path, bool writable,
    struct err *err)
{
	return open_file(out, path, writable, NULL, err);
}

int
nvram_open_waiting(struct nvram **out, const char *path, struct err *err)
{
	struct store *store = NULL;
	int rc;

	*out = NULL;
	if ((rc = store_open_unlocked(&store, path, err)) < 0)
		return rc;
	return open_store(out, store, path, NULL, err);
}

int
nvram_open_to_destroy(struct nvram **out, const char *path, bool *begun,
    struct err *err)
{
	*begun = false;
	return open_file(out, path, true, begun, err);
}

void
nvram_close(struct nvram *nv)
{
	if (nv == NULL)
		return;
	nv->store->ops->close(nv->store);
	nvram_keys_free(&nv->keys);
	for (size_t i = 0; i < SLOT_COUNT; i++)
		secret_free(nv->state[i]);
	free(nv->io);
	free(nv->candidates);
	free(nv->name);
	free(nv);
}

const struct nvram_header *
nvram_header(const struct nvram *nv)
{
	return &nv->sb.header;
}

bool
nvram_unlocked(const struct nvram *nv)
{
	return nv->unlocked;
}

const struct nvram_report *
nvram_report(const struct nvram *nv)
{
	return &nv->report;
}
