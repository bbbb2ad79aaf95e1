/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHILDREN_MAX 8
#define LINE 512

static size_t
add_children(pid_t pid, pid_t *out, size_t n)
{
	char path[64];
	FILE *f;
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid,
	    (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return n;
	while (n <= CHILDREN_MAX && fscanf(f, "%d", &child) == 1)
		out[n++] = child;
	fclose(f);
	return n;
}

/* Also the children of children: the worker is the nursery's. */
static size_t
family(pid_t pid, pid_t out[CHILDREN_MAX + 1])
{
	size_t n = 0;

	out[n++] = pid;
	for (size_t i = 0; i < n; i++)
		n = add_children(out[i], out, n);
	return n;
}

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

int
memory_pss(pid_t pid, long *kb, struct err *err)
{
	pid_t pids[CHILDREN_MAX + 1];
	size_t n = family(pid, pids);
	char line[LINE];
	long one;

	*kb = 0;
	for (size_t i = 0; i < n; i++) {
		FILE *f = open_proc(pids[i], "smaps_rollup", err);

		if (f == NULL)
			return ERR_SYSTEM;
		while (fgets(line, sizeof(line), f) != NULL)
			if (sscanf(line, "Pss: %ld", &one) == 1)
				*kb += one;
		fclose(f);
	}
	return 0;
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
	pid_t pids[CHILDREN_MAX + 1];
	size_t n = family(pid, pids);
	char line[LINE], name[MEMORY_NAME] = "anonymous";
	long kb;

	map->n = 0;
	memset(map->places, 0, sizeof(map->places));
	for (size_t i = 0; i < n; i++) {
		FILE *f = open_proc(pids[i], "smaps", err);

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
