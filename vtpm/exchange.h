/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One command of TPM 2.0 Part 3 while it is built, sent to the TPM of this
 * process and answered: what tpm-command.c and windows-ask.c are made of.
 */
#ifndef VTPM_EXCHANGE_H
#define VTPM_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "vtpm/tpm.h"

#define EXCHANGE_MAX TPM_BUFFER_DEFAULT

struct exchange {
	const char *name;
	uint8_t bytes[EXCHANGE_MAX];
	struct buf out;		/* into bytes */
	struct buf in;		/* what follows the response's header */
};

/* name: for messages. */
void exchange_begin(struct exchange *c, const char *name, uint16_t tag,
    uint32_t cc);
/* The authorisation area for `count` handles that need one, each the empty
 * password (Part 1, 19.4). */
void exchange_passwords(struct exchange *c, unsigned int count);
/* ERR_TPM with the command's name, and the TPM_RC in err.sys. */
int exchange_send(struct exchange *c, struct err *err);
/* Sets err: its response is not what Part 3 says. */
int exchange_malformed(const struct exchange *c, struct err *err);

#endif
