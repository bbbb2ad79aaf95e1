/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/give-back.h"

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>

/* What is never used below this function's frame by what it calls, and how far
 * down there may be anything: a main thread's stack has nothing else near below
 * (stack_guard_gap, 1 MB), and madvise(2) passes over what is not mapped. */
#define ROOM 1024
#define DEEP (128 * 1024)
#define PAGE 4096

void
give_back_memory(void)
{
	uintptr_t to = ((uintptr_t)__builtin_frame_address(0) - ROOM) /
	    PAGE * PAGE;

	malloc_trim(0);
	(void)madvise((void *)(to - DEEP), DEEP, MADV_DONTNEED);
}
