/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef QEMU_GLUE_SWTPM_VERSION_H
#define QEMU_GLUE_SWTPM_VERSION_H

/* The version of swtpm whose options these programs take. */
#define SWTPM_INTERFACE "0.10.0"

#endif
