/* SPDX-License-Identifier: BSD-3-Clause */
/* The client's side of the control channel (doc/protocols.md), for ours and for
 * swtpm's. */
#ifndef QEMU_GLUE_CTRL_CLIENT_H
#define QEMU_GLUE_CTRL_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* qemu backends/tpm/tpm_ioctl.h */
enum {
	CTRL_GET_CAPABILITY = 1, CTRL_INIT, CTRL_SHUTDOWN,
	CTRL_GET_TPMESTABLISHED, CTRL_SET_LOCALITY, CTRL_HASH_START,
	CTRL_HASH_DATA, CTRL_HASH_END, CTRL_CANCEL_TPM_CMD,
	CTRL_STORE_VOLATILE, CTRL_RESET_TPMESTABLISHED, CTRL_GET_STATEBLOB,
	CTRL_SET_STATEBLOB, CTRL_STOP, CTRL_GET_CONFIG, CTRL_SET_DATAFD,
	CTRL_SET_BUFFERSIZE, CTRL_GET_INFO, CTRL_LOCK_STORAGE,
};

/* A descriptor, or a negative code. */
int ctrl_connect_unix(const char *path, struct err *err);
int ctrl_connect_tcp(const char *host, const char *port, struct err *err);

/*
 * Sends a command with what belongs to it (body NULL: nothing) and reads its
 * answer, at most room bytes; an error may be its first 4 alone. *size is how
 * many came, 4 at least. fd goes along, -1: none.
 */
int ctrl_call(int sock, uint32_t command, const void *body, size_t body_size,
    int fd, uint8_t *answer, size_t room, size_t *size, struct err *err);
/* The same where the answer is a TPM_RESULT alone; *result gets it. */
int ctrl_call_plain(int sock, uint32_t command, const void *body,
    size_t body_size, int fd, uint32_t *result, struct err *err);
/* Reads on, where the answer announced more than was asked for. */
int ctrl_read_on(int sock, uint8_t *data, size_t size, struct err *err);

#endif
