/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/attest-fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes
golden_file(const char *boot, const char *file)
{
	struct bytes b = { NULL, 0 };
	char path[512];
	long size;
	FILE *f;

	snprintf(path, sizeof(path), GOLDEN_DIR "/attest/%s/%s", boot, file);
	f = fopen(path, "rb");
	cr_assert(f != NULL, "%s", path);
	cr_assert_eq(fseek(f, 0, SEEK_END), 0);
	cr_assert((size = ftell(f)) >= 0);
	rewind(f);
	b.size = (size_t)size;
	b.data = calloc(1, b.size + 1);
	cr_assert(b.data != NULL);
	cr_assert_eq(fread(b.data, 1, b.size, f), b.size);
	fclose(f);
	return b;
}

void
bytes_free(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){ NULL, 0 };
}

static bool
pcr_find(const char *boot, const char *bank, uint32_t pcr, char hex[129])
{
	struct bytes b = golden_file(boot, "pcrs");
	char name[16], value[129], *line, *rest = (char *)b.data;
	bool found = false;
	unsigned int n;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (sscanf(line, "%15s %u %128s", name, &n, value) == 3 &&
		    strcmp(name, bank) == 0 && n == pcr) {
			memcpy(hex, value, sizeof(value));
			found = true;
		}
	bytes_free(&b);
	return found;
}

void
golden_pcr(const char *boot, const char *bank, uint32_t pcr,
    uint8_t out[HASH_MAX])
{
	char hex[129];

	cr_assert(pcr_find(boot, bank, pcr, hex), "%s %s %u", boot, bank, pcr);
	cr_assert_eq(hash_unhex(hex, out, hash_by_name(bank)->size), 0);
}

bool
golden_has_bank(const char *boot, const char *bank)
{
	char hex[129];

	return pcr_find(boot, bank, 0, hex);
}

static struct tpm_key *
key_read(const char *boot, const char *file)
{
	struct bytes b = golden_file(boot, file);
	struct err err = { 0 };
	struct tpm_key *key;

	cr_assert_eq(tpm_key_read_2b(b.data, b.size, &key, &err), 0, "%s",
	    err.text);
	bytes_free(&b);
	return key;
}

/* The value of PCR 10 that was quoted is older than what the kernel shows: the
 * log's first three entries, which the quote's own digest then confirms. */
static void
quoted_pcr10(const struct bytes *ima, const struct hash_alg *bank,
    const uint8_t *now, uint8_t *out)
{
	bool padded = strcmp(bank->name, "sha384") == 0;
	struct hasher *h = hasher_new(bank, NULL);
	struct hasher *t = hasher_new(padded ? hash_by_name("sha1") : bank,
	    NULL);
	struct ima_log *log;
	size_t count;

	cr_assert_eq(ima_log_read(ima->data, ima->size, &log, NULL), 0);
	cr_assert_eq(ima_log_replay(log, bank, padded ?
	    IMA_EXTEND_SHA1_PADDED : IMA_EXTEND_BANK, now, &count, NULL), 0);
	memset(out, 0, HASH_MAX);
	for (size_t i = 0; i + 1 < count; i++) {
		const struct ima_entry *e = ima_log_at(log, i);
		struct hash_part part = { e->data, e->size };
		uint8_t old[276] = { 0 }, digest[HASH_MAX] = { 0 };

		if (e->data == NULL) {
			memcpy(old, e->digest, 20);
			memcpy(old + 20, e->path, e->path_size);
			part = (struct hash_part){ old, sizeof(old) };
		}
		hasher_digest(t, &part, 1, digest, NULL);
		hasher_extend(h, out, digest, NULL);
	}
	ima_log_free(log);
	hasher_free(h);
	hasher_free(t);
}

struct golden
golden_read(const char *boot, const struct hash_alg *bank)
{
	struct golden g = {
		.eventlog = golden_file(boot, "eventlog"),
		.ima = golden_file(boot, "ima"),
		.attest = golden_file(boot, "quote.msg"),
		.signature = golden_file(boot, "quote.sig"),
		.ak = key_read(boot, "ak.pub"),
		.ek = key_read(boot, "ek.pub"),
	};
	uint8_t value[HASH_MAX], pcr10[HASH_MAX];

	g.values.size = 15 * bank->size;
	g.values.data = calloc(15, HASH_MAX);
	for (uint32_t i = 0; i < 15; i++) {
		golden_pcr(boot, bank->name, i, value);
		if (i == IMA_PCR) {
			quoted_pcr10(&g.ima, bank, value, pcr10);
			memcpy(value, pcr10, sizeof(value));
		}
		memcpy(g.values.data + i * bank->size, value, bank->size);
	}
	return g;
}

void
golden_free(struct golden *g)
{
	bytes_free(&g->eventlog);
	bytes_free(&g->ima);
	bytes_free(&g->attest);
	bytes_free(&g->signature);
	bytes_free(&g->values);
	tpm_key_free(g->ak);
	tpm_key_free(g->ek);
}

struct evidence
golden_evidence(const struct golden *g)
{
	return (struct evidence){
		.quote = { .attest = g->attest.data,
		    .attest_size = g->attest.size,
		    .signature = g->signature.data,
		    .signature_size = g->signature.size,
		    .pcr_values = g->values.data,
		    .pcr_values_size = g->values.size },
		.eventlog = g->eventlog.data,
		.eventlog_size = g->eventlog.size,
		.ima_log = g->ima.data, .ima_log_size = g->ima.size,
	};
}

/* The event log's writer: little-endian by hand. */
static void
put_le(struct buf *out, uint64_t v, size_t n)
{
	for (; n > 0; n--, v >>= 8)
		buf_put_u8(out, (uint8_t)v);
}

void
log_begin(struct log_maker *m)
{
	m->out = buf_writer(m->data, sizeof(m->data));
	put_le(&m->out, 0, 4);
	put_le(&m->out, EV_NO_ACTION, 4);
	buf_put_zero(&m->out, 20);
	put_le(&m->out, 33, 4);
	buf_put_bytes(&m->out, "Spec ID Event03", 16);
	put_le(&m->out, 0, 4);
	buf_put_bytes(&m->out, "\x00\x02\x00\x02", 4);
	put_le(&m->out, 1, 4);
	put_le(&m->out, TPM_ALG_SHA256, 2);
	put_le(&m->out, 32, 2);
	put_le(&m->out, 0, 1);
}

static void
put_event(struct log_maker *m, uint32_t pcr, uint32_t type,
    const uint8_t *digest, const void *data, size_t size)
{
	put_le(&m->out, pcr, 4);
	put_le(&m->out, type, 4);
	put_le(&m->out, 1, 4);
	put_le(&m->out, TPM_ALG_SHA256, 2);
	buf_put_bytes(&m->out, digest, 32);
	put_le(&m->out, size, 4);
	buf_put_bytes(&m->out, data, size);
	cr_assert(buf_ok(&m->out));
}

void
log_event(struct log_maker *m, uint32_t pcr, uint32_t type, const void *data,
    size_t size, const void *measured, size_t measured_size)
{
	const struct hash_part part = { measured != NULL ? measured : data,
		measured != NULL ? measured_size : size };
	uint8_t digest[HASH_MAX] = { 0 };

	if (type != EV_NO_ACTION)
		cr_assert_eq(hash_digest(hash_by_name("sha256"), &part, 1,
		    digest, NULL), 0);
	put_event(m, pcr, type, digest, data, size);
}

void
log_copy(struct log_maker *m, const struct eventlog *log, size_t i)
{
	const struct event *e = eventlog_at(log, i);

	put_event(m, e->pcr, e->type,
	    eventlog_digest(log, e, hash_by_name("sha256")), e->data, e->size);
}

void
log_separator(struct log_maker *m, uint32_t pcr)
{
	log_event(m, pcr, EV_SEPARATOR, "\0\0\0\0", 4, NULL, 0);
}

void
log_variable(struct log_maker *m, uint32_t type, bool security,
    const char *name, const void *value, size_t size)
{
	static const uint8_t guid[2][16] = {
		{ 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d,
		    0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c },
		{ 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc,
		    0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f } };
	uint8_t data[512];
	struct buf out = buf_writer(data, sizeof(data));

	buf_put_bytes(&out, guid[security], 16);
	put_le(&out, strlen(name), 8);
	put_le(&out, size, 8);
	for (const char *c = name; *c != '\0'; c++)
		put_le(&out, (uint8_t)*c, 2);
	buf_put_bytes(&out, value, size);
	log_event(m, 7, type, data, out.pos, NULL, 0);
}
