/* SPDX-License-Identifier: BSD-3-Clause */
/* vtpmctl libvirt enable, disable: our swtpm in libvirt's way, or no more. */
#include <config.h>

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vtpm/ctl-libvirt-file.h"
#include "vtpm/ctl-libvirt.h"
#include "vtpm/vtpmctl.h"

static void
print(const json_t *result)
{
	json_t *changed = json_object_get(result, "changed");
	json_t *then = json_object_get(result, "then");
	size_t i;
	json_t *line;

	if (json_array_size(changed) == 0)
		printf("Nothing had to be changed.\n");
	json_array_foreach(changed, i, line)
		printf("changed %s\n", json_string_value(line));
	printf("%s\n", ctl_text(result, "text"));
	if (json_array_size(then) > 0)
		printf("To bring it into force:\n");
	json_array_foreach(then, i, line)
		printf("    %s\n", json_string_value(line));
}

static void
add(json_t *list, const char *text)
{
	json_array_append_new(list, ctl_json_text(text));
}

/* What we do not do ourselves: no daemon of the host is touched unasked. */
static void
add_commands(json_t *then, bool apparmor)
{
	if (apparmor)
		add(then, "apparmor_parser -r "
		    "/etc/apparmor.d/usr.sbin.libvirtd");
	add(then, "systemctl daemon-reload");
	add(then, "systemctl try-restart libvirtd.service virtqemud.service");
}

/* The file without our block, and with a new one where it is to be. */
static int
change_block(const struct libvirt_part *p, const char *path, bool enable,
    struct err *err)
{
	static char text[LIBVIRT_FILE_MAX], next[2 * LIBVIRT_FILE_MAX];
	size_t from, size;
	int rc = libvirt_file_read(path, text, err);

	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	if (!libvirt_file_block(text, &from, &size)) {
		from = strlen(text);
		size = 0;
	}
	snprintf(next, sizeof(next), "%.*s%s%s%s", (int)from, text,
	    from > 0 && text[from - 1] != '\n' ? "\n" : "",
	    enable ? p->text : "", text + from + size);
	return libvirt_file_write(path, next, err);
}

static int
remove_drop_in(const char *path, struct err *err)
{
	char directory[PATH_MAX];
	char *slash;

	if (unlink(path) < 0)
		return err_sys(err, errno, "cannot remove %s", path);
	snprintf(directory, sizeof(directory), "%s", path);
	if ((slash = strrchr(directory, '/')) != NULL)
		*slash = '\0';
	/* Others may have theirs there. */
	(void)rmdir(directory);
	return 0;
}

static int
change(const struct libvirt_part *p, bool enable, json_t *changed,
    struct err *err)
{
	enum libvirt_state state;
	char path[PATH_MAX];
	int rc;

	if ((rc = libvirt_look(p, &state, err)) < 0 ||
	    (rc = libvirt_path(path, p->path, err)) < 0)
		return rc;
	if (state == LIBVIRT_NOT_HERE ||
	    state == (enable ? LIBVIRT_OURS : LIBVIRT_ABSENT))
		return 0;
	if (state == LIBVIRT_FOREIGN && !enable)
		return 0;
	if (state == LIBVIRT_FOREIGN)
		return err_set(err, ERR_EXISTS, "%s is not of vtpmctl's: move "
		    "it away, or put our folder " LIBVIRT_FRONT " into its PATH "
		    "yourself", path);
	if (p->block)
		rc = change_block(p, path, enable, err);
	else if (enable)
		rc = libvirt_file_write(path, p->text, err);
	else
		rc = remove_drop_in(path, err);
	if (rc == 0)
		add(changed, path);
	return rc;
}

/* qemu.conf's swtpm_user, by default tss (libvirt's src/qemu/qemu.conf.in). */
static int
swtpm_user(char out[64], struct err *err)
{
	static char text[LIBVIRT_FILE_MAX];
	char path[PATH_MAX], *rest = text, *line;
	int rc;

	snprintf(out, 64, "tss");
	if ((rc = libvirt_path(path, "/etc/libvirt/qemu.conf", err)) < 0)
		return rc;
	rc = libvirt_file_read(path, text, err);
	if (rc < 0)
		return rc == ERR_NOTFOUND ? 0 : rc;
	while ((line = strsep(&rest, "\n")) != NULL)
		(void)sscanf(line, " swtpm_user = \"%63[^\"]\"", out);
	return 0;
}

/* Where swtpm, as that user, has this host's key for VMs of libvirt's. */
static int
make_state(json_t *result, json_t *changed, struct err *err)
{
	struct passwd *pw;
	char path[PATH_MAX], user[64];
	int rc;

	if ((rc = libvirt_path(path, LIBVIRT_STATE, err)) < 0 ||
	    (rc = swtpm_user(user, err)) < 0)
		return rc;
	if ((pw = getpwnam(user)) == NULL)
		return err_set(err, ERR_NOTFOUND, "there is no user '%s', as "
		    "whom libvirt runs swtpm: install the package that makes "
		    "it, or set swtpm_user in /etc/libvirt/qemu.conf", user);
	json_object_set_new(result, "state_dir", ctl_json_text(path));
	json_object_set_new(result, "user", ctl_json_text(user));
	if (access(path, F_OK) == 0)
		return 0;
	if ((rc = libvirt_file_write(path, "", err)) < 0)
		return rc;
	if (unlink(path) < 0 || mkdir(path, 0700) < 0)
		return err_sys(err, errno, "cannot make %s", path);
	if (chown(path, pw->pw_uid, pw->pw_gid) < 0) {
		rc = err_sys(err, errno, "cannot give %s to %s", path, user);
		(void)rmdir(path);
		return rc;
	}
	add(changed, path);
	return 0;
}

static int
check_front(struct err *err)
{
	static const char *const names[] = { LIBVIRT_FRONT "/swtpm",
		LIBVIRT_FRONT "/swtpm_setup", LIBVIRT_FRONT "/swtpm_ioctl" };
	char path[PATH_MAX];
	int rc;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((rc = libvirt_path(path, names[i], err)) < 0)
			return rc;
		if (access(path, X_OK) < 0)
			return err_sys(err, errno, "cannot use %s: without all "
			    "three programs libvirt offers no TPM", path);
	}
	return 0;
}

static bool
has_apparmor(const json_t *changed)
{
	size_t i;
	json_t *line;

	json_array_foreach(changed, i, line)
		if (strstr(json_string_value(line), "/apparmor.d/") != NULL)
			return true;
	return false;
}

static int
set(struct ctl *ctl, bool enable, struct err *err)
{
	json_t *changed = json_array(), *then = json_array();
	json_t *result = json_pack("{s:b, s:o, s:o}", "enabled", enable,
	    "changed", changed, "then", then);
	int rc = 0;

	if (enable && ((rc = check_front(err)) < 0 ||
	    (rc = make_state(result, changed, err)) < 0))
		goto out;
	for (size_t i = 0; i < libvirt_n_parts && rc == 0; i++)
		rc = change(&libvirt_parts[i], enable, changed, err);
	if (rc < 0)
		goto out;
	if (json_array_size(changed) > 0)
		add_commands(then, has_apparmor(changed));
	json_object_set_new(result, "text", json_string(enable ?
	    "libvirt finds swtpm in " LIBVIRT_FRONT ". New vTPMs are\n"
	    "encrypted with this host's key in " LIBVIRT_STATE ".\nVMs that "
	    "run keep the program they have until they are stopped." :
	    "libvirt finds the distribution's swtpm again, which cannot read "
	    "the state\nof vTPMs made meanwhile: vtpmctl export --to-swtpm "
	    "gives it to it.\n" LIBVIRT_STATE " stays: their keys are in "
	    "it."));
	return ctl_print(ctl, result, print, err);
out:
	json_decref(result);
	return rc;
}

static int
run_enable(struct ctl *ctl, struct err *err)
{
	return set(ctl, true, err);
}

static int
run_disable(struct ctl *ctl, struct err *err)
{
	return set(ctl, false, err);
}

static const struct ctl_option options[] = {
	{ "root", "DIR", "the system below DIR, not this one", &libvirt_root,
	    NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

const struct ctl_command ctl_libvirt_enable = {
	.name = "libvirt enable",
	.operands = "",
	.summary = "Have libvirt find vtpmd in swtpm's place",
	.details = "Writes a drop-in with PATH for libvirtd.service and "
	    "virtqemud.service, rules for\nAppArmor where libvirt has "
	    "profiles, and makes a state directory for the user\nthat libvirt "
	    "runs swtpm as. Says what it has changed and what brings it into\n"
	    "force. May be run again.\n",
	.options = options,
	.run = run_enable,
};

const struct ctl_command ctl_libvirt_disable = {
	.name = "libvirt disable",
	.operands = "",
	.summary = "Have libvirt find the distribution's swtpm again",
	.details = "Removes what enable wrote, but not the state directory: "
	    "it has keys.\n",
	.options = options,
	.run = run_disable,
};
