/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control channel that QEMU's tpm_emulator and swtpm_ioctl speak (qemu
 * backends/tpm/tpm_ioctl.h and tpm_emulator.c of 7.2 to 10.2). Big-endian: a
 * 4-byte command, then its request; answers begin with a TPM_RESULT, but
 * GET_CAPABILITY's. doc/protocols.md has the table.
 */
#ifndef VTPM_CONTROL_H
#define VTPM_CONTROL_H

#include "vtpm/monitor.h"

enum {
	CMD_GET_CAPABILITY = 1, CMD_INIT, CMD_SHUTDOWN, CMD_GET_TPMESTABLISHED,
	CMD_SET_LOCALITY, CMD_HASH_START, CMD_HASH_DATA, CMD_HASH_END,
	CMD_CANCEL_TPM_CMD, CMD_STORE_VOLATILE, CMD_RESET_TPMESTABLISHED,
	CMD_GET_STATEBLOB, CMD_SET_STATEBLOB, CMD_STOP, CMD_GET_CONFIG,
	CMD_SET_DATAFD, CMD_SET_BUFFERSIZE, CMD_GET_INFO, CMD_LOCK_STORAGE,
	CMD_LAST = CMD_LOCK_STORAGE,
};

/* Ours, not tpm_ioctl.h's: see upgrade.h. The answer is a TPM_RESULT, for how
 * many microseconds the guest had to wait, and a text with its size. */
#define CMD_UPGRADE 0x76740001u

struct command {
	const char *name;
	size_t request_min;	/* bytes after the command number ... */
	size_t request_max;	/* ... some peers send their union's padding */
	size_t length_at;	/* the offset of a u32 that announces more bytes
				 * after request_min; 0: none */
	bool any_time;		/* does not need the worker: also while an order
				 * is under way */
	bool powered;		/* only between INIT and STOP */
	bool stopped;		/* only outside that */
	bool changes;		/* the TPM is another one afterwards: what
				 * GET_STATEBLOB gave before does not belong to
				 * what it gives then */
	bool owns;		/* needs the nvram file */
	/* A client to be dropped is a negative code. */
	int (*run)(struct monitor *m, struct client *c, struct buf *request);
};

/* control-run.c; NULL where there is none of this number. */
const struct command *control_command(uint32_t number);

/* Sends a bare TPM_RESULT. */
int control_answer(struct client *c, uint32_t result);
/* Sends words and bytes in one piece. */
int control_answer_with(struct client *c, const uint32_t *words, size_t n,
    const void *data, size_t size);

/* control-state.c: the state in sealed blobs. */
int control_get_state(struct monitor *m, struct client *c,
    struct buf *request);
int control_set_state(struct monitor *m, struct client *c,
    struct buf *request);
/* Nothing more belongs to what was handed out. */
void control_end_session(struct monitor *m);
/* The last blob, which nobody takes in pieces any more. */
void control_forget_blob(struct monitor *m);
/* Before INIT: that the file is ours, and that what was brought in is whole.
 * Returns the number of what is to be answered, or TPM_SUCCESS. With *discard
 * what came has to be thrown away. */
uint32_t control_before_init(struct monitor *m, bool *discard);
/* The VM runs on here, and QEMU has been told: what its first command would have
 * to wait for is done now. */
void control_acquire_file(struct monitor *m);
/* Throws away what was brought in, then answers. */
void control_discard_state(struct monitor *m, struct client *c,
    uint32_t result);

#endif
