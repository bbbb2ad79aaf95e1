/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/kmip/message.h"

#include <string.h>

#include "trust-authority/kmip/names.h"
#include "trust-authority/kmip/protocol.h"
#include "trust-authority/kmip/ttlv.h"

int
version_compare(struct kmip_version a, struct kmip_version b)
{
	return (a.major << 8 | a.minor) - (b.major << 8 | b.minor);
}

void
version_put(struct buf *out, struct kmip_version version)
{
	size_t begun = ttlv_begin(out, TAG_PROTOCOL_VERSION);

	(void)ttlv_put_integer(out, TAG_PROTOCOL_VERSION_MAJOR, version.major);
	(void)ttlv_put_integer(out, TAG_PROTOCOL_VERSION_MINOR, version.minor);
	(void)ttlv_end(out, begun);
}

int
version_get(struct buf *in, struct kmip_version *version)
{
	struct buf inner;
	int32_t major, minor;

	memset(version, 0, sizeof(*version));
	(void)ttlv_get_structure(in, TAG_PROTOCOL_VERSION, &inner);
	(void)ttlv_get_integer(&inner, TAG_PROTOCOL_VERSION_MAJOR, &major);
	(void)ttlv_get_integer(&inner, TAG_PROTOCOL_VERSION_MINOR, &minor);
	if (!buf_ok(&inner) || major < 0 || major > UINT8_MAX || minor < 0 ||
	    minor > UINT8_MAX) {
		in->failed = true;
		return ERR_FORMAT;
	}
	version->major = (uint8_t)major;
	version->minor = (uint8_t)minor;
	return 0;
}

void
request_begin(struct buf *out, struct request *r)
{
	uint8_t id[8];
	struct buf id_out = buf_writer(id, sizeof(id));
	size_t header;

	(void)buf_put_u64be(&id_out, r->id);
	r->message = ttlv_begin(out, TAG_REQUEST_MESSAGE);
	header = ttlv_begin(out, TAG_REQUEST_HEADER);
	version_put(out, r->version);
	(void)ttlv_put_integer(out, TAG_BATCH_COUNT, 1);
	(void)ttlv_end(out, header);
	r->item = ttlv_begin(out, TAG_BATCH_ITEM);
	(void)ttlv_put_enumeration(out, TAG_OPERATION, r->operation);
	(void)ttlv_put_bytes(out, TAG_UNIQUE_BATCH_ITEM_ID, id, sizeof(id));
	r->payload = ttlv_begin(out, TAG_REQUEST_PAYLOAD);
}

int
request_end(struct buf *out, const struct request *r)
{
	(void)ttlv_end(out, r->payload);
	(void)ttlv_end(out, r->item);
	return ttlv_end(out, r->message);
}

/* KMIP 1.4, 7.2: what is in it beside the version, the time and the count is
 * for uses that are not ours. */
static int
header_read(struct buf *message, struct kmip_version *version)
{
	struct buf header;
	int32_t count = 0;
	int64_t when;

	(void)ttlv_get_structure(message, TAG_RESPONSE_HEADER, &header);
	(void)version_get(&header, version);
	(void)ttlv_get_date_time(&header, TAG_TIME_STAMP, &when);
	while (buf_left(&header) > 0 && !ttlv_next_is(&header, TAG_BATCH_COUNT))
		(void)ttlv_skip(&header);
	(void)ttlv_get_integer(&header, TAG_BATCH_COUNT, &count);
	if (!buf_ok(&header) || count != 1)
		message->failed = true;
	return message->failed ? ERR_FORMAT : 0;
}

/* Long ones are cut, not refused: they are for people. Control characters, by
 * which a server could forge lines, become spaces. */
static void
result_message_read(struct buf *item, char text[KMIP_TEXT_SIZE])
{
	struct ttlv message;
	size_t size;

	if (ttlv_get(item, &message) < 0 || message.type != TTLV_TEXT) {
		item->failed = true;
		return;
	}
	size = buf_left(&message.value);
	if (size > KMIP_TEXT_SIZE - 1)
		size = KMIP_TEXT_SIZE - 1;
	(void)buf_get_bytes(&message.value, text, size);
	text[size] = '\0';
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
}

/* Whether the operation and the id, where they are given, are ours. A server
 * that did not understand the request may leave both out in its refusal
 * (KMIP 1.4, 7.2: only "if specified in the request"). */
static bool
item_is_ours(struct buf *item, const struct request *r)
{
	uint32_t operation = r->operation;
	const uint8_t *id;
	uint64_t value = 0;
	bool complete = true;
	size_t size;

	if (ttlv_next_is(item, TAG_OPERATION))
		(void)ttlv_get_enumeration(item, TAG_OPERATION, &operation);
	else
		complete = false;
	if (ttlv_next_is(item, TAG_UNIQUE_BATCH_ITEM_ID)) {
		struct buf in;

		(void)ttlv_get_bytes(item, TAG_UNIQUE_BATCH_ITEM_ID, &id,
		    &size);
		in = buf_reader(id, size);
		(void)buf_get_u64be(&in, &value);
		if (size != 8 || value != r->id)
			return false;
	} else {
		complete = false;
	}
	if (operation != r->operation)
		return false;
	if (!complete) {
		uint32_t status = STATUS_SUCCESS;
		struct buf peek = *item;

		(void)ttlv_get_enumeration(&peek, TAG_RESULT_STATUS, &status);
		return status != STATUS_SUCCESS;
	}
	return true;
}

static int
item_read(struct buf *item, struct response *response)
{
	(void)ttlv_get_enumeration(item, TAG_RESULT_STATUS, &response->status);
	if (ttlv_next_is(item, TAG_RESULT_REASON))
		(void)ttlv_get_enumeration(item, TAG_RESULT_REASON,
		    &response->reason);
	if (ttlv_next_is(item, TAG_RESULT_MESSAGE))
		result_message_read(item, response->message);
	while (buf_left(item) > 0 && !ttlv_next_is(item, TAG_RESPONSE_PAYLOAD))
		(void)ttlv_skip(item);
	if (buf_left(item) > 0)
		(void)ttlv_get_structure(item, TAG_RESPONSE_PAYLOAD,
		    &response->payload);
	return buf_ok(item) ? 0 : ERR_FORMAT;
}

int
response_read(const void *data, size_t size, const struct request *r,
    struct response *response, struct err *err)
{
	struct buf in = buf_reader(data, size), message, item;

	memset(response, 0, sizeof(*response));
	response->payload = buf_reader("", 0);
	if (ttlv_check(data, size) < 0)
		return err_set(err, ERR_FORMAT, "malformed answer: not TTLV");
	if (ttlv_get_structure(&in, TAG_RESPONSE_MESSAGE, &message) < 0 ||
	    buf_left(&in) > 0)
		return err_set(err, ERR_FORMAT,
		    "malformed answer: not one KMIP response message");
	if (header_read(&message, &response->version) < 0 ||
	    ttlv_get_structure(&message, TAG_BATCH_ITEM, &item) < 0 ||
	    buf_left(&message) > 0)
		return err_set(err, ERR_FORMAT,
		    "malformed answer: no header and one batch item");
	if (!item_is_ours(&item, r))
		return err_set(err, ERR_FORMAT,
		    "the answer is not to this request (%s, item id %016llx)",
		    name_of_operation(r->operation),
		    (unsigned long long)r->id);
	if (item_read(&item, response) < 0)
		return err_set(err, ERR_FORMAT,
		    "malformed answer: bad batch item");
	if (response->status == STATUS_SUCCESS &&
	    version_compare(response->version, r->version) != 0)
		return err_set(err, ERR_FORMAT, "the answer is in KMIP %u.%u, "
		    "the request was in %u.%u", response->version.major,
		    response->version.minor, r->version.major,
		    r->version.minor);
	return 0;
}

static int
code_of_reason(uint32_t reason)
{
	switch (reason) {
	case REASON_ITEM_NOT_FOUND:
	case REASON_OBJECT_NOT_FOUND:
	case REASON_OBJECT_DESTROYED:
		return ERR_NOTFOUND;
	case REASON_OPERATION_NOT_SUPPORTED:
	case REASON_FEATURE_NOT_SUPPORTED:
	case REASON_KEY_FORMAT_TYPE_NOT_SUPPORTED:
	case REASON_ENCODING_OPTION_ERROR:
	case REASON_UNSUPPORTED_PROTOCOL_VERSION:
		return ERR_UNSUPPORTED;
	default:
		return ERR_REFUSED;
	}
}

int
response_error(const struct response *response, uint32_t operation,
    struct err *err)
{
	return err_set(err, code_of_reason(response->reason),
	    "%s: %s (status %u), %s (reason 0x%02x)%s%s",
	    name_of_operation(operation), name_of_status(response->status),
	    response->status, response->reason == 0 ? "no reason given" :
	    name_of_reason(response->reason), response->reason,
	    response->message[0] != '\0' ? ": " : "", response->message);
}
