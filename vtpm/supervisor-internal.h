/* SPDX-License-Identifier: BSD-3-Clause */
/* What supervisor.c and supervisor-run.c share. Nobody else includes this. */
#ifndef VTPM_SUPERVISOR_INTERNAL_H
#define VTPM_SUPERVISOR_INTERNAL_H

#include "vtpm/supervisor.h"

void supervisor_unblock_signals(void);
/* Kills it if it still lives; its status. *pid is 0 then. */
int supervisor_end_child(pid_t *pid);
/* What is kept of who was there before. */
void supervisor_close_before(struct supervisor *s);

/* In a new process: a worker for the monitor of the program before. */
_Noreturn void supervisor_run_worker_of_before(struct supervisor *s,
    const struct channel *worker, pid_t parent);
/* fd goes along, to the monitor. */
void supervisor_try_program(struct supervisor *s, int fd);
/* The one that was tried, in this place; returns on failure. */
void supervisor_become_program(struct supervisor *s, int handover);
/* Who was before is who is there again. */
void supervisor_step_back(struct supervisor *s);

#endif
