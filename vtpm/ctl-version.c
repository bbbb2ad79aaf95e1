/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include <stdio.h>

#include <openssl/crypto.h>

#include "nvram-crypt/superblock.h"
#include "vtpm/tpm.h"
#include "vtpm/vtpmctl.h"

static void
print(const json_t *v)
{
	printf("vtpmctl %s\nlibtpms %s\n%s\nnvram format %lld\n",
	    ctl_text(v, "vtpmctl"), ctl_text(v, "libtpms"),
	    ctl_text(v, "openssl"), (long long)ctl_number(v, "nvram_format"));
}

static int
run(struct ctl *ctl, struct err *err)
{
	uint32_t v = tpm_library_version();
	char libtpms[32];

	/* TPM_LIBRARY_VERSION of libtpms: a byte each. */
	snprintf(libtpms, sizeof(libtpms), "%u.%u.%u", v >> 16 & 0xff,
	    v >> 8 & 0xff, v & 0xff);
	return ctl_print(ctl, json_pack("{s:s, s:s, s:s, s:i}",
	    "vtpmctl", PACKAGE_VERSION, "libtpms", libtpms,
	    "openssl", OpenSSL_version(OPENSSL_VERSION),
	    "nvram_format", (int)SUPERBLOCK_FORMAT), print, err);
}

const struct ctl_command ctl_version = {
	.name = "version",
	.operands = "",
	.summary = "Print the versions of vtpmctl and what it stands on",
	.run = run,
};
