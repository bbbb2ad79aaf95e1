/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/vtpmd.h"

int
main(int argc, char **argv)
{
	return vtpmd_main(argc, argv);
}
