/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/config.h"

#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/keyfile.h"

static int
set_key(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	struct config *c = into;

	(void)key;
	if (strcmp(value, "file") != 0 && strcmp(value, "tpm") != 0)
		return err_set(err, ERR_USAGE, "key is 'file' or 'tpm'");
	c->seal_to_tpm = strcmp(value, "tpm") == 0;
	return 0;
}

static int
set_owner(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	struct config *c = into;
	const struct passwd *pw = getpwnam(value);

	(void)key;
	if (pw == NULL)
		return err_set(err, ERR_USAGE, "there is no user %s", value);
	c->owner = pw->pw_uid;
	c->group = pw->pw_gid;
	return 0;
}

static int
set_user(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	if (getpwnam(value) == NULL)
		return err_set(err, ERR_USAGE, "there is no user %s", value);
	return keyfile_set_text(into, key, value, err);
}

static int
set_protector(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	if (strcmp(value, "native") != 0 && strcmp(value, "authority") != 0 &&
	    strncmp(value, "authority:", 10) != 0)
		return err_set(err, ERR_USAGE, "protector is 'native', "
		    "'authority' or 'authority:GROUP'");
	return keyfile_set_text(into, key, value, err);
}

#define TEXT(field) offsetof(struct config, field), \
	sizeof(((struct config *)NULL)->field), 0, 0, false
#define OTHER 0, 0, 0, 0, false

static const struct keyfile_key keys[] = {
	{ "native", "state_dir", keyfile_set_path, TEXT(state_dir) },
	{ "native", "key", set_key, OTHER },
	{ "native", "tcti", keyfile_set_text, TEXT(tcti) },
	{ "native", "owner", set_owner, OTHER },
	{ "authority", "socket", keyfile_set_path, TEXT(agent) },
	{ "migration", "allow_restore", keyfile_set_flag,
	    TEXT(allow_restore) },
	{ "swtpm", "protector", set_protector, TEXT(swtpm_protector) },
	{ "swtpm", "import", keyfile_set_flag, TEXT(swtpm_import) },
	{ "vtpmd", "user", set_user, TEXT(user) },
	{ "vtpmd", "log", keyfile_set_text, TEXT(log) },
	{ "vtpmd", "log_level", keyfile_set_log_level,
	    TEXT(log_level) },
};

/* Where state lies when nobody says: the system's place for root, the user's
 * own (XDG Base Directory Specification) for anybody else. */
static int
default_state_dir(struct config *c, struct err *err)
{
	const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n;

	if (geteuid() == 0)
		n = snprintf(c->state_dir, sizeof(c->state_dir), "%s",
		    LOCALSTATEDIR "/lib/vtpmd");
	else if (base != NULL && base[0] == '/')
		n = snprintf(c->state_dir, sizeof(c->state_dir), "%s/vtpmd",
		    base);
	else if (home != NULL && home[0] == '/')
		n = snprintf(c->state_dir, sizeof(c->state_dir),
		    "%s/.local/state/vtpmd", home);
	else
		return err_set(err, ERR_USAGE, "no place for the state: set "
		    "HOME, or give --state-dir");
	if (n < 0 || (size_t)n >= sizeof(c->state_dir))
		return err_set(err, ERR_USAGE, "the state directory's path is "
		    "too long");
	return 0;
}

/* A relative path counts from the directory the user stands in. */
static int
override_state_dir(struct config *c, const char *value, struct err *err)
{
	char here[PATH_MAX];
	int n;

	if (value[0] == '\0')
		return err_set(err, ERR_USAGE, "the state directory is empty");
	if (value[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return err_sys(err, errno,
		    "cannot find the current directory");
	if (value[0] == '/')
		n = snprintf(c->state_dir, sizeof(c->state_dir), "%s", value);
	else
		n = snprintf(c->state_dir, sizeof(c->state_dir), "%s/%s", here,
		    value);
	if (n < 0 || (size_t)n >= sizeof(c->state_dir))
		return err_set(err, ERR_USAGE, "the state directory's path is "
		    "too long");
	return 0;
}

static int
find_state_dir(struct config *c, const char *state_dir, struct err *err)
{
	if (state_dir == NULL)
		state_dir = getenv("VTPMD_STATE_DIR");
	if (state_dir != NULL)
		return override_state_dir(c, state_dir, err);
	if (c->state_dir[0] == '\0')
		return default_state_dir(c, err);
	return 0;
}

/* A directory that root has yet to make is for the service, which could not
 * open root's; one that is there has an owner (native-dir.h). */
static void
default_owner(struct config *c)
{
	const struct passwd *pw;
	struct stat st;

	if (geteuid() != 0 || c->owner != (uid_t)-1 ||
	    stat(c->state_dir, &st) == 0 || errno != ENOENT ||
	    (pw = getpwnam(CONFIG_SERVICE_USER)) == NULL)
		return;
	c->owner = pw->pw_uid;
	c->group = pw->pw_gid;
}

int
config_load(struct config *c, const char *file, const char *state_dir,
    struct err *err)
{
	int rc;

	*c = (struct config){ .owner = (uid_t)-1, .group = (gid_t)-1,
		.log_level = LOG_LEVEL_INFO };
	rc = keyfile_read(file != NULL ? file :
	    SYSCONFDIR "/vtpmd/vtpmd.conf", file != NULL, keys,
	    sizeof(keys) / sizeof(keys[0]), c, err);
	if (rc < 0 || (rc = find_state_dir(c, state_dir, err)) < 0)
		return rc;
	default_owner(c);
	if (c->agent[0] == '\0')
		snprintf(c->agent, sizeof(c->agent), "%s", CONFIG_AGENT);
	return 0;
}

struct native_config
config_native(const struct config *c)
{
	return (struct native_config){
		.state_dir = c->state_dir,
		.seal_to_tpm = c->seal_to_tpm,
		.tcti = c->tcti[0] != '\0' ? c->tcti : NULL,
		.owner = c->owner,
		.group = c->group,
	};
}
