/* SPDX-License-Identifier: BSD-3-Clause */
/* native.h's accessors over a key and a directory that a test gives, without
 * the files that the real provider keeps. */
#ifndef TESTS_UNIT_NATIVE_FOR_TESTS_H
#define TESTS_UNIT_NATIVE_FOR_TESTS_H

#include <stdint.h>

#include "nvram-crypt/native.h"

/* All 32 bytes of the key are `byte`, all 16 of its id too. records_fd is the
 * caller's; -1 where no records are used. */
struct native *native_for_tests(uint8_t byte, int records_fd);
void native_for_tests_free(struct native *n);

#endif
