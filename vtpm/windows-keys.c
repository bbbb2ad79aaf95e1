/* SPDX-License-Identifier: BSD-3-Clause */
/* Endorsement keys with their certificates, and the storage root key. */
#include <stdio.h>
#include <string.h>

#include "nvram-crypt/crypto.h"
#include "vtpm/ek-cert.h"
#include "vtpm/tpm-command.h"
#include "vtpm/tpm-public.h"
#include "vtpm/windows-cert.h"
#include "vtpm/windows-internal.h"

#define SRK_HANDLE 0x81000001u

#define NEW_EK "make the vTPM with one: vtpmctl create --ek rsa2048,p256,p384"

/* An EK as Windows looks for it. */
struct ek {
	const char *name;		/* of the check, and of its template */
	const char *check, *key_check;
	enum windows_verdict without;
};

/* The RSA one is what TPM-WMI event 1040 calls EkCertIsAvailable. The others
 * are asked of hardware (since July 2017 and July 2020), and Windows goes on
 * without. */
static const struct ek eks[] = {
	{ "rsa2048", "ek-certificate", "ek-key", WINDOWS_SHORT },
	{ "p256", "ek-certificate-p256", "ek-key-p256", WINDOWS_ADVICE },
	{ "p384", "ek-certificate-p384", "ek-key-p384", WINDOWS_ADVICE },
};

static bool
read_index(uint32_t index, uint8_t *data, size_t room, size_t *size,
    uint32_t *attributes)
{
	struct err why = { 0 };
	uint32_t chunk;

	return tpm2_get_property(TPM_PT_NV_BUFFER_MAX, &chunk, &why) == 0 &&
	    tpm2_nv_read_public(index, attributes, size, &why) == 0 &&
	    *size > 0 && *size <= room &&
	    tpm2_nv_read(index, data, *size, chunk, &why) == 0;
}

/* The EK as Windows makes it: from the template in the NV index behind the
 * certificate's where there is one, or the profile's. Where endorsement
 * authorisation is set, the persistent one stands for it. */
static int
read_ek(const struct tpm_template *t, uint32_t permanent,
    struct tpm_primary *ek, struct err *err)
{
	uint8_t template[TPM_PUBLIC_MAX];
	uint32_t attributes;
	size_t size;
	int rc;

	if (permanent & ENDORSEMENT_AUTH_SET)
		return tpm2_read_public(t->handle, ek->public_area,
		    &ek->public_size, err);
	if (!read_index(t->cert_index + 2, template, sizeof(template), &size,
	    &attributes)) {
		size = sizeof(template);
		if ((rc = tpm_template_write(t, template, &size, err)) < 0)
			return rc;
	}
	rc = tpm2_create_primary(TPM_RH_ENDORSEMENT, template, size, ek, err);
	return rc < 0 ? rc : tpm2_flush_context(ek->handle, err);
}

static void
check_key(struct windows_report *r, const struct ek *e,
    const struct tpm_template *t, uint32_t permanent,
    const struct ek_cert *cert)
{
	struct tpm_public key;
	struct err why = { 0 };
	struct tpm_primary ek;
	int rc;

	if ((rc = read_ek(t, permanent, &ek, &why)) == 0 &&
	    (rc = tpm_public_read(ek.public_area, ek.public_size, &key,
		&why)) == 0)
		rc = ek_cert_check(crypto_context(), &key, cert->der,
		    cert->size, &why);
	windows_add(r, rc == 0 ? WINDOWS_OK : WINDOWS_SHORT, e->key_check,
	    SOURCE_EKCERT, "the certificate at 0x01c00002, 0x01c0000a or "
	    "0x01c00016 is not of the key that this TPM makes, so it can "
	    "prove nothing: " NEW_EK, rc == 0 ? "the %s endorsement key that "
	    "TPM2_CreatePrimary gives is the certificate's" : "the %s "
	    "endorsement key: %s", e->name, why.text);
}

/* "Capable of being written such that clearing the TPM does not delete it". */
static bool
survives_clear(uint32_t attributes)
{
	return (attributes & TPMA_NV_PLATFORMCREATE) != 0;
}

static int
check_ek(struct windows_report *r, const struct ek *e, uint32_t permanent,
    struct err *err)
{
	const struct tpm_template *t = tpm_template_ek(e->name);
	struct windows_cert facts;
	uint32_t attributes, maker;
	struct ek_cert cert;
	int rc;

	if (!read_index(t->cert_index, cert.der, sizeof(cert.der),
	    &cert.size, &attributes)) {
		windows_add(r, e->without, e->check, SOURCE_EKCERT, NEW_EK,
		    "no certificate for the %s endorsement key at NV index "
		    "0x%08x", e->name, t->cert_index);
		return 0;
	}
	if ((rc = tpm2_get_property(TPM_PT_MANUFACTURER, &maker, err)) < 0)
		return rc;
	windows_cert_read(&facts, &cert, t->type == TPM_ALG_RSA, maker);
	if (!survives_clear(attributes))
		windows_cert_fault(&facts, "TPM2_Clear would remove it");
	windows_add(r, facts.faults[0] == '\0' ? WINDOWS_OK : WINDOWS_SHORT,
	    e->check, SOURCE_EKCERT, "this is no EK certificate by the TCG's "
	    "EK Credential Profile: " NEW_EK,
	    facts.faults[0] == '\0' ? "NV index 0x%08x, %zu bytes, %s" :
	    "NV index 0x%08x, %zu bytes: %s", t->cert_index, cert.size,
	    facts.faults[0] == '\0' ? facts.text : facts.faults);
	check_key(r, e, t, permanent, &cert);
	if (t->type == TPM_ALG_RSA)
		windows_add(r, facts.has_issuer_url ? WINDOWS_OK :
		    WINDOWS_ADVICE, "ek-issuer", SOURCE_EKCERT, "hardware "
		    "names an address for its issuer; here put the host's or "
		    "the authority's CA (vtpmctl cert export --chain) into "
		    "the stores EKROOT and EKCA of who attests",
		    "the certificate %s where its issuer's can be had",
		    facts.has_issuer_url ? "says" : "does not say");
	return 0;
}

/* Windows 10 copies a nonce into the template, and gets another EK. */
static void
check_nonce(struct windows_report *r)
{
	static const uint32_t nonces[] = { 0x01c00003, 0x01c0000b };
	char found[32] = "";
	uint32_t attributes;
	struct err why;
	size_t size;

	for (size_t i = 0; i < 2; i++)
		if (tpm2_nv_read_public(nonces[i], &attributes, &size,
		    &why) == 0)
			snprintf(found + strlen(found), sizeof(found) -
			    strlen(found), " 0x%08x", nonces[i]);
	windows_add(r, found[0] == '\0' ? WINDOWS_OK : WINDOWS_SHORT,
	    "ek-nonce", SOURCE_EKCERT, "undefine it: Windows would make "
	    "another EK than the certificate's with it",
	    "%s%s", found[0] == '\0' ? "no EK nonce is stored" :
	    "an EK nonce is stored at", found);
}

static void
srk_missing(struct windows_report *r, uint32_t permanent)
{
	bool can = !(permanent & OWNER_AUTH_SET);

	windows_add(r, can ? WINDOWS_ADVICE : WINDOWS_SHORT, "srk",
	    SOURCE_PROVISIONING, can ? "Windows makes one when it provisions "
	    "the TPM; vtpmctl create --srk rsa2048 has it there before" :
	    "Windows cannot make one, owner authorisation is set: clear the "
	    "TPM, or persist an RSA 2048 storage key there",
	    "no key at 0x%08x", SRK_HANDLE);
}

/* The public area is the template, but for what the key itself is. */
static int
check_srk(struct windows_report *r, uint32_t permanent, struct err *err)
{
	const struct tpm_template *t = tpm_template_srk("rsa2048");
	uint8_t template[TPM_PUBLIC_MAX], area[TPM_PUBLIC_MAX];
	size_t size = sizeof(template), area_size;
	struct tpm_public key;
	struct err why = { 0 };
	bool same;
	int rc;

	if (tpm2_read_public(SRK_HANDLE, area, &area_size, &why) < 0) {
		srk_missing(r, permanent);
		return 0;
	}
	if ((rc = tpm_template_write(t, template, &size, err)) < 0)
		return rc;
	same = area_size == size && memcmp(area, template,
	    size - t->unique_size) == 0 &&
	    tpm_public_read(area, area_size, &key, &why) == 0;
	windows_add(r, same ? WINDOWS_OK : WINDOWS_SHORT, "srk",
	    SOURCE_PROVISIONING, "Windows uses what lies there, and expects "
	    "RSA 2048: evict it (tpm2_evictcontrol -c 0x81000001) and let "
	    "Windows make its own, or vtpmctl create --srk rsa2048",
	    "the key at 0x%08x %s", SRK_HANDLE, same ? "is by the RSA 2048 "
	    "template" : "is not by the RSA 2048 template");
	return 0;
}

int
windows_keys(struct windows_report *r, uint32_t permanent, struct err *err)
{
	int rc;

	for (size_t i = 0; i < sizeof(eks) / sizeof(eks[0]); i++)
		if ((rc = check_ek(r, &eks[i], permanent, err)) < 0)
			return rc;
	check_nonce(r);
	return check_srk(r, permanent, err);
}
