/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/host-tpm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/helper.h"

#define HELPER LIBEXECDIR "/vta-kmxa-tpm"
/* A slow TPM takes half a minute to derive an RSA EK. */
#define TIMEOUT_MS 90000
#define REQUEST_MAX 16384
#define ANSWER_MAX 16384

static int
run(const struct host_tpm *h, const char *command, const void *request,
    size_t request_size, uint8_t *answer, size_t room, size_t *size,
    struct err *err)
{
	const char *with_tcti[] = { "--tcti", h->tcti, command, NULL };
	const char *without[] = { command, NULL };
	const struct helper helper = {
		.program = h->helper != NULL ? h->helper : HELPER,
		.name = "vta-kmxa-tpm",
		.missing = "which talks to the host's TPM: install it",
		.arguments = h->tcti != NULL ? with_tcti : without,
		.timeout_ms = h->timeout_ms > 0 ? h->timeout_ms : TIMEOUT_MS };

	return helper_run(&helper, request, request_size, answer, room, size,
	    err);
}

/* As run with a request that was written to w, in bytes. */
static int
request_run(const struct host_tpm *h, const char *command,
    const struct buf *w, uint8_t *answer, size_t room, size_t *size,
    struct err *err)
{
	if (!buf_ok(w))
		return err_set(err, ERR_USAGE, "a request to the host's TPM "
		    "has more than %d bytes", REQUEST_MAX);
	return run(h, command, w->data, w->pos, answer, room, size, err);
}

static void
put_text(struct buf *w, const char *text, const char *otherwise)
{
	if (text == NULL)
		text = otherwise;
	buf_put_tpm2b(w, text, strlen(text));
}

/* A TPML_PCR_SELECTION in a field. */
static void
put_pcrs(struct buf *w, const struct pcr_set *pcrs)
{
	uint8_t bytes[4 + PCR_BANKS_MAX * (3 + PCR_COUNT / 8)];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	buf_put_u32be(&b, (uint32_t)pcrs->count);
	for (size_t i = 0; i < pcrs->count; i++) {
		buf_put_u16be(&b, pcrs->bank[i].alg->id);
		buf_put_u8(&b, PCR_COUNT / 8);
		for (unsigned int s = 0; s < PCR_COUNT; s += 8)
			buf_put_u8(&b, (uint8_t)(pcrs->bank[i].mask >> s));
	}
	buf_put_tpm2b(w, bytes, b.pos);
}

static void
put_label(struct buf *w, const struct dek_label *label)
{
	uint8_t bytes[8];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	buf_put_u64be(&b, label->epoch);
	buf_put_tpm2b(w, label->vm, UUID_SIZE);
	buf_put_tpm2b(w, bytes, b.pos);
}

static int
identity_read(struct host_identity *id, size_t size, struct err *err)
{
	struct buf in = buf_reader(id->piece, size);
	struct host_bytes name = { 0 };

	buf_get_tpm2b(&in, &name.data, &name.size);
	buf_get_tpm2b(&in, &id->ek.data, &id->ek.size);
	buf_get_tpm2b(&in, &id->certificate.data, &id->certificate.size);
	buf_get_tpm2b(&in, &id->ak_blob.data, &id->ak_blob.size);
	buf_get_tpm2b(&in, &id->ak.data, &id->ak.size);
	if (!buf_ok(&in) || buf_left(&in) > 0 ||
	    name.size >= sizeof(id->ek_name) ||
	    id->ak_blob.size > HOST_AK_BLOB_MAX)
		return err_set(err, ERR_INTERNAL, "vta-kmxa-tpm gave an "
		    "identity that is none");
	memcpy(id->ek_name, name.data, name.size);
	return 0;
}

int
host_tpm_identity(const struct host_tpm *h, struct host_bytes ak_blob,
    struct host_identity *out, struct err *err)
{
	uint8_t request[REQUEST_MAX];
	struct buf w = buf_writer(request, sizeof(request));
	size_t size;
	int rc;

	memset(out, 0, sizeof(*out));
	put_text(&w, h->ek, "auto");
	put_text(&w, h->ak, "auto");
	buf_put_tpm2b(&w, ak_blob.data, ak_blob.size);
	if ((out->piece = malloc(ANSWER_MAX)) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = request_run(h, "identity", &w, out->piece, ANSWER_MAX, &size,
	    err)) < 0 || (rc = identity_read(out, size, err)) < 0)
		host_identity_free(out);
	return rc;
}

void
host_identity_free(struct host_identity *id)
{
	free(id->piece);
	memset(id, 0, sizeof(*id));
}

int
host_tpm_activate(const struct host_tpm *h, struct host_bytes ak_blob,
    const struct credential *c, struct secret **out, struct err *err)
{
	uint8_t request[REQUEST_MAX];
	struct buf w = buf_writer(request, sizeof(request));
	struct secret *s = secret_new(HASH_MAX);
	size_t size;
	int rc;

	if (s == NULL)
		return err_sys(err, errno, "cannot lock memory for a "
		    "credential (raise the memlock limit)");
	buf_put_tpm2b(&w, ak_blob.data, ak_blob.size);
	buf_put_tpm2b(&w, c->blob, c->blob_size);
	buf_put_tpm2b(&w, c->secret, c->secret_size);
	if ((rc = request_run(h, "activate", &w, secret_data(s), HASH_MAX,
	    &size, err)) < 0) {
		secret_free(s);
		return rc;
	}
	secret_truncate(s, size);
	*out = s;
	return 0;
}

int
host_tpm_evidence(const struct host_tpm *h, struct host_bytes ak_blob,
    const uint8_t binding[QUOTE_BINDING_SIZE], const struct pcr_set *pcrs,
    uint8_t **message, size_t *size, struct err *err)
{
	uint8_t request[REQUEST_MAX], *less;
	struct buf w = buf_writer(request, sizeof(request));
	int rc;

	buf_put_tpm2b(&w, ak_blob.data, ak_blob.size);
	buf_put_tpm2b(&w, binding, QUOTE_BINDING_SIZE);
	put_pcrs(&w, pcrs);
	put_text(&w, h->eventlog, "");
	put_text(&w, h->ima_log, "");
	/* Pages that are never written cost nothing. */
	if ((*message = malloc(EVIDENCE_SIZE_MAX)) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	rc = request_run(h, "evidence", &w, *message, EVIDENCE_SIZE_MAX, size,
	    err);
	if (rc < 0) {
		free(*message);
		*message = NULL;
	} else if (*size > 0 && (less = realloc(*message, *size)) != NULL)
		*message = less;
	return rc;
}

int
host_tpm_seal(const struct host_tpm *h, struct host_bytes ak_blob,
    const struct dek_label *label, const struct pcr_set *pcrs,
    const struct secret *key, uint8_t blob[DEK_BLOB_MAX], size_t *size,
    struct err *err)
{
	struct secret *request = secret_new(REQUEST_MAX);
	struct buf w;
	int rc;

	if (request == NULL)
		return err_sys(err, errno, "cannot lock memory for a key "
		    "(raise the memlock limit)");
	w = buf_writer(secret_data(request), REQUEST_MAX);
	buf_put_tpm2b(&w, ak_blob.data, ak_blob.size);
	put_label(&w, label);
	put_pcrs(&w, pcrs);
	buf_put_tpm2b(&w, secret_bytes(key), secret_size(key));
	rc = request_run(h, "seal", &w, blob, DEK_BLOB_MAX, size, err);
	secret_free(request);
	return rc;
}

int
host_tpm_unseal(const struct host_tpm *h, struct host_bytes blob,
    const struct dek_label *label, struct secret **key, struct err *err)
{
	uint8_t request[REQUEST_MAX];
	struct buf w = buf_writer(request, sizeof(request));
	struct secret *s = secret_new(DEK_SIZE);
	size_t size;
	int rc;

	if (s == NULL)
		return err_sys(err, errno, "cannot lock memory for a key "
		    "(raise the memlock limit)");
	buf_put_tpm2b(&w, blob.data, blob.size);
	put_label(&w, label);
	rc = request_run(h, "unseal", &w, secret_data(s), DEK_SIZE, &size,
	    err);
	if (rc == 0 && size != DEK_SIZE)
		rc = err_set(err, ERR_INTERNAL, "vta-kmxa-tpm gave a key of "
		    "%zu bytes", size);
	if (rc < 0) {
		secret_free(s);
		return rc;
	}
	*key = s;
	return 0;
}
