/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's half of the journal: what it writes there. */
#include "vtpm/journal.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

#define TPM_CC_PCR_EXTEND 0x182
#define TPM_RS_PW 0x40000009

void
journal_capture_order(struct journal *j)
{
	uint64_t answered = atomic_load(&j->answered);
	uint64_t captured = atomic_load(&j->captured);

	/* It is ahead of answered while a successor has yet to answer. */
	(void)journal_capture(j, captured > answered ? captured : answered);
}

int
journal_capture_prepare(struct journal *j)
{
	struct journal_capture *c = &j->captures[(atomic_load(&j->current) & 1) ^ 1];
	uint8_t *state = NULL;
	size_t size = 0;
	int rc = 0;

	if (tpm_powered() && tpm_state_get(TPM_STATE_VOLATILE, &state,
	    &size) != TPM_RC_SUCCESS)
		rc = ERR_TPM;
	else if (size > sizeof(c->state))
		rc = ERR_FORMAT;
	if (rc == 0) {
		if (size > 0)
			memcpy(c->state, state, size);
		c->size = (uint32_t)size;
		atomic_store(&c->log.count, 0);
	}
	if (state != NULL)
		cleanse(state, size);
	free(state);
	return rc;
}

void
journal_capture_publish(struct journal *j, uint64_t number)
{
	uint32_t next = (atomic_load(&j->current) & 1) ^ 1;

	tpm_progress_get(&j->captures[next].progress);
	atomic_store(&j->current, next);
	atomic_store(&j->captured, number);
}

int
journal_capture(struct journal *j, uint64_t number)
{
	int rc = journal_capture_prepare(j);

	if (rc == 0)
		journal_capture_publish(j, number);
	return rc;
}

bool
journal_log(struct journal *j, uint64_t number, const uint8_t *command,
    size_t size)
{
	struct journal_log *log =
	    &j->captures[atomic_load(&j->current) & 1].log;
	uint32_t count = atomic_load(&log->count);

	/* One that was noted and then did not count is none. */
	while (count > 0 && count <= JOURNAL_LOG_MAX &&
	    log->entries[count - 1].number >= number)
		count--;
	if (count >= JOURNAL_LOG_MAX || size > JOURNAL_LOG_COMMAND ||
	    atomic_load(&j->captured) + 1 != number)
		return false;
	memcpy(log->entries[count].command, command, size);
	log->entries[count].size = (uint32_t)size;
	log->entries[count].number = number;
	atomic_store(&log->count, count + 1);
	atomic_store(&j->captured, number);
	return true;
}

uint32_t
journal_replay(const struct journal *j)
{
	const struct journal_log *log = &journal_current(j)->log;
	uint32_t count = atomic_load(&log->count);

	if (count > JOURNAL_LOG_MAX)
		return TPM_RC_FAILURE;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *response;
		size_t size;

		if (log->entries[i].size > JOURNAL_LOG_COMMAND)
			return TPM_RC_FAILURE;
		if (log->entries[i].number > atomic_load(&j->captured))
			break;
		tpm_process(log->entries[i].command, log->entries[i].size,
		    &response, &size);
		if (!tpm_response_is_success(response, size))
			return TPM_RC_FAILURE;
	}
	return TPM_RC_SUCCESS;
}

void
journal_unchanged(struct journal *j, uint64_t number)
{
	/* Only if the one before was captured, or that would be forgotten. */
	if (atomic_load(&j->captured) + 1 == number)
		atomic_store(&j->captured, number);
}

/* Commands that change no PCR, object, session or other volatile thing when
 * they come without a session (TPM 2.0 Part 3). GetRandom and Hash move the
 * random generator and the clock on; a new worker stirs fresh entropy in, so
 * the generator never repeats itself. */
static const uint32_t harmless[] = {
	0x173,	/* ReadPublic */
	0x169,	/* NV_ReadPublic */
	0x17a,	/* GetCapability */
	0x17b,	/* GetRandom */
	0x17c,	/* GetTestResult */
	0x17d,	/* Hash */
	0x17e,	/* PCR_Read */
	0x181,	/* ReadClock */
	0x18a,	/* TestParms */
	0x178,	/* ECC_Parameters */
	0x177,	/* VerifySignature */
};

bool
journal_is_harmless(const uint8_t *command, size_t size)
{
	struct buf b = buf_reader(command, size);
	uint16_t tag;
	uint32_t code;

	if (buf_get_u16be(&b, &tag) < 0 || buf_get_bytes(&b, NULL, 4) < 0 ||
	    buf_get_u32be(&b, &code) < 0 || tag != TPM_ST_NO_SESSIONS)
		return false;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (harmless[i] == code)
			return true;
	return false;
}

/* TPM2_PCR_Extend by one TPM_RS_PW session without authorisation value: its
 * effect follows from its bytes alone (Part 3, 22.2). */
bool
journal_is_repeatable(const uint8_t *command, size_t size)
{
	struct buf b = buf_reader(command, size);
	uint32_t code, auth_size, handle;
	uint16_t tag;

	return buf_get_u16be(&b, &tag) == 0 && tag == TPM_ST_SESSIONS &&
	    buf_get_bytes(&b, NULL, 4) == 0 &&
	    buf_get_u32be(&b, &code) == 0 && code == TPM_CC_PCR_EXTEND &&
	    buf_get_bytes(&b, NULL, 4) == 0 &&
	    buf_get_u32be(&b, &auth_size) == 0 && auth_size == 9 &&
	    buf_get_u32be(&b, &handle) == 0 && handle == TPM_RS_PW;
}
