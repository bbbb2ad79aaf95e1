/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/buf.h"
#include "migration/bundle-format.h"

static const uint8_t magic[8] = { 'V', 'T', 'P', 'M', 'B', 'N', 'D', 'L' };

size_t
bundle_header_size(size_t n_recipients, size_t n_vms)
{
	return BUNDLE_PREAMBLE_SIZE + n_recipients * BUNDLE_RECIPIENT_SIZE +
	    n_vms * BUNDLE_VM_SIZE + BUNDLE_TRAILER_SIZE;
}

/* Up to where the part that began at `from` ends. */
static void
pad(struct buf *b, size_t from, size_t size)
{
	if (buf_ok(b) && b->pos <= from + size)
		buf_put_zero(b, from + size - b->pos);
}

static void
put_recipient(struct buf *b, const struct bundle_recipient *r)
{
	size_t from = b->pos;

	buf_put_u16be(b, r->kind);
	buf_put_u16be(b, r->body_size);
	buf_put_zero(b, 4);
	buf_put_bytes(b, r->fingerprint, sizeof(r->fingerprint));
	buf_put_bytes(b, r->label, sizeof(r->label));
	buf_put_zero(b, 24);
	buf_put_bytes(b, r->body, sizeof(r->body));
	pad(b, from, BUNDLE_RECIPIENT_SIZE);
}

static void
put_vm(struct buf *b, const struct bundle_vm *vm)
{
	size_t from = b->pos;

	buf_put_bytes(b, vm->uuid, sizeof(vm->uuid));
	buf_put_bytes(b, vm->name, sizeof(vm->name));
	buf_put_u64be(b, vm->created);
	buf_put_u64be(b, vm->epoch);
	buf_put_bytes(b, vm->digest, sizeof(vm->digest));
	buf_put_u32be(b, vm->state_version);
	buf_put_u32be(b, vm->size);
	buf_put_bytes(b, vm->nonce, sizeof(vm->nonce));
	buf_put_bytes(b, vm->tag, sizeof(vm->tag));
	pad(b, from, BUNDLE_VM_SIZE);
}

int
bundle_header_encode(const struct bundle_manifest *m, struct buf *b)
{
	buf_put_bytes(b, magic, sizeof(magic));
	buf_put_u32be(b, BUNDLE_FORMAT);
	buf_put_u32be(b, (uint32_t)bundle_header_size(m->n_recipients,
	    m->n_vms));
	buf_put_bytes(b, m->id, sizeof(m->id));
	buf_put_u64be(b, m->exported);
	buf_put_bytes(b, m->host, sizeof(m->host));
	buf_put_u32be(b, m->library_version);
	buf_put_u16be(b, (uint16_t)m->n_recipients);
	buf_put_u16be(b, (uint16_t)m->n_vms);
	pad(b, 0, BUNDLE_PREAMBLE_SIZE);
	for (size_t i = 0; i < m->n_recipients; i++)
		put_recipient(b, &m->recipients[i]);
	for (size_t i = 0; i < m->n_vms; i++)
		put_vm(b, &m->vms[i]);
	return buf_ok(b) ? 0 : ERR_FORMAT;
}

int
bundle_preamble_decode(const uint8_t bytes[BUNDLE_PREAMBLE_SIZE],
    struct bundle_manifest *m, struct err *err)
{
	struct buf b = buf_reader(bytes, BUNDLE_PREAMBLE_SIZE);
	uint32_t format = 0, size = 0;
	uint16_t n_recipients = 0, n_vms = 0;
	const uint8_t *m8;

	if (buf_get_ref(&b, &m8, sizeof(magic)) < 0 ||
	    memcmp(m8, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_FORMAT, "this is not a bundle");
	buf_get_u32be(&b, &format);
	if (format != BUNDLE_FORMAT)
		return err_set(err, ERR_UNSUPPORTED, "this is a bundle of "
		    "format %u; this version reads %u", format, BUNDLE_FORMAT);
	buf_get_u32be(&b, &size);
	buf_get_bytes(&b, m->id, sizeof(m->id));
	buf_get_u64be(&b, &m->exported);
	buf_get_bytes(&b, m->host, sizeof(m->host));
	m->host[sizeof(m->host) - 1] = '\0';
	buf_get_u32be(&b, &m->library_version);
	buf_get_u16be(&b, &n_recipients);
	buf_get_u16be(&b, &n_vms);
	if (!buf_ok(&b) || n_recipients < 1 ||
	    n_recipients > BUNDLE_RECIPIENTS_MAX || n_vms < 1 ||
	    n_vms > BUNDLE_VMS_MAX ||
	    size != bundle_header_size(n_recipients, n_vms))
		return err_set(err, ERR_FORMAT, "the bundle's header is "
		    "damaged");
	m->n_recipients = n_recipients;
	m->n_vms = n_vms;
	return 0;
}

static void
get_recipient(struct buf *b, struct bundle_recipient *r)
{
	struct buf part;

	if (buf_get_sub(b, &part, BUNDLE_RECIPIENT_SIZE) < 0)
		return;
	buf_get_u16be(&part, &r->kind);
	buf_get_u16be(&part, &r->body_size);
	buf_get_bytes(&part, NULL, 4);
	buf_get_bytes(&part, r->fingerprint, sizeof(r->fingerprint));
	buf_get_bytes(&part, r->label, sizeof(r->label));
	r->label[sizeof(r->label) - 1] = '\0';
	buf_get_bytes(&part, NULL, 24);
	buf_get_bytes(&part, r->body, sizeof(r->body));
}

static void
get_vm(struct buf *b, struct bundle_vm *vm)
{
	struct buf part;

	if (buf_get_sub(b, &part, BUNDLE_VM_SIZE) < 0)
		return;
	buf_get_bytes(&part, vm->uuid, sizeof(vm->uuid));
	buf_get_bytes(&part, vm->name, sizeof(vm->name));
	vm->name[sizeof(vm->name) - 1] = '\0';
	buf_get_u64be(&part, &vm->created);
	buf_get_u64be(&part, &vm->epoch);
	buf_get_bytes(&part, vm->digest, sizeof(vm->digest));
	buf_get_u32be(&part, &vm->state_version);
	buf_get_u32be(&part, &vm->size);
	buf_get_bytes(&part, vm->nonce, sizeof(vm->nonce));
	buf_get_bytes(&part, vm->tag, sizeof(vm->tag));
}

int
bundle_header_decode(const uint8_t *bytes, size_t size,
    struct bundle_manifest *m, struct err *err)
{
	struct buf b = buf_reader(bytes, size);

	buf_get_bytes(&b, NULL, BUNDLE_PREAMBLE_SIZE);
	for (size_t i = 0; i < m->n_recipients; i++)
		get_recipient(&b, &m->recipients[i]);
	for (size_t i = 0; i < m->n_vms; i++) {
		get_vm(&b, &m->vms[i]);
		if (m->vms[i].size > BUNDLE_STATE_MAX)
			return err_set(err, ERR_FORMAT, "the bundle's header "
			    "is damaged");
	}
	if (!buf_ok(&b) || buf_left(&b) != BUNDLE_TRAILER_SIZE)
		return err_set(err, ERR_FORMAT, "the bundle's header is cut "
		    "short");
	return 0;
}

static int
make_key(struct xaes **out, const struct secret *key, const char *label,
    const uint8_t id[BUNDLE_ID_SIZE], struct err *err)
{
	uint8_t bytes[XAES_KEY_SIZE];
	int rc = crypto_kbkdf(secret_bytes(key), secret_size(key), label, id,
	    BUNDLE_ID_SIZE, bytes, sizeof(bytes), err);

	if (rc == 0)
		rc = xaes_new(out, bytes, err);
	cleanse(bytes, sizeof(bytes));
	return rc;
}

int
bundle_keys_make(struct bundle_keys *k, const struct secret *key,
    const uint8_t id[BUNDLE_ID_SIZE], struct err *err)
{
	int rc;

	memset(k, 0, sizeof(*k));
	if ((rc = make_key(&k->manifest, key, "vtpmd bundle manifest", id,
	    err)) < 0 ||
	    (rc = make_key(&k->state, key, "vtpmd bundle state", id,
	    err)) < 0 ||
	    (rc = crypto_kbkdf(secret_bytes(key), secret_size(key),
	    "vtpmd bundle commitment", id, BUNDLE_ID_SIZE, k->commitment,
	    sizeof(k->commitment), err)) < 0)
		bundle_keys_free(k);
	return rc;
}

void
bundle_keys_free(struct bundle_keys *k)
{
	xaes_free(k->manifest);
	xaes_free(k->state);
	k->manifest = k->state = NULL;
}

void
bundle_binding(const struct bundle_manifest *m, size_t i,
    uint8_t out[BUNDLE_BINDING_SIZE])
{
	struct buf b = buf_writer(out, BUNDLE_BINDING_SIZE);

	buf_put_bytes(&b, m->id, sizeof(m->id));
	buf_put_u32be(&b, (uint32_t)i);
	buf_put_bytes(&b, m->vms[i].uuid, UUID_SIZE);
}
