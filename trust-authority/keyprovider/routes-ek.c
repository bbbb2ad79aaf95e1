/* SPDX-License-Identifier: BSD-3-Clause */
/* EK certificates, their CA and its revocation list; whether this is alive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/common/base64url.h"
#include "trust-authority/keyprovider/host-route.h"

#define EKS_MAX 4
#define SPKI_MAX 1024

/* Of libtpms 0.9 (TPM_PT_MANUFACTURER "IBM ", firmware, family "2.0", level 0,
 * revision 1.64), for who does not say what its TPM says of itself. */
#define LIBTPMS { .manufacturer = 0x49424d00, .firmware = 0x20191023, \
	.family = 0x322e3000, .level = 0, .revision = 164 }

struct body {
	json_t *eks, *tpm;
};

static const struct field fields[] = {
	{ "eks", FIELD_JSON, FIELD_AT(struct body, eks), FIELD_NEEDED },
	{ "tpm", FIELD_JSON, FIELD_AT(struct body, tpm), 0 },
};

struct tpm {
	int64_t manufacturer, firmware, family, level, revision;
};

#define NUMBER(name) { #name, FIELD_NUMBER, FIELD_AT(struct tpm, name), \
	FIELD_NEEDED }
static const struct field tpm_fields[] = { NUMBER(manufacturer),
	NUMBER(firmware), NUMBER(family), NUMBER(level), NUMBER(revision) };

static int
read_tpm(const json_t *json, struct ek_cert_tpm *out, struct err *err)
{
	struct tpm tpm = { 0 };
	int rc;

	if (json == NULL)
		return 0;
	if ((rc = fields_read(json, tpm_fields, FIELDS_COUNT(tpm_fields),
	    &tpm, ERR_USAGE, "\"tpm\"", err)) < 0)
		return rc;
	if ((tpm.manufacturer | tpm.firmware | tpm.family | tpm.level |
	    tpm.revision) > UINT32_MAX)
		return err_set(err, ERR_USAGE, "\"tpm\": properties of a TPM "
		    "have 32 bits");
	*out = (struct ek_cert_tpm){ (uint32_t)tpm.manufacturer,
		(uint32_t)tpm.firmware, (uint32_t)tpm.family,
		(uint32_t)tpm.level, (uint32_t)tpm.revision };
	return 0;
}

/* Of one request. */
struct issue {
	struct ek_cert certs[EKS_MAX];
	char serials[EKS_MAX][EK_SERIAL_SIZE];
	size_t count;
};

static int
issue_one(struct kmxd *k, struct asked *a, const json_t *ek,
    const struct ek_cert_tpm *tpm, struct issue *i, struct err *err)
{
	const char *text = json_string_value(ek);
	uint8_t spki[SPKI_MAX];
	size_t size = sizeof(spki);
	int rc;

	if (text == NULL || base64url_decode(text, strlen(text), spki,
	    &size) < 0)
		return err_set(err, ERR_USAGE, "an EK is the DER of a "
		    "SubjectPublicKeyInfo in base64url");
	if ((rc = ek_issuer_make(k->ek_issuer, spki, size, tpm,
	    &i->certs[i->count], i->serials[i->count], err)) < 0 ||
	    (rc = vm_add_serial(&a->vm, i->serials[i->count], err)) < 0)
		return rc;
	i->count++;
	return 0;
}

/* Nobody gets a certificate that a shredding would not revoke. */
static int
issue_commit(struct kmxd *k, struct asked *a, const struct issue *issue,
    const char *from, struct err *err)
{
	char who[VM_BY_SIZE], object[UUID_TEXT_SIZE + 8], *texts[EKS_MAX + 1];
	struct audit_entry entry = { who, "ek.certify", object, from, "ok",
		NULL };
	struct store_op ops[EKS_MAX + 1];
	size_t n = 0;
	int rc = 0;

	snprintf(who, sizeof(who), "host %.64s", a->bearer.claims.host);
	snprintf(object, sizeof(object), "vm/%s", a->text);
	texts[n] = vm_text(&a->vm);
	if (texts[n] != NULL)
		ops[n] = record_put(VM_KIND, a->text, texts[n],
		    a->vm.version);
	for (n = 1; n <= issue->count; n++) {
		json_t *json = json_pack("{ss sI sI}", "vm", a->text,
		    "issued", (json_int_t)time(NULL), "revoked",
		    (json_int_t)0);

		texts[n] = json != NULL ? record_text(json) : NULL;
		json_decref(json);
		if (texts[n] != NULL)
			ops[n] = record_put(EK_CERT_KIND,
			    issue->serials[n - 1], texts[n], 0);
	}
	for (size_t i = 0; i < n; i++)
		if (texts[i] == NULL)
			rc = err_set(err, ERR_SYSTEM, "no memory");
	if (rc == 0)
		rc = audit_commit(k->service.store, &entry, ops, n, NULL, err);
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	return rc == ERR_STALE ? err_set(err, ERR_BUSY, "the VM %s is being "
	    "changed just now; try again", a->text) : rc;
}

static int
issue(struct kmxd *k, struct asked *a, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct issue *i = calloc(1, sizeof(*i));
	struct ek_cert_tpm tpm = LIBTPMS;
	struct body body = { NULL, NULL };
	json_t *list = json_array();
	const json_t *ek;
	size_t at;
	int rc;

	if (i == NULL) {
		rc = err_set(err, ERR_SYSTEM, "no memory");
		goto out;
	}
	if ((rc = fields_read(request->json, fields, FIELDS_COUNT(fields),
	    &body, ERR_USAGE, "the body", err)) < 0 ||
	    (rc = read_tpm(body.tpm, &tpm, err)) < 0)
		goto out;
	if (json_array_size(body.eks) < 1 ||
	    json_array_size(body.eks) > EKS_MAX) {
		rc = err_set(err, ERR_USAGE, "\"eks\" is a list of 1 to %d",
		    EKS_MAX);
		goto out;
	}
	json_array_foreach(body.eks, at, ek)
		if ((rc = issue_one(k, a, ek, &tpm, i, err)) < 0)
			goto out;
	if ((rc = issue_commit(k, a, i, request->peer.address, err)) < 0)
		goto out;
	for (at = 0; at < i->count; at++)
		json_array_append_new(list, bytes_json(i->certs[at].der,
		    i->certs[at].size));
	answer->json = json_pack("{sO so ss}", "certificates", list, "chain",
	    ek_issuer_chain(k->ek_issuer), "crl_url",
	    ek_issuer_crl_url(k->ek_issuer));
out:
	json_decref(list);
	free(i);
	return rc;
}

static int
no_issuer(struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "this authority has no CA for EK "
	    "certificates: section [ek_ca] of vta-kmxd.conf");
}

static int
post_eks(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;
	struct asked a;
	int rc = asked_read(k, request, request->params[0], &a, answer, err);

	if (rc == 0)
		rc = k->ek_issuer == NULL ? no_issuer(err) :
		    issue(k, &a, request, answer, err);
	asked_reset(&a);
	return host_answer(request, answer, rc, err);
}

static int
get_ca(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;

	(void)request;
	if (k->ek_issuer == NULL)
		return no_issuer(err);
	if ((answer->text = strdup(ek_issuer_pem(k->ek_issuer))) == NULL)
		return err_set(err, ERR_SYSTEM, "no memory");
	answer->text_size = strlen(answer->text);
	answer->type = "application/pem-certificate-chain";	/* RFC 8555 */
	return 0;
}

static int
get_crl(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;
	uint8_t *der = NULL;
	int rc;

	(void)request;
	if (k->ek_issuer == NULL)
		return no_issuer(err);
	rc = ek_issuer_crl(k->ek_issuer, &der, &answer->text_size, err);
	answer->text = (char *)der;
	answer->type = "application/pkix-crl";		/* RFC 2585, 4.2 */
	return rc;
}

static int
get_health(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;
	uint64_t revision;
	int rc;

	(void)request;
	if ((rc = store_revision(k->service.store, &revision, err)) == 0)
		answer->json = json_pack("{ss}", "status", "ok");
	return rc < 0 ? err_as(err, ERR_BUSY) : 0;
}

const struct http_route routes_ek[] = {
	{ HTTP_POST, "/v1/vms/{}/ek-certificates", HTTP_ANYBODY, 16384, 0,
	    post_eks },
	{ HTTP_GET, "/v1/ek-ca.pem", HTTP_ANYBODY, 0, 0, get_ca },
	{ HTTP_GET, "/v1/ek-ca.crl", HTTP_ANYBODY, 0, 0, get_crl },
	{ HTTP_GET, "/v1/health", HTTP_ANYBODY, 0, 0, get_health },
	{ .path = NULL },
};
