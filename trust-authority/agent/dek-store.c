/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/dek-store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIR_NAME "keys"

int
dek_store_open(struct state_dir *store, const struct state_dir *up,
    struct err *err)
{
	return state_dir_below(store, up, DIR_NAME, err);
}

int
dek_store_put(const struct state_dir *store, const uint8_t vm[UUID_SIZE],
    const uint8_t *blob, size_t size, struct err *err)
{
	char name[UUID_TEXT_SIZE];

	uuid_format(vm, name);
	return state_file_write(store, name, blob, size, err);
}

int
dek_store_get(const struct state_dir *store, const uint8_t vm[UUID_SIZE],
    uint8_t **blob, size_t *size, struct err *err)
{
	char name[UUID_TEXT_SIZE];
	struct dek_label label;
	struct buf in;
	int rc;

	uuid_format(vm, name);
	if ((rc = state_file_read(store, name, DEK_BLOB_MAX, blob, size,
	    err)) < 0)
		return rc;
	in = buf_reader(*blob, *size);
	if (dek_label_read(&in, &label) == 0 &&
	    memcmp(label.vm, vm, UUID_SIZE) == 0)
		return 0;
	free(*blob);
	*blob = NULL;
	return err_set(err, ERR_FORMAT, "%s/%s is no sealed key of this VM: "
	    "the key has to come from the authority again", store->path, name);
}

int
dek_store_remove(const struct state_dir *store, const uint8_t vm[UUID_SIZE],
    struct err *err)
{
	char name[UUID_TEXT_SIZE];

	uuid_format(vm, name);
	return state_file_remove(store, name, err);
}

/* Directory streams take their descriptor, and its position, for themselves. */
static int
stream_open(const struct state_dir *store, DIR **out, struct err *err)
{
	int fd = openat(store->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*out = fd < 0 ? NULL : fdopendir(fd);
	if (*out != NULL)
		return 0;
	err_sys(err, errno, "cannot list %s", store->path);
	if (fd >= 0)
		close(fd);
	return ERR_SYSTEM;
}

int
dek_store_wipe(const struct state_dir *store, size_t *count, struct err *err)
{
	const struct dirent *e;
	DIR *dir;
	int rc;

	*count = 0;
	if ((rc = stream_open(store, &dir, err)) < 0)
		return rc;
	while ((e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(store->fd, e->d_name, 0) == 0)
			++*count;
		else if (errno != ENOENT && rc == 0)
			rc = err_sys(err, errno, "cannot remove %s/%s",
			    store->path, e->d_name);
	}
	closedir(dir);
	if (fsync(store->fd) < 0 && rc == 0)
		rc = err_sys(err, errno, "cannot sync %s", store->path);
	return rc;
}

int
dek_store_list(const struct state_dir *store, uint8_t (**vms)[UUID_SIZE],
    size_t *count, struct err *err)
{
	uint8_t (*more)[UUID_SIZE], vm[UUID_SIZE];
	const struct dirent *e;
	DIR *dir;
	int rc;

	*vms = NULL;
	*count = 0;
	if ((rc = stream_open(store, &dir, err)) < 0)
		return rc;
	while ((e = readdir(dir)) != NULL) {
		if (uuid_parse(e->d_name, vm) < 0)
			continue;
		more = reallocarray(*vms, *count + 1, UUID_SIZE);
		if (more == NULL) {
			rc = err_set(err, ERR_INTERNAL, "out of memory");
			break;
		}
		*vms = more;
		memcpy((*vms)[(*count)++], vm, UUID_SIZE);
	}
	closedir(dir);
	return rc;
}
