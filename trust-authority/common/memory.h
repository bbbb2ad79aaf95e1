/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys of ours lie in struct secret. What libraries make of them does not:
 * OpenSSL's keys and TLS records, JSON on its way in or out. For those the
 * whole process is kept from swap and core dumps, and JSON is overwritten when
 * it is released.
 */
#ifndef TRUST_AUTHORITY_COMMON_MEMORY_H
#define TRUST_AUTHORITY_COMMON_MEMORY_H

#include "base/err.h"

/* At a program's start, before any thread and any JSON. No core dumps, no
 * ptrace by others, jansson's memory cleansed, all pages locked as they come
 * into use. ERR_SYSTEM where the last is not allowed (RLIMIT_MEMLOCK): all else
 * is done, and the caller decides. */
int memory_guard(struct err *err);

#endif
