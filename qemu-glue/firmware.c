/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/firmware.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fdio.h"

#define DESCRIPTORS_MAX 256

/* One descriptor file; a name in an earlier directory hides the same name in
 * a later one (qemu docs/interop/firmware.json, @Firmware). */
struct descriptor {
	char name[NAME_MAX + 1];
	char path[PATH_MAX];
};

struct descriptors {
	struct descriptor *list;
	size_t count;
};

static bool
known(const struct descriptors *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->list[i].name, name) == 0)
			return true;
	return false;
}

static void
collect(struct descriptors *all, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		struct descriptor *to = &all->list[all->count];

		if (fnmatch("*.json", e->d_name, FNM_PERIOD) != 0 ||
		    all->count == DESCRIPTORS_MAX || known(all, e->d_name))
			continue;
		snprintf(to->name, sizeof(to->name), "%s", e->d_name);
		if ((size_t)snprintf(to->path, sizeof(to->path), "%s/%s", dir,
		    e->d_name) < sizeof(to->path))
			all->count++;
	}
	closedir(d);
}

static void
collect_usual(struct descriptors *all)
{
	const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
	char dir[PATH_MAX];

	dir[0] = '\0';
	if (config != NULL && *config == '/')
		snprintf(dir, sizeof(dir), "%s/qemu/firmware", config);
	else if (home != NULL)
		snprintf(dir, sizeof(dir), "%s/.config/qemu/firmware", home);
	collect(all, dir);
	collect(all, "/etc/qemu/firmware");
	collect(all, "/usr/share/qemu/firmware");
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct descriptor *)a)->name,
	    ((const struct descriptor *)b)->name);
}

/* Is text in the array of strings; as a pattern that matches it, if glob? */
static bool
holds(const json_t *array, const char *text, bool glob)
{
	size_t i;
	json_t *item;

	json_array_foreach(array, i, item) {
		const char *s = json_string_value(item);

		if (s != NULL && (strcmp(s, text) == 0 ||
		    (glob && fnmatch(s, text, 0) == 0)))
			return true;
	}
	return false;
}

static bool
fits(const json_t *root)
{
	const json_t *features = json_object_get(root, "features");
	const json_t *targets = json_object_get(root, "targets");
	size_t i;
	json_t *target;

	if (!holds(features, "secure-boot", false) ||
	    !holds(features, "enrolled-keys", false) ||
	    !holds(features, "requires-smm", false))
		return false;
	json_array_foreach(targets, i, target) {
		const char *arch = json_string_value(json_object_get(target,
		    "architecture"));

		if (arch != NULL && strcmp(arch, "x86_64") == 0 &&
		    holds(json_object_get(target, "machines"), "pc-q35-0.0",
		    true))
			return true;
	}
	return false;
}

/* The file name of a raw image that can be read, or NULL. */
static const char *
image(const json_t *mapping, const char *which)
{
	const json_t *file = json_object_get(mapping, which);
	const char *format = json_string_value(json_object_get(file,
	    "format"));
	const char *name = json_string_value(json_object_get(file,
	    "filename"));

	if (format == NULL || strcmp(format, "raw") != 0 || name == NULL ||
	    strlen(name) >= PATH_MAX || access(name, R_OK) < 0)
		return NULL;
	return name;
}

static bool
examine(const char *path, struct firmware *fw)
{
	json_t *root = json_load_file(path, 0, NULL);
	const json_t *mapping = json_object_get(root, "mapping");
	const char *device = json_string_value(json_object_get(mapping,
	    "device"));
	const char *mode = json_string_value(json_object_get(mapping,
	    "mode"));
	const char *code = image(mapping, "executable");
	const char *vars = image(mapping, "nvram-template");
	bool good = fits(root) && device != NULL &&
	    strcmp(device, "flash") == 0 &&
	    (mode == NULL || strcmp(mode, "split") == 0) &&
	    code != NULL && vars != NULL;

	if (good) {
		snprintf(fw->code, sizeof(fw->code), "%s", code);
		snprintf(fw->vars, sizeof(fw->vars), "%s", vars);
	}
	json_decref(root);
	return good;
}

int
firmware_find(struct firmware *fw, const char *dir, struct err *err)
{
	struct descriptors all = { .list = calloc(DESCRIPTORS_MAX,
	    sizeof(struct descriptor)) };
	int rc = ERR_NOTFOUND;

	if (all.list == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (dir != NULL)
		collect(&all, dir);
	else
		collect_usual(&all);
	qsort(all.list, all.count, sizeof(all.list[0]), by_name);
	for (size_t i = 0; i < all.count && rc != 0; i++)
		if (examine(all.list[i].path, fw))
			rc = 0;
	if (rc != 0)
		err_set(err, rc, "no firmware for q35 with Secure Boot, SMM "
		    "and enrolled keys among the %zu descriptors in %s; "
		    "install the package ovmf", all.count,
		    dir != NULL ? dir : "/usr/share/qemu/firmware and "
		    "/etc/qemu/firmware");
	free(all.list);
	return rc;
}

static int
copy(int from, int to, const char *path, struct err *err)
{
	char block[65536];
	ssize_t n;

	while ((n = read(from, block, sizeof(block))) > 0)
		if (fdio_write(to, block, (size_t)n) != 0)
			return err_sys(err, errno, "cannot write %s", path);
	if (n < 0 || fsync(to) < 0)
		return err_sys(err, errno, "cannot copy to %s", path);
	return 0;
}

int
firmware_vars_make(const struct firmware *fw, const char *path,
    struct err *err)
{
	char temporary[PATH_MAX];
	int from = -1, to = -1, rc;

	if (access(path, F_OK) == 0)
		return 0;
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX",
	    path) >= sizeof(temporary))
		return err_set(err, ERR_USAGE, "the name %s is too long",
		    path);
	from = open(fw->vars, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return err_sys(err, errno, "cannot open %s", fw->vars);
	to = mkostemp(temporary, O_CLOEXEC);
	if (to < 0) {
		rc = err_sys(err, errno, "cannot make %s", path);
		goto out;
	}
	rc = copy(from, to, path, err);
	/* link() and not rename(): one that somebody else has made in the
	 * meantime stays. */
	if (rc == 0 && link(temporary, path) == 0)
		rc = 1;
	else if (rc == 0 && errno != EEXIST)
		rc = err_sys(err, errno, "cannot make %s", path);
	unlink(temporary);
out:
	if (to >= 0)
		close(to);
	close(from);
	return rc;
}
