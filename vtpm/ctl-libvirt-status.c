/* SPDX-License-Identifier: BSD-3-Clause */
/* vtpmctl libvirt status: which swtpm libvirt finds, and what its VMs have. */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/uuid.h"
#include "vtpm/ctl-libvirt.h"
#include "vtpm/ctl-process.h"
#include "vtpm/vtpmctl.h"

#define WORDS_MAX 65536

static const char *const state_names[] = {
	[LIBVIRT_NOT_HERE] = "not needed", [LIBVIRT_ABSENT] = "absent",
	[LIBVIRT_OURS] = "there", [LIBVIRT_OUTDATED] = "outdated",
	[LIBVIRT_FOREIGN] = "somebody else's",
};

/* The first swtpm in PATH, "" where there is none. */
static void
find_swtpm(char out[PATH_MAX], const char *path)
{
	char copy[4096], name[4096 + 8], *rest = copy, *directory;
	char file[PATH_MAX];
	struct err ignored = { 0 };

	out[0] = '\0';
	snprintf(copy, sizeof(copy), "%s", path);
	while ((directory = strsep(&rest, ":")) != NULL) {
		snprintf(name, sizeof(name), "%s/swtpm", directory);
		if (libvirt_path(file, name, &ignored) == 0 &&
		    access(file, X_OK) == 0) {
			memcpy(out, file, sizeof(file));
			return;
		}
	}
}

static bool
is_ours(const char *program)
{
	char front[PATH_MAX];
	struct err ignored = { 0 };

	return libvirt_path(front, LIBVIRT_FRONT "/swtpm", &ignored) == 0 &&
	    strcmp(program, front) == 0;
}

static int
add_parts(json_t *status, bool *enabled, struct err *err)
{
	json_t *parts = json_array();
	enum libvirt_state state;
	char path[PATH_MAX];
	int rc;

	json_object_set_new(status, "parts", parts);
	*enabled = true;
	for (size_t i = 0; i < libvirt_n_parts; i++) {
		if ((rc = libvirt_look(&libvirt_parts[i], &state, err)) < 0 ||
		    (rc = libvirt_path(path, libvirt_parts[i].path, err)) < 0)
			return rc;
		*enabled = *enabled && (state == LIBVIRT_OURS ||
		    state == LIBVIRT_NOT_HERE);
		json_array_append_new(parts, json_pack("{s:o, s:s}", "path",
		    ctl_json_text(path), "state", state_names[state]));
	}
	json_object_set_new(status, "enabled", json_boolean(*enabled));
	return 0;
}

/* -- what runs -- */

static void
add_daemon(json_t *daemons, const char *pid, const char *name)
{
	static char words[WORDS_MAX];
	ssize_t n = process_read(pid, "environ", words, sizeof(words));
	const char *path = n >= 0 ? "" : NULL;
	char swtpm[PATH_MAX];

	for (const char *w = words; n > 0 && w < words + n;
	    w += strlen(w) + 1)
		if (strncmp(w, "PATH=", 5) == 0)
			path = w + 5;
	/* Not root's to read, or it has ended. */
	if (path == NULL)
		return;
	find_swtpm(swtpm, path);
	json_array_append_new(daemons, json_pack("{s:s, s:i, s:o, s:b}",
	    "name", name, "pid", atoi(pid), "swtpm", ctl_json_text(swtpm),
	    "ours", is_ours(swtpm)));
}

/* libvirt names the state's directory by the VM's UUID. */
static bool
find_uuid(const char *words, ssize_t n, char uuid[UUID_TEXT_SIZE])
{
	uint8_t binary[UUID_SIZE];
	char text[UUID_TEXT_SIZE];

	for (ssize_t i = 0; i + (ssize_t)sizeof(text) <= n; i++) {
		if (words[i] != '/')
			continue;
		memcpy(text, words + i + 1, sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		if (uuid_parse(text, binary) < 0)
			continue;
		uuid_format(binary, uuid);
		return true;
	}
	return false;
}

static void
add_vm(json_t *vms, const char *pid)
{
	static char words[WORDS_MAX];
	ssize_t n = process_read(pid, "cmdline", words, sizeof(words));
	char link[64], program[PATH_MAX], uuid[UUID_TEXT_SIZE];
	ssize_t size;

	snprintf(link, sizeof(link), "/proc/%.20s/exe", pid);
	size = readlink(link, program, sizeof(program) - 1);
	if (size < 0 || !find_uuid(words, n, uuid))
		return;
	program[size] = '\0';
	json_array_append_new(vms, json_pack("{s:s, s:i, s:o, s:b}", "uuid",
	    uuid, "pid", atoi(pid), "swtpm", ctl_json_text(program), "ours",
	    process_has_listener(pid) || is_ours(program)));
}

static int
add_processes(json_t *status, struct err *err)
{
	static const char *const names[] = { "libvirtd", "virtqemud" };
	json_t *daemons = json_array(), *vms = json_array();
	struct dirent *entry;
	DIR *proc;

	json_object_set_new(status, "daemons", daemons);
	json_object_set_new(status, "vms", vms);
	if ((proc = opendir("/proc")) == NULL)
		return err_sys(err, errno, "cannot list the processes");
	while ((entry = readdir(proc)) != NULL) {
		if (!process_is_number(entry->d_name))
			continue;
		for (size_t i = 0; i < 2; i++)
			if (process_is_named(entry->d_name, names[i]))
				add_daemon(daemons, entry->d_name, names[i]);
		if (process_is_named(entry->d_name, "swtpm"))
			add_vm(vms, entry->d_name);
	}
	closedir(proc);
	return 0;
}

/* -- what is said -- */

static const char *
whose(const json_t *one)
{
	return json_is_true(json_object_get(one, "ours")) ? "ours" :
	    "not ours";
}

static void
print(const json_t *status)
{
	const char *swtpm = ctl_text(status, "swtpm");
	json_t *one;
	size_t i;

	printf("%s\n", json_is_true(json_object_get(status, "enabled")) ?
	    "enabled" : "not enabled, or not wholly");
	json_array_foreach(json_object_get(status, "parts"), i, one)
		printf("  %-15s %s\n", ctl_text(one, "state"),
		    ctl_text(one, "path"));
	printf("A daemon that starts now finds %s (%s)\n",
	    *swtpm != '\0' ? swtpm : "no swtpm", whose(status));
	json_array_foreach(json_object_get(status, "daemons"), i, one)
		printf("%s (pid %lld) finds %s (%s)\n", ctl_text(one, "name"),
		    (long long)ctl_number(one, "pid"), ctl_text(one, "swtpm"),
		    whose(one));
	json_array_foreach(json_object_get(status, "vms"), i, one)
		printf("VM %s has %s (pid %lld, %s)\n", ctl_text(one, "uuid"),
		    ctl_text(one, "swtpm"), (long long)ctl_number(one, "pid"),
		    whose(one));
}

static int
run(struct ctl *ctl, struct err *err)
{
	json_t *status = json_object();
	char swtpm[PATH_MAX];
	bool enabled;
	int rc;

	if ((rc = add_parts(status, &enabled, err)) < 0 ||
	    (rc = add_processes(status, err)) < 0) {
		json_decref(status);
		return rc;
	}
	find_swtpm(swtpm, enabled ? LIBVIRT_FRONT ":" LIBVIRT_DEFAULT_PATH :
	    LIBVIRT_DEFAULT_PATH);
	json_object_set_new(status, "swtpm", ctl_json_text(swtpm));
	json_object_set_new(status, "ours", json_boolean(is_ours(swtpm)));
	return ctl_print(ctl, status, print, err);
}

static const struct ctl_option options[] = {
	{ "root", "DIR", "the system below DIR, not this one", &libvirt_root,
	    NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

const struct ctl_command ctl_libvirt_status = {
	.name = "libvirt status",
	.operands = "",
	.summary = "Show which swtpm libvirt finds, and its VMs have",
	.details = "What enable writes, which swtpm a daemon of libvirt's "
	    "finds that starts now, which\none those that run find (of "
	    "root's only root can see it), and what each VM runs with.\n",
	.options = options,
	.run = run,
};
