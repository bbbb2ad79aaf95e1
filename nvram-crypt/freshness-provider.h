/* SPDX-License-Identifier: BSD-3-Clause */
/* What a keeper of freshness records implements; freshness.h says what each
 * call promises. */
#ifndef NVRAM_CRYPT_FRESHNESS_PROVIDER_H
#define NVRAM_CRYPT_FRESHNESS_PROVIDER_H

#include "nvram-crypt/freshness.h"

struct freshness_ops {
	bool authority;		/* the trust authority's record */
	int (*register_vm)(struct freshness *f,
	    const struct freshness_claim *c, struct err *err);
	int (*acquire)(struct freshness *f, const struct freshness_claim *c,
	    bool accept, struct freshness_grant *grant, struct err *err);
	int (*prepare)(struct freshness *f,
	    const struct freshness_claim *c, struct err *err);
	int (*admit)(struct freshness *f,	/* NULL: cannot be */
	    const struct freshness_claim *c, struct err *err);
	void (*let_go)(struct freshness *f);	/* NULL: cannot be; */
	/* then neither can this */
	int (*end_loan)(struct freshness *f,
	    const uint8_t digest[FRESHNESS_DIGEST_SIZE], bool synced,
	    struct err *err);
	int (*confirm)(struct freshness *f, struct err *err);
	int (*release)(struct freshness *f,
	    const uint8_t digest[FRESHNESS_DIGEST_SIZE], bool synced,
	    struct err *err);
	/* These two NULL: no need. */
	int (*offer)(struct freshness *f, const struct freshness_handover *h,
	    struct err *err);
	int (*take_up)(struct freshness *f, const struct freshness_claim *c,
	    const uint8_t session[FRESHNESS_SESSION_SIZE], bool back,
	    struct freshness_grant *grant, struct err *err);
	int (*forget)(struct freshness *f, const uint8_t uuid[UUID_SIZE],
	    struct err *err);
	int (*check)(struct freshness *f, const struct freshness_claim *c,
	    struct err *err);
	int (*hand_over)(const struct freshness *f);
	int (*raise)(struct freshness *f,	/* NULL: cannot be */
	    uint64_t epoch, struct err *err);
	void (*close)(struct freshness *f);
};

struct freshness {
	const struct freshness_ops *ops;
};

#endif
