/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/kmip/exchange.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "trust-authority/kmip/message.h"
#include "trust-authority/kmip/names.h"
#include "trust-authority/kmip/protocol.h"

static const struct kmip_version versions[VERSIONS_MAX] = {
	{ 2, 0 }, { 1, 4 }, { 1, 3 }, { 1, 2 }, { 1, 1 },
};

static int
request_make(struct buf *out, struct request *r, const struct operation *op,
    const void *in, struct err *err)
{
	if (getrandom(&r->id, sizeof(r->id), 0) != sizeof(r->id))
		return err_sys(err, errno, "cannot get random bytes");
	request_begin(out, r);
	op->put(out, r->version, in);
	if (request_end(out, r) < 0)
		return err_set(err, ERR_USAGE, "the %s request is longer than "
		    "%d bytes", name_of_operation(op->number), REQUEST_MAX);
	return 0;
}

/* What the operation makes of a payload; a malformed one is the node's
 * fault. */
static int
payload_take(const struct operation *op, struct response *response,
    const void *in, void *out, struct outcome *o, struct err *err)
{
	struct err why = { 0 };
	int rc;

	rc = op->take(&response->payload, response->version, in, out, &why);
	if (rc == 0)
		return 0;
	o->fault = !buf_ok(&response->payload);
	return err_set(err, rc, "%s: %s", name_of_operation(op->number),
	    why.text[0] != '\0' ? why.text : "malformed answer: bad payload");
}

int
exchange(struct connection *c, struct kmip_version version,
    const struct operation *op, const void *in, void *out, int64_t deadline,
    struct outcome *o, struct err *err)
{
	struct request r = { .version = version, .operation = op->number };
	uint8_t request[REQUEST_MAX];
	struct buf b = buf_writer(request, sizeof(request));
	struct response response;
	const uint8_t *answer;
	size_t size;
	int rc;

	memset(o, 0, sizeof(*o));
	if ((rc = request_make(&b, &r, op, in, err)) < 0)
		return rc;
	o->fault = true;
	o->sent = true;
	rc = connection_exchange(c, request, b.pos, deadline, &answer, &size,
	    &o->begun, err);
	if (rc < 0)
		return rc;
	rc = response_read(answer, size, &r, &response, err);
	if (rc == 0) {
		o->fault = false;
		o->answered = true;
		if (response.status == STATUS_SUCCESS) {
			rc = payload_take(op, &response, in, out, o, err);
		} else {
			o->reason = response.reason;
			rc = response_error(&response, op->number, err);
		}
	}
	connection_forget(c);
	return rc;
}

/* A refusal that may be about the version of the request's header. */
static bool
may_be_version(uint32_t reason)
{
	return reason == REASON_INVALID_MESSAGE ||
	    reason == REASON_UNSUPPORTED_PROTOCOL_VERSION;
}

static int
version_choose(const struct versions *both, struct kmip_version *version,
    struct err *err)
{
	struct kmip_version best = { 0, 0 };

	for (size_t i = 0; i < both->count; i++)
		if (version_compare(both->list[i], best) > 0)
			best = both->list[i];
	if (best.major == 0)
		return err_set(err, ERR_UNSUPPORTED, "the KMS speaks none of "
		    "our versions of KMIP (1.1 to 2.0)");
	*version = best;
	return 0;
}

/* KMIP 1.4, 4.26. The question has a version, too: the lowest first, that
 * older servers understand, then the others for those that have given it up.
 * A server that understands the question but does not know the operation
 * speaks the version of the question. */
int
exchange_versions(struct connection *c, struct kmip_version max,
    int64_t deadline, struct kmip_version *version, struct outcome *o,
    struct err *err)
{
	struct versions ours = { .count = 0 }, both;
	int rc = ERR_INTERNAL;

	for (size_t i = 0; i < VERSIONS_MAX; i++)
		if (version_compare(versions[i], max) <= 0)
			ours.list[ours.count++] = versions[i];
	for (size_t i = 0; i < ours.count; i++) {
		struct kmip_version asked = i == 0 ?
		    ours.list[ours.count - 1] : ours.list[i - 1];

		rc = exchange(c, asked, &operation_discover_versions, &ours,
		    &both, deadline, o, err);
		if (rc == 0)
			return version_choose(&both, version, err);
		if (!o->fault && o->reason == REASON_OPERATION_NOT_SUPPORTED) {
			*version = asked;
			return 0;
		}
		if (o->fault || !may_be_version(o->reason))
			return rc;
	}
	if (rc < 0)
		return err_set(err, ERR_UNSUPPORTED, "the KMS speaks none of "
		    "our versions of KMIP (1.1 to 2.0), or does not "
		    "understand us");
	return rc;
}
