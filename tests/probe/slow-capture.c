/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The linker puts this in place of journal_capture, where it is called from
 * other files: a capture begins so late that a test which has an answer can
 * kill the worker before. Those that libtpms's storing is waited for with, and
 * those after an order, are as ever.
 */
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "vtpm/journal.h"

#define DELAY_MS 300

/* The linker gives them their names. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
int __real_journal_capture(struct journal *j, uint64_t number);
int __wrap_journal_capture(struct journal *j, uint64_t number);

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int
__wrap_journal_capture(struct journal *j, uint64_t number)
{
	uint64_t start = now_ms();

	/* Nor before the answer, where the command took long. */
	if (journal_sent(j) < j->answer_size)
		return ERR_TPM;
	/* The worker's filter knows no call that sleeps. */
	while (now_ms() - start < DELAY_MS)
		;
	return __real_journal_capture(j, number);
}
/* NOLINTEND(bugprone-reserved-identifier) */
