/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/family.h"

#define LINE 512

static FILE *
open_proc(pid_t pid, const char *what, struct err *err)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	if ((f = fopen(path, "re")) == NULL)
		err_sys(err, errno, "cannot read %s (processes that are not "
		    "dumpable show it to root only)", path);
	return f;
}

/* The sum over the family of the lines of smaps_rollup that begin with one of
 * keys. */
static int
sum_rollups(pid_t pid, const char *const *keys, size_t n_keys, long *kb,
    struct err *err)
{
	char line[LINE], key[MEMORY_NAME];
	struct family family;
	long one;
	int rc;

	*kb = 0;
	if ((rc = family_find(pid, &family, err)) < 0)
		return rc;
	for (size_t i = 0; i < family.n; i++) {
		FILE *f = open_proc(family.pids[i], "smaps_rollup", err);

		if (f == NULL)
			return ERR_SYSTEM;
		while (fgets(line, sizeof(line), f) != NULL)
			for (size_t k = 0; k < n_keys; k++)
				if (sscanf(line, "%39[^:]: %ld", key, &one) ==
				    2 && strcmp(key, keys[k]) == 0)
					*kb += one;
		fclose(f);
	}
	return 0;
}

int
memory_pss(pid_t pid, long *kb, struct err *err)
{
	static const char *const keys[] = { "Pss" };

	return sum_rollups(pid, keys, 1, kb, err);
}

int
memory_own(pid_t pid, long *kb, struct err *err)
{
	static const char *const keys[] = { "Pss_Anon", "Pss_Shmem" };

	return sum_rollups(pid, keys, 2, kb, err);
}

static void
add_place(struct memory_map *map, const char *name, long kb)
{
	size_t i;

	if (kb == 0)
		return;
	for (i = 0; i < map->n; i++)
		if (strcmp(map->places[i].name, name) == 0)
			break;
	if (i == MEMORY_PLACES)
		return;
	if (i == map->n) {
		snprintf(map->places[i].name, MEMORY_NAME, "%s", name);
		map->n++;
	}
	map->places[i].kb += kb;
}

/* The name at the end of a mapping's first line, without its directory; false
 * for another line. */
static bool
mapping_name(const char *line, char name[MEMORY_NAME])
{
	unsigned long from, to;
	const char *base;
	int at = 0;

	if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &from, &to, &at) != 2 ||
	    at == 0)
		return false;
	base = strrchr(line + at, '/');
	snprintf(name, MEMORY_NAME, "%s", base != NULL ? base + 1 :
	    line + at);
	name[strcspn(name, "\n")] = '\0';
	if (name[0] == '\0')
		snprintf(name, MEMORY_NAME, "anonymous");
	return true;
}

static int
by_size(const void *a, const void *b)
{
	const struct memory_place *x = a, *y = b;

	return x->kb < y->kb ? 1 : x->kb > y->kb ? -1 : 0;
}

int
memory_dirty(pid_t pid, struct memory_map *map, struct err *err)
{
	char line[LINE], name[MEMORY_NAME] = "anonymous";
	struct family family;
	long kb;
	int rc;

	map->n = 0;
	memset(map->places, 0, sizeof(map->places));
	if ((rc = family_find(pid, &family, err)) < 0)
		return rc;
	for (size_t i = 0; i < family.n; i++) {
		FILE *f = open_proc(family.pids[i], "smaps", err);

		if (f == NULL)
			return ERR_SYSTEM;
		while (fgets(line, sizeof(line), f) != NULL)
			if (!mapping_name(line, name) &&
			    sscanf(line, "Private_Dirty: %ld", &kb) == 1)
				add_place(map, name, kb);
		fclose(f);
	}
	qsort(map->places, map->n, sizeof(map->places[0]), by_size);
	return 0;
}
