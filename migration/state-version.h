/* SPDX-License-Identifier: BSD-3-Clause */
/* Which libtpms takes which state, without one at hand. */
#ifndef MIGRATION_STATE_VERSION_H
#define MIGRATION_STATE_VERSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* "0.9.2" as TPMLIB_GetVersion() gives it. ERR_USAGE. */
int state_version_parse(const char *text, uint32_t *version,
    struct err *err);

/* 0 where a libtpms of version target takes a state that one of version
 * written wrote, whose permanent and volatile state (or size 0) begin with
 * these bytes; ERR_UNSUPPORTED and why not. */
int state_version_check(uint32_t target, uint32_t written,
    const uint8_t *permanent, size_t permanent_size,
    const uint8_t *volatile_state, size_t volatile_size, struct err *err);

#endif
