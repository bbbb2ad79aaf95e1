/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs vtpmctl, which is found in PATH or where it was installed. */
#ifndef QEMU_GLUE_VTPMCTL_RUN_H
#define QEMU_GLUE_VTPMCTL_RUN_H

#include "base/err.h"
#include "base/secret.h"
#include "qemu-glue/argv.h"

/* Waits for its end. argv is without the program's name. Where argv has the
 * word "fd=PASSPHRASE" at a word's end, passphrase is put into a pipe of that
 * number. What vtpmctl prints goes to out, -1: nowhere; its errors are *err's
 * text. */
int vtpmctl_run(const struct argv *argv, const struct secret *passphrase,
    int out, struct err *err);

#endif
