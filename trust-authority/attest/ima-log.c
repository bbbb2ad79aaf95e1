/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/ima-log.h"

#include <stdlib.h>
#include <string.h>

#include "trust-authority/attest/ima-template.h"

#define SHA1_SIZE 20

struct ima_log {
	struct ima_entry *entries;
	size_t count, room;
};

static int
entry_add(struct ima_log *log, const struct ima_entry *entry, struct err *err)
{
	struct ima_entry *more;
	size_t room;

	if (log->count == log->room) {
		room = log->room == 0 ? 256 : 2 * log->room;
		more = realloc(log->entries, room * sizeof(*more));
		if (more == NULL)
			return err_set(err, ERR_INTERNAL, "out of memory");
		log->entries = more;
		log->room = room;
	}
	log->entries[log->count++] = *entry;
	return 0;
}

static int
entry_read(struct buf *in, struct ima_log *log, struct err *err)
{
	static const uint8_t zero[SHA1_SIZE];
	uint8_t digest[SHA1_SIZE], name[IMA_TEMPLATE_NAME_MAX];
	struct ima_entry entry = { 0 };
	uint32_t name_size = 0;
	int rc;

	buf_get_u32le(in, &entry.pcr);
	buf_get_bytes(in, digest, sizeof(digest));
	buf_get_u32le(in, &name_size);
	if (!buf_ok(in) || name_size > sizeof(name) ||
	    buf_get_bytes(in, name, name_size) < 0)
		return err_set(err, ERR_FORMAT, "entry %zu of the IMA log is "
		    "cut short, or names a template of %u bytes", log->count,
		    name_size);
	/* Nobody vouches for this digest, but the kernel marks a violation by
	 * zeros, and then extends by ones. */
	entry.violation = memcmp(digest, zero, sizeof(zero)) == 0;
	if ((rc = ima_template_read(in, name, name_size, &entry, err)) < 0) {
		err_prefix(err, "entry %zu of the IMA log", log->count);
		return rc;
	}
	return entry_add(log, &entry, err);
}

int
ima_log_read(const uint8_t *data, size_t size, struct ima_log **out,
    struct err *err)
{
	struct buf in = buf_reader(data, size);
	struct ima_log *log = calloc(1, sizeof(*log));
	int rc = 0;

	*out = NULL;
	if (log == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (size > IMA_LOG_SIZE_MAX)
		rc = err_set(err, ERR_FORMAT, "an IMA log of %zu bytes, more "
		    "than %u", size, IMA_LOG_SIZE_MAX);
	while (rc == 0 && buf_left(&in) > 0)
		rc = entry_read(&in, log, err);
	if (rc == 0) {
		*out = log;
		log = NULL;
	}
	ima_log_free(log);
	return rc;
}

void
ima_log_free(struct ima_log *log)
{
	if (log == NULL)
		return;
	free(log->entries);
	free(log);
}

size_t
ima_log_count(const struct ima_log *log)
{
	return log->count;
}

const struct ima_entry *
ima_log_at(const struct ima_log *log, size_t i)
{
	return &log->entries[i];
}

/* What the kernel extended the bank with for this entry. */
static int
entry_digest(const struct ima_entry *entry, struct hasher *template,
    const struct hash_alg *bank, uint8_t out[HASH_MAX], struct err *err)
{
	memset(out, 0, HASH_MAX);
	if (entry->violation) {
		memset(out, 0xff, bank->size);
		return 0;
	}
	return ima_template_digest(entry, template, out, err);
}

int
ima_log_replay(const struct ima_log *log, const struct hash_alg *bank,
    enum ima_extend how, const uint8_t *quoted, size_t *count,
    struct err *err)
{
	struct hasher *h = hasher_new(bank, err), *sha1 = NULL;
	uint8_t pcr[HASH_MAX] = { 0 }, digest[HASH_MAX];
	size_t i = 0;
	int rc = h == NULL ? ERR_CRYPTO : 0;

	if (rc == 0 && how == IMA_EXTEND_SHA1_PADDED &&
	    (sha1 = hasher_new(hash_by_id(TPM_ALG_SHA1), err)) == NULL)
		rc = ERR_CRYPTO;
	while (rc == 0 && memcmp(pcr, quoted, bank->size) != 0) {
		if (i == log->count)
			rc = err_set(err, ERR_REFUSED, "no beginning of the "
			    "IMA log, which has %zu entries, explains the "
			    "quoted PCR %u: entries are missing or were "
			    "changed", log->count, IMA_PCR);
		else if (log->entries[i].pcr != IMA_PCR)
			rc = err_set(err, ERR_REFUSED, "entry %zu of the IMA "
			    "log is for PCR %u, not %u", i,
			    log->entries[i].pcr, IMA_PCR);
		else if ((rc = entry_digest(&log->entries[i],
		    sha1 != NULL ? sha1 : h, bank, digest, err)) == 0)
			rc = hasher_extend(h, pcr, digest, err);
		i++;
	}
	*count = rc == 0 ? i : 0;
	hasher_free(sha1);
	hasher_free(h);
	return rc;
}

bool
ima_is_boot_aggregate(const struct ima_entry *entry)
{
	static const char name[] = "boot_aggregate";

	return !entry->violation && !entry->buffer &&
	    entry->path_size == sizeof(name) - 1 &&
	    memcmp(entry->path, name, sizeof(name) - 1) == 0;
}

int
ima_boot_aggregate(const struct pcr_set *pcrs, const struct hash_alg *alg,
    uint8_t out[HASH_MAX], struct err *err)
{
	const struct pcr_bank *bank = pcr_bank_find(pcrs, alg);
	uint32_t n = alg->id == TPM_ALG_SHA1 ? 8 : 10;
	struct hash_part parts[10];

	for (uint32_t i = 0; i < n; i++) {
		parts[i].data = pcr_bank_value(bank, i);
		parts[i].size = alg->size;
		if (parts[i].data == NULL)
			return err_set(err, ERR_NOTFOUND, "the boot aggregate "
			    "is over PCR %u of the bank %s, which was not "
			    "quoted", i, alg->name);
	}
	return hash_digest(alg, parts, n, out, err);
}
