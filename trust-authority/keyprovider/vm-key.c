/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/vm-key.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/xaes.h"

#define VERSION 1u
#define ID_SIZE 16
#define HEAD_SIZE (1 + 4 + ID_SIZE)
#define NONCE_AT HEAD_SIZE
#define SEALED_AT (NONCE_AT + XAES_NONCE_SIZE)
#define TAG_AT (SEALED_AT + VM_KEY_SIZE)

/* clang-tidy compares the macros' names with themselves. */
/* NOLINTNEXTLINE(misc-redundant-expression) */
_Static_assert(TAG_AT + XAES_TAG_SIZE == VM_KEY_WRAPPED_SIZE, "layout of W");

/* XAES under the derived key, and the id that commits to it. */
static int
derive(const uint8_t *kek, uint32_t n, const uint8_t uuid[UUID_SIZE],
    struct xaes **x, uint8_t id[ID_SIZE], struct err *err)
{
	uint8_t context[UUID_SIZE + 4];
	struct buf b = buf_writer(context, sizeof(context));
	struct secret *out = secret_new(XAES_KEY_SIZE + ID_SIZE);
	int rc;

	buf_put_bytes(&b, uuid, UUID_SIZE);
	buf_put_u32be(&b, n);
	if (out == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for a key");
		goto out;
	}
	if ((rc = crypto_kbkdf(kek, VM_KEY_KEK_SIZE, "vta-vm-key", context,
	    sizeof(context), secret_data(out), secret_size(out), err)) < 0)
		goto out;
	memcpy(id, secret_bytes(out) + XAES_KEY_SIZE, ID_SIZE);
	rc = xaes_new(x, secret_bytes(out), err);
out:
	secret_free(out);
	return rc;
}

static void
associate(uint8_t aad[UUID_SIZE + HEAD_SIZE], const uint8_t uuid[UUID_SIZE],
    const uint8_t *wrapped)
{
	memcpy(aad, uuid, UUID_SIZE);
	memcpy(aad + UUID_SIZE, wrapped, HEAD_SIZE);
}

int
vm_key_wrap(const uint8_t kek[VM_KEY_KEK_SIZE], uint32_t n,
    const uint8_t uuid[UUID_SIZE], const struct secret *key,
    uint8_t wrapped[VM_KEY_WRAPPED_SIZE], struct err *err)
{
	struct buf b = buf_writer(wrapped, VM_KEY_WRAPPED_SIZE);
	uint8_t aad[UUID_SIZE + HEAD_SIZE], id[ID_SIZE];
	struct xaes *x = NULL;
	int rc;

	if (secret_size(key) != VM_KEY_SIZE)
		return err_set(err, ERR_INTERNAL, "a VM key of %zu bytes",
		    secret_size(key));
	if ((rc = derive(kek, n, uuid, &x, id, err)) < 0)
		goto out;
	buf_put_u8(&b, VERSION);
	buf_put_u32be(&b, n);
	buf_put_bytes(&b, id, sizeof(id));
	associate(aad, uuid, wrapped);
	if ((rc = crypto_random(wrapped + NONCE_AT, XAES_NONCE_SIZE,
	    err)) == 0)
		rc = xaes_seal(x, wrapped + NONCE_AT, aad, sizeof(aad),
		    secret_bytes(key), VM_KEY_SIZE, wrapped + SEALED_AT,
		    wrapped + TAG_AT, err);
out:
	xaes_free(x);
	return rc;
}

int
vm_key_number(const uint8_t *wrapped, size_t size, uint32_t *n,
    struct err *err)
{
	struct buf b = buf_reader(wrapped, size);
	uint8_t version = 0;

	buf_get_u8(&b, &version);
	buf_get_u32be(&b, n);
	if (!buf_ok(&b) || version != VERSION || size != VM_KEY_WRAPPED_SIZE)
		return err_set(err, ERR_FORMAT, "this is not a wrapped key of "
		    "this authority's: the protector is damaged, or another "
		    "authority's");
	return 0;
}

int
vm_key_unwrap(const uint8_t kek[VM_KEY_KEK_SIZE],
    const uint8_t uuid[UUID_SIZE], const uint8_t *wrapped, size_t size,
    struct secret **key, struct err *err)
{
	uint8_t aad[UUID_SIZE + HEAD_SIZE], id[ID_SIZE];
	struct secret *out = NULL;
	struct xaes *x = NULL;
	uint32_t n = 0;
	int rc;

	if ((rc = vm_key_number(wrapped, size, &n, err)) < 0 ||
	    (rc = derive(kek, n, uuid, &x, id, err)) < 0)
		goto out;
	if (memcmp(id, wrapped + 5, sizeof(id)) != 0) {
		rc = err_set(err, ERR_KEY, "this wrapped key is not of this "
		    "VM's KEK %u: it belongs to another VM, or is altered", n);
		goto out;
	}
	if ((out = secret_new(VM_KEY_SIZE)) == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for a key");
		goto out;
	}
	associate(aad, uuid, wrapped);
	rc = xaes_open(x, wrapped + NONCE_AT, aad, sizeof(aad),
	    wrapped + SEALED_AT, VM_KEY_SIZE, secret_data(out),
	    wrapped + TAG_AT, err);
	if (rc == ERR_AUTH)
		rc = err_set(err, rc, "this wrapped key has been altered: put "
		    "a good copy of the vTPM's file back");
	if (rc == 0) {
		*key = out;
		out = NULL;
	}
out:
	secret_free(out);
	xaes_free(x);
	return rc;
}
