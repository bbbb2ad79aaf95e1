/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An IMA log as a host sends it: parsed, then replayed against a PCR that
 * nothing explains, so to its end. Input after fail_begin's: how it is extended
 * (1), the log.
 */
#include <string.h>

#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/attest/ima-log.h"

static void
entries_check(const struct ima_log *log)
{
	for (size_t i = 0; i < ima_log_count(log); i++) {
		const struct ima_entry *e = ima_log_at(log, i);
		uint8_t sum = 0;

		/* All of it is there to be read. */
		for (size_t k = 0; k < e->path_size; k++)
			sum ^= e->path[k];
		for (size_t k = 0; k < e->alg->size; k++)
			sum ^= e->digest[k];
		FUZZ_ASSERT(e->template_name != NULL);
		FUZZ_ASSERT(!ima_is_boot_aggregate(e) || !e->violation ||
		    sum == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), control;
	uint8_t failing[4] = { 0 }, how = 0, quoted[HASH_MAX];
	struct ima_log *log;
	struct err err = { 0 };
	size_t count;
	int rc;

	(void)buf_get_bytes(&in, failing, sizeof(failing));
	(void)buf_get_u8(&in, &how);
	memset(quoted, 0x5a, sizeof(quoted));
	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	rc = ima_log_read(data + in.pos, buf_left(&in), &log, &err);
	FUZZ_ASSERT((rc == 0) == (log != NULL));
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	if (rc == 0) {
		entries_check(log);
		rc = ima_log_replay(log, hash_by_name("sha256"), how & 1 ?
		    IMA_EXTEND_SHA1_PADDED : IMA_EXTEND_BANK, quoted, &count,
		    &err);
		FUZZ_ASSERT(rc < 0 && count == 0);
	}
	ima_log_free(log);
	(void)fail_end();
	return 0;
}
