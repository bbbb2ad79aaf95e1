/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/hostkey/tpm-helper.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fdio.h"

int
tpm_helper_harden(struct err *err)
{
	const struct rlimit none = { 0 };

	/* tpm2-tss writes to standard error by itself, and could be told to
	 * log the bytes of commands. */
	if (setenv("TSS2_LOG", "all+none", 1) < 0)
		return err_sys(err, errno, "cannot set the environment");
	if (setrlimit(RLIMIT_CORE, &none) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, errno, "cannot switch core dumps off");
	/* Our own copies of the key are locked one by one (base/secret.h);
	 * this covers those that tpm2-tss keeps in what is mapped by now, where
	 * the limit allows it. Not MCL_FUTURE: under the usual limit what
	 * tpm2-tss maps later would fail (mlockall(2)). */
	(void)mlockall(MCL_CURRENT | MCL_ONFAULT);
	return 0;
}

int
tpm_helper_read(size_t max, struct secret **out, struct err *err)
{
	struct secret *s = secret_new(max + 1);
	size_t used = 0;
	ssize_t n;

	if (s == NULL)
		return err_sys(err, errno, "cannot lock memory for the input");
	while (used <= max && (n = read(STDIN_FILENO, secret_data(s) + used,
	    max + 1 - used)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			secret_free(s);
			return err_sys(err, errno, "cannot read the input");
		}
		used += (size_t)n;
	}
	if (used > max) {
		secret_free(s);
		return err_set(err, ERR_FORMAT, "the input is longer than %zu "
		    "bytes", max);
	}
	secret_truncate(s, used);
	*out = s;
	return 0;
}

int
tpm_helper_write(const void *data, size_t size, struct err *err)
{
	if (fdio_write(STDOUT_FILENO, data, size) < 0)
		return err_sys(err, errno, "cannot write the output");
	return 0;
}
