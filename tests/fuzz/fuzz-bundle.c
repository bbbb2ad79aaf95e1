/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What vtpmctl import reads: a bundle as it comes, and one of ours with bytes
 * changed; swtpm's blobs and its one file, plain and encrypted. While memory,
 * reads and OpenSSL fail. A bundle that opens is the one that was made.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/bundle.h"
#include "migration/swtpm-state.h"
#include "nvram-crypt/slot.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"

enum { BUNDLE_RAW, BUNDLE_CHANGED, BLOB, BLOB_ENCRYPTED, LINEAR,
	BLOB_THERE_AND_BACK, MODES };

#define ROOM 65536u
#define WORDS "correct horse"
#define STATE "a state"

static struct {
	uint8_t good[ROOM];
	size_t size;
	struct bundle_creds creds;
	struct swtpm_key *key;
} the;

static int
memory(const void *bytes, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	unsigned int paused = fail_pause();

	FUZZ_ASSERT(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	fail_resume(paused);
	return fd;
}

/* No mode=: both sizes of key are tried, by the flags of the blob. */
static void
make_key(void)
{
	static const char words[] = WORDS;
	char spec[64];
	int fd = memory(words, sizeof(words) - 1);

	FUZZ_ASSERT(lseek(fd, 0, SEEK_SET) == 0);
	snprintf(spec, sizeof(spec), "pwdfd=%d,kdf=sha512", fd);
	FUZZ_ASSERT(swtpm_key_parse(&the.key, spec, NULL) == 0);
	close(fd);
}

static void
set_up(void)
{
	const struct nvram_record record = { NVRAM_PERMANENT,
		(const uint8_t *)STATE, sizeof(STATE) - 1 };
	const struct bundle_vm vm = { .name = "fuzz", .epoch = 1 };
	char dir[] = "/tmp/vtpm-fuzz.XXXXXX", path[64];
	struct bundle_writer *w;
	struct recipient *to;
	FILE *file;

	FUZZ_ASSERT(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/bundle", dir);
	the.creds.passphrase = secret_from(WORDS, sizeof(WORDS) - 1);
	FUZZ_ASSERT(recipient_from_passphrase(&to, secret_from(WORDS,
	    sizeof(WORDS) - 1), NULL) == 0);
	FUZZ_ASSERT(bundle_create(&w, path, &to, 1, 1, 0x902, NULL) == 0 &&
	    bundle_add(w, &vm, &record, 1, NULL) == 0 &&
	    bundle_finish(w, NULL) == 0);
	bundle_writer_free(w);
	recipient_free(to);
	if ((file = fopen(path, "r")) == NULL)
		abort();
	the.size = fread(the.good, 1, sizeof(the.good), file);
	fclose(file);
	unlink(path);
	rmdir(dir);
	make_key();
}

static bool
is_state(const struct secret *payload)
{
	const uint8_t *data;
	size_t size;

	return slot_payload_get(secret_bytes(payload), secret_size(payload),
	    NVRAM_PERMANENT, &data, &size) == 0 && size == sizeof(STATE) - 1 &&
	    memcmp(data, STATE, size) == 0;
}

static void
try_bundle(const uint8_t *bytes, size_t size, struct buf *failing)
{
	bool same = size == the.size && memcmp(bytes, the.good, size) == 0;
	int fd = memory(bytes, size), rc;
	struct secret *payload = NULL;
	struct bundle *b = NULL;

	fail_begin(failing);
	if ((rc = bundle_open_fd(&b, fd, "fuzz", NULL)) == 0 &&
	    (rc = bundle_unlock(b, &the.creds, NULL)) == 0)
		rc = bundle_get(b, 0, &payload, NULL);
	if (!fail_end())
		FUZZ_ASSERT(same == (rc == 0));
	/* Also while things fail, nothing else opens. */
	FUZZ_ASSERT(rc < 0 || (same && is_state(payload)));
	secret_free(payload);
	bundle_close(b);
}

/* {u16 where, u8 change}... over the good one, and a length. */
static void
try_changed(struct buf *in, struct buf *failing)
{
	static uint8_t bytes[ROOM];
	uint16_t at, cut = 0;
	uint8_t change;

	memcpy(bytes, the.good, the.size);
	(void)buf_get_u16be(in, &cut);
	while (buf_get_u16be(in, &at) == 0 && buf_get_u8(in, &change) == 0)
		bytes[at % the.size] ^= change;
	try_bundle(bytes, the.size - cut % the.size, failing);
}

static void
try_blob(struct buf *in, const struct swtpm_key *key, struct buf *failing)
{
	struct secret *state = NULL;
	const uint8_t *bytes;
	size_t size = buf_left(in);

	if (size == 0 || buf_get_ref(in, &bytes, size) < 0)
		return;
	fail_begin(failing);
	if (swtpm_blob_decode(bytes, size, key, &state, NULL) == 0)
		FUZZ_ASSERT(secret_size(state) < size);
	(void)fail_end();
	secret_free(state);
}

static void
try_linear(struct buf *in, struct buf *failing)
{
	const uint8_t *bytes;
	size_t size = buf_left(in);
	struct swtpm_states states;
	char path[64];
	int fd;

	if (size == 0 || buf_get_ref(in, &bytes, size) < 0)
		return;
	fd = memory(bytes, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fail_begin(failing);
	(void)swtpm_state_read(&states, path, NULL, NULL);
	(void)fail_end();
	swtpm_states_free(&states);
	close(fd);
}

static void
try_there_and_back(struct buf *in, struct buf *failing)
{
	struct secret *blob = NULL, *state = NULL;
	const uint8_t *bytes;
	size_t size = buf_left(in);
	int rc;

	if (size == 0 || buf_get_ref(in, &bytes, size) < 0)
		return;
	fail_begin(failing);
	rc = swtpm_blob_encode(bytes, size, the.key, &blob, NULL);
	FUZZ_ASSERT(!fail_end() ? rc == 0 : true);
	if (rc == 0)
		FUZZ_ASSERT(swtpm_blob_decode(secret_bytes(blob),
		    secret_size(blob), the.key, &state, NULL) == 0 &&
		    secret_size(state) == size &&
		    memcmp(secret_bytes(state), bytes, size) == 0);
	secret_free(blob);
	secret_free(state);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), failing;
	uint8_t four[4] = { 0 }, mode = 0;
	const uint8_t *rest;

	if (the.size == 0)
		set_up();
	(void)buf_get_bytes(&in, four, sizeof(four));
	(void)buf_get_u8(&in, &mode);
	if (!buf_ok(&in) || buf_left(&in) > ROOM)
		return 0;
	failing = buf_reader(four, sizeof(four));
	switch (mode % MODES) {
	case BUNDLE_RAW:
		size = buf_left(&in);
		if (buf_get_ref(&in, &rest, size) == 0)
			try_bundle(rest, size, &failing);
		break;
	case BUNDLE_CHANGED:
		try_changed(&in, &failing);
		break;
	case BLOB:
	case BLOB_ENCRYPTED:
		try_blob(&in, mode % MODES == BLOB ? NULL : the.key, &failing);
		break;
	case LINEAR:
		try_linear(&in, &failing);
		break;
	default:
		try_there_and_back(&in, &failing);
	}
	return 0;
}
