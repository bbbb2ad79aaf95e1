/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a host sends to be attested, in one message (doc/protocols.md,
 * "Evidence"): a quote, and the logs that explain it. Compact and binary: logs
 * of megabytes need no decoding and no copy.
 */
#ifndef ATTEST_EVIDENCE_H
#define ATTEST_EVIDENCE_H

#include "trust-authority/attest/eventlog.h"
#include "trust-authority/attest/ima-log.h"
#include "trust-authority/attest/quote.h"

#define EVIDENCE_SIZE_MAX (EVENTLOG_SIZE_MAX + IMA_LOG_SIZE_MAX + 65536u)

/* Points into the message; logs that are not there are NULL. */
struct evidence {
	struct quote_parts quote;
	const uint8_t *eventlog, *ima_log;
	size_t eventlog_size, ima_log_size;
};

int evidence_read(const uint8_t *data, size_t size, struct evidence *ev,
    struct err *err);
/* Bytes that evidence_write writes. */
size_t evidence_size(const struct evidence *ev);
int evidence_write(const struct evidence *ev, struct buf *out);

/* SHA-256 over the whole message, for the token and the audit. */
int evidence_digest(const uint8_t *data, size_t size, uint8_t out[HASH_MAX],
    struct err *err);

#endif
