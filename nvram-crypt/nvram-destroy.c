/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nvram-crypt/crypto.h"
#include "nvram-crypt/nvram-internal.h"

#define CHUNK 4096u

static int
overwrite(struct store *store, uint64_t from, uint64_t to, struct err *err)
{
	uint8_t noise[CHUNK];
	int rc;

	while (from < to) {
		size_t n = to - from < CHUNK ? (size_t)(to - from) : CHUNK;

		if ((rc = crypto_random(noise, n, err)) < 0)
			return rc;
		if ((rc = store->ops->write(store, noise, n, from)) < 0)
			return err_sys(err, -rc, "cannot overwrite the file");
		from += n;
	}
	if ((rc = store->ops->sync(store)) < 0)
		return err_sys(err, -rc, "cannot sync the file");
	return 0;
}

static int
remove_name(const char *path, struct err *err)
{
	char *copy = strdup(path);
	int fd = -1, rc = 0;

	if (copy == NULL)
		return err_sys(err, ENOMEM, "cannot remove %s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || unlink(path) < 0 || fsync(fd) < 0)
		rc = err_sys(err, errno, "cannot remove %s", path);
	if (fd >= 0)
		close(fd);
	free(copy);
	return rc;
}

/* The superblocks first: with the wrapped copies of the DEK gone, what is left
 * is noise even if nothing more happens. */
int
nvram_destroy(const char *path, struct err *err)
{
	struct nvram *nv = NULL;
	int64_t size;
	int rc;

	/* nvram_open also makes sure that it is an nvram file. */
	if ((rc = nvram_open(&nv, path, true, err)) < 0)
		return rc;
	if ((size = nv->store->ops->size(nv->store)) < 0) {
		rc = err_sys(err, (int)-size, "cannot stat %s", path);
		goto out;
	}
	if ((rc = overwrite(nv->store, 0, 2 * SUPERBLOCK_SIZE, err)) < 0 ||
	    (rc = overwrite(nv->store, 2 * SUPERBLOCK_SIZE, (uint64_t)size,
	    err)) < 0)
		err_prefix(err, "cannot destroy %s", path);
	else
		rc = remove_name(path, err);
out:
	nvram_close(nv);
	return rc;
}
