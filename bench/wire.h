/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TPM commands and the control channel as a client sends them: TPM 2.0 Part 3,
 * and QEMU's backends/tpm/tpm_ioctl.h. The same bytes go to every peer.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define WIRE_MAX 4096

struct command {
	uint8_t bytes[WIRE_MAX];
	size_t size;
};

struct answer {
	uint8_t bytes[WIRE_MAX];
	size_t size;
	uint32_t rc;		/* TPM_RC */
};

/* For those that are not below: header, what the caller puts, size. */
struct buf command_begin(struct command *c, uint16_t tag, uint32_t code);
void command_end(struct command *c, struct buf *b);
/* An authorisation area of one empty password (Part 1, 18.4.1). */
void put_password(struct buf *b);
/* A selection of the PCR that command_pcr_read reads. */
void put_pcr_selection(struct buf *b);

void command_startup(struct command *c);
void command_self_test(struct command *c);
void command_get_random(struct command *c, uint16_t size);
void command_pcr_read(struct command *c);
void command_pcr_extend(struct command *c);
/* An ordinary index of size bytes that its own empty password opens. */
void command_nv_define(struct command *c, uint32_t index, uint16_t size);
/* The same as a counter (Part 2, 13.4, TPM_NT_COUNTER). */
void command_nv_define_counter(struct command *c, uint32_t index);
void command_nv_increment(struct command *c, uint32_t index);
/* fill tells one content from another. */
void command_nv_write(struct command *c, uint32_t index, uint16_t size,
    uint8_t fill);

/* Sends a command and reads the answer, whatever its code. */
int command_ask(int fd, const struct command *c, struct answer *a,
    struct err *err);
int command_send(int fd, const struct command *c, struct err *err);
int answer_read(int fd, struct answer *a, struct err *err);
/* ERR_TPM unless it is a success. */
int answer_check(const struct answer *a, struct err *err);
/* Sends a command and reads the answer; ERR_TPM unless that is a success.
 * *size (may be NULL) is the answer's. */
int command_run(int fd, const struct command *c, size_t *size,
    struct err *err);

/* Control channel, over its connected socket. */
int ctrl_init(int ctrl, struct err *err);
/* SET_DATAFD: *data is our end. */
int ctrl_data_fd(int ctrl, int *data, struct err *err);
/* What QEMU sends at a reset: STOP, SET_BUFFERSIZE, twice, and INIT. */
int ctrl_reset(int ctrl, struct err *err);
/* A blob's flags are for SET_STATEBLOB. */
#define BLOB_KINDS 3u
#define BLOB_MAX (64u * 1024)
struct state_blob {
	uint8_t bytes[BLOB_MAX];
	size_t size;
	uint32_t flags;
};

/* As QEMU asks, for decrypted blobs; kind from 1 to BLOB_KINDS. */
int ctrl_get_blob(int ctrl, uint32_t kind, struct state_blob *blob,
    struct err *err);
int ctrl_set_blob(int ctrl, uint32_t kind, const struct state_blob *blob,
    struct err *err);
int ctrl_stop(int ctrl, struct err *err);
/* INIT as QEMU's target has it: with PTM_INIT_FLAG_DELETE_VOLATILE. */
int ctrl_init_incoming(int ctrl, struct err *err);
/* Of one that vtpmd has sealed (doc/migration-format.md). */
int blob_plain_size(const struct state_blob *blob, size_t *size,
    struct err *err);
/* Bytes of the permanent state (GET_STATEBLOB). */
int ctrl_state_size(int ctrl, size_t *size, struct err *err);

#endif
