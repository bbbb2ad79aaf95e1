/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/protector.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "nvram-crypt/crypto.h"
#include "nvram-crypt/protector-wrap.h"
#include "nvram-crypt/xaes.h"

#define WRAPPED_SIZE (XAES_NONCE_SIZE + DEK_SIZE + XAES_TAG_SIZE)
#define AAD_MAX (2 + PROTECTOR_ID_SIZE + 8 + PROTECTOR_LABEL_SIZE + \
	UUID_SIZE + DEK_ID_SIZE + PROTECTOR_PARAMS_MAX)

_Static_assert(PROTECTOR_PARAMS_MAX + WRAPPED_SIZE <= PROTECTOR_BODY_MAX,
    "a body has room for both");

/* Cheap ones first: it is the order in which an unlock tries them. The
 * authority comes last, so that a passphrase that was given works while the KMS
 * is away. */
static const struct protector_ops *const table[] = {
	&protector_native_ops,
	&protector_passphrase_ops,
	&protector_authority_ops,
};

#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))

const struct protector_ops *
protector_ops_by_kind(uint16_t kind)
{
	for (size_t i = 0; i < TABLE_SIZE; i++)
		if (table[i]->kind == kind)
			return table[i];
	return NULL;
}

const struct protector_ops *
protector_ops_by_name(const char *name)
{
	for (size_t i = 0; i < TABLE_SIZE; i++)
		if (strcmp(table[i]->name, name) == 0)
			return table[i];
	return NULL;
}

const struct protector_ops *
protector_ops_at(size_t i)
{
	return i < TABLE_SIZE ? table[i] : NULL;
}

int
protector_make(const struct protector_ops *ops,
    const struct protector_creds *creds,
    const struct protector_binding *binding, const struct secret *dek,
    struct protector *p, struct err *err)
{
	int rc;

	p->kind = ops->kind;
	p->body_size = 0;
	memset(p->body, 0, sizeof(p->body));
	p->created = (uint64_t)time(NULL);
	if ((rc = crypto_random(p->id, sizeof(p->id), err)) < 0)
		return rc;
	return ops->wrap(creds, binding, dek, p, err);
}

static int
make_key(const uint8_t *key, size_t key_size, const char *purpose,
    const struct protector_binding *binding, const struct protector *p,
    struct xaes **out, struct err *err)
{
	uint8_t context[UUID_SIZE + DEK_ID_SIZE + PROTECTOR_ID_SIZE];
	struct buf b = buf_writer(context, sizeof(context));
	struct secret *wrapping = NULL;
	int rc;

	*out = NULL;
	buf_put_bytes(&b, binding->uuid, sizeof(binding->uuid));
	buf_put_bytes(&b, binding->dek_id, sizeof(binding->dek_id));
	buf_put_bytes(&b, p->id, sizeof(p->id));
	if ((wrapping = secret_new(XAES_KEY_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	if ((rc = crypto_kbkdf(key, key_size, purpose, context, b.pos,
	    secret_data(wrapping), XAES_KEY_SIZE, err)) == 0)
		rc = xaes_new(out, secret_bytes(wrapping), err);
	secret_free(wrapping);
	return rc;
}

static size_t
make_aad(const struct protector_binding *binding, const struct protector *p,
    size_t params_size, uint8_t aad[AAD_MAX])
{
	struct buf b = buf_writer(aad, AAD_MAX);

	buf_put_u16be(&b, p->kind);
	buf_put_bytes(&b, p->id, sizeof(p->id));
	buf_put_u64be(&b, p->created);
	buf_put_bytes(&b, p->label, sizeof(p->label));
	buf_put_bytes(&b, binding->uuid, sizeof(binding->uuid));
	buf_put_bytes(&b, binding->dek_id, sizeof(binding->dek_id));
	buf_put_bytes(&b, p->body, params_size);
	return b.pos;
}

int
protector_wrap(const uint8_t *key, size_t key_size, const char *purpose,
    const struct protector_binding *binding, const struct secret *dek,
    struct protector *p, size_t params_size, struct err *err)
{
	uint8_t *nonce = p->body + params_size;
	uint8_t *wrapped = nonce + XAES_NONCE_SIZE;
	uint8_t aad[AAD_MAX];
	struct xaes *x = NULL;
	size_t aad_size;
	int rc;

	if (secret_size(dek) != DEK_SIZE || params_size > PROTECTOR_PARAMS_MAX)
		return err_set(err, ERR_INTERNAL, "a DEK of %zu bytes",
		    secret_size(dek));
	if ((rc = make_key(key, key_size, purpose, binding, p, &x, err)) < 0 ||
	    (rc = crypto_random(nonce, XAES_NONCE_SIZE, err)) < 0)
		goto out;
	aad_size = make_aad(binding, p, params_size, aad);
	if ((rc = xaes_seal(x, nonce, aad, aad_size, secret_bytes(dek),
	    DEK_SIZE, wrapped, wrapped + DEK_SIZE, err)) < 0)
		goto out;
	p->body_size = (uint16_t)(params_size + WRAPPED_SIZE);
out:
	xaes_free(x);
	return rc;
}

int
protector_unwrap(const uint8_t *key, size_t key_size, const char *purpose,
    const struct protector_binding *binding, const struct protector *p,
    size_t params_size, struct secret **dek, struct err *err)
{
	const uint8_t *nonce = p->body + params_size;
	const uint8_t *wrapped = nonce + XAES_NONCE_SIZE;
	uint8_t aad[AAD_MAX];
	struct secret *plain = NULL;
	struct xaes *x = NULL;
	size_t aad_size;
	int rc;

	*dek = NULL;
	if (p->body_size != params_size + WRAPPED_SIZE)
		return err_set(err, ERR_FORMAT,
		    "the protector's body has %u bytes", p->body_size);
	if ((rc = make_key(key, key_size, purpose, binding, p, &x, err)) < 0)
		goto out;
	if ((plain = secret_new(DEK_SIZE)) == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for a key");
		goto out;
	}
	aad_size = make_aad(binding, p, params_size, aad);
	if ((rc = xaes_open(x, nonce, aad, aad_size, wrapped, DEK_SIZE,
	    secret_data(plain), wrapped + DEK_SIZE, err)) < 0)
		goto out;
	*dek = plain;
	plain = NULL;
out:
	secret_free(plain);
	xaes_free(x);
	return rc;
}
