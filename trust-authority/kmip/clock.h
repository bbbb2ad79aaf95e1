/* SPDX-License-Identifier: BSD-3-Clause */
/* Deadlines, on the clock that nobody sets. */
#ifndef TRUST_AUTHORITY_KMIP_CLOCK_H
#define TRUST_AUTHORITY_KMIP_CLOCK_H

#include <stdint.h>

/* Milliseconds since some time in the past. */
int64_t clock_ms(void);
/* Until then: 0 if it is over, at most INT_MAX, as poll(2) takes it. */
int clock_left(int64_t deadline);

#endif
