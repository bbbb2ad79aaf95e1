/* SPDX-License-Identifier: BSD-3-Clause */
/* A new worker brings its TPM to where another one's was. */
#include "vtpm/worker-orders.h"

#include <libtpms/tpm_error.h>

/* All but the random generator is as it was after this. */
static uint32_t
restore_exactly(struct worker *w)
{
	const struct journal *j = &w->channel.memory.shared->journal;
	const struct journal_capture *c = journal_current(j);
	uint32_t rc, min, max;

	tpm_power_off();
	tpm_buffer_size(c->progress.buffer_size, &min, &max);
	/* A TPM that is off answers TPM_RC_FAILURE: that is failure mode. */
	if (!c->progress.powered)
		return TPM_SUCCESS;
	w->resuming = true;
	rc = tpm_power_on();
	w->resuming = false;
	if (rc == TPM_SUCCESS) {
		tpm_progress_set(&c->progress);
		rc = journal_replay(j);
	}
	return rc;
}

uint32_t
worker_restore(struct worker *w)
{
	uint32_t rc = restore_exactly(w);

	if (rc == TPM_SUCCESS)
		rc = tpm_stir();
	if (rc != TPM_SUCCESS)
		tpm_power_off();
	return rc;
}

/*
 * Gets the TPM where it was when the guest was told: with the random generator
 * that the first worker had, so that a command which draws from it (a session's
 * nonce) gives the same again. Nothing is given twice: it either is what the
 * guest has, or goes no further than here. A generator that
 * has been drawn from since the capture would give another command's bytes, and
 * then gets fresh entropy first.
 */
static uint32_t
repeat(struct worker *w)
{
	struct journal *j = &w->channel.memory.shared->journal;
	uint32_t rc = restore_exactly(w);

	w->store_failed = false;
	if (rc == TPM_SUCCESS && journal_has_drawn(j))
		rc = tpm_stir();
	if (rc == TPM_SUCCESS)
		rc = journal_repeat(j);
	if (rc == TPM_SUCCESS)
		rc = w->store_failed ? TPM_RC_FAILURE : tpm_stir();
	if (rc == TPM_SUCCESS && journal_capture(j, atomic_load(&j->run)) < 0)
		rc = TPM_FAIL;
	if (rc == TPM_SUCCESS) {
		journal_settle(j);
		return rc;
	}
	journal_resume(j, RESUME_FAILED);
	tpm_power_off();
	return rc;
}

uint32_t
worker_resume(struct worker *w, enum resume how)
{
	journal_resume(&w->channel.memory.shared->journal, how);
	w->resume = how == RESUME_REPEAT ? RESUME_QUIETLY : how;
	return how == RESUME_REPEAT ? repeat(w) : worker_restore(w);
}
