/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The firmware's event log as the kernel hands it out: TCG PC Client Platform
 * Firmware Profile 1.06, clause 10, in the crypto-agile format (all integers
 * little-endian). A log of SHA-1 events alone, which TPM 1.2 had, is refused.
 */
#ifndef ATTEST_EVENTLOG_H
#define ATTEST_EVENTLOG_H

#include "trust-authority/attest/pcr.h"

#define EVENTLOG_SIZE_MAX (4u << 20)
#define EVENTLOG_EVENTS_MAX 16384u
#define EVENTLOG_BANKS_MAX 8u

/* Event types, table 27. */
#define EV_NO_ACTION 0x00000003u
#define EV_SEPARATOR 0x00000004u
#define EV_ACTION 0x00000005u
#define EV_EVENT_TAG 0x00000006u
#define EV_S_CRTM_VERSION 0x00000008u
#define EV_COMPACT_HASH 0x0000000cu
#define EV_IPL 0x0000000du
#define EV_EFI_VARIABLE_DRIVER_CONFIG 0x80000001u
#define EV_EFI_VARIABLE_BOOT 0x80000002u
#define EV_EFI_BOOT_SERVICES_APPLICATION 0x80000003u
#define EV_EFI_BOOT_SERVICES_DRIVER 0x80000004u
#define EV_EFI_RUNTIME_SERVICES_DRIVER 0x80000005u
#define EV_EFI_GPT_EVENT 0x80000006u
#define EV_EFI_ACTION 0x80000007u
#define EV_EFI_VARIABLE_BOOT2 0x8000000cu
#define EV_EFI_GPT_EVENT2 0x8000000du
#define EV_EFI_VARIABLE_AUTHORITY 0x800000e0u

struct event {
	uint32_t index;		/* of the log, 0 is the header */
	uint32_t pcr;
	uint32_t type;
	/* One digest per bank, in the order of the log's header. */
	const uint8_t *digest[EVENTLOG_BANKS_MAX];
	const uint8_t *data;
	size_t size;
};

/* Points into data, which the caller keeps alive. */
struct eventlog;
int eventlog_read(const uint8_t *data, size_t size, struct eventlog **out,
    struct err *err);
void eventlog_free(struct eventlog *log);

/* The header is not counted as an event here. */
size_t eventlog_count(const struct eventlog *log);
const struct event *eventlog_at(const struct eventlog *log, size_t i);
/* NULL where the log has no digests for this bank. */
const uint8_t *eventlog_digest(const struct eventlog *log,
    const struct event *event, const struct hash_alg *alg);

/* What the PCRs of this bank hold after all events. bank->mask has the PCRs
 * that the log extends; the others are at their reset value. ERR_NOTFOUND
 * where the log does not have the bank. */
int eventlog_replay(const struct eventlog *log, const struct hash_alg *alg,
    struct pcr_bank *bank, struct err *err);

/* "EV_SEPARATOR"; "an unknown type" for what the profile does not name. */
const char *event_type_name(uint32_t type);

#endif
