/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The linker puts this in place of journal_capture, where it is called from
 * other files: a capture begins so late that a test which has an answer can
 * kill the worker before. Those that libtpms's storing is waited for with, and
 * those after an order, are as ever. Likewise the answer to TPM2_NV_Increment
 * comes late, after what that has stored, and that to TPM2_NV_Extend is written
 * down then, and sent late.
 */
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "vtpm/journal.h"

#define DELAY_MS 300
/* The test has to hear of the write first. */
#define DELAY_STORED_MS 500
#define TPM_CC_NV_INCREMENT 0x134
#define TPM_CC_NV_EXTEND 0x136

/* The linker gives them their names. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
int __real_journal_capture(struct journal *j, uint64_t number);
int __wrap_journal_capture(struct journal *j, uint64_t number);
int __real_journal_answer(struct journal *j, const uint8_t *response,
    size_t size);
int __wrap_journal_answer(struct journal *j, const uint8_t *response,
    size_t size);

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The worker's filter knows no call that sleeps. */
static void
delay(uint64_t ms)
{
	uint64_t start = now_ms();

	while (now_ms() - start < ms)
		;
}

static bool
runs(const struct journal *j, int what)
{
	const uint8_t *code = j->kept_command + 6;	/* Part 1, 18.1 */

	return atomic_load(&j->kept) == atomic_load(&j->begun) &&
	    (code[0] << 24 | code[1] << 16 | code[2] << 8 | code[3]) == what;
}

int
__wrap_journal_answer(struct journal *j, const uint8_t *response, size_t size)
{
	int rc;

	if (runs(j, TPM_CC_NV_INCREMENT))
		delay(DELAY_STORED_MS);
	rc = __real_journal_answer(j, response, size);
	if (runs(j, TPM_CC_NV_EXTEND))
		delay(DELAY_STORED_MS);
	return rc;
}

int
__wrap_journal_capture(struct journal *j, uint64_t number)
{
	/* Nor before the answer, where the command took long. */
	if (journal_sent(j) < j->answer_size)
		return ERR_TPM;
	delay(DELAY_MS);
	return __real_journal_capture(j, number);
}
/* NOLINTEND(bugprone-reserved-identifier) */
