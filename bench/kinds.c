/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/kinds.h"

#include <string.h>

#include "vtpm/tpm.h"

/* TPM 2.0 Part 2, 6.3, 6.4, 6.5.2, 6.6, 6.9, 7.4 and 8.3 */
#define CC_CREATE_PRIMARY 0x131
#define CC_PCR_EVENT 0x13c
#define CC_SEQUENCE_COMPLETE 0x13e
#define CC_CREATE 0x153
#define CC_LOAD 0x157
#define CC_SEQUENCE_UPDATE 0x15c
#define CC_SIGN 0x15d
#define CC_CONTEXT_LOAD 0x161
#define CC_CONTEXT_SAVE 0x162
#define CC_FLUSH_CONTEXT 0x165
#define CC_START_AUTH_SESSION 0x176
#define CC_POLICY_PCR 0x17f
#define CC_HASH_SEQUENCE_START 0x186
#define ALG_AES 0x0006
#define ALG_SHA256 0x000b
#define ALG_NULL 0x0010
#define ALG_ECDSA 0x0018
#define ALG_ECC 0x0023
#define ALG_CFB 0x0043
#define ECC_NIST_P256 0x0003
#define RH_OWNER 0x40000001
#define RH_NULL 0x40000007
#define SE_POLICY 1
#define ST_HASHCHECK 0x8024
#define RC_NV_DEFINED 0x14c
/* fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA; and
 * restricted, decrypt; or sign */
#define STORAGE_KEY 0x00030472
#define SIGNING_KEY 0x00040472
#define NONCE 16
#define DIGEST 32
#define EVENT 64	/* bytes hashed */
#define PCR 10
#define COUNTER 0x01500020
#define INDEX 0x01500021
#define INDEX_SIZE 32

static void
put_filled(struct buf *b, size_t size)
{
	buf_put_u16be(b, (uint16_t)size);
	for (size_t i = 0; i < size; i++)
		buf_put_u8(b, (uint8_t)i);
}

/* TPM2B_SENSITIVE_CREATE without password or data, TPM2B_PUBLIC of a P-256
 * key, no outside information, no PCRs. */
static void
put_template(struct buf *b, uint32_t attributes)
{
	size_t at;

	buf_put_u16be(b, 4);
	buf_put_u32be(b, 0);
	at = b->pos;
	buf_put_u16be(b, 0);
	buf_put_u16be(b, ALG_ECC);
	buf_put_u16be(b, ALG_SHA256);
	buf_put_u32be(b, attributes);
	buf_put_u16be(b, 0);
	if (attributes == STORAGE_KEY) {
		buf_put_u16be(b, ALG_AES);
		buf_put_u16be(b, 128);
		buf_put_u16be(b, ALG_CFB);
		buf_put_u16be(b, ALG_NULL);
	} else {
		buf_put_u16be(b, ALG_NULL);
		buf_put_u16be(b, ALG_ECDSA);
		buf_put_u16be(b, ALG_SHA256);
	}
	buf_put_u16be(b, ECC_NIST_P256);
	buf_put_u16be(b, ALG_NULL);
	buf_put_u32be(b, 0);
	buf_patch_u16be(b, at, (uint16_t)(b->pos - at - 2));
	buf_put_u16be(b, 0);
	buf_put_u32be(b, 0);
}

/* A command on one handle with the empty password. */
static struct buf
begin_on(struct command *c, uint32_t code, uint32_t handle)
{
	struct buf b = command_begin(c, TPM_ST_SESSIONS, code);

	buf_put_u32be(&b, handle);
	put_password(&b);
	return b;
}

static void
get_random(struct kinds *k, struct command *c)
{
	(void)k;
	command_get_random(c, 16);
}

static void
pcr_read(struct kinds *k, struct command *c)
{
	(void)k;
	command_pcr_read(c);
}

static void
pcr_extend(struct kinds *k, struct command *c)
{
	(void)k;
	command_pcr_extend(c);
}

static void
pcr_event(struct kinds *k, struct command *c)
{
	struct buf b = begin_on(c, CC_PCR_EVENT, PCR);

	(void)k;
	put_filled(&b, EVENT);
	command_end(c, &b);
}

static void
start_auth_session(struct kinds *k, struct command *c)
{
	struct buf b = command_begin(c, TPM_ST_NO_SESSIONS,
	    CC_START_AUTH_SESSION);

	(void)k;
	buf_put_u32be(&b, RH_NULL);
	buf_put_u32be(&b, RH_NULL);
	put_filled(&b, NONCE);
	buf_put_u16be(&b, 0);
	buf_put_u8(&b, SE_POLICY);
	buf_put_u16be(&b, ALG_NULL);
	buf_put_u16be(&b, ALG_SHA256);
	command_end(c, &b);
}

static void
policy_pcr(struct kinds *k, struct command *c)
{
	struct buf b = command_begin(c, TPM_ST_NO_SESSIONS, CC_POLICY_PCR);

	buf_put_u32be(&b, k->session);
	buf_put_u16be(&b, 0);
	put_pcr_selection(&b);
	command_end(c, &b);
}

static void
flush(struct command *c, uint32_t handle)
{
	struct buf b = command_begin(c, TPM_ST_NO_SESSIONS, CC_FLUSH_CONTEXT);

	buf_put_u32be(&b, handle);
	command_end(c, &b);
}

static void
flush_session(struct kinds *k, struct command *c)
{
	flush(c, k->session);
}

static void
flush_key(struct kinds *k, struct command *c)
{
	flush(c, k->key);
}

static void
create_primary(struct kinds *k, struct command *c)
{
	struct buf b = begin_on(c, CC_CREATE_PRIMARY, RH_OWNER);

	(void)k;
	put_template(&b, STORAGE_KEY);
	command_end(c, &b);
}

static void
create(struct kinds *k, struct command *c)
{
	struct buf b = begin_on(c, CC_CREATE, k->parent);

	put_template(&b, SIGNING_KEY);
	command_end(c, &b);
}

static void
load(struct kinds *k, struct command *c)
{
	struct buf b = begin_on(c, CC_LOAD, k->parent);

	buf_put_bytes(&b, k->private, k->private_size);
	command_end(c, &b);
}

static void
sign(struct kinds *k, struct command *c)
{
	struct buf b = begin_on(c, CC_SIGN, k->key);

	put_filled(&b, DIGEST);
	buf_put_u16be(&b, ALG_NULL);
	buf_put_u16be(&b, ST_HASHCHECK);
	buf_put_u32be(&b, RH_NULL);
	buf_put_u16be(&b, 0);
	command_end(c, &b);
}

static void
context_save(struct kinds *k, struct command *c)
{
	struct buf b = command_begin(c, TPM_ST_NO_SESSIONS, CC_CONTEXT_SAVE);

	buf_put_u32be(&b, k->key);
	command_end(c, &b);
}

static void
context_load(struct kinds *k, struct command *c)
{
	struct buf b = command_begin(c, TPM_ST_NO_SESSIONS, CC_CONTEXT_LOAD);

	buf_put_bytes(&b, k->context, k->context_size);
	command_end(c, &b);
}

static void
sequence_start(struct kinds *k, struct command *c)
{
	struct buf b = command_begin(c, TPM_ST_NO_SESSIONS,
	    CC_HASH_SEQUENCE_START);

	(void)k;
	buf_put_u16be(&b, 0);
	buf_put_u16be(&b, ALG_SHA256);
	command_end(c, &b);
}

static void
sequence_update(struct kinds *k, struct command *c)
{
	struct buf b = begin_on(c, CC_SEQUENCE_UPDATE, k->sequence);

	put_filled(&b, EVENT);
	command_end(c, &b);
}

static void
sequence_complete(struct kinds *k, struct command *c)
{
	struct buf b = begin_on(c, CC_SEQUENCE_COMPLETE, k->sequence);

	put_filled(&b, EVENT);
	buf_put_u32be(&b, RH_NULL);
	command_end(c, &b);
}

static void
nv_increment(struct kinds *k, struct command *c)
{
	(void)k;
	command_nv_increment(c, COUNTER);
}

static void
nv_write(struct kinds *k, struct command *c)
{
	command_nv_write(c, INDEX, INDEX_SIZE, ++k->count);
}

static int
take_session(struct kinds *k, struct buf *b)
{
	return buf_get_u32be(b, &k->session);
}

static int
take_key(struct kinds *k, struct buf *b)
{
	return buf_get_u32be(b, &k->key);
}

static int
take_sequence(struct kinds *k, struct buf *b)
{
	return buf_get_u32be(b, &k->sequence);
}

/* All of TPMS_CONTEXT. */
static int
take_context(struct kinds *k, struct buf *b)
{
	k->context_size = buf_left(b);
	if (k->context_size > sizeof(k->context))
		return ERR_FORMAT;
	return buf_get_bytes(b, k->context, k->context_size);
}

static const struct {
	const char *name;
	void (*build)(struct kinds *k, struct command *c);
	int (*take)(struct kinds *k, struct buf *b);
	bool stores;
} cycle[] = {
	{ "GetRandom", get_random, NULL, false },
	{ "PCR_Read", pcr_read, NULL, false },
	{ "PCR_Extend", pcr_extend, NULL, false },
	{ "PCR_Event", pcr_event, NULL, false },
	{ "StartAuthSession", start_auth_session, take_session, false },
	{ "PolicyPCR", policy_pcr, NULL, false },
	{ "FlushContext", flush_session, NULL, false },
	{ "CreatePrimary P-256", create_primary, take_key, false },
	{ NULL, flush_key, NULL, false },
	{ "Load", load, take_key, false },
	{ "Sign P-256", sign, NULL, false },
	{ "ContextSave", context_save, take_context, false },
	{ NULL, flush_key, NULL, false },
	{ "ContextLoad", context_load, take_key, false },
	{ NULL, flush_key, NULL, false },
	{ "HashSequenceStart", sequence_start, take_sequence, false },
	{ "SequenceUpdate", sequence_update, NULL, false },
	{ "SequenceComplete", sequence_complete, NULL, false },
	{ "NV_Increment", nv_increment, NULL, true },
	{ "NV_Write, 32 bytes", nv_write, NULL, true },
};

size_t
kinds_count(void)
{
	return sizeof(cycle) / sizeof(cycle[0]);
}

const char *
kind_name(size_t kind)
{
	return cycle[kind].name;
}

bool
kind_stores(size_t kind)
{
	return cycle[kind].stores;
}

void
kind_build(size_t kind, struct kinds *k, struct command *c)
{
	cycle[kind].build(k, c);
}

int
kind_take(size_t kind, struct kinds *k, const struct answer *a,
    struct err *err)
{
	struct buf b = buf_reader(a->bytes, a->size);
	const char *name = cycle[kind].name != NULL ? cycle[kind].name :
	    "FlushContext";
	int rc;

	if ((rc = answer_check(a, err)) < 0)
		return err_prefix(err, "%s", name);
	buf_get_bytes(&b, NULL, TPM_HEADER_SIZE);
	if (cycle[kind].take != NULL && cycle[kind].take(k, &b) < 0)
		return err_set(err, ERR_FORMAT, "%s: a short answer", name);
	return 0;
}

/* outPrivate and outPublic as Load takes them. */
static int
take_created(struct kinds *k, const struct answer *a)
{
	struct buf b = buf_reader(a->bytes, a->size);
	const uint8_t *bytes;
	size_t at, size;

	buf_get_bytes(&b, NULL, TPM_HEADER_SIZE + 4);	/* parameterSize */
	at = b.pos;
	for (int i = 0; i < 2; i++)
		(void)buf_get_tpm2b(&b, &bytes, &size);
	if (!buf_ok(&b) || b.pos - at > sizeof(k->private))
		return ERR_FORMAT;
	k->private_size = b.pos - at;
	memcpy(k->private, a->bytes + at, k->private_size);
	return 0;
}

static int
must(kinds_ask *ask, void *arg, const struct command *c, struct answer *a,
    const char *what, struct err *err)
{
	int rc;

	if ((rc = ask(arg, c, a, err)) < 0 || (rc = answer_check(a, err)) < 0)
		return err_prefix(err, "%s", what);
	return 0;
}

/* It may be there since the TPM was on before. */
static int
define(kinds_ask *ask, void *arg, const struct command *c, struct err *err)
{
	struct answer a;
	int rc;

	if ((rc = ask(arg, c, &a, err)) < 0 || a.rc == RC_NV_DEFINED)
		return rc;
	if ((rc = answer_check(&a, err)) < 0)
		return err_prefix(err, "NV_DefineSpace");
	return 0;
}

int
kinds_prepare(struct kinds *k, kinds_ask *ask, void *arg, struct err *err)
{
	struct command c;
	struct answer a;
	struct buf b;
	int rc;

	memset(k, 0, sizeof(*k));
	create_primary(k, &c);
	if ((rc = must(ask, arg, &c, &a, "CreatePrimary", err)) < 0)
		return rc;
	b = buf_reader(a.bytes, a.size);
	buf_get_bytes(&b, NULL, TPM_HEADER_SIZE);
	if (buf_get_u32be(&b, &k->parent) < 0)
		return err_set(err, ERR_FORMAT, "CreatePrimary: a short "
		    "answer");
	create(k, &c);
	if ((rc = must(ask, arg, &c, &a, "Create", err)) < 0)
		return rc;
	if (take_created(k, &a) < 0)
		return err_set(err, ERR_FORMAT, "Create: a short answer");
	command_nv_define_counter(&c, COUNTER);
	if ((rc = define(ask, arg, &c, err)) < 0)
		return rc;
	command_nv_define(&c, INDEX, INDEX_SIZE);
	return define(ask, arg, &c, err);
}
