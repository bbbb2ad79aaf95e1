/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages to and from the agent, against bytes written by hand from the
 * tables in doc/authority-protocols.md, "The agent's socket". */
#include <criterion/criterion.h>
#include <string.h>

#include "nvram-crypt/agent-wire.h"

#define UUID_BYTES "\x6b\xa7\xb8\x10\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8"
#define BYTES_32 "0123456789abcdef0123456789ABCDEF"
#define BYTES_16 "instance-of-vtpm"
#define SESSION "of-one-hand-over"
#define EPOCH "\0\0\0\0\0\0\x01\x02"		/* 258 */
#define HEAD(type) type "\0\0" "\0\0\0\x07"
#define TEXT(s) { (const uint8_t *)(s), sizeof(s) - 1 }

struct sample {
	const char *what;
	const char *bytes;
	size_t size;
	struct agent_message m;
};

#define SAMPLE(what, bytes, ...) { what, bytes, sizeof(bytes) - 1, \
	{ .id = 7, __VA_ARGS__ } }
#define ASK .way = AGENT_REQUEST
#define ANSWER .way = AGENT_ANSWER

static const struct sample samples[] = {
	SAMPLE("HELLO", HEAD("\0\x01") "\0\x01",
	    ASK, .type = AGENT_HELLO, .version = 1),
	SAMPLE("VM_CREATE", HEAD("\0\x02") UUID_BYTES "\0\x02vm" "\0\x04prod",
	    ASK, .type = AGENT_VM_CREATE, .name = TEXT("vm"),
	    .group = TEXT("prod")),
	SAMPLE("VM_CREATE in the host's group", HEAD("\0\x02") UUID_BYTES
	    "\0\0" "\0\0", ASK, .type = AGENT_VM_CREATE),
	SAMPLE("KEY_MAKE", HEAD("\0\x03") UUID_BYTES "\x01",
	    ASK, .type = AGENT_KEY_MAKE, .new_kek = true),
	SAMPLE("KEY_OPEN", HEAD("\0\x04") UUID_BYTES "\0\x03WWW",
	    ASK, .type = AGENT_KEY_OPEN, .wrapped = TEXT("WWW")),
	SAMPLE("REGISTER", HEAD("\0\x05") UUID_BYTES EPOCH BYTES_32 "\x01",
	    ASK, .type = AGENT_REGISTER, .epoch = 258, .synced = true),
	SAMPLE("ACQUIRE", HEAD("\0\x06") UUID_BYTES EPOCH BYTES_32 BYTES_16,
	    ASK, .type = AGENT_ACQUIRE, .epoch = 258),
	SAMPLE("CONFIRM", HEAD("\0\x07") UUID_BYTES EPOCH BYTES_16,
	    ASK, .type = AGENT_CONFIRM, .epoch = 258),
	SAMPLE("RELEASE", HEAD("\0\x08") UUID_BYTES EPOCH BYTES_16 BYTES_32
	    "\x01", ASK, .type = AGENT_RELEASE, .epoch = 258, .synced = true),
	SAMPLE("CHECK", HEAD("\0\x09") UUID_BYTES EPOCH BYTES_32,
	    ASK, .type = AGENT_CHECK, .epoch = 258),
	SAMPLE("ATTACH", HEAD("\0\x0a") UUID_BYTES EPOCH BYTES_16,
	    ASK, .type = AGENT_ATTACH, .epoch = 258),
	SAMPLE("VM_FORGET", HEAD("\0\x0b") UUID_BYTES,
	    ASK, .type = AGENT_VM_FORGET),
	SAMPLE("EK_CERTIFY", HEAD("\0\x0c") UUID_BYTES "\x02" "\0\x02k1"
	    "\0\x03k22", ASK, .type = AGENT_EK_CERTIFY, .n_certs = 2,
	    .certs = { TEXT("k1"), TEXT("k22") }),
	SAMPLE("STATUS", HEAD("\0\x0d"), ASK, .type = AGENT_STATUS),
	SAMPLE("ATTEST", HEAD("\0\x0e"), ASK, .type = AGENT_ATTEST),
	SAMPLE("HOST_EXPORT", HEAD("\0\x0f"), ASK, .type = AGENT_HOST_EXPORT),
	SAMPLE("OFFER", HEAD("\0\x10") UUID_BYTES EPOCH BYTES_16 BYTES_32
	    "\x01" SESSION, ASK, .type = AGENT_OFFER, .epoch = 258,
	    .synced = true),
	SAMPLE("CLAIM", HEAD("\0\x11") UUID_BYTES EPOCH BYTES_16 SESSION,
	    ASK, .type = AGENT_CLAIM, .epoch = 258),
	SAMPLE("RECLAIM", HEAD("\0\x12") UUID_BYTES EPOCH BYTES_16 SESSION,
	    ASK, .type = AGENT_RECLAIM, .epoch = 258),

	SAMPLE("HELLO's answer", HEAD("\x80\x01") "\0\0\0\0" "\0\x01"
	    "\0\x02vx" "\0\x08" "attested", ANSWER, .type = AGENT_HELLO,
	    .version = 1, .authority = TEXT("vx"), .state = TEXT("attested")),
	SAMPLE("VM_CREATE's answer", HEAD("\x80\x02") "\0\0\0\0",
	    ANSWER, .type = AGENT_VM_CREATE),
	SAMPLE("KEY_MAKE's answer", HEAD("\x80\x03") "\0\0\0\0" "\0\x03WWW"
	    BYTES_32 "\0\x05" "label", ANSWER, .type = AGENT_KEY_MAKE,
	    .wrapped = TEXT("WWW"), .key = TEXT(BYTES_32),
	    .label = TEXT("label")),
	SAMPLE("KEY_OPEN's answer", HEAD("\x80\x04") "\0\0\0\0" BYTES_32,
	    ANSWER, .type = AGENT_KEY_OPEN, .key = TEXT(BYTES_32)),
	SAMPLE("ACQUIRE's answer", HEAD("\x80\x06") "\0\0\0\0" EPOCH "\x01"
	    "\0\0\0\x3c", ANSWER, .type = AGENT_ACQUIRE, .epoch = 258,
	    .synced = true, .lease_seconds = 60),
	SAMPLE("OFFER's answer", HEAD("\x80\x10") "\0\0\0\0",
	    ANSWER, .type = AGENT_OFFER),
	SAMPLE("CLAIM's answer", HEAD("\x80\x11") "\0\0\0\0" EPOCH "\x01"
	    "\0\0\0\x3c", ANSWER, .type = AGENT_CLAIM, .epoch = 258,
	    .synced = true, .lease_seconds = 60),
	SAMPLE("RECLAIM's answer", HEAD("\x80\x12") "\0\0\0\0" EPOCH "\0"
	    "\0\0\0\x3c", ANSWER, .type = AGENT_RECLAIM, .epoch = 258,
	    .lease_seconds = 60),
	SAMPLE("RELEASE's answer", HEAD("\x80\x08") "\0\0\0\0",
	    ANSWER, .type = AGENT_RELEASE),
	SAMPLE("ATTACH's answer", HEAD("\x80\x0a") "\0\0\0\0" "\0",
	    ANSWER, .type = AGENT_ATTACH),
	SAMPLE("ATTACH's answer, lost", HEAD("\x80\x0a") "\0\0\0\0" "\x05"
	    "\0\x03why", ANSWER, .type = AGENT_ATTACH,
	    .fault = AGENT_FAULT_EPOCH, .text = TEXT("why")),
	SAMPLE("EK_CERTIFY's answer", HEAD("\x80\x0c") "\0\0\0\0" "\x01"
	    "\0\x03" "der" "\x02" "\0\x02" "ca" "\0\x04root", ANSWER,
	    .type = AGENT_EK_CERTIFY, .n_certs = 1, .certs = { TEXT("der") },
	    .n_chain = 2, .chain = { TEXT("ca"), TEXT("root") }),
	SAMPLE("STATUS's answer", HEAD("\x80\x0d") "\0\0\0\0" "\0\x02{}",
	    ANSWER, .type = AGENT_STATUS, .text = TEXT("{}")),
	/* -6 is ERR_STALE. */
	SAMPLE("a failure", HEAD("\x80\x06") "\xff\xff\xff\xfa" "\x05"
	    "\0\x05" "stale", ANSWER, .type = AGENT_ACQUIRE,
	    .result = ERR_STALE, .fault = AGENT_FAULT_EPOCH,
	    .text = TEXT("stale")),
};

#define N_SAMPLES (sizeof(samples) / sizeof(samples[0]))

static const char notice[] = "\x40\x01\0\0" "\0\0\0\0" UUID_BYTES EPOCH "\x05"
	"\0\x05" "taken";

/* With the fixed fields that its layout has; the others must stay zero. */
static struct agent_message
whole(const struct sample *s)
{
	struct agent_message m = s->m;
	bool moves = m.way == AGENT_REQUEST && (m.type == AGENT_OFFER ||
	    m.type == AGENT_CLAIM || m.type == AGENT_RECLAIM);
	bool has_uuid = moves || (m.way == AGENT_REQUEST &&
	    m.type >= AGENT_VM_CREATE && m.type <= AGENT_EK_CERTIFY);

	if (has_uuid)
		memcpy(m.uuid, UUID_BYTES, UUID_SIZE);
	if (m.way == AGENT_REQUEST && (m.type == AGENT_REGISTER ||
	    m.type == AGENT_ACQUIRE || m.type == AGENT_RELEASE ||
	    m.type == AGENT_CHECK || m.type == AGENT_OFFER))
		memcpy(m.digest, BYTES_32, sizeof(m.digest));
	if (moves || (m.way == AGENT_REQUEST && (m.type == AGENT_ACQUIRE ||
	    m.type == AGENT_CONFIRM || m.type == AGENT_RELEASE ||
	    m.type == AGENT_ATTACH)))
		memcpy(m.instance, BYTES_16, sizeof(m.instance));
	if (moves)
		memcpy(m.session, SESSION, sizeof(m.session));
	return m;
}

static bool
same_bytes(const struct agent_bytes *a, const struct agent_bytes *b)
{
	return a->size == b->size &&
	    (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void
expect_same(const char *what, const struct agent_message *a,
    const struct agent_message *b)
{
	cr_assert(a->way == b->way && a->type == b->type && a->id == b->id &&
	    a->result == b->result && a->version == b->version &&
	    a->epoch == b->epoch && a->lease_seconds == b->lease_seconds &&
	    a->synced == b->synced && a->new_kek == b->new_kek &&
	    a->fault == b->fault && a->n_certs == b->n_certs &&
	    a->n_chain == b->n_chain, "%s", what);
	cr_assert_arr_eq(a->uuid, b->uuid, UUID_SIZE, "%s", what);
	cr_assert_arr_eq(a->digest, b->digest, sizeof(a->digest), "%s", what);
	cr_assert_arr_eq(a->instance, b->instance, sizeof(a->instance), "%s",
	    what);
	cr_assert_arr_eq(a->session, b->session, sizeof(a->session), "%s",
	    what);
	cr_assert(same_bytes(&a->name, &b->name) &&
	    same_bytes(&a->group, &b->group) &&
	    same_bytes(&a->authority, &b->authority) &&
	    same_bytes(&a->state, &b->state) &&
	    same_bytes(&a->wrapped, &b->wrapped) &&
	    same_bytes(&a->label, &b->label) && same_bytes(&a->key, &b->key) &&
	    same_bytes(&a->text, &b->text), "%s", what);
	for (size_t i = 0; i < AGENT_CERTS_MAX; i++)
		cr_assert(same_bytes(&a->certs[i], &b->certs[i]) &&
		    same_bytes(&a->chain[i], &b->chain[i]), "%s", what);
}

Test(agent_wire, writes_what_the_document_says)
{
	uint8_t bytes[512];

	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct buf b = buf_writer(bytes, sizeof(bytes));
		struct agent_message m = whole(&samples[i]);
		struct err err = { 0 };

		cr_assert_eq(agent_wire_put(&b, &m, &err), 0, "%s: %s",
		    samples[i].what, err.text);
		cr_assert_eq(b.pos, samples[i].size, "%s: %zu",
		    samples[i].what, b.pos);
		cr_assert_arr_eq(bytes, samples[i].bytes, b.pos, "%s",
		    samples[i].what);
	}
}

Test(agent_wire, reads_what_the_document_says)
{
	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct buf b = buf_reader(samples[i].bytes, samples[i].size);
		struct agent_message m, expected = whole(&samples[i]);
		struct err err = { 0 };

		cr_assert_eq(agent_wire_get(&b, &m, &err), 0, "%s: %s",
		    samples[i].what, err.text);
		expect_same(samples[i].what, &m, &expected);
	}
}

Test(agent_wire, notice)
{
	struct buf b = buf_reader(notice, sizeof(notice) - 1);
	struct agent_message m;
	uint8_t bytes[128];

	cr_assert_eq(agent_wire_get(&b, &m, NULL), 0);
	cr_assert(m.way == AGENT_NOTICE && m.type == AGENT_LOST &&
	    m.epoch == 258 && m.fault == AGENT_FAULT_EPOCH);
	cr_assert_arr_eq(m.uuid, UUID_BYTES, UUID_SIZE);
	cr_assert(m.text.size == 5 && memcmp(m.text.data, "taken", 5) == 0);
	b = buf_writer(bytes, sizeof(bytes));
	cr_assert_eq(agent_wire_put(&b, &m, NULL), 0);
	cr_assert_eq(b.pos, sizeof(notice) - 1);
	cr_assert_arr_eq(bytes, notice, b.pos);
}

/* Each message cut anywhere, and with a byte more. */
Test(agent_wire, not_one_byte_more_or_less)
{
	struct agent_message m;
	uint8_t longer[512];

	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct buf b;

		for (size_t n = 0; n < samples[i].size; n++) {
			b = buf_reader(samples[i].bytes, n);
			cr_assert_eq(agent_wire_get(&b, &m, NULL), ERR_FORMAT,
			    "%s cut to %zu", samples[i].what, n);
		}
		memcpy(longer, samples[i].bytes, samples[i].size);
		longer[samples[i].size] = 0;
		b = buf_reader(longer, samples[i].size + 1);
		cr_assert_eq(agent_wire_get(&b, &m, NULL), ERR_FORMAT, "%s",
		    samples[i].what);
	}
}

#define STRANGE(what, bytes) { what, bytes, sizeof(bytes) - 1, { 0 } }

Test(agent_wire, refuses_what_does_not_exist)
{
	static const struct sample strange[] = {
		STRANGE("type 0", HEAD("\0\0")),
		STRANGE("type 16", HEAD("\0\x10")),
		STRANGE("both bits", HEAD("\xc0\x0d") "\0\0\0\0" "\0\0"),
		STRANGE("reserved bits", "\0\x0d\0\x01\0\0\0\x07"),
		STRANGE("a positive result", HEAD("\x80\x02") "\0\0\0\x01"),
		STRANGE("synced 2", HEAD("\0\x05") UUID_BYTES EPOCH BYTES_32
		    "\x02"),
		STRANGE("fault 9", HEAD("\x80\x06") "\xff\xff\xff\xfa" "\x09"
		    "\0\0"),
		STRANGE("five EKs", HEAD("\0\x0c") UUID_BYTES "\x05" "\0\0"
		    "\0\0" "\0\0" "\0\0" "\0\0"),
		STRANGE("a NUL in a name", HEAD("\0\x02") UUID_BYTES
		    "\0\x03v\0m" "\0\0"),
		STRANGE("an empty wrapped key", HEAD("\0\x04") UUID_BYTES
		    "\0\0"),
		STRANGE("a notice with an id", "\x40\x01\0\0" "\0\0\0\x01"
		    UUID_BYTES EPOCH "\x05" "\0\0"),
		STRANGE("notice 2", "\x40\x02\0\0" "\0\0\0\0"
		    UUID_BYTES EPOCH "\x05" "\0\0"),
	};
	struct agent_message m;

	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		struct buf b = buf_reader(strange[i].bytes, strange[i].size);

		cr_assert_eq(agent_wire_get(&b, &m, NULL), ERR_FORMAT, "%s",
		    strange[i].what);
	}
}

Test(agent_wire, sizes_have_ends)
{
	static uint8_t bytes[AGENT_WIRE_MAX + 64];
	static uint8_t wrapped[AGENT_WRAPPED_MAX + 1];
	static uint8_t text[AGENT_WIRE_MAX];
	struct agent_message m = { .way = AGENT_REQUEST,
		.type = AGENT_KEY_OPEN, .id = 7,
		.wrapped = { wrapped, AGENT_WRAPPED_MAX } }, back;
	struct buf b = buf_writer(bytes, sizeof(bytes)), r;

	cr_assert_eq(agent_wire_put(&b, &m, NULL), 0);
	r = buf_reader(bytes, b.pos);
	cr_assert_eq(agent_wire_get(&r, &back, NULL), 0);
	m.wrapped.size++;
	b = buf_writer(bytes, sizeof(bytes));
	cr_assert_eq(agent_wire_put(&b, &m, NULL), 0);
	r = buf_reader(bytes, b.pos);
	cr_assert_eq(agent_wire_get(&r, &back, NULL), ERR_FORMAT);

	/* Head 8, result 4, size 2. */
	memset(text, ' ', sizeof(text));
	m = (struct agent_message){ .way = AGENT_ANSWER, .type = AGENT_STATUS,
		.text = { text, AGENT_WIRE_MAX - 14 } };
	b = buf_writer(bytes, sizeof(bytes));
	cr_assert_eq(agent_wire_put(&b, &m, NULL), 0);
	cr_assert_eq(b.pos, AGENT_WIRE_MAX);
	r = buf_reader(bytes, b.pos);
	cr_assert_eq(agent_wire_get(&r, &back, NULL), 0);
	m.text.size++;
	b = buf_writer(bytes, sizeof(bytes));
	cr_assert_eq(agent_wire_put(&b, &m, NULL), ERR_FORMAT);
	r = buf_reader(bytes, AGENT_WIRE_MAX + 1);
	cr_assert_eq(agent_wire_get(&r, &back, NULL), ERR_FORMAT);
}

Test(agent_wire, names)
{
	cr_assert_str_eq(agent_fault_name(AGENT_FAULT_KMS), "kms");
	cr_assert_str_eq(agent_fault_name(200), "none");
	cr_assert_eq(agent_fault_by_name("grant"), AGENT_FAULT_GRANT);
	cr_assert_eq(agent_fault_by_name("nobody"), AGENT_FAULT_NONE);
	cr_assert_str_eq(agent_type_name(AGENT_KEY_OPEN), "KEY_OPEN");
	cr_assert_str_eq(agent_type_name(99), "no message");
}
