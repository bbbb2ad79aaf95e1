/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/tpm-memory.h"

#include <stdbool.h>
#include <string.h>

#include "vtpm/tpm.h"

/* As global as the TPM it belongs to. The permanent state has the seeds that
 * all of a TPM's keys come from. */
static struct secret *stored;

static int
memory_load(void *ctx, enum tpm_state which, const uint8_t **data,
    size_t *size)
{
	(void)ctx;
	if (which != TPM_STATE_PERMANENT || stored == NULL)
		return ERR_NOTFOUND;
	*data = secret_bytes(stored);
	*size = secret_size(stored);
	return 0;
}

static int
memory_store(void *ctx, enum tpm_state which, const uint8_t *data,
    size_t size)
{
	struct secret *s;

	(void)ctx;
	/* Volatile state is not for keeping: the TPM is shut down orderly. */
	if (which != TPM_STATE_PERMANENT)
		return 0;
	if (stored != NULL && secret_size(stored) == size) {
		memcpy(secret_data(stored), data, size);
		return 0;
	}
	if ((s = secret_from(data, size)) == NULL)
		return ERR_SYSTEM;
	secret_free(stored);
	stored = s;
	return 0;
}

static struct tpm_storage storage = { .load = memory_load,
	.store = memory_store };

static int
power_on(struct err *err)
{
	uint32_t rc = tpm_power_on();

	if (rc == 0)
		return 0;
	err_set(err, ERR_TPM, "the TPM does not start: libtpms gives 0x%x",
	    rc);
	if (err != NULL)
		err->sys = rc;
	return ERR_TPM;
}

int
tpm_memory_power_on(const uint8_t *state, size_t size, struct err *err)
{
	uint32_t rc;

	storage.may_manufacture = state == NULL;
	if (state != NULL && memory_store(NULL, TPM_STATE_PERMANENT, state,
		size) < 0)
		return err_set(err, ERR_SYSTEM, "cannot lock %zu bytes of "
		    "memory for a TPM's state (raise the memlock limit)",
		    size);
	if ((rc = tpm_setup(&storage)) != 0)
		return err_set(err, ERR_TPM,
		    "libtpms cannot be set up: 0x%x", rc);
	return power_on(err);
}

int
tpm_memory_power_cycle(struct err *err)
{
	tpm_power_off();
	storage.may_manufacture = false;
	return power_on(err);
}

const struct secret *
tpm_memory_state(void)
{
	return stored;
}

void
tpm_memory_free(void)
{
	tpm_power_off();
	secret_free(stored);
	stored = NULL;
}
