/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A KMS's answer, as a node that has gone mad might send it: the envelope and
 * what each operation makes of the payload. Input after fail_begin's: mode (1),
 * operation (1), then the message, or with MODE_PAYLOAD the payload's items,
 * for which the right envelope is made here.
 */
#include <string.h>

#include "trust-authority/kmip/message.h"
#include "trust-authority/kmip/operations.h"
#include "trust-authority/kmip/protocol.h"
#include "trust-authority/kmip/ttlv.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"

enum { MODE_PAYLOAD = 1, MODE_VERSION_2 = 2, MODE_WRAPPED = 4 };

#define ITEM_ID UINT64_C(0x4141414141414141)
#define IDS 4

static const struct operation *const operations[] = {
	&operation_discover_versions, &operation_query, &operation_create,
	&operation_activate, &operation_get, &operation_get_attributes,
	&operation_locate, &operation_revoke, &operation_destroy,
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static struct secret *kek;

static void
envelope(struct buf *out, const struct request *r, struct buf *items)
{
	static const uint8_t id[8] = "AAAAAAAA";
	const uint8_t *bytes;
	size_t message, inner, payload, size = buf_left(items);

	(void)buf_get_ref(items, &bytes, size);
	message = ttlv_begin(out, TAG_RESPONSE_MESSAGE);
	inner = ttlv_begin(out, TAG_RESPONSE_HEADER);
	version_put(out, r->version);
	(void)ttlv_put_date_time(out, TAG_TIME_STAMP, 0);
	(void)ttlv_put_integer(out, TAG_BATCH_COUNT, 1);
	(void)ttlv_end(out, inner);
	inner = ttlv_begin(out, TAG_BATCH_ITEM);
	(void)ttlv_put_enumeration(out, TAG_OPERATION, r->operation);
	(void)ttlv_put_bytes(out, TAG_UNIQUE_BATCH_ITEM_ID, id, sizeof(id));
	(void)ttlv_put_enumeration(out, TAG_RESULT_STATUS, STATUS_SUCCESS);
	payload = ttlv_begin(out, TAG_RESPONSE_PAYLOAD);
	(void)buf_put_bytes(out, bytes, size);
	(void)ttlv_end(out, payload);
	(void)ttlv_end(out, inner);
	(void)ttlv_end(out, message);
}

/* Each with the in and out that it has in kmip.c. */
static void
take(const struct operation *op, struct response *response, uint8_t mode)
{
	static const struct versions ours = { { { 2, 0 }, { 1, 4 } }, 2 };
	static const struct kmip_key_spec spec;
	struct get_request get = { .id = "id" };
	struct revoke_request revoke = { "id", 1, NULL, 0 };
	struct locate_request locate = { &spec, IDS };
	char ids[IDS][KMIP_TEXT_SIZE], id[KMIP_TEXT_SIZE];
	struct locate_answer located = { ids, IDS, 0 };
	struct kmip_attributes attributes;
	struct kmip_info info = { 0 };
	struct versions both = { .count = 0 };
	struct secret *key = NULL;
	struct err err = { 0 };
	const void *in = "id";
	void *out = NULL;
	int rc;

	if (mode & MODE_WRAPPED) {
		get.wrapping_id = "kek";
		get.wrapping_key = kek;
	}
	switch (op->number) {
	case OPERATION_DISCOVER_VERSIONS:
		in = &ours;
		out = &both;
		break;
	case OPERATION_QUERY:
		out = &info;
		break;
	case OPERATION_CREATE:
		in = &spec;
		out = id;
		break;
	case OPERATION_GET:
		in = &get;
		out = &key;
		break;
	case OPERATION_GET_ATTRIBUTES:
		out = &attributes;
		break;
	case OPERATION_LOCATE:
		in = &locate;
		out = &located;
		break;
	case OPERATION_REVOKE:
		in = &revoke;
		break;
	}
	rc = op->take(&response->payload, response->version, in, out, &err);
	FUZZ_ASSERT(rc <= 0);
	/* A failure is explained, or it is a malformed payload. */
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0' ||
	    !buf_ok(&response->payload));
	FUZZ_ASSERT(rc < 0 || buf_ok(&response->payload));
	if (op == &operation_get)
		FUZZ_ASSERT((rc == 0) == (key != NULL));
	FUZZ_ASSERT(key == NULL || secret_size(key) == KMIP_KEY_SIZE);
	if (rc == 0 && op == &operation_discover_versions)
		FUZZ_ASSERT(both.count <= VERSIONS_MAX);
	if (rc == 0 && op == &operation_create)
		FUZZ_ASSERT(memchr(id, 0, sizeof(id)) != NULL);
	secret_free(key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request r = { .version = { 1, 4 }, .id = ITEM_ID };
	struct buf in = buf_reader(data, size), out, control;
	uint8_t failing[4] = { 0 }, mode = 0, which = 0, message[8192];
	const struct operation *op;
	struct response response;
	struct err err = { 0 };
	int rc;

	if (kek == NULL) {
		kek = secret_new(KMIP_KEY_SIZE);
		FUZZ_ASSERT(kek != NULL);
	}
	(void)buf_get_bytes(&in, failing, sizeof(failing));
	(void)buf_get_u8(&in, &mode);
	(void)buf_get_u8(&in, &which);
	op = operations[which % OPERATIONS];
	r.operation = op->number;
	if (mode & MODE_VERSION_2)
		r.version = (struct kmip_version){ 2, 0 };
	out = buf_writer(message, sizeof(message));
	if (mode & MODE_PAYLOAD) {
		envelope(&out, &r, &in);
	} else {
		size_t left = buf_left(&in);
		const uint8_t *bytes;

		if (buf_get_ref(&in, &bytes, left) == 0)
			(void)buf_put_bytes(&out, bytes, left);
	}
	if (!buf_ok(&out))
		return 0;

	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	rc = response_read(message, out.pos, &r, &response, &err);
	FUZZ_ASSERT(rc == 0 || (rc == ERR_FORMAT && err.text[0] != '\0'));
	FUZZ_ASSERT(rc < 0 || ttlv_check(message, out.pos) == 0);
	if (rc == 0 && response.status == STATUS_SUCCESS)
		take(op, &response, mode);
	else if (rc == 0)
		FUZZ_ASSERT(response_error(&response, op->number, &err) < 0);
	(void)fail_end();
	return 0;
}
