/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "vtpm/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <libtpms/tpm_error.h>

#include "nvram-crypt/crypto.h"
#include "vtpm/handover.h"
#include "vtpm/sandbox.h"
#include "vtpm/worker.h"

#define DOCUMENT_TIMEOUT_MS 10000

static int
load(void *ctx, enum tpm_state which, const uint8_t **data, size_t *size)
{
	const struct handover_document *d = ctx;
	const struct handover_bytes *s = which == TPM_STATE_PERMANENT ?
	    &d->permanent : &d->volatile_state;

	if (which == TPM_STATE_SAVESTATE || s->size == 0)
		return ERR_NOTFOUND;
	*data = s->data;
	*size = s->size;
	return 0;
}

/* This copy is thrown away. */
static int
store(void *ctx, enum tpm_state which, const uint8_t *data, size_t size)
{
	(void)ctx;
	(void)which;
	(void)data;
	(void)size;
	return 0;
}

static int
confine(int sock, struct err *err)
{
	int rc;

	if ((rc = sandbox_process(err)) < 0 ||
	    (rc = sandbox_descriptors(&sock, 1, err)) < 0 ||
	    (rc = sandbox_paths(err)) < 0)
		return rc;
	return sandbox_syscalls_worker(err);
}

/* Power on with the state, and capture it again, as the new worker will. */
static int
try_state(const struct handover_document *d, struct err *err)
{
	uint8_t *again = NULL;
	size_t size = 0;
	uint32_t min, max, rc;

	if (!d->progress.powered)
		return 0;
	(void)tpm_buffer_size(d->progress.buffer_size, &min, &max);
	rc = tpm_power_on();
	if (rc == TPM_SUCCESS) {
		tpm_progress_set(&d->progress);
		rc = tpm_stir();
	}
	if (rc == TPM_SUCCESS)
		rc = tpm_state_get(TPM_STATE_VOLATILE, &again, &size);
	free(again);
	if (rc == TPM_SUCCESS)
		return 0;
	return err_set(err, ERR_TPM, "libtpms %u.%u.%u does not take it: 0x%x",
	    tpm_library_version() >> 16 & 0xff,
	    tpm_library_version() >> 8 & 0xff, tpm_library_version() & 0xff,
	    (unsigned int)rc);
}

/* The document is read only once libtpms is set up and the process confined:
 * what is in it came, in the end, from the guest. */
static int
try_document(int sock, struct err *err)
{
	static struct handover_document d;
	static struct tpm_storage storage = { .ctx = &d, .load = load,
		.store = store };
	struct handover_message m;
	size_t size;
	void *map;
	int rc;

	if ((rc = crypto_prepare_fork(err)) < 0)
		return rc;
	worker_adopt_crypto();
	if (tpm_setup(&storage) != TPM_SUCCESS)
		return err_set(err, ERR_TPM, "libtpms does not start");
	if ((rc = confine(sock, err)) < 0 ||
	    (rc = handover_recv(sock, &m, DOCUMENT_TIMEOUT_MS, err)) < 0)
		return rc;
	if (m.type != HANDOVER_DOCUMENT || m.fd < 0)
		return err_set(err, ERR_FORMAT, "there is no document");
	if (m.arg != HANDOVER_VERSION)
		return err_set(err, ERR_UNSUPPORTED, "it takes over version "
		    "%u only, not %u", HANDOVER_VERSION, m.arg);
	if ((rc = handover_document_read(&d, m.fd, &map, &size, err)) < 0)
		return rc;
	return try_state(&d, err);
}

int
trial_run(int sock)
{
	struct err err = { 0 };
	int rc;

	prctl(PR_SET_NAME, "vtpmd-trial");
	rc = try_document(sock, &err);
	(void)handover_send(sock, rc < 0 ? HANDOVER_FAILED : HANDOVER_READY, 0,
	    err.text, rc < 0 ? strnlen(err.text, HANDOVER_PAYLOAD) : 0, -1,
	    NULL);
	/* Without what libraries do at an end: it is outside the filter. */
	_exit(rc < 0);
}
