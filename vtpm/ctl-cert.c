/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>

#include "nvram-crypt/crypto.h"
#include "vtpm/ek-ca.h"
#include "vtpm/tpm-certs.h"
#include "vtpm/vtpmctl.h"

struct certs {
	size_t n;
	struct tpm_cert list[TPM_CERTS_MAX];
};

/* From the file's state as it is; the file is not changed. */
static int
read_certs(struct ctl *ctl, struct certs *certs, struct err *err)
{
	const uint8_t *state;
	struct nvram *nv;
	size_t size;
	int rc;

	if ((rc = ctl_open_unlocked(ctl, false, &nv, err)) < 0)
		return rc;
	rc = nvram_get(nv, NVRAM_PERMANENT, &state, &size, err);
	if (rc == 0)
		rc = tpm_certs_read(state, size, certs->list, &certs->n, err);
	nvram_close(nv);
	return rc;
}

static json_t *
json_name(const X509_NAME *name)
{
	char *text = X509_NAME_oneline(name, NULL, 0);
	json_t *json = ctl_json_text(text != NULL ? text : "");

	OPENSSL_free(text);
	return json;
}

static void
add_x509(json_t *json, const struct ek_cert *cert)
{
	const unsigned char *p = cert->der;
	X509 *x = d2i_X509(NULL, &p, (long)cert->size);
	const ASN1_INTEGER *serial;

	if (x == NULL)
		return;
	serial = X509_get0_serialNumber(x);
	json_object_set_new(json, "serial", ctl_json_hex(
	    ASN1_STRING_get0_data(serial),
	    (size_t)ASN1_STRING_length(serial)));
	json_object_set_new(json, "issuer",
	    json_name(X509_get_issuer_name(x)));
	X509_free(x);
}

static json_t *
describe(const struct tpm_cert *c)
{
	char index[16];
	json_t *json;

	snprintf(index, sizeof(index), "0x%08x", c->index);
	json = json_pack("{s:s, s:s, s:s, s:I}", "nv_index", index,
	    "certificate", c->kind, "format",
	    c->attribute ? "attribute certificate" : "X.509",
	    "size", (json_int_t)c->cert.size);
	if (!c->attribute)
		add_x509(json, &c->cert);
	return json;
}

static void
print_list(const json_t *list)
{
	const json_t *certs = json_object_get(list, "certificates"), *c;

	for (size_t i = 0; i < json_array_size(certs); i++) {
		c = json_array_get(certs, i);
		printf("%s  %-8s  %s, %lld bytes%s%s\n",
		    ctl_text(c, "nv_index"), ctl_text(c, "certificate"),
		    ctl_text(c, "format"), (long long)ctl_number(c, "size"),
		    ctl_text(c, "issuer")[0] != '\0' ? ", issuer " : "",
		    ctl_text(c, "issuer"));
	}
}

static int
run_list(struct ctl *ctl, struct err *err)
{
	struct certs *certs = calloc(1, sizeof(*certs));
	json_t *list = json_array();
	int rc;

	if (certs == NULL || list == NULL) {
		rc = err_set(err, ERR_INTERNAL, "out of memory");
		goto out;
	}
	if ((rc = read_certs(ctl, certs, err)) < 0)
		goto out;
	for (size_t i = 0; i < certs->n; i++)
		json_array_append_new(list, describe(&certs->list[i]));
	rc = ctl_print(ctl, json_pack("{s:o, s:O}",
	    "file", ctl_json_text(ctl->operands[0]),
	    "certificates", list), print_list, err);
out:
	json_decref(list);
	free(certs);
	return rc;
}

static const char *nv_text, *which;
static bool der, chain;

static const struct ctl_option export_options[] = {
	{ "ek", "WHICH", "rsa (default), ecc, rsa2048, rsa3072, p384, p256 or "
	    "platform", &which, NULL },
	{ "nv", "INDEX", "the certificate in this NV index instead",
	    &nv_text, NULL },
	{ "der", NULL, "DER instead of PEM", NULL, &der },
	{ "chain", NULL, "and this host's CA certificates behind it", NULL,
	    &chain },
	{ 0 },
};

static bool
kind_matches(const char *kind, const char *wanted)
{
	if (strcmp(wanted, "rsa") == 0)
		return strncmp(kind, "rsa", 3) == 0;
	if (strcmp(wanted, "ecc") == 0)
		return strcmp(kind, "p384") == 0 || strcmp(kind, "p256") == 0;
	return strcmp(kind, wanted) == 0;
}

static int
check_options(uint32_t *index, struct err *err)
{
	static const char *const known[] = { "rsa", "ecc", "rsa2048", "rsa3072", "p384",
		"p256", "platform" };
	unsigned long n;
	char *end;

	if (der && chain)
		return err_set(err, ERR_USAGE, "--chain is several "
		    "certificates, DER holds one: leave --der out");
	*index = 0;
	if (nv_text != NULL && which != NULL)
		return err_set(err, ERR_USAGE, "--ek and --nv both say which "
		    "certificate: give one");
	if (nv_text != NULL) {
		n = strtoul(nv_text, &end, 0);
		if (end == nv_text || *end != '\0' || n > UINT32_MAX || n == 0)
			return err_set(err, ERR_USAGE, "'%s' is not an NV "
			    "index as in 0x01c00002", nv_text);
		*index = (uint32_t)n;
		return 0;
	}
	if (which == NULL)
		which = "rsa";
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i], which) == 0)
			return 0;
	return err_set(err, ERR_USAGE, "there is no EK '%s': choose from rsa, "
	    "ecc, rsa2048, rsa3072, p384, p256, platform", which);
}

static const struct tpm_cert *
choose(const struct certs *certs, uint32_t index)
{
	for (size_t i = 0; i < certs->n; i++)
		if (index != 0 ? certs->list[i].index == index :
		    kind_matches(certs->list[i].kind, which))
			return &certs->list[i];
	return NULL;
}

/* Only where it is this host's CA that issued it: a VM may have moved. */
static int
open_chain(const struct ctl *ctl, const struct tpm_cert *c,
    struct ek_ca **ca, struct err *err)
{
	struct native_config native = config_native(&ctl->config);
	const unsigned char *p = c->cert.der;
	X509 *x = NULL;
	int rc;

	if ((rc = ek_ca_open(ca, &native, false, err)) < 0)
		return rc;
	if (!c->attribute && ((x = d2i_X509(NULL, &p,
		(long)c->cert.size)) == NULL ||
	    X509_NAME_cmp(X509_get_issuer_name(x),
		X509_get_subject_name(ek_ca_issuing(*ca))) != 0))
		rc = err_set(err, ERR_NOTFOUND, "this certificate is not of "
		    "this host's CA: take the chain from the host that made "
		    "the TPM");
	X509_free(x);
	return rc;
}

static int
write_chain(const struct ek_ca *ca, struct err *err)
{
	if (PEM_write_X509(stdout, ek_ca_issuing(ca)) != 1 ||
	    PEM_write_X509(stdout, ek_ca_root(ca)) != 1)
		return crypto_error(err, "cannot write the CA certificates");
	return 0;
}

/* PEM labels by RFC 7468. */
static int
write_cert(const struct tpm_cert *c, struct err *err)
{
	bool written;

	if (der)
		written = fwrite(c->cert.der, 1, c->cert.size, stdout) ==
		    c->cert.size;
	else
		written = PEM_write(stdout, c->attribute ?
		    "ATTRIBUTE CERTIFICATE" : PEM_STRING_X509, "",
		    c->cert.der, (long)c->cert.size) > 0;
	return written ? 0 :
	    err_set(err, ERR_SYSTEM, "cannot write the certificate");
}

static int
run_export(struct ctl *ctl, struct err *err)
{
	const struct tpm_cert *c;
	struct certs *certs = NULL;
	struct ek_ca *ca = NULL;
	uint32_t index;
	int rc;

	if ((rc = check_options(&index, err)) < 0)
		return rc;
	if ((certs = calloc(1, sizeof(*certs))) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = read_certs(ctl, certs, err)) < 0)
		goto out;
	if ((c = choose(certs, index)) == NULL) {
		rc = err_set(err, ERR_NOTFOUND, "the TPM in %s has no such "
		    "certificate; vtpmctl cert list shows what there is",
		    ctl->operands[0]);
		goto out;
	}
	if (chain && (rc = open_chain(ctl, c, &ca, err)) < 0)
		goto out;
	if ((rc = write_cert(c, err)) == 0 && chain)
		rc = write_chain(ca, err);
	if (fflush(stdout) != 0 && rc == 0)
		rc = err_set(err, ERR_SYSTEM, "cannot write the certificate");
out:
	ek_ca_free(ca);
	free(certs);
	return rc;
}

const struct ctl_command ctl_cert_list = {
	.name = "cert list",
	.operands = "FILE",
	.n_operands = 1,
	.summary = "List the certificates in a TPM",
	.run = run_list,
};

const struct ctl_command ctl_cert_export = {
	.name = "cert export",
	.operands = "FILE",
	.n_operands = 1,
	.summary = "Write a TPM's EK or platform certificate to the output",
	.options = export_options,
	.run = run_export,
};
