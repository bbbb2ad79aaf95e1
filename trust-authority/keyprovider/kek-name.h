/* SPDX-License-Identifier: BSD-3-Clause */
/* What a KEK is called in its KMS: found by it after a crash. */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_KEK_NAME_H
#define TRUST_AUTHORITY_KEYPROVIDER_KEK_NAME_H

#include <stdint.h>

#define KEK_NAME_SIZE 160
#define KEK_FOUND_MAX 16	/* keys of one name; more than two is odd */

void kek_name(const char *authority, const char *uuid, uint32_t n,
    char out[KEK_NAME_SIZE]);

#endif
