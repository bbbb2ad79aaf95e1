/* SPDX-License-Identifier: BSD-3-Clause */
/* All of vtpmd, for programs that are it under another name. */
#ifndef VTPM_VTPMD_H
#define VTPM_VTPMD_H

/* Once, with vtpmd's own arguments (vtpmd(8)); they stay where they are, for
 * the program is run again with them: main must then come here at once, which
 * it sees by the first one, --nvram. Returns the exit status. */
int vtpmd_main(int argc, char **argv);

#endif
