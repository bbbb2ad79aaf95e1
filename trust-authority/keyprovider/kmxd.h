/* SPDX-License-Identifier: BSD-3-Clause */
/* vta-kmxd: what its parts share. */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_KMXD_H
#define TRUST_AUTHORITY_KEYPROVIDER_KMXD_H

#include <limits.h>
#include <pthread.h>

#include "trust-authority/common/service.h"
#include "trust-authority/keyprovider/alarms.h"
#include "trust-authority/keyprovider/ek-issuer.h"
#include "trust-authority/keyprovider/kek-cache.h"
#include "trust-authority/keyprovider/kms.h"
#include "trust-authority/keyprovider/token-source.h"

#define KMXD_AUDIENCE "vta-kmxd"

struct kmxd_config {
	struct authority_config common;		/* first */
	struct {
		char url[512];		/* of vta-attestd; several with spaces
					 * between */
		char ca[PATH_MAX];
	} attestation;
	long kek_seconds;		/* [keys] */
	long lease_seconds, lease_skew;	/* [leases] */
	struct ek_issuer_config ek_ca;
};

struct kmxd {
	struct service service;		/* first */
	const struct kmxd_config *config;
	struct token_source *tokens;
	struct secret *kms_sealing;	/* of the kms records' keys */
	struct kms_table *kms;
	struct kek_cache *keks;
	struct ek_issuer *ek_issuer;	/* NULL: [ek_ca] is not there */
	struct alarms *alarms;
	pthread_mutex_t lock;		/* of at_kms */
	size_t at_kms, at_kms_max;	/* workers that wait for a KMS */
};

/* One of the routes' tables, which end with a path of NULL. */
extern const struct http_route routes_keys[], routes_epochs[],
    routes_offer[], routes_ek[], routes_vms[], routes_kms[];

/* Says who is to blame, in passing: returns code. */
int blame(struct http_answer *answer, const char *fault, int code);

#endif
