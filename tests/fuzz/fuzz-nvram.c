/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole nvram file, opened, used and opened again. The input is, after
 * fail_begin's four bytes: mode (1), what to do with it (1), the write or sync
 * that fails (1, 0: none), how many pages are missing at the end (1); then the
 * file itself, or changes of a good one: offset (2), size (1), bytes.
 *
 * Behind authentication nothing is reached by chance, so the harness can make
 * the checksums right, or seal all again under the right key. Then the changes
 * are of the plaintext. The store is one in memory, for the failing operation,
 * or a file's, whose system calls fail by fail_begin's bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/nvram-internal.h"
#include "tests/fault/fault-store.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/native-for-tests.h"

#define SLOT_SIZE 8192u
#define FILE_SIZE (2 * SUPERBLOCK_SIZE + 2 * SLOT_SIZE)
#define STATE_SIZE 300u
#define FIRST 10	/* state that an input commits, FIRST + 1 the next */
#define TRIES 2

/* doc/nvram-format.md */
#define SB_CHECKSUM_AT (SUPERBLOCK_SIZE - SHA256_SIZE)
#define SB_TAG_AT (SB_CHECKSUM_AT - XAES_TAG_SIZE)
#define SB_UUID_AT 32u
#define SB_FLOOR_AT 280u
#define SB_NONCE_AT 336u
#define SLOT_SEQUENCE_AT 16u
#define SLOT_PAYLOAD_SIZE_AT 48u
#define SLOT_NONCE_AT 56u
#define SLOT_TAG_AT 112u

enum mode { RAW, CHANGED, CHECKSUMS, SEALED, MODES = 4 };
#define MODE_NATIVE 4		/* bits of the mode byte */
#define MODE_PASSPHRASE 8
#define MODE_KEEP_FLOOR 16
#define MODE_FILE 32		/* a real file, whose system calls fail */

enum { DO_ACCEPT = 1, DO_ADD = 2, DO_SHALLOW = 4, DO_DEEP = 8, DO_COMMIT = 16,
	DO_VERSION = 32, DO_RELEASE = 64 };

static struct {
	struct native *native;
	struct secret *passphrase;
	struct protector_creds creds;
	struct fault_store *good;	/* the file changes are made to */
	struct nvram *opened;		/* it, for its keys */
	uint8_t plain[FILE_SIZE];	/* with the payloads decrypted */
} the;

static void
no_line(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

static int
commit(struct nvram *nv, uint8_t byte)
{
	uint8_t data[STATE_SIZE];
	struct nvram_record records[] = {
		{ NVRAM_PERMANENT, data, sizeof(data) },
		{ NVRAM_VOLATILE, data, 20 },
	};

	memset(data, byte, sizeof(data));
	return nvram_commit(nv, records, 2, NULL);
}

/* Which state was committed last; -1 when it is none of ours. */
static int
committed(const struct nvram *nv)
{
	const uint8_t *data;
	size_t size;

	if (nvram_get(nv, NVRAM_PERMANENT, &data, &size, NULL) < 0 ||
	    size != STATE_SIZE)
		return -1;
	for (size_t i = 1; i < size; i++)
		if (data[i] != data[0])
			return -1;
	return data[0];
}

static void
make_plain(void)
{
	memcpy(the.plain, fault_store_bytes(the.good), FILE_SIZE);
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		uint8_t *at = the.plain + 2 * SUPERBLOCK_SIZE + i * SLOT_SIZE;
		struct slot s;

		FUZZ_ASSERT(slot_decode(at, SLOT_SIZE, &s) == 0);
		FUZZ_ASSERT(slot_open(&s, at, the.plain + SB_UUID_AT,
		    the.opened->keys.slot, at + SLOT_HEADER_SIZE, NULL) == 0);
	}
}

static void
set_up(void)
{
	uint8_t data[STATE_SIZE];
	struct nvram_record record = { NVRAM_PERMANENT, data, sizeof(data) };
	struct nvram_create_args args = { .name = "fuzz", .records = &record,
		.protector = protector_ops_by_name("native"),
		.creds = &the.creds, .n_records = 1, .slot_size = SLOT_SIZE };
	struct nvram *nv;

	memset(data, 1, sizeof(data));
	memset(args.uuid, 0x77, UUID_SIZE);
	log_set_sink(no_line);
	the.native = native_for_tests(0x5a, -1);
	the.passphrase = secret_from("fuzz", 4);
	the.creds = (struct protector_creds){ .native = the.native,
	    .passphrase = the.passphrase };
	the.good = fault_store_new(FILE_SIZE);
	FUZZ_ASSERT(nvram_create_store(fault_store_base(the.good), &args,
	    NULL) == 0);
	FUZZ_ASSERT(nvram_open_store(&nv, fault_store_base(the.good), "fuzz",
	    NULL) == 0 && nvram_unlock(nv, &the.creds, NULL) == 0 &&
	    nvram_acquire(nv, NULL, false, NULL) == 0);
	FUZZ_ASSERT(nvram_protector_add(nv,
	    protector_ops_by_name("passphrase"), &the.creds, "", NULL) == 0);
	FUZZ_ASSERT(commit(nv, 2) == 0);
	fault_store_settle(the.good);
	the.opened = nv;
	make_plain();
}

static void
change(struct buf *in, uint8_t *image)
{
	uint16_t offset;
	uint8_t size;

	while (buf_get_u16be(in, &offset) == 0 && buf_get_u8(in, &size) == 0) {
		size_t at = offset % FILE_SIZE, n = size;

		if (n > buf_left(in))
			n = buf_left(in);
		if (n > FILE_SIZE - at)
			n = FILE_SIZE - at;
		(void)buf_get_bytes(in, image + at, n);
	}
}

static void
seal_slot(uint8_t *image, uint32_t i, bool keep_floor)
{
	uint8_t *at = image + 2 * SUPERBLOCK_SIZE + i * SLOT_SIZE;
	uint8_t aad[SLOT_TAG_AT + UUID_SIZE];
	struct buf b = buf_reader(at, SLOT_HEADER_SIZE);
	uint32_t size = 0;

	(void)buf_get_bytes(&b, NULL, SLOT_PAYLOAD_SIZE_AT);
	(void)buf_get_u32be(&b, &size);
	if (size > SLOT_SIZE - SLOT_HEADER_SIZE)
		size = SLOT_SIZE - SLOT_HEADER_SIZE;
	memcpy(aad, at, SLOT_TAG_AT);
	memcpy(aad + SLOT_TAG_AT, image + SB_UUID_AT, UUID_SIZE);
	FUZZ_ASSERT(xaes_seal(the.opened->keys.slot, at + SLOT_NONCE_AT, aad,
	    sizeof(aad), at + SLOT_HEADER_SIZE, size, at + SLOT_HEADER_SIZE,
	    at + SLOT_TAG_AT, NULL) == 0);
	if (keep_floor)
		return;
	for (size_t j = 0; j < 2; j++) {
		uint8_t *floor = image + j * SUPERBLOCK_SIZE + SB_FLOOR_AT;

		if (memcmp(floor, at + SLOT_SEQUENCE_AT, 8) == 0)
			memcpy(floor + 8, at + SLOT_TAG_AT, XAES_TAG_SIZE);
	}
}

static void
seal(uint8_t *image, uint8_t mode)
{
	if (mode % MODES == SEALED)
		for (uint32_t i = 0; i < SLOT_COUNT; i++)
			seal_slot(image, i, (mode & MODE_KEEP_FLOOR) != 0);
	for (size_t i = 0; i < 2; i++) {
		uint8_t *sb = image + i * SUPERBLOCK_SIZE;

		if (mode % MODES == SEALED)
			FUZZ_ASSERT(xaes_seal(the.opened->keys.superblock,
			    sb + SB_NONCE_AT, sb, SB_TAG_AT, NULL, 0, NULL,
			    sb + SB_TAG_AT, NULL) == 0);
		FUZZ_ASSERT(crypto_sha256(sb, SB_CHECKSUM_AT,
		    sb + SB_CHECKSUM_AT, NULL) == 0);
	}
}

static struct fault_store *
make_file(struct buf *in, uint8_t mode, size_t missing)
{
	size_t size = FILE_SIZE - missing % (FILE_SIZE / PAGE_BYTES + 1) *
	    PAGE_BYTES;
	struct fault_store *fs;
	uint8_t image[FILE_SIZE];

	memcpy(image, mode % MODES == SEALED ? the.plain :
	    fault_store_bytes(the.good), FILE_SIZE);
	if (mode % MODES == RAW) {
		size = buf_left(in);
		if (size > FILE_SIZE)
			size = FILE_SIZE;
		(void)buf_get_bytes(in, image, size);
	} else {
		change(in, image);
	}
	if (mode % MODES >= CHECKSUMS)
		seal(image, mode);
	fs = fault_store_new(size);
	memcpy(fault_store_bytes(fs), image, size);
	fault_store_settle(fs);
	return fs;
}

/* The image as a file that store.c reads and writes. */
static int
file_of(struct fault_store *fs)
{
	int fd = memfd_create("nvram", MFD_CLOEXEC);
	size_t size = fault_store_size(fs);

	FUZZ_ASSERT(fd >= 0 && (size_t)pwrite(fd, fault_store_bytes(fs), size,
	    0) == size);
	return fd;
}

/* fd -1: fs itself. */
static int
open_nvram(struct nvram **nv, struct fault_store *fs, int fd, struct err *err)
{
	struct store *store = fault_store_base(fs);
	int rc, copy = -1;

	*nv = NULL;
	if (fd >= 0) {
		FUZZ_ASSERT((copy = dup(fd)) >= 0);
		if ((rc = store_from_fd(&store, copy, err)) < 0) {
			close(copy);
			return rc;
		}
	}
	return nvram_open_store(nv, store, "fuzz", err);
}

/* What a vtpmd and a vtpmctl do. *acked becomes the state that must be there
 * afterwards (-1: nothing is promised), *tried the last that was to be. */
static void
use(struct nvram *nv, uint8_t todo, const struct protector_creds *creds,
    int *acked, int *tried)
{
	if (nvram_acquire(nv, NULL, (todo & DO_ACCEPT) != 0, NULL) < 0)
		return;
	*acked = committed(nv);
	for (uint8_t i = 0; i < TRIES; i++) {
		if ((todo & DO_COMMIT) != 0) {
			*tried = FIRST + i;
			if (commit(nv, (uint8_t)*tried) == 0)
				*acked = *tried;
		}
		if ((todo & DO_ADD) != 0)
			(void)nvram_protector_add(nv,
			    protector_ops_by_name("native"), creds, "x",
			    NULL);
		if ((todo & DO_SHALLOW) != 0)
			(void)nvram_rekey(nv, false, creds, NULL);
		if ((todo & DO_DEEP) != 0)
			(void)nvram_rekey(nv, true, creds, NULL);
		if ((todo & DO_VERSION) != 0)
			(void)nvram_set_state_version(nv, i, NULL);
	}
	if ((todo & DO_RELEASE) != 0)
		(void)nvram_release(nv, NULL);
}

/* Bytes that nobody has touched must not be called damaged, whatever else goes
 * wrong: an administrator would go back to an older state for it. */
static void
check_untouched(const struct nvram *nv, int rc)
{
	const struct nvram_report *r;

	FUZZ_ASSERT(rc != ERR_AUTH && rc != ERR_FORMAT && rc != ERR_STALE);
	if (rc < 0 || nv == NULL)
		return;
	r = nvram_report(nv);
	for (size_t i = 0; i < 2; i++)
		FUZZ_ASSERT(r->superblock[i].state != NVRAM_AREA_TORN &&
		    r->slot[i].state != NVRAM_AREA_TORN);
	FUZZ_ASSERT(committed(nv) == 2);
}

static void
check(struct fault_store *fs, int fd, int acked, int tried)
{
	struct nvram *nv;
	int got;

	if (acked < 0)
		return;
	FUZZ_ASSERT(open_nvram(&nv, fs, fd, NULL) == 0);
	FUZZ_ASSERT(nvram_unlock(nv, &the.creds, NULL) == 0);
	got = committed(nv);
	/* One whose commit failed may be there, if it is a newer one. */
	FUZZ_ASSERT(got == acked || (got >= FIRST && got <= tried &&
	    (acked < FIRST || acked > tried || got > acked)));
	nvram_close(nv);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), control;
	uint8_t mode = 0, todo = 0, operation = 0, missing = 0;
	uint8_t failing[4] = { 0 };
	struct protector_creds creds = { 0 };
	int acked = -1, tried = -1, fd = -1, rc;
	struct fault_store *fs;
	struct nvram *nv;
	bool untouched;

	if (the.opened == NULL)
		set_up();
	(void)buf_get_bytes(&in, failing, sizeof(failing));
	(void)buf_get_u8(&in, &mode);
	(void)buf_get_u8(&in, &todo);
	(void)buf_get_u8(&in, &operation);
	(void)buf_get_u8(&in, &missing);
	untouched = mode % MODES == CHANGED && missing == 0 &&
	    buf_left(&in) == 0;
	fs = make_file(&in, mode, missing);
	if (mode & MODE_FILE)
		fd = file_of(fs);
	else if (operation > 0)
		fault_store_fail_at(fs, operation - 1u, EIO, mode * 64u);
	creds.native = mode & MODE_NATIVE ? the.native : NULL;
	creds.passphrase = mode & MODE_PASSPHRASE ? the.passphrase : NULL;

	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	rc = open_nvram(&nv, fs, fd, NULL);
	if (untouched)
		check_untouched(NULL, rc);
	if (rc == 0) {
		rc = nvram_unlock(nv, &creds, NULL);
		if (untouched)
			check_untouched(nv, rc);
		if (rc == 0)
			use(nv, todo, &creds, &acked, &tried);
		nvram_close(nv);
	}
	(void)fail_end();
	fault_store_disarm(fs);
	check(fs, fd, acked, tried);
	fault_store_free(fs);
	if (fd >= 0)
		close(fd);
	return 0;
}
