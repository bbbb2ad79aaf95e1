/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/manufacture.h"

#include <stdbool.h>

#include "vtpm/ek-cert.h"
#include "vtpm/platform-cert.h"
#include "vtpm/tpm-command.h"
#include "vtpm/tpm-memory.h"

/* Certificates: made by the platform, readable by everyone, and neither
 * writable nor removable by the guest once locked (TCG EK Credential Profile
 * v2.5, 2.2.1; as swtpm_setup --lock-nvram). Reading does not run into the
 * dictionary-attack lockout. */
#define CERT_ATTRIBUTES \
	(TPMA_NV_PLATFORMCREATE | TPMA_NV_AUTHREAD | TPMA_NV_OWNERREAD | \
	    TPMA_NV_PPREAD | TPMA_NV_PPWRITE | TPMA_NV_NO_DA | \
	    TPMA_NV_WRITEDEFINE)

struct maker {
	const struct manufacture_plan *plan;
	struct ek_ca *ca;
	struct ek_cert_tpm tpm;
	uint32_t nv_chunk, nv_max;
	struct ek_cert certs[MANUFACTURE_EKS_MAX];	/* of plan->eks */
};

static int
read_properties(struct maker *m, struct err *err)
{
	const struct {
		uint32_t property;
		uint32_t *value;
	} wanted[] = {
		{ TPM_PT_FAMILY_INDICATOR, &m->tpm.family },
		{ TPM_PT_LEVEL, &m->tpm.level },
		{ TPM_PT_REVISION, &m->tpm.revision },
		{ TPM_PT_MANUFACTURER, &m->tpm.manufacturer },
		{ TPM_PT_FIRMWARE_VERSION_1, &m->tpm.firmware },
		{ TPM_PT_NV_BUFFER_MAX, &m->nv_chunk },
		{ TPM_PT_NV_INDEX_MAX, &m->nv_max },
	};
	int rc;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		rc = tpm2_get_property(wanted[i].property, wanted[i].value,
		    err);
		if (rc < 0)
			return rc;
	}
	if (m->nv_chunk == 0)
		return err_set(err, ERR_TPM, "the TPM takes no NV data");
	return 0;
}

/* A primary key by its template, made persistent. *key points into *primary. */
static int
make_key(uint32_t hierarchy, const struct tpm_template *t,
    struct tpm_primary *primary, struct tpm_public *key, struct err *err)
{
	uint8_t template[TPM_PUBLIC_MAX];
	size_t size = sizeof(template);
	int rc;

	if ((rc = tpm_template_write(t, template, &size, err)) < 0 ||
	    (rc = tpm2_create_primary(hierarchy, template, size, primary,
		err)) < 0 ||
	    (rc = tpm2_evict_control(primary->handle, t->handle, err)) < 0 ||
	    (rc = tpm2_flush_context(primary->handle, err)) < 0)
		return rc;
	return tpm_public_read(primary->public_area, primary->public_size, key,
	    err);
}

static int
store_cert(const struct maker *m, uint32_t index, const struct ek_cert *cert,
    struct err *err)
{
	int rc;

	if (cert->size > m->nv_max)
		return err_set(err, ERR_TPM, "a certificate of %zu bytes is "
		    "more than an NV index of this TPM holds (%u)",
		    cert->size, m->nv_max);
	if ((rc = tpm2_nv_define_space(index, CERT_ATTRIBUTES, cert->size,
		err)) < 0 ||
	    (rc = tpm2_nv_write(index, cert->der, cert->size, m->nv_chunk,
		err)) < 0)
		return rc;
	return tpm2_nv_write_lock(index, err);
}

static int
certify(struct maker *m, const struct tpm_public *key, struct ek_cert *cert,
    struct err *err)
{
	const struct manufacture_plan *plan = m->plan;

	if (plan->certify != NULL)
		return plan->certify(plan->certify_arg, &m->tpm, key, cert,
		    err);
	return ek_cert_make(m->ca, &m->tpm, key, cert, err);
}

static int
make_ek(struct maker *m, size_t i, struct err *err)
{
	const struct tpm_template *t = m->plan->eks[i];
	struct ek_cert *cert = &m->certs[i];
	struct tpm_primary primary;
	struct tpm_public key;
	int rc;

	if ((rc = make_key(TPM_RH_ENDORSEMENT, t, &primary, &key, err)) < 0 ||
	    (rc = certify(m, &key, cert, err)) < 0 ||
	    (rc = store_cert(m, t->cert_index, cert, err)) < 0)
		return err_prefix(err, "making the EK %s", t->name);
	return rc;
}

static int
make_platform_cert(struct maker *m, struct err *err)
{
	struct ek_cert cert;
	int rc;

	rc = platform_cert_make(m->ca, &m->certs[0], m->plan->uuid, &cert,
	    err);
	if (rc < 0)
		return rc;
	return store_cert(m, PLATFORM_CERT_INDEX, &cert, err);
}

static bool
bank_wanted(const struct manufacture_plan *plan, uint16_t hash)
{
	for (size_t i = 0; i < plan->n_banks; i++)
		if (plan->banks[i] == hash)
			return true;
	return false;
}

/* Every bank that the TPM has is named, so that none is left as it was. */
static int
allocate_banks(const struct manufacture_plan *plan, struct err *err)
{
	struct tpm_bank banks[TPM_BANKS_MAX];
	size_t n, found = 0;
	int rc;

	if ((rc = tpm2_get_banks(banks, &n, err)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		banks[i].active = bank_wanted(plan, banks[i].hash);
		found += banks[i].active;
	}
	if (found != plan->n_banks)
		return err_set(err, ERR_UNSUPPORTED,
		    "this libtpms does not have all of the PCR banks wanted");
	return tpm2_pcr_allocate(banks, n, err);
}

/* After the restart that makes TPM2_PCR_Allocate work. */
static int
check_banks(const struct manufacture_plan *plan, struct err *err)
{
	struct tpm_bank banks[TPM_BANKS_MAX];
	size_t n;
	int rc;

	if ((rc = tpm2_get_banks(banks, &n, err)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		if (banks[i].active != bank_wanted(plan, banks[i].hash))
			return err_set(err, ERR_TPM, "the PCR bank 0x%04x is "
			    "not as it was allocated", banks[i].hash);
	return 0;
}

static int
make_all(struct maker *m, struct err *err)
{
	struct tpm_primary primary;
	struct tpm_public key;
	int rc;

	if ((rc = tpm2_startup_clear(err)) < 0 ||
	    (rc = read_properties(m, err)) < 0 ||
	    (rc = allocate_banks(m->plan, err)) < 0)
		return rc;
	for (size_t i = 0; i < m->plan->n_eks; i++)
		if ((rc = make_ek(m, i, err)) < 0)
			return rc;
	/* Nobody but the host's CA makes one, and it does not vouch for a VM
	 * of the authority, which any host of its group may have. */
	if (m->ca != NULL && m->plan->n_eks > 0 &&
	    (rc = make_platform_cert(m, err)) < 0)
		return rc;
	if (m->plan->srk != NULL && (rc = make_key(TPM_RH_OWNER,
	    m->plan->srk, &primary, &key, err)) < 0)
		return err_prefix(err, "making the SRK");
	if ((rc = tpm2_shutdown_clear(err)) < 0 ||
	    (rc = tpm_memory_power_cycle(err)) < 0 ||
	    (rc = tpm2_startup_clear(err)) < 0 ||
	    (rc = check_banks(m->plan, err)) < 0)
		return rc;
	return tpm2_shutdown_clear(err);
}

int
manufacture(const struct manufacture_plan *plan, struct ek_ca *ca,
    struct secret **state, struct err *err)
{
	struct maker m = { .plan = plan, .ca = ca };
	const struct secret *made;
	int rc;

	if (plan->n_banks == 0 ||
	    (plan->n_eks > 0 && ca == NULL && plan->certify == NULL))
		return err_set(err, ERR_INTERNAL, "nothing to manufacture");
	if ((rc = tpm_memory_power_on(NULL, 0, err)) < 0)
		goto out;
	if ((rc = make_all(&m, err)) < 0)
		goto out;
	made = tpm_memory_state();
	*state = secret_from(secret_bytes(made), secret_size(made));
	if (*state == NULL)
		rc = err_set(err, ERR_SYSTEM, "cannot lock %zu bytes of "
		    "memory for the TPM's state (raise the memlock limit)",
		    secret_size(made));
out:
	tpm_memory_free();
	return rc;
}
