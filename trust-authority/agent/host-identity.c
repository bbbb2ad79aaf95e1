/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/host-identity.h"

#include <stdlib.h>

#define FILE_NAME "ak"

int
host_identity_open(const struct host_tpm *h, const struct state_dir *d,
    struct host_identity *out, bool *made, struct err *err)
{
	struct host_bytes blob = { 0 };
	uint8_t *data = NULL;
	int rc;

	*made = false;
	rc = state_file_read(d, FILE_NAME, HOST_AK_BLOB_MAX, &data, &blob.size,
	    err);
	if (rc == ERR_NOTFOUND) {
		*made = true;
		return host_identity_renew(h, d, out, err);
	}
	if (rc < 0)
		return rc;
	/* Nothing at all would ask for a new one. */
	if (blob.size == 0) {
		free(data);
		return err_set(err, ERR_FORMAT, "%s/" FILE_NAME " is empty: "
		    "restore it from a backup, or renew the host's identity",
		    d->path);
	}
	blob.data = data;
	if ((rc = host_tpm_identity(h, blob, out, err)) < 0)
		err_prefix(err, "%s/" FILE_NAME, d->path);
	free(data);
	return rc;
}

int
host_identity_renew(const struct host_tpm *h, const struct state_dir *d,
    struct host_identity *out, struct err *err)
{
	const struct host_bytes none = { 0 };
	int rc;

	if ((rc = host_tpm_identity(h, none, out, err)) < 0)
		return rc;
	if ((rc = state_file_write(d, FILE_NAME, out->ak_blob.data,
	    out->ak_blob.size, err)) < 0)
		host_identity_free(out);
	return rc;
}
