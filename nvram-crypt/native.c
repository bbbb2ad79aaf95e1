/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/native.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "nvram-crypt/native-dir.h"
#include "nvram-crypt/native-key.h"

struct native {
	struct native_key key;
	int records_fd, directory_fd;
};

/* The three directories, from the outside in. The records' one is there
 * before the key is, so that no power cut leaves a key without it. */
struct dirs {
	int state, native, records;
	char path[PATH_MAX];	/* STATE_DIR/native, for messages */
};

static int
dirs_open(struct dirs *d, const struct native_config *config, bool create,
    struct native_owner *owner, struct err *err)
{
	char records[PATH_MAX + 16];
	int rc;

	d->state = d->native = d->records = -1;
	rc = d->state = native_dir_open_state(config->state_dir, create, owner,
	    err);
	if (rc < 0)
		return rc;
	snprintf(d->path, sizeof(d->path), "%s/native", config->state_dir);
	rc = d->native = native_dir_open_below(d->state, "native", d->path,
	    create, owner, err);
	if (rc < 0)
		return rc;
	snprintf(records, sizeof(records), "%s/records", d->path);
	rc = d->records = native_dir_open_below(d->native, "records", records,
	    create, owner, err);
	return rc < 0 ? rc : 0;
}

static void
dirs_close(struct dirs *d)
{
	if (d->records >= 0)
		close(d->records);
	if (d->native >= 0)
		close(d->native);
	if (d->state >= 0)
		close(d->state);
}

int
native_open(struct native **out, const struct native_config *config,
    bool create, struct err *err)
{
	struct native_owner owner = { .uid = config->owner,
		.gid = config->group };
	struct native *n = NULL;
	struct dirs d;
	int rc;

	if ((rc = dirs_open(&d, config, create, &owner, err)) < 0)
		goto out;
	if ((n = calloc(1, sizeof(*n))) == NULL) {
		rc = err_set(err, ERR_INTERNAL, "out of memory");
		goto out;
	}
	n->records_fd = n->directory_fd = -1;
	if (create)
		native_key_clean(d.native, &owner);
	rc = native_key_load(d.native, d.path, config, &owner, &n->key, err);
	if (rc == ERR_NOTFOUND && create) {
		rc = native_key_create(d.native, d.path, config, &owner, err);
		if (rc == 0 || rc == ERR_EXISTS)
			rc = native_key_load(d.native, d.path, config, &owner,
			    &n->key, err);
	}
	if (rc < 0)
		goto out;
	n->records_fd = d.records;
	n->directory_fd = d.native;
	d.records = d.native = -1;
	*out = n;
	n = NULL;
out:
	dirs_close(&d);
	native_free(n);
	return rc;
}

/* The directories are judged as ever: records that others may replace are
 * worth nothing. */
static int
open_records(struct native **out, const struct native_config *config,
    struct err *err)
{
	struct native_owner owner = { .uid = config->owner,
		.gid = config->group };
	struct native *n;
	struct dirs d;
	int rc;

	if ((rc = dirs_open(&d, config, false, &owner, err)) < 0)
		goto out;
	if ((n = calloc(1, sizeof(*n))) == NULL) {
		rc = err_set(err, ERR_INTERNAL, "out of memory");
		goto out;
	}
	n->records_fd = d.records;
	n->directory_fd = d.native;
	d.records = d.native = -1;
	*out = n;
out:
	dirs_close(&d);
	return rc;
}

int
native_open_beside(struct native **out, const struct native_config *config,
    struct err *err)
{
	struct err why = { 0 };
	int rc = native_open(out, config, false, &why);

	if (rc < 0 && rc != ERR_NOTFOUND &&
	    open_records(out, config, NULL) == 0) {
		log_event(LOG_LEVEL_WARNING, "native.unusable", "error=\"%s\"",
		    why.text);
		return 0;
	}
	if (rc < 0)
		*err = why;
	return rc;
}

void
native_free(struct native *n)
{
	if (n == NULL)
		return;
	secret_free(n->key.key);
	if (n->records_fd >= 0)
		close(n->records_fd);
	if (n->directory_fd >= 0)
		close(n->directory_fd);
	free(n);
}

const struct secret *
native_key(const struct native *n)
{
	return n->key.key;
}

const uint8_t *
native_key_id(const struct native *n)
{
	return n->key.id;
}

const char *
native_key_storage(const struct native *n)
{
	return n->key.storage == NATIVE_STORAGE_TPM ? "tpm" : "file";
}

int
native_records_fd(const struct native *n)
{
	return n->records_fd;
}

int
native_directory_fd(const struct native *n)
{
	return n->directory_fd;
}
