/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/memory.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/secret.h"

static void
cleansing_free(void *p)
{
	if (p != NULL)
		cleanse(p, malloc_usable_size(p));
	free(p);
}

int
memory_guard(struct err *err)
{
	static const struct rlimit none = { 0, 0 };

	json_set_alloc_funcs(malloc, cleansing_free);
	if (setrlimit(RLIMIT_CORE, &none) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, errno, "cannot forbid core dumps");
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		return err_sys(err, errno, "cannot lock memory: keys may come "
		    "into swap; raise the memlock limit (LimitMEMLOCK=)");
	return 0;
}
