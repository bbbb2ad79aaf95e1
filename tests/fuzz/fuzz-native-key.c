/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The native key's file (doc/native-key.md). Input after fail_begin's: mode
 * (1), then the file. The file is given to native_key_load in memory, and the
 * program that unseals by the host's TPM is replaced by one that gives back
 * the blob's first bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nvram-crypt/crypto.h"
#include "nvram-crypt/hostkey-run.h"
#include "nvram-crypt/native-key.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"

#define ID_AT 12u
#define BODY_AT 32u

enum { MODE_FIX_ID = 1, MODE_WORLD_READABLE = 2 };

static struct {
	uint8_t bytes[4096];
	size_t size;
	mode_t mode;
} file;

int __wrap_openat(int dirfd, const char *name, int flags, ...);
int
__wrap_openat(int dirfd, const char *name, int flags, ...)
{
	unsigned int paused;
	int fd;

	(void)dirfd;
	(void)flags;
	FUZZ_ASSERT(strcmp(name, "key") == 0);
	if (fail_now()) {
		errno = EACCES;
		return -1;
	}
	paused = fail_pause();
	fd = memfd_create("key", MFD_CLOEXEC);
	FUZZ_ASSERT(fd >= 0 && fchmod(fd, file.mode) == 0 &&
	    pwrite(fd, file.bytes, file.size, 0) == (ssize_t)file.size);
	fail_resume(paused);
	return fd;
}

int __wrap_hostkey_unseal(const struct native_config *config,
    const uint8_t *blob, size_t size, struct secret **key, struct err *err);
int
__wrap_hostkey_unseal(const struct native_config *config, const uint8_t *blob,
    size_t size, struct secret **key, struct err *err)
{
	(void)config;
	if (size < NATIVE_KEY_SIZE)
		return err_set(err, ERR_FORMAT, "not a blob");
	if ((*key = secret_from(blob, NATIVE_KEY_SIZE)) == NULL)
		return err_sys(err, errno, "no memory");
	return 0;
}

/* Makes the id the key's own, else no input ever loads. */
static void
fix_id(void)
{
	if (file.size < BODY_AT + NATIVE_KEY_SIZE)
		return;
	FUZZ_ASSERT(crypto_kbkdf(file.bytes + BODY_AT, NATIVE_KEY_SIZE,
	    "vtpmd native key id", NULL, 0, file.bytes + ID_AT,
	    NATIVE_KEY_ID_SIZE, NULL) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct native_owner owner = { (uid_t)-1, (gid_t)-1 };
	struct native_config config = { .state_dir = "/", .owner = (uid_t)-1 };
	struct buf in = buf_reader(data, size), control;
	uint8_t failing[4] = { 0 }, mode = 0;
	struct native_key key = { 0 };
	struct err err = { 0 };
	int rc;

	(void)buf_get_bytes(&in, failing, sizeof(failing));
	(void)buf_get_u8(&in, &mode);
	file.size = buf_left(&in) < sizeof(file.bytes) ? buf_left(&in) :
	    sizeof(file.bytes);
	(void)buf_get_bytes(&in, file.bytes, file.size);
	file.mode = mode & MODE_WORLD_READABLE ? 0604 : 0600;
	if (mode & MODE_FIX_ID)
		fix_id();

	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	rc = native_key_load(-1, "fuzz", &config, &owner, &key, &err);
	(void)fail_end();
	FUZZ_ASSERT((rc == 0) == (key.key != NULL));
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	FUZZ_ASSERT(rc < 0 || (file.mode == 0600 &&
	    secret_size(key.key) == NATIVE_KEY_SIZE));
	secret_free(key.key);
	return 0;
}
