/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages as a table of fields: one function reads a field, one writes
 * it. */
#include "nvram-crypt/agent-wire.h"

#include <string.h>

#define ANSWER_BIT 0x8000u
#define NOTICE_BIT 0x4000u
#define FIELDS_MAX 6

enum field {
	F_END,
	F_VERSION,
	F_UUID,
	F_NAME,
	F_GROUP,
	F_NEW_KEK,
	F_WRAPPED,
	F_KEY,
	F_LABEL,
	F_EPOCH,
	F_DIGEST,
	F_INSTANCE,
	F_SESSION,
	F_SYNCED,
	F_LEASE,
	F_AUTHORITY,
	F_STATE,
	F_FAULT,
	F_TEXT,
	F_LOST,		/* a fault, and a text unless it is none */
	F_CERTS,
	F_CHAIN,
};

static const struct {
	const char *name;
	uint8_t request[FIELDS_MAX], answer[FIELDS_MAX];
} types[AGENT_TYPE_LAST + 1] = {
	[AGENT_HELLO] = { "HELLO", { F_VERSION },
	    { F_VERSION, F_AUTHORITY, F_STATE } },
	[AGENT_VM_CREATE] = { "VM_CREATE", { F_UUID, F_NAME, F_GROUP },
	    { F_END } },
	[AGENT_KEY_MAKE] = { "KEY_MAKE", { F_UUID, F_NEW_KEK },
	    { F_WRAPPED, F_KEY, F_LABEL } },
	[AGENT_KEY_OPEN] = { "KEY_OPEN", { F_UUID, F_WRAPPED }, { F_KEY } },
	[AGENT_REGISTER] = { "REGISTER",
	    { F_UUID, F_EPOCH, F_DIGEST, F_SYNCED }, { F_END } },
	[AGENT_ACQUIRE] = { "ACQUIRE",
	    { F_UUID, F_EPOCH, F_DIGEST, F_INSTANCE },
	    { F_EPOCH, F_SYNCED, F_LEASE } },
	[AGENT_CONFIRM] = { "CONFIRM", { F_UUID, F_EPOCH, F_INSTANCE },
	    { F_END } },
	[AGENT_RELEASE] = { "RELEASE",
	    { F_UUID, F_EPOCH, F_INSTANCE, F_DIGEST, F_SYNCED }, { F_END } },
	[AGENT_CHECK] = { "CHECK", { F_UUID, F_EPOCH, F_DIGEST }, { F_END } },
	[AGENT_ATTACH] = { "ATTACH", { F_UUID, F_EPOCH, F_INSTANCE },
	    { F_LOST } },
	[AGENT_VM_FORGET] = { "VM_FORGET", { F_UUID }, { F_END } },
	[AGENT_EK_CERTIFY] = { "EK_CERTIFY", { F_UUID, F_CERTS },
	    { F_CERTS, F_CHAIN } },
	[AGENT_STATUS] = { "STATUS", { F_END }, { F_TEXT } },
	[AGENT_ATTEST] = { "ATTEST", { F_END }, { F_TEXT } },
	[AGENT_HOST_EXPORT] = { "HOST_EXPORT", { F_END }, { F_TEXT } },
	[AGENT_OFFER] = { "OFFER", { F_UUID, F_EPOCH, F_INSTANCE, F_DIGEST,
	    F_SYNCED, F_SESSION }, { F_END } },
	[AGENT_CLAIM] = { "CLAIM", { F_UUID, F_EPOCH, F_INSTANCE, F_SESSION },
	    { F_EPOCH, F_SYNCED, F_LEASE } },
	[AGENT_RECLAIM] = { "RECLAIM",
	    { F_UUID, F_EPOCH, F_INSTANCE, F_SESSION },
	    { F_EPOCH, F_SYNCED, F_LEASE } },
};

static const uint8_t failed[] = { F_FAULT, F_TEXT, F_END };
static const uint8_t lost[] = { F_UUID, F_EPOCH, F_FAULT, F_TEXT, F_END };

static const char *const faults[AGENT_FAULT_LAST + 1] = { "none", "host",
	"policy", "token", "grant", "epoch", "kms", "authority", "agent" };

const char *
agent_fault_name(uint8_t fault)
{
	return fault <= AGENT_FAULT_LAST ? faults[fault] : faults[0];
}

uint8_t
agent_fault_by_name(const char *name)
{
	for (unsigned int i = 1; i <= AGENT_FAULT_LAST; i++)
		if (strcmp(faults[i], name) == 0)
			return (uint8_t)i;
	return AGENT_FAULT_NONE;
}

const char *
agent_type_name(uint16_t type)
{
	return type >= 1 && type <= AGENT_TYPE_LAST ? types[type].name :
	    "no message";
}

/* NULL: there is no such message. */
static const uint8_t *
layout(const struct agent_message *m)
{
	if (m->way == AGENT_NOTICE)
		return m->type == AGENT_LOST && m->id == 0 ? lost : NULL;
	if (m->type < 1 || m->type > AGENT_TYPE_LAST)
		return NULL;
	if (m->way == AGENT_REQUEST)
		return types[m->type].request;
	return m->result == 0 ? types[m->type].answer : failed;
}

static void
put_list(struct buf *b, size_t n, const struct agent_bytes *list)
{
	if (n > AGENT_CERTS_MAX) {
		b->failed = true;
		return;
	}
	buf_put_u8(b, (uint8_t)n);
	for (size_t i = 0; i < n; i++)
		buf_put_tpm2b(b, list[i].data, list[i].size);
}

static void
put_bytes(struct buf *b, const struct agent_bytes *bytes)
{
	buf_put_tpm2b(b, bytes->data, bytes->size);
}

static void
put_key(struct buf *b, const struct agent_bytes *key)
{
	if (key->size != AGENT_KEY_SIZE)
		b->failed = true;
	else
		buf_put_bytes(b, key->data, key->size);
}

static void
put_field(struct buf *b, enum field field, const struct agent_message *m)
{
	switch (field) {
	case F_END:
		break;
	case F_VERSION:
		buf_put_u16be(b, m->version);
		break;
	case F_UUID:
		buf_put_bytes(b, m->uuid, sizeof(m->uuid));
		break;
	case F_NAME:
		put_bytes(b, &m->name);
		break;
	case F_GROUP:
		put_bytes(b, &m->group);
		break;
	case F_NEW_KEK:
		buf_put_u8(b, m->new_kek);
		break;
	case F_WRAPPED:
		put_bytes(b, &m->wrapped);
		break;
	case F_KEY:
		put_key(b, &m->key);
		break;
	case F_LABEL:
		put_bytes(b, &m->label);
		break;
	case F_EPOCH:
		buf_put_u64be(b, m->epoch);
		break;
	case F_DIGEST:
		buf_put_bytes(b, m->digest, sizeof(m->digest));
		break;
	case F_INSTANCE:
		buf_put_bytes(b, m->instance, sizeof(m->instance));
		break;
	case F_SESSION:
		buf_put_bytes(b, m->session, sizeof(m->session));
		break;
	case F_SYNCED:
		buf_put_u8(b, m->synced);
		break;
	case F_LEASE:
		buf_put_u32be(b, m->lease_seconds);
		break;
	case F_AUTHORITY:
		put_bytes(b, &m->authority);
		break;
	case F_STATE:
		put_bytes(b, &m->state);
		break;
	case F_FAULT:
		buf_put_u8(b, m->fault);
		break;
	case F_TEXT:
		put_bytes(b, &m->text);
		break;
	case F_LOST:
		buf_put_u8(b, m->fault);
		if (m->fault != AGENT_FAULT_NONE)
			put_bytes(b, &m->text);
		break;
	case F_CERTS:
		put_list(b, m->n_certs, m->certs);
		break;
	case F_CHAIN:
		put_list(b, m->n_chain, m->chain);
		break;
	}
}

int
agent_wire_put(struct buf *b, const struct agent_message *m, struct err *err)
{
	const uint8_t *fields = layout(m);
	uint16_t bit = m->way == AGENT_ANSWER ? ANSWER_BIT :
	    m->way == AGENT_NOTICE ? NOTICE_BIT : 0;
	size_t start = b->pos;

	if (fields == NULL || (m->way == AGENT_ANSWER && m->result > 0) ||
	    m->fault > AGENT_FAULT_LAST)
		return err_set(err, ERR_FORMAT, "message %u to or from the "
		    "agent does not exist", m->type);
	buf_put_u16be(b, (uint16_t)(m->type | bit));
	buf_put_u16be(b, 0);
	buf_put_u32be(b, m->id);
	if (m->way == AGENT_ANSWER)
		buf_put_u32be(b, (uint32_t)m->result);
	for (size_t i = 0; i < FIELDS_MAX && fields[i] != F_END; i++)
		put_field(b, (enum field)fields[i], m);
	if (!buf_ok(b) || b->pos - start > AGENT_WIRE_MAX)
		return err_set(err, ERR_FORMAT, "the message %s to or from the "
		    "agent is too large", agent_type_name(m->type));
	return 0;
}

static void
get_bool(struct buf *b, bool *v)
{
	uint8_t byte = 0;

	buf_get_u8(b, &byte);
	if (byte > 1)
		b->failed = true;
	*v = byte == 1;
}

static void
get_bytes(struct buf *b, struct agent_bytes *bytes)
{
	buf_get_tpm2b(b, &bytes->data, &bytes->size);
}

/* UTF-8 is not checked: who shows a text cleans it (ctl_json_text, log). But it
 * has to end where it says. */
static void
get_text(struct buf *b, struct agent_bytes *text)
{
	get_bytes(b, text);
	if (buf_ok(b) && text->size > 0 &&
	    memchr(text->data, '\0', text->size) != NULL)
		b->failed = true;
}

static void
get_fault(struct buf *b, uint8_t *fault)
{
	buf_get_u8(b, fault);
	if (*fault > AGENT_FAULT_LAST)
		b->failed = true;
}

static void
get_list(struct buf *b, size_t *n, struct agent_bytes *list)
{
	uint8_t count = 0;

	buf_get_u8(b, &count);
	if (count > AGENT_CERTS_MAX) {
		b->failed = true;
		return;
	}
	for (*n = 0; *n < count; (*n)++)
		get_bytes(b, &list[*n]);
}

static void
get_wrapped(struct buf *b, struct agent_bytes *wrapped)
{
	get_bytes(b, wrapped);
	if (wrapped->size == 0 || wrapped->size > AGENT_WRAPPED_MAX)
		b->failed = true;
}

static void
get_field(struct buf *b, enum field field, struct agent_message *m)
{
	switch (field) {
	case F_END:
		break;
	case F_VERSION:
		buf_get_u16be(b, &m->version);
		break;
	case F_UUID:
		buf_get_bytes(b, m->uuid, sizeof(m->uuid));
		break;
	case F_NAME:
		get_text(b, &m->name);
		break;
	case F_GROUP:
		get_text(b, &m->group);
		break;
	case F_NEW_KEK:
		get_bool(b, &m->new_kek);
		break;
	case F_WRAPPED:
		get_wrapped(b, &m->wrapped);
		break;
	case F_KEY:
		m->key.size = AGENT_KEY_SIZE;
		buf_get_ref(b, &m->key.data, AGENT_KEY_SIZE);
		break;
	case F_LABEL:
		get_text(b, &m->label);
		break;
	case F_EPOCH:
		buf_get_u64be(b, &m->epoch);
		break;
	case F_DIGEST:
		buf_get_bytes(b, m->digest, sizeof(m->digest));
		break;
	case F_INSTANCE:
		buf_get_bytes(b, m->instance, sizeof(m->instance));
		break;
	case F_SESSION:
		buf_get_bytes(b, m->session, sizeof(m->session));
		break;
	case F_SYNCED:
		get_bool(b, &m->synced);
		break;
	case F_LEASE:
		buf_get_u32be(b, &m->lease_seconds);
		break;
	case F_AUTHORITY:
		get_text(b, &m->authority);
		break;
	case F_STATE:
		get_text(b, &m->state);
		break;
	case F_FAULT:
		get_fault(b, &m->fault);
		break;
	case F_TEXT:
		get_text(b, &m->text);
		break;
	case F_LOST:
		get_fault(b, &m->fault);
		if (m->fault != AGENT_FAULT_NONE)
			get_text(b, &m->text);
		break;
	case F_CERTS:
		get_list(b, &m->n_certs, m->certs);
		break;
	case F_CHAIN:
		get_list(b, &m->n_chain, m->chain);
		break;
	}
}

static void
get_head(struct buf *b, struct agent_message *m)
{
	uint32_t result = 0;
	uint16_t zero = 0;

	buf_get_u16be(b, &m->type);
	buf_get_u16be(b, &zero);
	buf_get_u32be(b, &m->id);
	m->way = (m->type & ANSWER_BIT) != 0 ? AGENT_ANSWER :
	    (m->type & NOTICE_BIT) != 0 ? AGENT_NOTICE : AGENT_REQUEST;
	m->type &= (uint16_t)~(m->way == AGENT_ANSWER ? ANSWER_BIT :
	    m->way == AGENT_NOTICE ? NOTICE_BIT : 0);
	if (m->way == AGENT_ANSWER)
		buf_get_u32be(b, &result);
	m->result = (int32_t)result;
	if (zero != 0 || m->result > 0)
		b->failed = true;
}

int
agent_wire_get(struct buf *b, struct agent_message *m, struct err *err)
{
	const uint8_t *fields;

	memset(m, 0, sizeof(*m));
	if (buf_left(b) > AGENT_WIRE_MAX)
		return err_set(err, ERR_FORMAT, "a message of %zu bytes to or "
		    "from the agent is too large", buf_left(b));
	get_head(b, m);
	if (!buf_ok(b) || (fields = layout(m)) == NULL)
		return err_set(err, ERR_FORMAT, "a message to or from the "
		    "agent is none that exists (0x%04x)", m->type);
	for (size_t i = 0; i < FIELDS_MAX && fields[i] != F_END; i++)
		get_field(b, (enum field)fields[i], m);
	if (!buf_ok(b) || buf_left(b) != 0)
		return err_set(err, ERR_FORMAT, "the message %s to or from the "
		    "agent is damaged", m->way == AGENT_NOTICE ? "LOST" :
		    agent_type_name(m->type));
	return 0;
}
