/* SPDX-License-Identifier: BSD-3-Clause */
/* What each operation puts into a request's payload and takes from the
 * answer's (KMIP 1.4, 4; KMIP 2.0, 6.1). */
#ifndef TRUST_AUTHORITY_KMIP_OPERATIONS_H
#define TRUST_AUTHORITY_KMIP_OPERATIONS_H

#include <stdbool.h>

#include "base/buf.h"
#include "trust-authority/kmip/kmip.h"

#define VERSIONS_MAX 5

struct operation {
	uint32_t number;	/* enum kmip_operation */
	/* Doing it twice does no harm: it may be sent again where the first
	 * one's answer got lost. */
	bool repeatable;
	/* in and out are what the comment at each operation says. */
	void (*put)(struct buf *out, struct kmip_version version,
	    const void *in);
	/* A payload that is malformed leaves it failed (buf_ok); one that is
	 * well formed and not what we need sets *err. Both return a code. */
	int (*take)(struct buf *payload, struct kmip_version version,
	    const void *in, void *out, struct err *err);
};

struct versions {
	struct kmip_version list[VERSIONS_MAX];
	size_t count;
};

struct get_request {
	const char *id;
	/* NULL for a key in clear (within TLS). */
	const char *wrapping_id;
	const struct secret *wrapping_key;
	OSSL_LIB_CTX *libctx;
};

struct revoke_request {
	const char *id;
	enum kmip_revocation why;
	const char *message;
	int64_t when;	/* the compromise, seconds since 1970 */
};

struct locate_request {
	const struct kmip_key_spec *spec;
	size_t max;
};

struct locate_answer {
	char (*ids)[KMIP_TEXT_SIZE];
	size_t max, count;
};

/* in struct versions: ours; out struct versions: those of them that the server
 * has. */
extern const struct operation operation_discover_versions;
extern const struct operation operation_query;	/* -, struct kmip_info */
/* struct kmip_key_spec, char[KMIP_TEXT_SIZE] */
extern const struct operation operation_create;
extern const struct operation operation_activate;	/* id, - */
/* struct get_request, struct secret * */
extern const struct operation operation_get;
/* id, struct kmip_attributes */
extern const struct operation operation_get_attributes;
/* struct locate_request, struct locate_answer */
extern const struct operation operation_locate;
extern const struct operation operation_revoke;	/* struct revoke_request, - */
extern const struct operation operation_destroy;	/* id, - */

/* For operations*.c: the answer begins with the Unique Identifier asked for.
 */
int take_same_id(struct buf *payload, const char *id, struct err *err);

#endif
