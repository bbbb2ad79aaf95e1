/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A firmware event log as a host sends it: parsed, replayed, every event's claim
 * read. What claims to be checked must be a digest over the event's own bytes,
 * so another bank must agree. Input after fail_begin's: the log.
 */
#include <string.h>

#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/attest/event-claim.h"

static const char *const banks[] = { "sha1", "sha256", "sha384" };

static void
claims_read(const struct eventlog *log, struct hasher *h)
{
	struct event_claim claim;
	struct err err = { 0 };

	for (size_t i = 0; i < eventlog_count(log); i++) {
		const struct event *event = eventlog_at(log, i);
		int rc = event_claim_read(log, event, h, &claim, &err);

		FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
		FUZZ_ASSERT(event->type == EV_NO_ACTION ||
		    event->pcr < PCR_COUNT);
		if (rc == 0 && claim.text.data != NULL)
			FUZZ_ASSERT(strlen(claim.text.data) <= TEXT_MAX);
		if (rc == 0 && claim.kind == CLAIM_VARIABLE)
			FUZZ_ASSERT(claim.checked &&
			    claim.value_size <= event->size);
		(void)event_claim_is_variable(&claim, "db");
		event_claim_free(&claim);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), control;
	uint8_t failing[4] = { 0 };
	struct eventlog *log;
	struct pcr_bank bank;
	struct err err = { 0 };
	int rc;

	(void)buf_get_bytes(&in, failing, sizeof(failing));
	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	rc = eventlog_read(data + in.pos, buf_left(&in), &log, &err);
	FUZZ_ASSERT((rc == 0) == (log != NULL));
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	for (size_t i = 0; rc == 0 && i < 3; i++) {
		const struct hash_alg *alg = hash_by_name(banks[i]);
		struct hasher *h = hasher_new(alg, NULL);

		(void)eventlog_replay(log, alg, &bank, NULL);
		if (h != NULL)
			claims_read(log, h);
		hasher_free(h);
	}
	eventlog_free(log);
	(void)fail_end();
	return 0;
}
