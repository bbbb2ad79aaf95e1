/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "nvram-crypt/freshness-authority.h"
#include "vtpm/vtpmctl.h"

int
ctl_parse_fd(const char *text, int *fd, struct err *err)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < 0 || n > INT_MAX)
		return err_set(err, ERR_USAGE,
		    "'%s' is not the number of a descriptor", text);
	*fd = (int)n;
	return 0;
}

static bool
is_authority(const char *text)
{
	return strcmp(text, "authority") == 0 ||
	    (strncmp(text, "authority:", strlen("authority:")) == 0 &&
	    text[strlen("authority:")] != '\0');
}

int
ctl_parse_protector(const char *text, struct ctl_protector *p,
    struct err *err)
{
	static const char by_fd[] = "passphrase:fd=";
	int fd, rc;

	*p = (struct ctl_protector){ .group = "" };
	if (strcmp(text, "native") == 0) {
		p->ops = protector_ops_by_kind(PROTECTOR_NATIVE);
		return 0;
	}
	if (is_authority(text)) {
		p->ops = protector_ops_by_kind(PROTECTOR_AUTHORITY);
		if (text[strlen("authority")] == ':')
			p->group = text + strlen("authority:");
		return 0;
	}
	if (strncmp(text, by_fd, sizeof(by_fd) - 1) == 0) {
		if ((rc = ctl_parse_fd(text + sizeof(by_fd) - 1, &fd, err)) < 0)
			return rc;
		p->ops = protector_ops_by_kind(PROTECTOR_PASSPHRASE);
		p->secret = secret_read_fd(fd, PASSPHRASE_MAX, err);
		return p->secret != NULL ? 0 : err->code;
	}
	/* The text is not repeated: it may be somebody's passphrase. */
	if (strncmp(text, "passphrase", strlen("passphrase")) == 0)
		return err_set(err, ERR_USAGE, "a passphrase never comes on "
		    "the command line, where others can see it: pass it on a "
		    "descriptor, as passphrase:fd=3 with 3<FILE, or fd=0 with "
		    "a pipe");
	return err_set(err, ERR_USAGE, "there is no protector '%s': choose "
	    "from native, passphrase:fd=N, authority, authority:GROUP", text);
}

int
ctl_load_config(struct ctl *ctl, struct err *err)
{
	int rc = config_load(&ctl->config, ctl->config_file, ctl->state_dir,
	    err);

	if (rc < 0 || ctl->agent != NULL)
		return rc;
	return agent_new(&ctl->agent, agent_connect_path, ctl->config.agent,
	    err);
}

int
ctl_use_authority(struct ctl *ctl, struct err *err)
{
	struct native_config native = config_native(&ctl->config);

	freshness_free(ctl->freshness);
	return freshness_authority(&ctl->freshness, ctl->agent, &native, err);
}

int
ctl_use_native_record(struct ctl *ctl, struct err *err)
{
	struct native_config native = config_native(&ctl->config);
	int rc;

	if (ctl->native == NULL &&
	    (rc = native_open(&ctl->native, &native, true, err)) < 0)
		return rc;
	freshness_free(ctl->freshness);
	return freshness_native(&ctl->freshness, ctl->native, err);
}

int
ctl_load_passphrase(struct ctl *ctl, struct err *err)
{
	int fd, rc;

	if (ctl->passphrase_fd == NULL || ctl->passphrase != NULL)
		return 0;
	if ((rc = ctl_parse_fd(ctl->passphrase_fd, &fd, err)) < 0)
		return rc;
	ctl->passphrase = secret_read_fd(fd, PASSPHRASE_MAX, err);
	return ctl->passphrase != NULL ? 0 : err->code;
}

int
ctl_load_host(struct ctl *ctl, bool create, struct err *err)
{
	struct native_config native;
	int rc;

	if ((rc = ctl_load_config(ctl, err)) < 0 ||
	    (rc = ctl_load_passphrase(ctl, err)) < 0)
		return rc;
	native = config_native(&ctl->config);
	rc = ctl->passphrase != NULL && !create ?
	    native_open_beside(&ctl->native, &native, err) :
	    native_open(&ctl->native, &native, create, err);
	/* A host that has no key of its own can still use a passphrase. */
	if (rc == ERR_NOTFOUND && !create)
		return 0;
	if (rc < 0)
		return rc;
	return freshness_native(&ctl->freshness, ctl->native, err);
}

int
ctl_load_host_for(struct ctl *ctl, const struct nvram *nv, struct err *err)
{
	struct err why = { 0 };
	int rc = ctl_load_host(ctl, false, &why);

	/* A native key that cannot be opened is not needed for such a file; if
	 * it is, its protector says so. */
	if (rc < 0 && nvram_wants_authority(nv) && rc != ERR_USAGE &&
	    ctl->agent != NULL && (ctl->passphrase_fd == NULL ||
	    ctl->passphrase != NULL))
		return 0;
	if (rc < 0)
		*err = why;
	return rc;
}

int
ctl_choose_record(struct ctl *ctl, const struct nvram *nv, struct err *err)
{
	return nvram_wants_authority(nv) ? ctl_use_authority(ctl, err) : 0;
}

int
ctl_load_records(struct ctl *ctl, struct err *err)
{
	struct native_config native;
	int rc;

	if ((rc = ctl_load_config(ctl, err)) < 0)
		return rc;
	native = config_native(&ctl->config);
	rc = native_open_beside(&ctl->native, &native, err);
	if (rc == ERR_NOTFOUND)
		rc = native_open(&ctl->native, &native, true, err);
	if (rc < 0)
		return rc;
	return freshness_native(&ctl->freshness, ctl->native, err);
}

void
ctl_reset(struct ctl *ctl)
{
	freshness_free(ctl->freshness);
	agent_free(ctl->agent);
	native_free(ctl->native);
	secret_free(ctl->passphrase);
	ctl->agent = NULL;
	ctl->freshness = NULL;
	ctl->native = NULL;
	ctl->passphrase = NULL;
}

struct protector_creds
ctl_creds(const struct ctl *ctl)
{
	return (struct protector_creds){ .native = ctl->native,
		.passphrase = ctl->passphrase, .agent = ctl->agent };
}

int
ctl_open_unlocked(struct ctl *ctl, bool writable, struct nvram **nv,
    struct err *err)
{
	struct protector_creds creds;
	int rc;

	*nv = NULL;
	if ((rc = nvram_open(nv, ctl->operands[0], writable, err)) < 0)
		return rc;
	if ((rc = ctl_load_host_for(ctl, *nv, err)) < 0)
		goto fail;
	creds = ctl_creds(ctl);
	if ((rc = nvram_unlock(*nv, &creds, err)) < 0 ||
	    (rc = ctl_choose_record(ctl, *nv, err)) < 0)
		goto fail;
	return 0;
fail:
	nvram_close(*nv);
	*nv = NULL;
	return rc;
}

int
ctl_acquire(struct ctl *ctl, struct nvram *nv, bool accept_restore,
    struct err *err)
{
	int rc;

	/* Opened by a passphrase on a host that has no native provider yet:
	 * the record of freshness begins here, as it would in vtpmd. */
	if (ctl->freshness == NULL &&
	    (rc = ctl_use_native_record(ctl, err)) < 0)
		return rc;
	return nvram_acquire(nv, ctl->freshness, accept_restore, err);
}

int
ctl_open_to_change(struct ctl *ctl, bool accept_restore, struct nvram **nv,
    struct err *err)
{
	int rc;

	if ((rc = ctl_open_unlocked(ctl, true, nv, err)) < 0)
		return rc;
	if ((rc = ctl_acquire(ctl, *nv, accept_restore, err)) < 0) {
		nvram_close(*nv);
		*nv = NULL;
	}
	return rc;
}

int
ctl_close_changed(struct nvram *nv, int rc, struct err *err)
{
	int released;

	if (nv == NULL)
		return rc;
	/* The first thing that went wrong is what the user must know. */
	released = nvram_release(nv, rc == 0 ? err : NULL);
	nvram_close(nv);
	return rc < 0 ? rc : released;
}
