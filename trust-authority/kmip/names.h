/* SPDX-License-Identifier: BSD-3-Clause */
/* KMIP's names for its numbers, for messages to people. Never NULL. */
#ifndef TRUST_AUTHORITY_KMIP_NAMES_H
#define TRUST_AUTHORITY_KMIP_NAMES_H

#include <stdint.h>

const char *name_of_operation(uint32_t operation);
const char *name_of_status(uint32_t status);
const char *name_of_reason(uint32_t reason);

#endif
