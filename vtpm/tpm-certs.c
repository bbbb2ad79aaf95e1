/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/tpm-certs.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "vtpm/manufacture.h"
#include "vtpm/tpm-command.h"
#include "vtpm/tpm-memory.h"

/* TCG EK Credential Profile v2.5, 2.2.1: certificates, nonces and templates,
 * then policies; platform certificates behind them. */
#define FIRST_INDEX 0x01c00002u
#define LAST_INDEX 0x01c0ffffu

static const char *
kind_of(uint32_t index)
{
	const struct tpm_template *t;

	if (index == PLATFORM_CERT_INDEX)
		return "platform";
	for (size_t i = 0; (t = tpm_template_ek_at(i)) != NULL; i++)
		if (t->cert_index == index)
			return t->name;
	return "other";
}

/* The guest's owner may define indices in this range too: what is not a
 * certificate is not listed. */
static bool
looks_like_x509(const struct ek_cert *cert)
{
	const unsigned char *p = cert->der;
	X509 *x = d2i_X509(NULL, &p, (long)cert->size);
	bool is = x != NULL;

	X509_free(x);
	ERR_clear_error();
	return is;
}

static bool
read_index(uint32_t index, uint32_t chunk, struct tpm_cert *c)
{
	uint32_t attributes;
	struct err why;

	c->index = index;
	c->kind = kind_of(index);
	if (tpm2_nv_read_public(index, &attributes, &c->cert.size, &why) < 0 ||
	    c->cert.size == 0 || c->cert.size > sizeof(c->cert.der) ||
	    !(attributes & TPMA_NV_AUTHREAD) ||
	    tpm2_nv_read(index, c->cert.der, c->cert.size, chunk, &why) < 0)
		return false;
	c->attribute = !looks_like_x509(&c->cert);
	return !c->attribute || index == PLATFORM_CERT_INDEX;
}

static int
read_all(struct tpm_cert certs[TPM_CERTS_MAX], size_t *n, struct err *err)
{
	uint32_t handles[TPM_HANDLES_MAX], chunk;
	size_t n_handles;
	int rc;

	if ((rc = tpm2_startup_clear(err)) < 0 ||
	    (rc = tpm2_get_property(TPM_PT_NV_BUFFER_MAX, &chunk, err)) < 0 ||
	    (rc = tpm2_get_handles(FIRST_INDEX, handles, &n_handles,
		err)) < 0)
		return rc;
	for (size_t i = 0; i < n_handles && *n < TPM_CERTS_MAX; i++)
		if (handles[i] <= LAST_INDEX &&
		    read_index(handles[i], chunk, &certs[*n]))
			(*n)++;
	return 0;
}

int
tpm_certs_read(const uint8_t *state, size_t size,
    struct tpm_cert certs[TPM_CERTS_MAX], size_t *n, struct err *err)
{
	int rc;

	*n = 0;
	rc = tpm_memory_power_on(state, size, err);
	if (rc == 0)
		rc = read_all(certs, n, err);
	tpm_memory_free();
	return rc;
}
