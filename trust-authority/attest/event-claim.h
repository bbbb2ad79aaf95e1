/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the data of an event says, and whether that is true. The TPM vouches for
 * an event's digest alone; its type and data are whatever the log's writer put
 * there. Where the digest is over the data (Firmware Profile 1.06, table 27,
 * and what GRUB and systemd-stub do), the claim is checked against it. Where it is
 * over something else, as a file, the data are a label that nobody vouches for.
 */
#ifndef ATTEST_EVENT_CLAIM_H
#define ATTEST_EVENT_CLAIM_H

#include "trust-authority/attest/eventlog.h"
#include "trust-authority/attest/text.h"

enum claim_kind {
	CLAIM_LABEL,		/* never checked */
	CLAIM_VARIABLE,		/* an EFI variable: guid, text is its name */
	CLAIM_SEPARATOR,	/* an orderly one */
	CLAIM_SEPARATOR_ERROR,	/* the firmware reports an error */
	CLAIM_ACTION,		/* text of EV_ACTION or EV_EFI_ACTION */
	CLAIM_KERNEL_COMMAND,	/* text is a kernel's command line */
	CLAIM_BOOT_COMMAND,	/* text is what the boot loader ran */
	CLAIM_TEXT,		/* some other text that was measured itself */
};

struct event_claim {
	enum claim_kind kind;
	bool checked;		/* the digest shows that it is true */
	uint8_t guid[16];
	const uint8_t *value;	/* of a variable */
	size_t value_size;
	struct text text;
};

/* For the bank of h. Data that are not what their type wants make an unchecked
 * CLAIM_LABEL. The caller frees the claim, also after an error. */
int event_claim_read(const struct eventlog *log, const struct event *event,
    struct hasher *h, struct event_claim *claim, struct err *err);
void event_claim_free(struct event_claim *claim);

/* Whether it is the variable of this name under EFI_GLOBAL_VARIABLE (UEFI
 * 2.10, 3.3), or for "db" and the like EFI_IMAGE_SECURITY_DATABASE (32.4.1). */
bool event_claim_is_variable(const struct event_claim *claim,
    const char *name);

#endif
