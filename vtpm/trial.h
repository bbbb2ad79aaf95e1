/* SPDX-License-Identifier: BSD-3-Clause */
/* What the installed program does before it may take a running vTPM over: as a
 * worker would, confined like one, it takes a copy of the state and says
 * whether libtpms could go on with it. */
#ifndef VTPM_TRIAL_H
#define VTPM_TRIAL_H

/* sock as in handover.h. Returns the exit status. */
int trial_run(int sock);

#endif
