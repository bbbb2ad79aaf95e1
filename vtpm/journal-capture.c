/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's half of the journal: what it writes there. */
#include "vtpm/journal.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

#define TPM_CC_GET_RANDOM 0x17b
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
	j->captures[next].number = number;
	atomic_store(&j->current, next);
	journal_set(&j->captured, number);
}

int
journal_capture(struct journal *j, uint64_t number)
{
	int rc = journal_capture_prepare(j);

	if (rc == 0)
		journal_capture_publish(j, number);
	return rc;
}

/* Where the next entry goes; JOURNAL_LOG_MAX when it is full. */
static uint32_t
log_end(const struct journal_log *log, uint64_t number)
{
	uint32_t count = atomic_load(&log->count);

	if (count > JOURNAL_LOG_MAX)
		return JOURNAL_LOG_MAX;
	/* One that was noted and then did not count is none. */
	while (count > 0 && log->entries[count - 1].number >= number)
		count--;
	return count;
}

bool
journal_log_prepare(struct journal *j, uint64_t number,
    const uint8_t *command, size_t size)
{
	struct journal_log *log =
	    &j->captures[atomic_load(&j->current) & 1].log;
	uint32_t end = log_end(log, number);

	if (end == JOURNAL_LOG_MAX || size > JOURNAL_LOG_COMMAND ||
	    atomic_load(&j->captured) + 1 != number)
		return false;
	/* Those that did not count go before theirs is written over. */
	atomic_store_explicit(&log->count, end, memory_order_release);
	log->entries[end].number = number;
	log->entries[end].size = (uint32_t)size;
	memcpy(log->entries[end].command, command, size);
	return true;
}

void
journal_log_publish(struct journal *j, uint64_t number)
{
	struct journal_log *log =
	    &j->captures[atomic_load(&j->current) & 1].log;
	uint32_t end = atomic_load(&log->count);

	/* It has stored something, and has been captured with that. */
	if (atomic_load(&j->captured) + 1 != number)
		return;
	atomic_store_explicit(&log->count, end + 1, memory_order_release);
	journal_set(&j->captured, number);
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
		journal_set(&j->captured, number);
}

void
journal_keep(struct journal *j, uint64_t number, const uint8_t *command,
    size_t size)
{
	if (size > sizeof(j->kept_command))
		return;
	/* While the next one is copied, the last one has been captured: the
	 * number that still stands here means nothing. */
	memcpy(j->kept_command, command, size);
	j->kept_size = (uint32_t)size;
	journal_set(&j->kept, number);
}

uint32_t
journal_repeat(const struct journal *j)
{
	uint8_t command[JOURNAL_COMMAND];
	const uint8_t *response;
	size_t size = j->kept_size;
	bool same;

	if (size > sizeof(command) || j->answer_size > sizeof(j->answer))
		return TPM_RC_FAILURE;
	/* What is kept stays as it is, should this worker die as well. */
	memcpy(command, j->kept_command, size);
	tpm_process(command, size, &response, &size);
	same = size == j->answer_size && memcmp(response, j->answer, size) == 0;
	cleanse(command, sizeof(command));
	return same ? TPM_RC_SUCCESS : TPM_RC_FAILURE;
}

/* Commands that change no PCR, object, session or other volatile thing when
 * they come without a session (TPM 2.0 Part 3). GetRandom and Hash move the
 * random generator and the clock on; a new worker stirs fresh entropy in, so
 * the generator never repeats itself. */
static bool
is_harmless(uint32_t code)
{
	switch (code) {
	case 0x173:	/* ReadPublic */
	case 0x169:	/* NV_ReadPublic */
	case 0x17a:	/* GetCapability */
	case TPM_CC_GET_RANDOM:
	case 0x17c:	/* GetTestResult */
	case 0x17d:	/* Hash */
	case 0x17e:	/* PCR_Read */
	case 0x181:	/* ReadClock */
	case 0x18a:	/* TestParms */
	case 0x178:	/* ECC_Parameters */
	case 0x177:	/* VerifySignature */
		return true;
	default:
		return false;
	}
}

/* The rest of a TPM2_PCR_Extend: a PCR, and one TPM_RS_PW session without
 * authorisation value. Its effect follows from its bytes alone (Part 3,
 * 22.2). */
static bool
is_repeatable(struct buf *b)
{
	uint32_t auth_size, handle;

	return buf_get_bytes(b, NULL, 4) == 0 &&
	    buf_get_u32be(b, &auth_size) == 0 && auth_size == 9 &&
	    buf_get_u32be(b, &handle) == 0 && handle == TPM_RS_PW;
}

enum journal_trace
journal_trace_of(const uint8_t *command, size_t size)
{
	struct buf b = buf_reader(command, size);
	uint16_t tag;
	uint32_t code;

	if (buf_get_u16be(&b, &tag) < 0 || buf_get_bytes(&b, NULL, 4) < 0 ||
	    buf_get_u32be(&b, &code) < 0)
		return JOURNAL_TRACE_CAPTURE;
	if (tag == TPM_ST_NO_SESSIONS && is_harmless(code))
		return code == TPM_CC_GET_RANDOM ? JOURNAL_TRACE_RANDOM :
		    JOURNAL_TRACE_NOTHING;
	if (tag == TPM_ST_SESSIONS && code == TPM_CC_PCR_EXTEND &&
	    is_repeatable(&b))
		return JOURNAL_TRACE_LOG;
	return JOURNAL_TRACE_CAPTURE;
}
