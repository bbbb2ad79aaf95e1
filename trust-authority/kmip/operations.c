/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations that deal with the server, and those that only name a key. */
#include "trust-authority/kmip/operations.h"

#include <stdio.h>
#include <string.h>

#include "trust-authority/kmip/message.h"
#include "trust-authority/kmip/names.h"
#include "trust-authority/kmip/protocol.h"
#include "trust-authority/kmip/ttlv.h"

int
take_same_id(struct buf *payload, const char *id, struct err *err)
{
	char got[KMIP_TEXT_SIZE];

	if (ttlv_get_text(payload, TAG_UNIQUE_IDENTIFIER, got,
	    sizeof(got)) < 0)
		return ERR_FORMAT;
	if (strcmp(got, id) == 0)
		return 0;
	payload->failed = true;
	return err_set(err, ERR_FORMAT, "the answer is about another object "
	    "than %s", id);
}

/* DiscoverVersions: KMIP 1.4, 4.26. */

static void
put_discover(struct buf *out, struct kmip_version version, const void *in)
{
	const struct versions *ours = in;

	(void)version;
	for (size_t i = 0; i < ours->count; i++)
		version_put(out, ours->list[i]);
}

static int
take_discover(struct buf *payload, struct kmip_version version,
    const void *in, void *out, struct err *err)
{
	const struct versions *ours = in;
	struct versions *both = out;

	(void)version;
	(void)err;
	both->count = 0;
	while (buf_left(payload) > 0) {
		struct kmip_version v;

		if (version_get(payload, &v) < 0)
			return ERR_FORMAT;
		for (size_t i = 0; i < ours->count; i++)
			if (version_compare(v, ours->list[i]) == 0 &&
			    both->count < VERSIONS_MAX)
				both->list[both->count++] = v;
	}
	return buf_ok(payload) ? 0 : ERR_FORMAT;
}

const struct operation operation_discover_versions = {
	OPERATION_DISCOVER_VERSIONS, true, put_discover, take_discover,
};

/* Query: KMIP 1.4, 4.25. */

static void
put_query(struct buf *out, struct kmip_version version, const void *in)
{
	(void)version;
	(void)in;
	(void)ttlv_put_enumeration(out, TAG_QUERY_FUNCTION, QUERY_OPERATIONS);
	(void)ttlv_put_enumeration(out, TAG_QUERY_FUNCTION, QUERY_OBJECTS);
	(void)ttlv_put_enumeration(out, TAG_QUERY_FUNCTION,
	    QUERY_SERVER_INFORMATION);
}

/* Names what we need and it does not have. */
static void
info_judge(struct kmip_info *info, bool symmetric_keys)
{
	static const uint32_t needed[] = { OPERATION_CREATE, OPERATION_LOCATE,
		OPERATION_GET, OPERATION_GET_ATTRIBUTES, OPERATION_ACTIVATE,
		OPERATION_REVOKE, OPERATION_DESTROY };
	size_t used = 0;

	info->missing[0] = '\0';
	if (!symmetric_keys)
		used = (size_t)snprintf(info->missing, sizeof(info->missing),
		    "symmetric keys");
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if ((info->operations >> needed[i] & 1) == 0)
			used += (size_t)snprintf(info->missing + used,
			    sizeof(info->missing) - used, "%s%s",
			    used > 0 ? ", " : "",
			    name_of_operation(needed[i]));
	info->complete = used == 0;
}

static int
take_query(struct buf *payload, struct kmip_version version, const void *in,
    void *out, struct err *err)
{
	struct kmip_info *info = out;
	bool listed = false, symmetric_keys = false;
	uint32_t n;

	(void)version;
	(void)in;
	(void)err;
	while (buf_left(payload) > 0) {
		if (ttlv_next_is(payload, TAG_OPERATION)) {
			(void)ttlv_get_enumeration(payload, TAG_OPERATION, &n);
			if (n < 64)
				info->operations |= UINT64_C(1) << n;
		} else if (ttlv_next_is(payload, TAG_OBJECT_TYPE)) {
			(void)ttlv_get_enumeration(payload, TAG_OBJECT_TYPE,
			    &n);
			listed = true;
			symmetric_keys |= n == OBJECT_TYPE_SYMMETRIC_KEY;
		} else if (ttlv_next_is(payload, TAG_VENDOR_IDENTIFICATION)) {
			(void)ttlv_get_text(payload, TAG_VENDOR_IDENTIFICATION,
			    info->vendor, sizeof(info->vendor));
		} else {
			(void)ttlv_skip(payload);
		}
	}
	/* PyKMIP, for one, names no object types at all. */
	info_judge(info, symmetric_keys || !listed);
	return buf_ok(payload) ? 0 : ERR_FORMAT;
}

const struct operation operation_query = {
	OPERATION_QUERY, true, put_query, take_query,
};

/* Activate, Destroy: KMIP 1.4, 4.19, 4.21. */

static void
put_id(struct buf *out, struct kmip_version version, const void *in)
{
	(void)version;
	(void)ttlv_put_text(out, TAG_UNIQUE_IDENTIFIER, in);
}

static int
take_id(struct buf *payload, struct kmip_version version, const void *in,
    void *out, struct err *err)
{
	(void)version;
	(void)out;
	return take_same_id(payload, in, err);
}

const struct operation operation_activate = {
	OPERATION_ACTIVATE, true, put_id, take_id,
};

const struct operation operation_destroy = {
	OPERATION_DESTROY, true, put_id, take_id,
};

/* Revoke: KMIP 1.4, 4.20. */

static void
put_revoke(struct buf *out, struct kmip_version version, const void *in)
{
	const struct revoke_request *r = in;
	size_t reason;

	(void)version;
	(void)ttlv_put_text(out, TAG_UNIQUE_IDENTIFIER, r->id);
	reason = ttlv_begin(out, TAG_REVOCATION_REASON);
	(void)ttlv_put_enumeration(out, TAG_REVOCATION_REASON_CODE, r->why);
	if (r->message != NULL)
		(void)ttlv_put_text(out, TAG_REVOCATION_MESSAGE, r->message);
	(void)ttlv_end(out, reason);
	/* Only with this reason, and then required. */
	if (r->why == KMIP_KEY_COMPROMISE)
		(void)ttlv_put_date_time(out, TAG_COMPROMISE_OCCURRENCE_DATE,
		    r->when);
}

static int
take_revoke(struct buf *payload, struct kmip_version version, const void *in,
    void *out, struct err *err)
{
	const struct revoke_request *r = in;

	(void)version;
	(void)out;
	return take_same_id(payload, r->id, err);
}

const struct operation operation_revoke = {
	OPERATION_REVOKE, true, put_revoke, take_revoke,
};
