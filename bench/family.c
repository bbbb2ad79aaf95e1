/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/family.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define COMM 32

/* /proc/PID/stat, "PID (NAME) STATE ...": the name may hold anything, and ends
 * at the last bracket (proc(5)). False where nobody lives, or a corpse waits to
 * be reaped. */
static bool
living(pid_t pid, char name[COMM])
{
	char path[64], line[256];
	char *open, *close = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	if (fgets(line, sizeof(line), f) != NULL)
		close = strrchr(line, ')');
	fclose(f);
	open = strchr(line, '(');
	if (close == NULL || open == NULL || open > close ||
	    strlen(close) < 3 || close[2] == 'Z' || close[2] == 'X')
		return false;
	*close = '\0';
	snprintf(name, COMM, "%.31s", open + 1);
	return true;
}

static int
add_children_of_task(pid_t pid, const char *task, struct family *f,
    struct err *err)
{
	char path[320], name[COMM];
	int child, rc = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid,
	    task);
	if ((in = fopen(path, "re")) == NULL)
		return 0;
	while (rc == 0 && fscanf(in, "%d", &child) == 1) {
		if (!living(child, name))
			continue;
		if (f->n == FAMILY_MAX)
			rc = err_set(err, ERR_INTERNAL, "more than %d "
			    "processes below %d", FAMILY_MAX, (int)pid);
		else
			f->pids[f->n++] = child;
	}
	fclose(in);
	return rc;
}

/* A child is listed under the thread that forked it. */
static int
add_children(pid_t pid, struct family *f, struct err *err)
{
	struct dirent *entry;
	char path[64];
	DIR *tasks;
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if ((tasks = opendir(path)) == NULL)
		return errno == ENOENT ? 0 : err_sys(err, errno,
		    "cannot read %s", path);
	while (rc == 0 && (entry = readdir(tasks)) != NULL)
		if (entry->d_name[0] != '.')
			rc = add_children_of_task(pid, entry->d_name, f, err);
	closedir(tasks);
	return rc;
}

int
family_find(pid_t pid, struct family *f, struct err *err)
{
	int rc = 0;

	f->n = 0;
	f->pids[f->n++] = pid;
	for (size_t i = 0; rc == 0 && i < f->n; i++)
		rc = add_children(f->pids[i], f, err);
	return rc;
}

pid_t
family_member(pid_t pid, const char *name)
{
	char comm[COMM];
	struct family f;

	if (family_find(pid, &f, NULL) < 0)
		return 0;
	for (size_t i = 1; i < f.n; i++)
		if (living(f.pids[i], comm) && strcmp(comm, name) == 0)
			return f.pids[i];
	return 0;
}
