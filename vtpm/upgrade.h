/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An upgrade under a running guest, as the monitors see it. The old one has the
 * installed program try a copy of the state (trial.h), parks the worker, has
 * the supervisor replaced by that program, and gives its monitor everything.
 * Until its last word (GO) the old one owns the file and can go on as if
 * nothing had been. doc/architecture.md, "Upgrade".
 */
#ifndef VTPM_UPGRADE_H
#define VTPM_UPGRADE_H

#include "vtpm/monitor.h"

/* upgrade.c: the old one. */

/* On c's request; it is answered when it is over. */
void upgrade_begin(struct monitor *m, struct client *c);
/* The program that is tried has said something, or its time is up. */
void upgrade_trial_answered(struct monitor *m);
/* Whether the worker is to be parked as soon as no order is under way. */
bool upgrade_wants_to_park(const struct monitor *m);
void upgrade_park(struct monitor *m);

/* upgrade-receive.c: the new one. */

/* Fills m from what comes over sock, which stays until upgrade_finish. Nothing
 * is written to the file yet. */
int upgrade_receive(struct monitor *m, int sock, const char *path,
    struct err *err);
/* Gives the new worker its state; what was received is m's when that is done,
 * or m ends and the old one goes on. */
void upgrade_finish(struct monitor *m);
/* Says why not. */
void upgrade_refuse(int sock, const struct err *err);

/* The answer to CMD_UPGRADE (control.h). */
int upgrade_answer(struct client *c, uint32_t result, uint64_t pause_us,
    const char *text);

/* us, CLOCK_MONOTONIC. */
uint64_t upgrade_clock(void);

#endif
