/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VTPM_GIVE_BACK_H
#define VTPM_GIVE_BACK_H

/* Gives the system what this process's heap has free, and of the main thread's
 * stack, in which this must be called, what is below. Both are used again when
 * they are needed, at the price of page faults. */
void give_back_memory(void);

#endif
