/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/service-table.h"

int
main(int argc, char **argv)
{
	return service_main(&attestd_program, argc, argv);
}
