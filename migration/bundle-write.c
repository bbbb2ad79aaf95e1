/* SPDX-License-Identifier: BSD-3-Clause */
/* The states one after the other, then the header in front of them, which
 * names them all; the file's name last. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "migration/bundle-format.h"
#include "migration/new-file.h"
#include "nvram-crypt/slot.h"

struct bundle_writer {
	struct new_file *file;
	struct bundle_manifest manifest;
	struct bundle_keys keys;
	size_t added;
	uint64_t offset;	/* of the next state */
};

static int
wrap_key(struct bundle_writer *w, struct recipient *const *recipients,
    struct err *err)
{
	struct bundle_manifest *m = &w->manifest;
	struct secret *key = secret_new(BUNDLE_KEY_SIZE);
	int rc;

	if (key == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	if ((rc = crypto_random(m->id, sizeof(m->id), err)) < 0 ||
	    (rc = crypto_random(secret_data(key), BUNDLE_KEY_SIZE, err)) < 0 ||
	    (rc = bundle_keys_make(&w->keys, key, m->id, err)) < 0)
		goto out;
	for (size_t i = 0; i < m->n_recipients; i++)
		if ((rc = recipient_wrap(recipients[i], m->id, key,
		    &m->recipients[i], err)) < 0)
			goto out;
out:
	secret_free(key);
	return rc;
}

int
bundle_create(struct bundle_writer **out, const char *path,
    struct recipient *const *recipients, size_t n_recipients, size_t n_vms,
    uint32_t library_version, struct err *err)
{
	struct bundle_writer *w;
	int rc;

	*out = NULL;
	if (n_recipients < 1 || n_recipients > BUNDLE_RECIPIENTS_MAX ||
	    n_vms < 1 || n_vms > BUNDLE_VMS_MAX)
		return err_set(err, ERR_USAGE, "a bundle is for 1 to %u "
		    "recipients and holds 1 to %u VMs", BUNDLE_RECIPIENTS_MAX,
		    BUNDLE_VMS_MAX);
	if ((w = calloc(1, sizeof(*w))) == NULL || (w->manifest.vms =
	    calloc(n_vms, sizeof(*w->manifest.vms))) == NULL) {
		rc = err_sys(err, ENOMEM, "cannot create %s", path);
		goto out;
	}
	w->manifest.n_recipients = n_recipients;
	w->manifest.n_vms = n_vms;
	w->manifest.library_version = library_version;
	w->manifest.exported = (uint64_t)time(NULL);
	(void)gethostname(w->manifest.host, sizeof(w->manifest.host) - 1);
	w->offset = bundle_header_size(n_recipients, n_vms);
	if ((rc = new_file_open(&w->file, path, err)) < 0 ||
	    (rc = wrap_key(w, recipients, err)) < 0)
		goto out;
	*out = w;
	w = NULL;
out:
	bundle_writer_free(w);
	return rc;
}

/* Seals payload in place. */
static int
seal_state(struct bundle_writer *w, struct bundle_vm *vm,
    struct secret *payload, struct err *err)
{
	uint8_t binding[BUNDLE_BINDING_SIZE];
	uint8_t *bytes = secret_data(payload);
	int rc;

	bundle_binding(&w->manifest, w->added, binding);
	if ((rc = crypto_random(vm->nonce, sizeof(vm->nonce), err)) < 0)
		return rc;
	return xaes_seal(w->keys.state, vm->nonce, binding, sizeof(binding),
	    bytes, vm->size, bytes, vm->tag, err);
}

int
bundle_add(struct bundle_writer *w, const struct bundle_vm *vm,
    const struct nvram_record *records, size_t n_records, struct err *err)
{
	struct bundle_vm *entry;
	struct secret *payload;
	size_t size;
	int rc;

	if (w->added == w->manifest.n_vms)
		return err_set(err, ERR_INTERNAL, "a VM more than the bundle "
		    "has room for");
	if (slot_payload_size(records, n_records, &size) < 0)
		return err_set(err, ERR_NOSPACE, "the state is too large");
	if ((payload = secret_new(size)) == NULL)
		return err_sys(err, errno, "cannot lock %zu bytes of memory",
		    size);
	entry = &w->manifest.vms[w->added];
	*entry = *vm;
	entry->size = (uint32_t)size;
	if (slot_payload_put(records, n_records, secret_data(payload),
	    size) < 0 || slot_payload_check(secret_bytes(payload), size) < 0)
		rc = err_set(err, ERR_USAGE, "a state with two records of one "
		    "kind");
	else if ((rc = seal_state(w, entry, payload, err)) == 0)
		rc = new_file_write(w->file, secret_bytes(payload), size,
		    w->offset, err);
	secret_free(payload);
	if (rc < 0)
		return rc;
	w->offset += size;
	w->added++;
	return 0;
}

int
bundle_finish(struct bundle_writer *w, struct err *err)
{
	struct bundle_manifest *m = &w->manifest;
	size_t size = bundle_header_size(m->n_recipients, m->n_vms);
	uint8_t nonce[XAES_NONCE_SIZE], tag[XAES_TAG_SIZE];
	uint8_t *bytes = NULL;
	struct buf b;
	int rc;

	if (w->added != m->n_vms)
		return err_set(err, ERR_INTERNAL, "the bundle is not full");
	if ((bytes = malloc(size)) == NULL)
		return err_sys(err, ENOMEM, "cannot write the bundle");
	b = buf_writer(bytes, size);
	if ((rc = crypto_random(nonce, sizeof(nonce), err)) < 0)
		goto out;
	bundle_header_encode(m, &b);
	buf_put_bytes(&b, w->keys.commitment, sizeof(w->keys.commitment));
	buf_put_bytes(&b, nonce, sizeof(nonce));
	if ((rc = xaes_seal(w->keys.manifest, nonce, bytes, b.pos, NULL, 0,
	    NULL, tag, err)) < 0)
		goto out;
	buf_put_bytes(&b, tag, sizeof(tag));
	if (!buf_ok(&b) || buf_left(&b) != 0)
		rc = err_set(err, ERR_INTERNAL, "the header's size is wrong");
	else if ((rc = new_file_write(w->file, bytes, size, 0, err)) == 0)
		rc = new_file_finish(w->file, err);
out:
	free(bytes);
	return rc;
}

void
bundle_writer_free(struct bundle_writer *w)
{
	if (w == NULL)
		return;
	new_file_free(w->file);
	bundle_keys_free(&w->keys);
	free(w->manifest.vms);
	free(w);
}
