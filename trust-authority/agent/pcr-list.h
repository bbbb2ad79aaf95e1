/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef AGENT_PCR_LIST_H
#define AGENT_PCR_LIST_H

#include "trust-authority/attest/pcr.h"

/* "sha256:0,1,7+sha384:0,1", as tpm2-tools write it and configurations say. A
 * bank or a PCR twice, or a bank without PCRs, is refused. ERR_USAGE. */
int pcr_list_parse(const char *text, struct pcr_set *out, struct err *err);

#endif
