/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/tpm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>
#include <libtpms/tpm_memory.h>
#include <libtpms/tpm_nvfilename.h>
#include <libtpms/tpm_tis.h>
#include <openssl/crypto.h>

#include "base/buf.h"
#include "base/err.h"

#define TPM_CC_STARTUP 0x144
#define TPM_CC_SHUTDOWN 0x145
#define TPM_CC_STIR_RANDOM 0x146
#define TPM_SU_CLEAR 0x0000

/* libtpms keeps one TPM in globals of its own; this is the little that has to
 * stand beside it. */
static struct {
	const struct tpm_storage *storage;
	bool powered;
	bool started;		/* TPM2_Startup succeeded since _TPM_Init */
	bool shut_down;		/* TPM2_Shutdown did since, and still counts */
	bool refused;		/* libtpms did not take a permanent state */
	TPM_MODIFIER_INDICATOR locality;
	uint32_t command;	/* code of the one that runs */
	unsigned char *response;
	uint32_t response_room;
} the;

static const struct {
	enum tpm_state which;
	enum TPMLIB_StateType type;
	const char *name;
} states[] = {
	{ TPM_STATE_PERMANENT, TPMLIB_STATE_PERMANENT, TPM_PERMANENT_ALL_NAME },
	{ TPM_STATE_VOLATILE, TPMLIB_STATE_VOLATILE, TPM_VOLATILESTATE_NAME },
	{ TPM_STATE_SAVESTATE, TPMLIB_STATE_SAVE_STATE, TPM_SAVESTATE_NAME },
};
#define N_STATES (sizeof(states) / sizeof(states[0]))

static int
state_by_name(const char *name, enum tpm_state *which)
{
	for (size_t i = 0; i < N_STATES; i++)
		if (strcmp(states[i].name, name) == 0) {
			*which = states[i].which;
			return 0;
		}
	return ERR_NOTFOUND;
}

static TPM_RESULT
on_load(unsigned char **data, uint32_t *length, uint32_t tpm_number,
    const char *name)
{
	const uint8_t *bytes = NULL;
	enum tpm_state which;
	size_t size = 0;
	int rc;

	(void)tpm_number;
	*data = NULL;
	*length = 0;
	if (state_by_name(name, &which) < 0)
		return TPM_RETRY;
	rc = the.storage->load(the.storage->ctx, which, &bytes, &size);
	/* TPM_RETRY means "no such file", and for the permanent state that is
	 * libtpms's order to manufacture a fresh TPM. */
	if (rc == ERR_NOTFOUND)
		return which == TPM_STATE_PERMANENT &&
		    !the.storage->may_manufacture ? TPM_FAIL : TPM_RETRY;
	if (rc < 0 || size > UINT32_MAX)
		return TPM_FAIL;
	if ((*data = malloc(size)) == NULL)
		return TPM_SIZE;
	memcpy(*data, bytes, size);
	*length = (uint32_t)size;
	return TPM_SUCCESS;
}

/*
 * Keeps account of Startup and Shutdown (Part 1, 12.2.3). A Shutdown counts
 * until a command changes what it saved, and libtpms stores that it no longer
 * does; one that only reads leaves it. libtpms stores last of all that a
 * command does, and the account must be right by then: it is captured with it.
 */
static void
track_store(void)
{
	the.shut_down = the.command == TPM_CC_SHUTDOWN;
	if (the.command == TPM_CC_STARTUP)
		the.started = true;
}

static TPM_RESULT
on_store(const unsigned char *data, uint32_t length, uint32_t tpm_number,
    const char *name)
{
	enum tpm_state which;

	(void)tpm_number;
	if (state_by_name(name, &which) < 0)
		return TPM_FAIL;
	if (which == TPM_STATE_PERMANENT)
		track_store();
	if (the.storage->store(the.storage->ctx, which, data, length) < 0)
		return TPM_FAIL;
	return TPM_SUCCESS;
}

static TPM_RESULT
on_delete(uint32_t tpm_number, const char *name, TPM_BOOL must_exist)
{
	(void)tpm_number;
	(void)name;
	/* libtpms deletes only a TPM 1.2's savestate, which a TPM 2.0 never
	 * writes. */
	return must_exist ? TPM_FAIL : TPM_SUCCESS;
}

static TPM_RESULT
on_init(void)
{
	return TPM_SUCCESS;
}

static TPM_RESULT
on_locality(TPM_MODIFIER_INDICATOR *locality, uint32_t tpm_number)
{
	(void)tpm_number;
	*locality = the.locality;
	return TPM_SUCCESS;
}

static TPM_RESULT
on_physical_presence(TPM_BOOL *present, uint32_t tpm_number)
{
	(void)tpm_number;
	*present = FALSE;
	return TPM_SUCCESS;
}

uint32_t
tpm_setup(const struct tpm_storage *storage)
{
	struct libtpms_callbacks callbacks = {
		.sizeOfStruct = sizeof(callbacks),
		.tpm_nvram_init = on_init,
		.tpm_nvram_loaddata = on_load,
		.tpm_nvram_storedata = on_store,
		.tpm_nvram_deletename = on_delete,
		.tpm_io_init = on_init,
		.tpm_io_getlocality = on_locality,
		.tpm_io_getphysicalpresence = on_physical_presence,
	};
	TPM_RESULT rc;

	the.storage = storage;
	/* libtpms lives in OpenSSL's default context. The host's openssl.cnf
	 * must not reach it: its self-test fails for good where FIPS mode is on. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return TPM_FAIL;
	if ((rc = TPMLIB_ChooseTPMVersion(TPMLIB_TPM_VERSION_2)) != TPM_SUCCESS)
		return rc;
	return TPMLIB_RegisterCallbacks(&callbacks);
}

uint32_t
tpm_power_on(void)
{
	TPM_RESULT rc;

	tpm_power_off();
	rc = TPMLIB_MainInit();
	the.powered = rc == TPM_SUCCESS;
	if (!the.powered)
		TPMLIB_Terminate();
	the.started = false;
	the.shut_down = false;
	the.refused = false;
	the.locality = 0;
	return rc;
}

void
tpm_power_off(void)
{
	if (the.powered)
		TPMLIB_Terminate();
	the.powered = false;
}

bool
tpm_powered(void)
{
	return the.powered;
}

void
tpm_error_response(uint8_t out[TPM_HEADER_SIZE], uint32_t rc)
{
	struct buf b = buf_writer(out, TPM_HEADER_SIZE);

	buf_put_u16be(&b, TPM_ST_NO_SESSIONS);
	buf_put_u32be(&b, TPM_HEADER_SIZE);
	buf_put_u32be(&b, rc);
}

bool
tpm_response_is_success(const uint8_t *response, size_t size)
{
	struct buf b = buf_reader(response, size);
	uint32_t rc;

	return buf_get_bytes(&b, NULL, 6) == 0 &&
	    buf_get_u32be(&b, &rc) == 0 && rc == TPM_RC_SUCCESS;
}

static uint32_t
command_code(const uint8_t *command, size_t size)
{
	struct buf b = buf_reader(command, size);
	uint32_t code = 0;

	(void)buf_get_bytes(&b, NULL, 6);
	(void)buf_get_u32be(&b, &code);
	return code;
}

/* A Startup or Shutdown that has been run. */
static void
track_orderly(uint32_t code, bool success)
{
	if (code == TPM_CC_STARTUP && success)
		the.started = true;
	if (code == TPM_CC_SHUTDOWN)
		the.shut_down = success;
}

void
tpm_process(const uint8_t *command, size_t size, const uint8_t **response,
    size_t *response_size)
{
	static uint8_t error[TPM_HEADER_SIZE];
	uint32_t code, got = 0;
	TPM_RESULT rc;

	*response = error;
	*response_size = sizeof(error);
	if (!the.powered) {
		tpm_error_response(error, TPM_RC_FAILURE);
		return;
	}
	if (size < TPM_HEADER_SIZE || size > UINT32_MAX) {
		tpm_error_response(error, TPM_RC_COMMAND_SIZE);
		return;
	}
	the.command = command_code(command, size);
	/* libtpms takes the command as writable and may write to it. */
	rc = TPMLIB_Process(&the.response, &got, &the.response_room,
	    (unsigned char *)(uintptr_t)command, (uint32_t)size);
	code = the.command;
	the.command = 0;
	if (rc != TPM_SUCCESS || got < TPM_HEADER_SIZE) {
		tpm_error_response(error, TPM_RC_FAILURE);
		return;
	}
	track_orderly(code, tpm_response_is_success(the.response, got));
	*response = the.response;
	*response_size = got;
}

void
tpm_cancel(void)
{
	TPMLIB_CancelCommand();
}

bool
tpm_orderly(void)
{
	return !the.powered || !the.started || the.shut_down;
}

void
tpm_make_orderly(void)
{
	uint8_t command[TPM_HEADER_SIZE + 2];
	struct buf b = buf_writer(command, sizeof(command));
	const uint8_t *response;
	size_t size;

	if (tpm_orderly())
		return;
	buf_put_u16be(&b, TPM_ST_NO_SESSIONS);
	buf_put_u32be(&b, sizeof(command));
	buf_put_u32be(&b, TPM_CC_SHUTDOWN);
	buf_put_u16be(&b, TPM_SU_CLEAR);
	tpm_process(command, sizeof(command), &response, &size);
}

void
tpm_progress_get(struct tpm_progress *p)
{
	uint32_t min, max;

	*p = (struct tpm_progress){ the.powered, the.started, the.shut_down,
		(uint8_t)the.locality,
		TPMLIB_SetBufferSize(0, &min, &max) };
}

void
tpm_progress_set(const struct tpm_progress *p)
{
	the.started = p->started;
	the.shut_down = p->shut_down;
	the.locality = p->locality;
}

uint32_t
tpm_stir(void)
{
	uint8_t command[TPM_HEADER_SIZE + 2 + 32], fresh[32];
	struct buf b = buf_writer(command, sizeof(command));
	bool shut_down = the.shut_down;
	const uint8_t *response;
	size_t size;

	if (!the.powered || !the.started)
		return TPM_RC_SUCCESS;
	if (getrandom(fresh, sizeof(fresh), 0) != sizeof(fresh))
		return TPM_FAIL;
	buf_put_u16be(&b, TPM_ST_NO_SESSIONS);
	buf_put_u32be(&b, sizeof(command));
	buf_put_u32be(&b, TPM_CC_STIR_RANDOM);
	buf_put_tpm2b(&b, fresh, sizeof(fresh));
	tpm_process(command, sizeof(command), &response, &size);
	the.shut_down = shut_down;
	return tpm_response_is_success(response, size) ? TPM_RC_SUCCESS :
	    TPM_RC_FAILURE;
}

static enum TPMLIB_StateType
state_type(enum tpm_state which)
{
	for (size_t i = 0; i < N_STATES; i++)
		if (states[i].which == which)
			return states[i].type;
	return 0;
}

uint32_t
tpm_state_get(enum tpm_state which, uint8_t **data, size_t *size)
{
	uint32_t got = 0;
	TPM_RESULT rc;

	*data = NULL;
	*size = 0;
	if (state_type(which) == 0)
		return TPM_BAD_PARAMETER;
	if (which == TPM_STATE_SAVESTATE)
		return TPM_SUCCESS;
	rc = TPMLIB_GetState(state_type(which), data, &got);
	if (rc == TPM_SUCCESS)
		*size = got;
	return rc;
}

uint32_t
tpm_state_set(enum tpm_state which, const uint8_t *data, size_t size)
{
	TPM_RESULT rc;

	if (the.powered)
		return TPM_BAD_ORDINAL;
	if (state_type(which) == 0 || size > UINT32_MAX)
		return TPM_BAD_PARAMETER;
	if (which == TPM_STATE_SAVESTATE)
		return size == 0 ? TPM_SUCCESS : TPM_BAD_PARAMETER;
	/* To libtpms an empty permanent state is one that is known not to be
	 * there: it would manufacture a fresh TPM and store it over ours. */
	if (which == TPM_STATE_PERMANENT && size == 0)
		return TPM_BAD_PARAMETER;
	/* What libtpms has read of a permanent state before refusing it stays
	 * in its globals, and a volatile state would be built on that. */
	if (which == TPM_STATE_VOLATILE && the.refused)
		return TPM_BAD_PARAMETER;
	rc = TPMLIB_SetState(state_type(which), size == 0 ? NULL : data,
	    (uint32_t)size);
	if (which == TPM_STATE_PERMANENT)
		the.refused = rc != TPM_SUCCESS;
	return rc;
}

uint32_t
tpm_set_locality(uint8_t locality)
{
	if (locality > 4)
		return TPM_BAD_LOCALITY;
	the.locality = locality;
	return TPM_SUCCESS;
}

uint32_t
tpm_established_get(bool *established)
{
	TPM_BOOL bit = FALSE;
	TPM_RESULT rc = TPM_IO_TpmEstablished_Get(&bit);

	*established = bit;
	return rc;
}

uint32_t
tpm_established_reset(uint8_t locality)
{
	TPM_MODIFIER_INDICATOR before = the.locality;
	TPM_RESULT rc;

	/* PC Client PTP, 6.5.2.8: only from locality 3 or 4; libtpms checks. */
	if (locality > 4)
		return TPM_BAD_LOCALITY;
	the.locality = locality;
	rc = TPM_IO_TpmEstablished_Reset();
	the.locality = before;
	return rc;
}

uint32_t
tpm_hash_start(void)
{
	return TPM_IO_Hash_Start();
}

uint32_t
tpm_hash_data(const uint8_t *data, size_t size)
{
	if (size > UINT32_MAX)
		return TPM_BAD_PARAMETER;
	return TPM_IO_Hash_Data(data, (uint32_t)size);
}

uint32_t
tpm_hash_end(void)
{
	return TPM_IO_Hash_End();
}

uint32_t
tpm_buffer_size(uint32_t wanted, uint32_t *min, uint32_t *max)
{
	return TPMLIB_SetBufferSize(wanted, min, max);
}

char *
tpm_info(uint64_t flags)
{
	return TPMLIB_GetInfo((enum TPMLIB_InfoFlags)flags);
}

uint32_t
tpm_library_version(void)
{
	return TPMLIB_GetVersion();
}
