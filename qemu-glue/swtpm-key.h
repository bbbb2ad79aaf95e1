/* SPDX-License-Identifier: BSD-3-Clause */
/* swtpm's --key as a passphrase of the nvram file. */
#ifndef QEMU_GLUE_SWTPM_KEY_H
#define QEMU_GLUE_SWTPM_KEY_H

#include "base/err.h"
#include "base/secret.h"

/*
 * "file=F|fd=N[,format=hex|binary][,mode=M][,remove]" or
 * "pwdfile=F|pwdfd=N[,kdf=pbkdf2|sha512][,mode=M][,remove]". A key's passphrase
 * is its bytes in lower-case hexadecimal, whatever the format. option is for
 * messages. NULL and *err on failure.
 */
struct secret *swtpm_key_passphrase(const char *option, const char *spec,
    struct err *err);
/* A descriptor from which it can be read, once; it survives execve. */
int swtpm_key_descriptor(const struct secret *passphrase, int *fd,
    struct err *err);

#endif
