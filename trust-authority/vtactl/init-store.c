/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "trust-authority/common/audit.h"
#include "trust-authority/common/directory.h"
#include "trust-authority/vtactl/init.h"

#define INIT_WHAT "authority.init"
#define STALE_MAX 16	/* records of inits that were cut short */

static int
make_state_dir(const struct init *in, struct err *err)
{
	const struct place_owner *o = &in->place.owner;

	if (mkdir(in->state_dir, 0700) < 0) {
		if (errno == EEXIST)
			return 0;
		return err_sys(err, errno, "cannot make %s", in->state_dir);
	}
	if (o->given && chown(in->state_dir, o->uid, o->gid) < 0)
		return err_sys(err, errno, "cannot give %s to the services' "
		    "user", in->state_dir);
	return 0;
}

static int
look_at_line(void *arg, const char *line, struct err *err)
{
	bool *lived = arg;

	(void)err;
	if (strstr(line, "\"what\":\"" INIT_WHAT "\"") == NULL)
		*lived = true;
	return *lived ? 1 : 0;
}

int
init_store_open(struct init *in, struct store **out, struct err *err)
{
	struct store_config config = { .kind = "sqlite",
		.file = in->store_file };
	char urls[512];
	bool lived = false;
	int rc;

	if (in->etcd.urls != NULL) {
		snprintf(urls, sizeof(urls), "%s", in->etcd.urls);
		for (char *p = urls; (p = strchr(p, ',')) != NULL; )
			*p = ' ';
		config = (struct store_config){ .kind = "etcd",
			.endpoints = urls, .prefix = in->etcd.prefix,
			.ca = in->etcd.ca, .certificate = in->etcd.certificate,
			.key = in->etcd.key };
	} else {
		if ((rc = make_state_dir(in, err)) < 0)
			return rc;
		snprintf(in->store_file, sizeof(in->store_file),
		    "%s/authority.db", in->state_dir);
	}
	if ((rc = store_open(&config, out, err)) < 0)
		return rc;
	if ((rc = audit_export(*out, 1, look_at_line, &lived, err)) < 0)
		return rc;
	/* What inits have left that were killed is made good by this one. */
	if (lived)
		return err_set(err, ERR_EXISTS, "%s is another authority's "
		    "store, and stays as it is: name another --state-dir or "
		    "--etcd-prefix, or move it away", in->etcd.urls != NULL ?
		    in->etcd.urls : in->store_file);
	return 0;
}

/* What an init that was killed before its end has left: an administrator whose
 * certificate is by a CA that is gone. */
static int
add_stale(struct store *store, struct store_list *stale,
    struct store_op ops[], size_t *count, struct err *err)
{
	struct store_query query = { .kind = KIND_ADMIN, .max = STALE_MAX };
	int rc;

	if ((rc = store_list(store, &query, stale, err)) < 0)
		return rc;
	for (size_t i = 0; i < stale->count; i++)
		ops[(*count)++] = (struct store_op){ .what = STORE_REMOVE,
			.kind = KIND_ADMIN, .key = stale->records[i].key,
			.expect = stale->records[i].version };
	return 0;
}

int
init_store_fill(struct init *in, struct store *store, struct err *err)
{
	struct audit_entry entry = { .who = "vtactl init",
		.what = INIT_WHAT, .object = in->name, .result = "ok" };
	struct directory_admin admin = { .added = time(NULL) };
	struct store_op ops[STALE_MAX + 1] = { 0 };
	struct store_list stale = { 0 };
	json_t *detail = NULL;
	size_t count = 1;
	int rc;

	snprintf(admin.fingerprint, sizeof(admin.fingerprint), "%s",
	    in->fingerprint);
	snprintf(admin.name, sizeof(admin.name), "%s", in->admin);
	snprintf(admin.role, sizeof(admin.role), "admin");
	detail = json_pack("{s:s, s:s}", "admin", in->admin, "fingerprint",
	    in->fingerprint);
	entry.detail = detail;
	if ((rc = directory_admin_op(&admin, &ops[0], err)) == 0 &&
	    (rc = add_stale(store, &stale, ops, &count, err)) == 0)
		rc = audit_commit(store, &entry, ops, count, NULL, err);
	free((void *)(uintptr_t)ops[0].value);
	store_list_reset(&stale);
	json_decref(detail);
	return rc;
}

int
init_store_give(const struct init *in, struct err *err)
{
	static const char *const tails[] = { "", "-wal", "-shm" };
	const struct place_owner *o = &in->place.owner;
	char path[4104];

	if (in->etcd.urls != NULL || !o->given)
		return 0;
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", in->store_file, tails[i]);
		/* The latter two are only there while it is open. */
		if (lchown(path, o->uid, o->gid) < 0 && errno != ENOENT)
			return err_sys(err, errno, "cannot give %s to the "
			    "services' user", path);
	}
	return 0;
}
