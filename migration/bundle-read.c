/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "migration/bundle-format.h"
#include "nvram-crypt/slot.h"

struct bundle {
	int fd;
	char *name;
	struct bundle_manifest manifest;
	uint8_t *header;	/* its bytes */
	size_t header_size;
	bool unlocked;
	struct bundle_keys keys;
};

static int
read_at(const struct bundle *b, void *out, size_t size, uint64_t offset,
    struct err *err)
{
	uint8_t *bytes = out;

	while (size > 0) {
		ssize_t n = pread(b->fd, bytes, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "cannot read %s", b->name);
		if (n == 0)
			return err_set(err, ERR_FORMAT, "%s is cut short",
			    b->name);
		bytes += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

static int
read_header(struct bundle *b, struct err *err)
{
	struct bundle_manifest *m = &b->manifest;
	uint8_t preamble[BUNDLE_PREAMBLE_SIZE];
	int rc;

	if ((rc = read_at(b, preamble, sizeof(preamble), 0, err)) < 0)
		return rc;
	if ((rc = bundle_preamble_decode(preamble, m, err)) < 0) {
		err_prefix(err, "%s", b->name);
		return rc;
	}
	b->header_size = bundle_header_size(m->n_recipients, m->n_vms);
	b->header = malloc(b->header_size);
	m->vms = calloc(m->n_vms, sizeof(*m->vms));
	if (b->header == NULL || m->vms == NULL)
		return err_sys(err, ENOMEM, "cannot read %s", b->name);
	memcpy(b->header, preamble, sizeof(preamble));
	if ((rc = read_at(b, b->header + sizeof(preamble),
	    b->header_size - sizeof(preamble), sizeof(preamble), err)) < 0)
		return rc;
	if ((rc = bundle_header_decode(b->header, b->header_size, m, err)) < 0)
		err_prefix(err, "%s", b->name);
	return rc;
}

int
bundle_open_fd(struct bundle **out, int fd, const char *name, struct err *err)
{
	struct bundle *b = calloc(1, sizeof(*b));
	int rc;

	*out = NULL;
	if (b == NULL) {
		close(fd);
		return err_sys(err, ENOMEM, "cannot read %s", name);
	}
	b->fd = fd;
	if ((b->name = strdup(name)) == NULL)
		rc = err_sys(err, ENOMEM, "cannot read %s", name);
	else
		rc = read_header(b, err);
	if (rc < 0)
		bundle_close(b);
	else
		*out = b;
	return rc;
}

int
bundle_open(struct bundle **out, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	*out = NULL;
	if (fd < 0)
		return errno == ENOENT ? err_set(err, ERR_NOTFOUND,
		    "there is no %s", path) :
		    err_sys(err, errno, "cannot open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, ERR_FORMAT, "%s is not a file", path);
	}
	return bundle_open_fd(out, fd, path, err);
}

void
bundle_close(struct bundle *b)
{
	if (b == NULL)
		return;
	close(b->fd);
	bundle_keys_free(&b->keys);
	free(b->manifest.vms);
	free(b->header);
	free(b->name);
	free(b);
}

const struct bundle_manifest *
bundle_manifest(const struct bundle *b)
{
	return &b->manifest;
}

bool
bundle_unlocked(const struct bundle *b)
{
	return b->unlocked;
}

static int
no_key(const struct bundle *b, struct err *err)
{
	const struct bundle_manifest *m = &b->manifest;
	int rc = err_set(err, ERR_KEY, "%s cannot be opened with what was "
	    "given. It is for:", b->name);

	for (size_t i = 0; i < m->n_recipients; i++)
		err_append(err, "%s %s", i == 0 ? "" : ",",
		    m->recipients[i].label);
	return rc;
}

static int
find_key(const struct bundle *b, const struct bundle_creds *creds,
    struct secret **key, struct err *err)
{
	const struct bundle_manifest *m = &b->manifest;
	int worst = ERR_KEY;

	for (size_t i = 0; i < m->n_recipients; i++) {
		struct err why = { 0 };
		int rc = recipient_unwrap(creds, m->id, &m->recipients[i],
		    key, &why);

		if (rc == 0)
			return 0;
		if (rc != ERR_KEY) {
			worst = rc;
			if (err != NULL)
				*err = why;
		}
	}
	return worst == ERR_KEY ? no_key(b, err) : worst;
}

/* XAES-256-GCM does not commit to its key: that is in the trailer. */
static int
authenticate(struct bundle *b, struct err *err)
{
	size_t covered = b->header_size - XAES_TAG_SIZE;
	const uint8_t *trailer = b->header + b->header_size -
	    BUNDLE_TRAILER_SIZE;
	struct err why = { 0 };
	int rc;

	if (memcmp(trailer, b->keys.commitment, BUNDLE_COMMITMENT_SIZE) != 0)
		rc = ERR_AUTH;
	else
		rc = xaes_open(b->keys.manifest,
		    trailer + BUNDLE_COMMITMENT_SIZE, b->header, covered, NULL,
		    0, NULL, b->header + covered, &why);
	if (rc == ERR_AUTH)
		return err_set(err, ERR_AUTH, "%s is damaged, or somebody "
		    "changed it", b->name);
	return rc < 0 ? err_set(err, rc, "%s: %s", b->name, why.text) : 0;
}

static uint64_t
offset_of(const struct bundle *b, size_t i)
{
	uint64_t at = b->header_size;

	for (size_t k = 0; k < i; k++)
		at += b->manifest.vms[k].size;
	return at;
}

/* So that a bundle which was cut short on its way is known before the first of
 * its VMs is taken. */
static int
check_length(const struct bundle *b, struct err *err)
{
	off_t end = lseek(b->fd, 0, SEEK_END);

	if (end < 0)
		return err_sys(err, errno, "cannot read %s", b->name);
	if ((uint64_t)end == offset_of(b, b->manifest.n_vms))
		return 0;
	return err_set(err, ERR_FORMAT, "%s is %s", b->name,
	    (uint64_t)end < offset_of(b, b->manifest.n_vms) ? "cut short" :
	    "longer than what it holds");
}

int
bundle_unlock(struct bundle *b, const struct bundle_creds *creds,
    struct err *err)
{
	struct secret *key = NULL;
	int rc;

	if ((rc = find_key(b, creds, &key, err)) < 0)
		return rc;
	if ((rc = bundle_keys_make(&b->keys, key, b->manifest.id, err)) == 0 &&
	    (rc = authenticate(b, err)) == 0)
		rc = check_length(b, err);
	secret_free(key);
	if (rc < 0)
		bundle_keys_free(&b->keys);
	b->unlocked = rc == 0;
	return rc;
}

int
bundle_get(struct bundle *b, size_t i, struct secret **payload,
    struct err *err)
{
	const struct bundle_vm *vm = &b->manifest.vms[i];
	uint8_t binding[BUNDLE_BINDING_SIZE], *bytes;
	char uuid[UUID_TEXT_SIZE];
	int rc;

	*payload = NULL;
	uuid_format(vm->uuid, uuid);
	if (!b->unlocked)
		return err_set(err, ERR_REFUSED, "%s is not unlocked",
		    b->name);
	if (vm->size == 0)
		return err_set(err, ERR_FORMAT, "%s holds no state of VM %s",
		    b->name, uuid);
	if ((*payload = secret_new(vm->size)) == NULL)
		return err_sys(err, errno, "cannot lock %u bytes of memory",
		    vm->size);
	bytes = secret_data(*payload);
	bundle_binding(&b->manifest, i, binding);
	if ((rc = read_at(b, bytes, vm->size, offset_of(b, i), err)) < 0)
		goto out;
	if ((rc = xaes_open(b->keys.state, vm->nonce, binding,
	    sizeof(binding), bytes, vm->size, bytes, vm->tag, err)) < 0) {
		if (rc == ERR_AUTH)
			err_set(err, rc, "%s: the state of VM %s is damaged, "
			    "or somebody changed it", b->name, uuid);
		goto out;
	}
	if (slot_payload_check(bytes, vm->size) < 0)
		rc = err_set(err, ERR_FORMAT, "%s: the state of VM %s was not "
		    "made by vtpmctl", b->name, uuid);
out:
	if (rc < 0) {
		secret_free(*payload);
		*payload = NULL;
	}
	return rc;
}
