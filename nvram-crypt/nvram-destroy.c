/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nvram-crypt/crypto.h"
#include "nvram-crypt/nvram-internal.h"

#define CHUNK 4096u

/* Noise, with the mark at the start of the file. */
static int
overwrite(struct store *store, uint64_t from, uint64_t to, struct err *err)
{
	uint8_t noise[CHUNK];
	int rc;

	while (from < to) {
		size_t n = to - from < CHUNK ? (size_t)(to - from) : CHUNK;

		if ((rc = crypto_random(noise, n, err)) < 0)
			return rc;
		if (from == 0)
			memcpy(noise, nvram_destroyed_mark,
			    sizeof(nvram_destroyed_mark));
		if ((rc = store->ops->write(store, noise, n, from)) < 0)
			return err_sys(err, -rc, "cannot overwrite the file");
		from += n;
	}
	if ((rc = store->ops->sync(store)) < 0)
		return err_sys(err, -rc, "cannot sync the file");
	return 0;
}

/* Where a name leads, links followed, and the directory that it lies in. */
struct place {
	char *path;
	const char *name;	/* in path, behind its directory */
	int dir;
};

static void
place_close(struct place *p)
{
	if (p->dir >= 0)
		close(p->dir);
	free(p->path);
}

static int
place_find(struct place *p, const char *path, struct err *err)
{
	char *slash;

	*p = (struct place){ .dir = -1, .path = realpath(path, NULL) };
	if (p->path == NULL)
		return err_sys(err, errno, "cannot find %s any more", path);
	slash = strrchr(p->path, '/');
	*slash = '\0';
	p->name = slash + 1;
	p->dir = open(p->path[0] != '\0' ? p->path : "/",
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0)
		return err_sys(err, errno, "cannot open the directory of %s",
		    path);
	return 0;
}

static int
place_check(const struct place *p, const struct nvram *nv, const char *path,
    struct err *err)
{
	struct stat open, named;

	if (fstat(store_file(nv->store), &open) < 0 ||
	    fstatat(p->dir, p->name, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "cannot examine %s", path);
	if (open.st_dev == named.st_dev && open.st_ino == named.st_ino)
		return 0;
	return err_set(err, ERR_REFUSED, "%s is another file by now; it was "
	    "not touched", path);
}

static int
remove_name(const struct nvram *nv, const char *path, struct err *err)
{
	struct place p;
	int rc;

	if ((rc = place_find(&p, path, err)) == 0 &&
	    (rc = place_check(&p, nv, path, err)) == 0 &&
	    (unlinkat(p.dir, p.name, 0) < 0 || fsync(p.dir) < 0))
		rc = err_sys(err, errno, "cannot remove %s", path);
	place_close(&p);
	return rc;
}

int
nvram_check_name(const struct nvram *nv, const char *path, struct err *err)
{
	struct place p;
	int rc;

	if ((rc = place_find(&p, path, err)) == 0)
		rc = place_check(&p, nv, path, err);
	place_close(&p);
	return rc;
}

/*
 * First of all the mark, in one sector, so that it is there whole as soon as
 * one of the superblocks is not: it tells what is left from damage, and from
 * files of others. Then the superblocks: with the wrapped copies of the DEK
 * gone, what is left is noise even if nothing more happens.
 */
int
nvram_destroy(struct nvram *nv, const char *path, struct err *err)
{
	int64_t size = nv->store->ops->size(nv->store);
	int rc;

	if (size < 0)
		return err_sys(err, (int)-size, "cannot stat %s", path);
	if ((rc = nvram_check_name(nv, path, err)) < 0)
		return rc;
	if ((rc = overwrite(nv->store, 0, CHUNK, err)) < 0 ||
	    (rc = overwrite(nv->store, CHUNK, 2 * SUPERBLOCK_SIZE, err)) < 0 ||
	    (rc = overwrite(nv->store, 2 * SUPERBLOCK_SIZE, (uint64_t)size,
	    err)) < 0)
		return err_prefix(err, "cannot destroy all of %s (repeat it)",
		    path);
	return remove_name(nv, path, err);
}
