/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/tpm/requests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nvram-crypt/hostkey/tpm-helper.h"
#include "trust-authority/agent/tpm/host-quote.h"
#include "trust-authority/agent/tpm/log-file.h"
#include "trust-authority/agent/tpm/object.h"
#include "trust-authority/agent/tpm/sealed-dek.h"

#define AK_BLOB_MAX 2048
#define TEXT_SIZE 4097	/* PATH_MAX and a NUL */

struct field {
	const uint8_t *data;
	size_t size;
};

static int
request_broken(struct err *err)
{
	return err_set(err, ERR_USAGE, "the request is not one of this "
	    "version of vta-kmxa");
}

/* Exactly this many fields and no more. */
static int
fields_read(struct buf *in, struct field *f, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		buf_get_tpm2b(in, &f[i].data, &f[i].size);
	return buf_ok(in) && buf_left(in) == 0 ? 0 : request_broken(err);
}

static int
field_text(const struct field *f, char *out, size_t room, struct err *err)
{
	if (f->size >= room || memchr(f->data, '\0', f->size) != NULL)
		return request_broken(err);
	memcpy(out, f->data, f->size);
	out[f->size] = '\0';
	return 0;
}

static int
field_ak(const struct field *f, struct ak_blob *ak, struct err *err)
{
	struct buf in = buf_reader(f->data, f->size);

	return ak_blob_read(&in, ak, err);
}

static int
field_pcrs(const struct field *f, struct pcr_set *pcrs, struct err *err)
{
	struct buf in = buf_reader(f->data, f->size);
	int rc = pcr_selection_read(&in, pcrs, err);

	return rc == 0 && buf_left(&in) > 0 ? request_broken(err) : rc;
}

static int
field_label(const struct field *vm, const struct field *epoch,
    struct dek_label *label, struct err *err)
{
	struct buf v = buf_reader(vm->data, vm->size);
	struct buf e = buf_reader(epoch->data, epoch->size);

	buf_get_bytes(&v, label->vm, UUID_SIZE);
	buf_get_u64be(&e, &label->epoch);
	return buf_ok(&v) && buf_ok(&e) && buf_left(&v) == 0 &&
	    buf_left(&e) == 0 ? 0 : request_broken(err);
}

static int
identity_answer(struct hosttpm *t, const struct host_ek *ek,
    const struct ak_blob *ak, struct err *err)
{
	uint8_t cert[EK_CERTIFICATE_MAX], blob[AK_BLOB_MAX];
	uint8_t bytes[REQUEST_MAX];
	struct buf b = buf_writer(blob, sizeof(blob));
	struct buf out = buf_writer(bytes, sizeof(bytes));
	size_t cert_size;
	int rc;

	if ((rc = host_ek_certificate(t, ek, cert, &cert_size, err)) < 0 ||
	    (rc = ak_blob_write(ak, &b, err)) < 0)
		return rc;
	buf_put_tpm2b(&out, ek->template->name, strlen(ek->template->name));
	if (object_public_write(&ek->public, &out) < 0 ||
	    buf_put_tpm2b(&out, cert, cert_size) < 0 ||
	    buf_put_tpm2b(&out, blob, b.pos) < 0 ||
	    object_public_write(&ak->public, &out) < 0)
		return err_set(err, ERR_INTERNAL, "the identity outgrew its "
		    "answer");
	return tpm_helper_write(bytes, out.pos, err);
}

static int
template_choose(struct hosttpm *t, const char *name,
    const struct ek_template **out, struct err *err)
{
	if (strcmp(name, "auto") == 0)
		return host_ek_choose(t, out, err);
	if ((*out = ek_template_find(name, strlen(name))) == NULL)
		return err_set(err, ERR_USAGE, "an endorsement key is p256, "
		    "p384, p256-high, rsa2048, rsa2048-high, rsa3072 or auto, "
		    "not %.16s", name);
	return 0;
}

int
request_identity(struct hosttpm *t, struct buf *in, struct err *err)
{
	const struct ek_template *template;
	char ek_kind[TEXT_SIZE], ak_kind[TEXT_SIZE];
	struct host_ek ek;
	struct ak_blob ak;
	struct field f[3];
	ESYS_TR handle;
	int rc;

	if ((rc = fields_read(in, f, 3, err)) < 0 ||
	    (rc = field_text(&f[0], ek_kind, sizeof(ek_kind), err)) < 0 ||
	    (rc = field_text(&f[1], ak_kind, sizeof(ak_kind), err)) < 0)
		return rc;
	if (f[2].size == 0) {
		if ((rc = template_choose(t, ek_kind, &template, err)) < 0 ||
		    (rc = host_ek_open(t, template, NULL, &ek, err)) < 0 ||
		    (rc = host_ak_make(t, &ek, ak_kind, &ak, err)) < 0)
			return rc;
		return identity_answer(t, &ek, &ak, err);
	}
	if ((rc = field_ak(&f[2], &ak, err)) < 0 ||
	    (rc = host_ak_load(t, &ak, &ek, &handle, err)) < 0)
		return rc;
	return identity_answer(t, &ek, &ak, err);
}

int
request_activate(struct hosttpm *t, struct buf *in, struct err *err)
{
	struct buf blob, encrypted;
	struct secret *secret = NULL;
	struct host_ek ek;
	struct ak_blob ak;
	struct field f[3];
	ESYS_TR handle;
	int rc;

	if ((rc = fields_read(in, f, 3, err)) < 0 ||
	    (rc = field_ak(&f[0], &ak, err)) < 0 ||
	    (rc = host_ak_load(t, &ak, &ek, &handle, err)) < 0)
		return rc;
	blob = buf_reader(f[1].data, f[1].size);
	encrypted = buf_reader(f[2].data, f[2].size);
	rc = host_ak_activate(t, &ek, handle, &blob, &encrypted, &secret, err);
	if (rc == 0)
		rc = tpm_helper_write(secret_bytes(secret), secret_size(secret),
		    err);
	secret_free(secret);
	return rc;
}

/* The IMA log is read after the quote: it only grows, so it then has all
 * that PCR 10 was quoted with. */
static int
logs_read(const char *eventlog, const char *ima, struct evidence *ev,
    struct err *err)
{
	uint8_t *data = NULL;
	int rc = 0;

	if (eventlog[0] != '\0') {
		rc = log_file_read(eventlog, EVENTLOG_SIZE_MAX, &data,
		    &ev->eventlog_size, err);
		ev->eventlog = data;
	}
	if (rc == 0 && ima[0] != '\0') {
		rc = log_file_read(ima, IMA_LOG_SIZE_MAX, &data,
		    &ev->ima_log_size, err);
		ev->ima_log = data;
	}
	return rc;
}

static int
evidence_send(const struct evidence *ev, struct err *err)
{
	size_t size = evidence_size(ev);
	uint8_t *bytes = malloc(size);
	struct buf out = buf_writer(bytes, size);
	int rc;

	if (bytes == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (evidence_write(ev, &out) < 0)
		rc = err_set(err, ERR_INTERNAL, "cannot write evidence");
	else
		rc = tpm_helper_write(bytes, out.pos, err);
	free(bytes);
	return rc;
}

int
request_evidence(struct hosttpm *t, struct buf *in, struct err *err)
{
	char eventlog[TEXT_SIZE], ima[TEXT_SIZE];
	struct host_quote q;
	struct evidence ev = { 0 };
	struct pcr_set pcrs;
	struct host_ek ek;
	struct ak_blob ak;
	struct field f[5];
	ESYS_TR handle;
	int rc;

	if ((rc = fields_read(in, f, 5, err)) < 0 ||
	    (rc = field_ak(&f[0], &ak, err)) < 0 ||
	    (rc = field_pcrs(&f[2], &pcrs, err)) < 0 ||
	    (rc = field_text(&f[3], eventlog, sizeof(eventlog), err)) < 0 ||
	    (rc = field_text(&f[4], ima, sizeof(ima), err)) < 0)
		return rc;
	if (f[1].size != QUOTE_BINDING_SIZE)
		return request_broken(err);
	if ((rc = host_ak_load(t, &ak, &ek, &handle, err)) < 0 ||
	    (rc = host_quote(t, handle, f[1].data, &pcrs, &q, err)) < 0)
		return rc;
	ev.quote = (struct quote_parts){ q.attest, q.signature, q.values,
		q.attest_size, q.signature_size, q.values_size };
	if ((rc = logs_read(eventlog, ima, &ev, err)) == 0)
		rc = evidence_send(&ev, err);
	free((void *)(uintptr_t)ev.eventlog);
	free((void *)(uintptr_t)ev.ima_log);
	return rc;
}

int
request_seal(struct hosttpm *t, struct buf *in, struct err *err)
{
	uint8_t bytes[DEK_BLOB_MAX];
	struct buf out = buf_writer(bytes, sizeof(bytes));
	struct secret *key = NULL;
	struct dek_label label;
	struct pcr_set pcrs;
	struct ak_blob ak;
	struct field f[5];
	int rc;

	if ((rc = fields_read(in, f, 5, err)) < 0 ||
	    (rc = field_ak(&f[0], &ak, err)) < 0 ||
	    (rc = field_label(&f[1], &f[2], &label, err)) < 0 ||
	    (rc = field_pcrs(&f[3], &pcrs, err)) < 0)
		return rc;
	if ((key = secret_from(f[4].data, f[4].size)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	rc = sealed_dek_make(t, &ak, &label, &pcrs, key, &out, err);
	if (rc == 0)
		rc = tpm_helper_write(bytes, out.pos, err);
	secret_free(key);
	return rc;
}

int
request_unseal(struct hosttpm *t, struct buf *in, struct err *err)
{
	struct secret *key = NULL;
	struct dek_label label;
	struct field f[3];
	struct buf blob;
	int rc;

	if ((rc = fields_read(in, f, 3, err)) < 0 ||
	    (rc = field_label(&f[1], &f[2], &label, err)) < 0)
		return rc;
	blob = buf_reader(f[0].data, f[0].size);
	rc = sealed_dek_open(t, &blob, &label, &key, err);
	if (rc == 0)
		rc = tpm_helper_write(secret_bytes(key), secret_size(key), err);
	secret_free(key);
	return rc;
}
