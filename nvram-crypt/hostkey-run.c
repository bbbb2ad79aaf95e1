/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/hostkey-run.h"

#include <errno.h>

#include "base/helper.h"

#define HELPER LIBEXECDIR "/vtpm-hostkey"
/* A discrete TPM takes about a second for two primaries and a load; a busy
 * resource manager a few more. */
#define HELPER_TIMEOUT_MS 30000
#define KEY_MAX 32

static int
run(const struct native_config *config, const char *command, const void *data,
    size_t size, uint8_t *answer, size_t room, size_t *got, struct err *err)
{
	const char *with_tcti[] = { "--tcti", config->tcti, command, NULL };
	const char *without[] = { command, NULL };
	const struct helper h = {
		.program = config->helper != NULL ? config->helper : HELPER,
		.name = "vtpm-hostkey",
		.missing = "which talks to the host's TPM: install it, or set "
		    "key=file",
		.arguments = config->tcti != NULL ? with_tcti : without,
		.timeout_ms = HELPER_TIMEOUT_MS };

	return helper_run(&h, data, size, answer, room, got, err);
}

int
hostkey_seal(const struct native_config *config, const struct secret *key,
    uint8_t blob[HOSTKEY_BLOB_MAX], size_t *size, struct err *err)
{
	int rc;

	rc = run(config, "seal", secret_bytes(key), secret_size(key), blob,
	    HOSTKEY_BLOB_MAX, size, err);
	if (rc < 0)
		return rc;
	if (*size == 0)
		return err_set(err, ERR_TPM, "vtpm-hostkey gave nothing");
	return 0;
}

int
hostkey_unseal(const struct native_config *config, const uint8_t *blob,
    size_t size, struct secret **key, struct err *err)
{
	struct secret *s = secret_new(KEY_MAX);
	size_t got;
	int rc;

	if (s == NULL)
		return err_sys(err, errno, "cannot lock memory for a key "
		    "(raise the memlock limit)");
	if ((rc = run(config, "unseal", blob, size, secret_data(s), KEY_MAX,
	    &got, err)) < 0) {
		secret_free(s);
		return rc;
	}
	secret_truncate(s, got);
	*key = s;
	return 0;
}
