/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/ima-template.h"

#include <string.h>

#define SHA1_SIZE 20
/* IMA_EVENT_NAME_LEN_MAX + 1: what "ima" pads a path to (ima.h). */
#define OLD_PATH_SIZE 256

/* Fields, in order: d digest (d-ng), D digest with type (d-ngv2), n path
 * (n-ng), anything else a field that is passed over. */
static const struct {
	const char *name, *fields;
} templates[] = {
	{ "ima-ng", "dn" },
	{ "ima-ngv2", "Dn" },
	{ "ima-sig", "dns" },
	{ "ima-sigv2", "Dns" },
	{ "ima-buf", "dnb" },
	{ "ima-modsig", "dnsmm" },
};

/* "ima": a SHA-1 digest and a path, without a size of both. */
static int
old_read(struct buf *in, struct ima_entry *entry, struct err *err)
{
	uint32_t size = 0;

	entry->template_name = "ima";
	entry->alg = hash_by_id(TPM_ALG_SHA1);
	buf_get_ref(in, &entry->digest, SHA1_SIZE);
	buf_get_u32le(in, &size);
	if (!buf_ok(in) || size >= OLD_PATH_SIZE ||
	    buf_get_ref(in, &entry->path, size) < 0)
		return err_set(err, ERR_FORMAT,
		    "is cut short, or has a path of %u bytes", size);
	entry->path_size = size;
	return 0;
}

/* "sha256:" or "ima:sha256:" (typed), a zero and the digest. */
static int
digest_read(const uint8_t *data, size_t size, bool typed,
    struct ima_entry *entry, struct err *err)
{
	const uint8_t *end = memchr(data, 0, size);
	const char *name = (const char *)data, *colon;
	char alg[16];
	size_t n;

	if (end == NULL || end == data || end[-1] != ':')
		return err_set(err, ERR_FORMAT,
		    "has a digest without an algorithm");
	if (typed) {
		colon = strchr(name, ':');
		if ((const uint8_t *)colon + 1 == end)
			return err_set(err, ERR_FORMAT,
			    "has a digest without a type");
		name = colon + 1;
	}
	n = (size_t)(end - 1 - (const uint8_t *)name);
	if (n < sizeof(alg)) {
		memcpy(alg, name, n);
		alg[n] = '\0';
		entry->alg = hash_by_name(alg);
	}
	entry->digest = end + 1;
	size -= (size_t)(entry->digest - data);
	if (entry->alg == NULL || size != entry->alg->size)
		return err_set(err, ERR_FORMAT, "has a digest of %zu bytes by "
		    "an algorithm that is not supported, or not so long",
		    size);
	return 0;
}

static int
fields_read(struct buf *in, const char *fields, struct ima_entry *entry,
    struct err *err)
{
	const uint8_t *field;
	uint32_t size;
	int rc;

	for (; *fields != '\0'; fields++) {
		if (buf_get_u32le(in, &size) < 0 ||
		    buf_get_ref(in, &field, size) < 0)
			return err_set(err, ERR_FORMAT,
			    "has fields longer than itself");
		if (*fields == 'n') {
			if (size == 0 || field[size - 1] != 0)
				return err_set(err, ERR_FORMAT,
				    "has a path without an end");
			entry->path = field;
			entry->path_size = size - 1;
		} else if ((*fields == 'd' || *fields == 'D') &&
		    (rc = digest_read(field, size, *fields == 'D', entry,
		    err)) < 0) {
			return rc;
		}
	}
	return buf_left(in) == 0 ? 0 : err_set(err, ERR_FORMAT,
	    "has %zu bytes more than its template's fields", buf_left(in));
}

int
ima_template_read(struct buf *in, const uint8_t *name, size_t name_size,
    struct ima_entry *entry, struct err *err)
{
	uint32_t size = 0;
	struct buf fields;

	if (name_size == 3 && memcmp(name, "ima", 3) == 0)
		return old_read(in, entry, err);
	if (buf_get_u32le(in, &size) < 0 ||
	    buf_get_ref(in, &entry->data, size) < 0)
		return err_set(err, ERR_FORMAT, "is cut short");
	entry->size = size;
	fields = buf_reader(entry->data, size);
	for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++) {
		const char *own = templates[i].name;

		if (strlen(own) != name_size ||
		    memcmp(own, name, name_size) != 0)
			continue;
		entry->template_name = own;
		entry->buffer = strcmp(own, "ima-buf") == 0;
		return fields_read(&fields, templates[i].fields, entry, err);
	}
	return err_set(err, ERR_UNSUPPORTED,
	    "is of a template that is not supported; use ima-ng or ima-sig");
}

int
ima_template_digest(const struct ima_entry *entry, struct hasher *h,
    uint8_t out[HASH_MAX], struct err *err)
{
	static const uint8_t zero[OLD_PATH_SIZE];
	const struct hash_part whole = { entry->data, entry->size };
	const struct hash_part old[] = {
		{ entry->digest, SHA1_SIZE },
		{ entry->path, entry->path_size },
		{ zero, OLD_PATH_SIZE - entry->path_size },
	};

	if (entry->data == NULL)
		return hasher_digest(h, old, 3, out, err);
	return hasher_digest(h, &whole, 1, out, err);
}
