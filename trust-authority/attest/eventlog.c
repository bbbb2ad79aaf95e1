/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/eventlog.h"

#include <stdlib.h>
#include <string.h>

#define SHA1_SIZE 20
#define SPEC_ID "Spec ID Event03"	/* with its final zero: 16 bytes */

struct log_bank {
	uint16_t id;
	uint16_t size;
};

struct eventlog {
	struct log_bank bank[EVENTLOG_BANKS_MAX];
	size_t banks;
	struct event *events;
	size_t count, room;
	uint8_t locality;	/* of TPM2_Startup; PCR 0 starts with it */
};

static int
bank_read(struct buf *in, struct eventlog *log, struct err *err)
{
	struct log_bank bank = { 0 };
	const struct hash_alg *alg;

	buf_get_u16le(in, &bank.id);
	if (buf_get_u16le(in, &bank.size) < 0)
		return err_set(err, ERR_FORMAT,
		    "the event log's header is cut short");
	alg = hash_by_id(bank.id);
	if (bank.size == 0 || bank.size > HASH_MAX ||
	    (alg != NULL && bank.size != alg->size))
		return err_set(err, ERR_FORMAT, "the event log's header gives "
		    "digests of algorithm 0x%04x %u bytes", bank.id,
		    bank.size);
	for (size_t i = 0; i < log->banks; i++)
		if (log->bank[i].id == bank.id)
			return err_set(err, ERR_FORMAT, "the event log's "
			    "header lists algorithm 0x%04x twice", bank.id);
	log->bank[log->banks++] = bank;
	return 0;
}

/* TCG_EfiSpecIDEvent, 10.4.5.1. */
static int
spec_id_read(struct buf *in, struct eventlog *log, struct err *err)
{
	char signature[sizeof(SPEC_ID)] = "";
	uint32_t class, banks = 0;
	uint8_t version[4], vendor = 0;
	int rc;

	buf_get_bytes(in, signature, sizeof(signature));
	buf_get_u32le(in, &class);
	buf_get_bytes(in, version, sizeof(version));
	buf_get_u32le(in, &banks);
	if (!buf_ok(in) || memcmp(signature, SPEC_ID, sizeof(SPEC_ID)) != 0)
		return err_set(err, ERR_FORMAT, "the event log does not begin "
		    "with \"" SPEC_ID "\": it is not of a TPM 2.0 in the "
		    "crypto-agile format");
	if (banks == 0 || banks > EVENTLOG_BANKS_MAX)
		return err_set(err, ERR_FORMAT,
		    "the event log's header lists %u algorithms", banks);
	for (uint32_t i = 0; i < banks; i++)
		if ((rc = bank_read(in, log, err)) < 0)
			return rc;
	if (buf_get_u8(in, &vendor) < 0 ||
	    buf_get_bytes(in, NULL, vendor) < 0 || buf_left(in) > 0)
		return err_set(err, ERR_FORMAT, "the event log's header is "
		    "not as long as it says");
	return 0;
}

/* TCG_PCClientPCREvent, 10.2.1: only the first event has this shape. */
static int
header_read(struct buf *in, struct eventlog *log, struct err *err)
{
	uint8_t digest[SHA1_SIZE];
	uint32_t pcr = 0, type = 0, size = 0;
	struct buf data;

	buf_get_u32le(in, &pcr);
	buf_get_u32le(in, &type);
	buf_get_bytes(in, digest, sizeof(digest));
	buf_get_u32le(in, &size);
	if (buf_get_sub(in, &data, size) < 0)
		return err_set(err, ERR_FORMAT,
		    "the event log is cut short in its header");
	if (pcr != 0 || type != EV_NO_ACTION)
		return err_set(err, ERR_FORMAT, "the event log begins with an "
		    "event of type %s for PCR %u, not with its header",
		    event_type_name(type), pcr);
	return spec_id_read(&data, log, err);
}

/* TPML_DIGEST_VALUES: each bank of the header exactly once. */
static int
digests_read(struct buf *in, const struct eventlog *log, struct event *event,
    struct err *err)
{
	uint32_t count = 0;
	uint16_t id;
	size_t i;

	buf_get_u32le(in, &count);
	if (!buf_ok(in) || count != log->banks)
		return err_set(err, ERR_FORMAT, "event %u has %u digests, the "
		    "header promised %zu", event->index, count, log->banks);
	while (count-- > 0) {
		if (buf_get_u16le(in, &id) < 0)
			return err_set(err, ERR_FORMAT,
			    "event %u is cut short", event->index);
		for (i = 0; i < log->banks && log->bank[i].id != id; i++)
			;
		if (i == log->banks || event->digest[i] != NULL)
			return err_set(err, ERR_FORMAT, "event %u has a "
			    "digest of algorithm 0x%04x twice, or against its "
			    "header", event->index, id);
		if (buf_get_ref(in, &event->digest[i], log->bank[i].size) < 0)
			return err_set(err, ERR_FORMAT,
			    "event %u is cut short", event->index);
	}
	return 0;
}

static int
event_add(struct eventlog *log, const struct event *event, struct err *err)
{
	struct event *more;
	size_t room;

	if (log->count == EVENTLOG_EVENTS_MAX)
		return err_set(err, ERR_FORMAT,
		    "the event log has more than %u events",
		    EVENTLOG_EVENTS_MAX);
	if (log->count == log->room) {
		room = log->room == 0 ? 64 : 2 * log->room;
		more = realloc(log->events, room * sizeof(*more));
		if (more == NULL)
			return err_set(err, ERR_INTERNAL, "out of memory");
		log->events = more;
		log->room = room;
	}
	log->events[log->count++] = *event;
	return 0;
}

/* 10.4.5.3: the TPM started in another locality than 0. It says how PCR 0
 * begins, so nothing of PCR 0 may come before it. */
static int
locality_read(struct eventlog *log, const struct event *event,
    struct err *err)
{
	static const char signature[16] = "StartupLocality";

	if (event->size < sizeof(signature) ||
	    memcmp(event->data, signature, sizeof(signature)) != 0)
		return 0;
	if (event->size != sizeof(signature) + 1 || event->pcr != 0)
		return err_set(err, ERR_FORMAT, "event %u is a StartupLocality "
		    "of %zu bytes for PCR %u", event->index, event->size,
		    event->pcr);
	for (size_t i = 0; i < log->count; i++)
		if (log->events[i].pcr == 0 &&
		    log->events[i].type != EV_NO_ACTION)
			return err_set(err, ERR_FORMAT, "event %u, the "
			    "StartupLocality, comes after measurements of "
			    "PCR 0", event->index);
	log->locality = event->data[sizeof(signature)];
	if (log->locality != 0 && log->locality != 3 && log->locality != 4)
		return err_set(err, ERR_FORMAT, "event %u gives the startup "
		    "locality %u", event->index, log->locality);
	return 0;
}

/* TCG_PCR_EVENT2, 10.2.2. */
static int
event_read(struct buf *in, struct eventlog *log, struct err *err)
{
	struct event event = { .index = (uint32_t)log->count + 1 };
	uint32_t size = 0;
	int rc;

	buf_get_u32le(in, &event.pcr);
	buf_get_u32le(in, &event.type);
	if ((rc = digests_read(in, log, &event, err)) < 0)
		return rc;
	buf_get_u32le(in, &size);
	if (buf_get_ref(in, &event.data, size) < 0)
		return err_set(err, ERR_FORMAT, "event %u is cut short",
		    event.index);
	event.size = size;
	if (event.type == EV_NO_ACTION) {
		/* Informative, and never extended: any PCR, and no digest. */
		if ((rc = locality_read(log, &event, err)) < 0)
			return rc;
	} else if (event.pcr >= PCR_COUNT)
		return err_set(err, ERR_FORMAT, "event %u is for PCR %u",
		    event.index, event.pcr);
	return event_add(log, &event, err);
}

int
eventlog_read(const uint8_t *data, size_t size, struct eventlog **out,
    struct err *err)
{
	struct buf in = buf_reader(data, size);
	struct eventlog *log = calloc(1, sizeof(*log));
	int rc;

	*out = NULL;
	if (log == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (size > EVENTLOG_SIZE_MAX) {
		rc = err_set(err, ERR_FORMAT, "an event log of %zu bytes, "
		    "more than %u", size, EVENTLOG_SIZE_MAX);
		goto out;
	}
	rc = header_read(&in, log, err);
	while (rc == 0 && buf_left(&in) > 0)
		rc = event_read(&in, log, err);
	if (rc == 0) {
		*out = log;
		log = NULL;
	}
out:
	eventlog_free(log);
	return rc;
}

void
eventlog_free(struct eventlog *log)
{
	if (log == NULL)
		return;
	free(log->events);
	free(log);
}

size_t
eventlog_count(const struct eventlog *log)
{
	return log->count;
}

const struct event *
eventlog_at(const struct eventlog *log, size_t i)
{
	return &log->events[i];
}

const uint8_t *
eventlog_digest(const struct eventlog *log, const struct event *event,
    const struct hash_alg *alg)
{
	for (size_t i = 0; i < log->banks; i++)
		if (log->bank[i].id == alg->id)
			return event->digest[i];
	return NULL;
}

int
eventlog_replay(const struct eventlog *log, const struct hash_alg *alg,
    struct pcr_bank *bank, struct err *err)
{
	struct hasher *h = hasher_new(alg, err);
	int rc = h == NULL ? ERR_CRYPTO : 0;

	bank->alg = alg;
	bank->mask = 0;
	for (uint32_t i = 0; i < PCR_COUNT; i++)
		pcr_reset_value(bank->value[i], alg, i);
	/* PC Client Platform TPM Profile, 4.6.1: the locality of Startup, or
	 * 4 when an H-CRTM came first, is in PCR 0's last byte. */
	bank->value[0][alg->size - 1] = log->locality;
	for (size_t i = 0; rc == 0 && i < log->count; i++) {
		const struct event *event = &log->events[i];
		const uint8_t *digest = eventlog_digest(log, event, alg);

		if (digest == NULL) {
			rc = err_set(err, ERR_NOTFOUND, "the event log has no "
			    "digests of the bank %s", alg->name);
		} else if (event->type != EV_NO_ACTION) {
			bank->mask |= 1u << event->pcr;
			rc = hasher_extend(h, bank->value[event->pcr], digest,
			    err);
		}
	}
	hasher_free(h);
	return rc;
}
