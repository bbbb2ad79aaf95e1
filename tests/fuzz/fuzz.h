/* SPDX-License-Identifier: BSD-3-Clause */
/* libFuzzer's interface (llvm.org/docs/LibFuzzer.html). */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
