/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/config.h"

#include <errno.h>
#include <ini.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reading {
	struct config *config;
	struct err why;		/* of the first key that was refused */
};

static int
set_text(char *out, size_t room, const char *value, struct err *err)
{
	size_t size = strlen(value) + 1;

	if (size > room)
		return err_set(err, ERR_USAGE, "the value is too long");
	memcpy(out, value, size);
	return 0;
}

static int
set_state_dir(struct config *c, const char *value, struct err *err)
{
	if (value[0] != '/')
		return err_set(err, ERR_USAGE,
		    "state_dir must be an absolute path");
	return set_text(c->state_dir, sizeof(c->state_dir), value, err);
}

static int
set_key(struct config *c, const char *value, struct err *err)
{
	if (strcmp(value, "file") != 0 && strcmp(value, "tpm") != 0)
		return err_set(err, ERR_USAGE, "key is 'file' or 'tpm'");
	c->seal_to_tpm = strcmp(value, "tpm") == 0;
	return 0;
}

static int
set_tcti(struct config *c, const char *value, struct err *err)
{
	return set_text(c->tcti, sizeof(c->tcti), value, err);
}

static int
set_owner(struct config *c, const char *value, struct err *err)
{
	const struct passwd *pw = getpwnam(value);

	if (pw == NULL)
		return err_set(err, ERR_USAGE, "there is no user %s", value);
	c->owner = pw->pw_uid;
	c->group = pw->pw_gid;
	return 0;
}

static int
set_user(struct config *c, const char *value, struct err *err)
{
	if (getpwnam(value) == NULL)
		return err_set(err, ERR_USAGE, "there is no user %s", value);
	return set_text(c->user, sizeof(c->user), value, err);
}

static int
set_log(struct config *c, const char *value, struct err *err)
{
	return set_text(c->log, sizeof(c->log), value, err);
}

static int
set_log_level(struct config *c, const char *value, struct err *err)
{
	if (log_level_parse(value, &c->log_level) < 0)
		return err_set(err, ERR_USAGE,
		    "log_level is error, warning, info or debug");
	return 0;
}

static const struct {
	const char *section, *name;
	int (*set)(struct config *c, const char *value, struct err *err);
} keys[] = {
	{ "native", "state_dir", set_state_dir },
	{ "native", "key", set_key },
	{ "native", "tcti", set_tcti },
	{ "native", "owner", set_owner },
	{ "vtpmd", "user", set_user },
	{ "vtpmd", "log", set_log },
	{ "vtpmd", "log_level", set_log_level },
};

/* For inih: 0 stops with the line's number as ini_parse's result. */
static int
on_key(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i].section, section) == 0 &&
		    strcmp(keys[i].name, name) == 0)
			return keys[i].set(r->config, value, &r->why) == 0;
	if (r->why.code == 0)
		err_set(&r->why, ERR_USAGE, "unknown key '%s' in section [%s]",
		    name, section);
	return 0;
}

static int
read_file(struct config *c, const char *file, bool must_exist,
    struct err *err)
{
	struct reading r = { .config = c };
	int line;
	FILE *f;

	if ((f = fopen(file, "re")) == NULL) {
		if (errno == ENOENT && !must_exist)
			return 0;
		return err_sys(err, errno,
		    "cannot read the configuration file %s", file);
	}
	line = ini_parse_file(f, on_key, &r);
	fclose(f);
	if (line < 0)
		return err_set(err, ERR_SYSTEM,
		    "cannot read the configuration file %s", file);
	if (line > 0)
		return err_set(err, ERR_USAGE, "%s, line %d: %s", file, line,
		    r.why.code != 0 ? r.why.text : "not 'key = value'");
	return 0;
}

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

	if (value[0] == '/')
		return set_state_dir(c, value, err);
	if (value[0] == '\0')
		return err_set(err, ERR_USAGE, "the state directory is empty");
	if (getcwd(here, sizeof(here)) == NULL)
		return err_sys(err, errno,
		    "cannot find the current directory");
	n = snprintf(c->state_dir, sizeof(c->state_dir), "%s/%s", here, value);
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
	rc = read_file(c, file != NULL ? file : SYSCONFDIR "/vtpmd/vtpmd.conf",
	    file != NULL, err);
	if (rc < 0 || (rc = find_state_dir(c, state_dir, err)) < 0)
		return rc;
	default_owner(c);
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
