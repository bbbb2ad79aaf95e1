/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A passphrase that is typed. vtpmd runs in a process group of its own, which
 * the terminal stops when it reads (termios(3), SIGTTIN), so it is read here.
 */
#ifndef QEMU_GLUE_PASSPHRASE_H
#define QEMU_GLUE_PASSPHRASE_H

struct err;

/*
 * Where *fd is a terminal: asks for the passphrase of the file nvram, without
 * echo, and replaces *fd by a pipe (close-on-exec) that holds it. Any other
 * descriptor, and -1, stays as it is, for vtpmd to read. signals is of
 * child_signals(); one that asks us to end makes *status 128 + n.
 */
int passphrase_take(int *fd, const char *nvram, int signals, int *status,
    struct err *err);

#endif
