/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one TPM 2.0 of this process: libtpms, whose state is global, behind a
 * small interface. Not thread-safe but for tpm_cancel: callers serialise.
 *
 * Results are libtpms TPM_RESULTs (0 is success; else a TPM_RC of TPM 2.0
 * Part 2, 6.6, or libtpms's own TPM_FAIL...), since that is what QEMU's control
 * channel carries.
 */
#ifndef VTPM_TPM_H
#define VTPM_TPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* TPM 2.0 Part 2, 6.6 and 6.9; only what this project names. */
#define TPM_ST_NO_SESSIONS 0x8001
#define TPM_ST_SESSIONS 0x8002
#define TPM_RC_SUCCESS 0x000
#define TPM_RC_INITIALIZE 0x100
#define TPM_RC_FAILURE 0x101
#define TPM_RC_COMMAND_SIZE 0x142
#define TPM_RC_CANCELED 0x909
#define TPM_RC_RETRY 0x922
#define TPM_RC_NV_UNAVAILABLE 0x923
#define TPM_HEADER_SIZE 10u

#define TPM_BUFFER_DEFAULT 4096u	/* libtpms 0.9's largest command */

enum tpm_state {
	TPM_STATE_PERMANENT = 1,	/* also PTM_BLOB_TYPE_PERMANENT */
	TPM_STATE_VOLATILE = 2,
	TPM_STATE_SAVESTATE = 3,	/* always empty in a TPM 2.0 */
};

/* Where libtpms keeps its state. The functions run inside tpm_* calls. */
struct tpm_storage {
	void *ctx;
	/* 0 with bytes that stay valid until the next call, ERR_NOTFOUND where there
	 * is none, or another code for "cannot be read now". Permanent state that is
	 * not found makes libtpms manufacture a TPM: only for may_manufacture;
	 * otherwise tpm_power_on fails. */
	int (*load)(void *ctx, enum tpm_state which, const uint8_t **data,
	    size_t *size);
	/* Must not return before the state is where it survives a crash. An error
	 * puts the TPM into failure mode until it is powered on again. */
	int (*store)(void *ctx, enum tpm_state which, const uint8_t *data,
	    size_t size);
	bool may_manufacture;
};

/* Once per process, before all else. storage must stay. */
uint32_t tpm_setup(const struct tpm_storage *storage);

/* _TPM_Init (Part 1, 12.2.2): reads the state, or takes what tpm_state_set
 * brought. Powers off first if it is on. */
uint32_t tpm_power_on(void);
void tpm_power_off(void);
bool tpm_powered(void);

/* One command of size bytes. *response stays valid until the next call. Always
 * gives a well-formed response, an error response where libtpms gave none. */
void tpm_process(const uint8_t *command, size_t size,
    const uint8_t **response, size_t *response_size);
/* From any thread, while tpm_process runs: a command that can be cancelled
 * ends with TPM_RC_CANCELED. */
void tpm_cancel(void);
/* Writes a ten-byte response with only rc to out. */
void tpm_error_response(uint8_t out[TPM_HEADER_SIZE], uint32_t rc);

/* Whether a response's code is TPM_RC_SUCCESS. */
bool tpm_response_is_success(const uint8_t *response, size_t size);

/* Part 1, 12.2.3.2: true when a TPM2_Shutdown has succeeded since the last
 * _TPM_Init and no command has changed anything since, or nothing was
 * started. */
bool tpm_orderly(void);
/* Sends TPM2_Shutdown(CLEAR) where the guest did not (power cut, reset):
 * an unorderly start may otherwise count as a failed authorisation (Part 1, 19.8.6). */
void tpm_make_orderly(void);

/* What there is to know of a running TPM beside its volatile state, to carry
 * it from one process to another. Zero or not: the first three lie in memory
 * that another process writes, and a bool must not hold anything else. */
struct tpm_progress {
	uint8_t powered, started, shut_down;
	uint8_t locality;
	uint32_t buffer_size;
};
void tpm_progress_get(struct tpm_progress *p);
/* For a TPM that has just been powered on with the volatile state that belongs
 * to p. */
void tpm_progress_set(const struct tpm_progress *p);
/* Stirs fresh entropy in (Part 3, 16.2): a TPM that has been brought back to an
 * earlier state must not give again what its random generator gave since. Does
 * nothing before TPM2_Startup, when nothing has been drawn. */
uint32_t tpm_stir(void);

/* *data is malloc'd; free it. */
uint32_t tpm_state_get(enum tpm_state which, uint8_t **data, size_t *size);
/* Hands over state that the next tpm_power_on takes; only while off. The bytes
 * are checked by libtpms first. Empty volatile state means that there is none,
 * whatever is stored; an empty permanent one is refused, and so is volatile
 * state after a permanent one that libtpms did not take. */
uint32_t tpm_state_set(enum tpm_state which, const uint8_t *data, size_t size);

uint32_t tpm_set_locality(uint8_t locality);
uint32_t tpm_established_get(bool *established);
uint32_t tpm_established_reset(uint8_t locality);
/* H-CRTM sequences (Part 1, 34.2 "_TPM_Hash_Start" to "_TPM_Hash_End"). */
uint32_t tpm_hash_start(void);
uint32_t tpm_hash_data(const uint8_t *data, size_t size);
uint32_t tpm_hash_end(void);

/* Sets the command buffer while off; wanted 0 asks. Clamps. */
uint32_t tpm_buffer_size(uint32_t wanted, uint32_t *min, uint32_t *max);
/* JSON from libtpms, malloc'd; NULL on failure. flags: TPMLIB_InfoFlags. */
char *tpm_info(uint64_t flags);
/* TPMLIB_GetVersion(). */
uint32_t tpm_library_version(void);

#endif
