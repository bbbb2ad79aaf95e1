/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * This host's record of a VM (freshness-record.h), which says whether a file is
 * the latest: it closed cleanly at EPOCH, leaving a digest. Input after
 * fail_begin's: mode (1), the claim's epoch (1), then changes of the record's
 * file: offset (2), size (1), bytes. The file is claimed, taken, released.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/freshness-record.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/native-for-tests.h"

#define EPOCH 6u
#define CHECKSUM_AT (FRESHNESS_SECTOR_SIZE - SHA256_SIZE)

enum { MODE_CHECKSUMS = 1, MODE_OTHER_DIGEST = 2, MODE_ACCEPT = 4,
	MODE_HOST_BOUND = 8, MODE_EPOCH = 16 };

static struct native *native;
static uint8_t good[FRESHNESS_RECORD_SIZE];
static const uint8_t uuid[UUID_SIZE] = { 0x77 };
static const uint8_t left[FRESHNESS_DIGEST_SIZE] = { 1 };
static const uint8_t released[FRESHNESS_DIGEST_SIZE] = { 2 };
static int file = -1;

int __wrap_openat(int dirfd, const char *name, int flags, ...);
int
__wrap_openat(int dirfd, const char *name, int flags, ...)
{
	(void)dirfd;
	(void)name;
	/* There is one; nothing may be made beside it. */
	FUZZ_ASSERT((flags & O_CREAT) == 0);
	if (fail_now()) {
		errno = EACCES;
		return -1;
	}
	return dup(file);
}

static void
no_line(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

static void
set_up(void)
{
	struct freshness_record r = { .state = FRESHNESS_OPEN, .epoch = EPOCH,
		.generation = 4 };

	log_set_sink(no_line);
	native = native_for_tests(0x5a, -1);
	memcpy(r.uuid, uuid, sizeof(uuid));
	FUZZ_ASSERT(freshness_record_encode(&r, good, NULL) == 0);
	r.state = FRESHNESS_CLEAN;
	r.generation++;
	memcpy(r.digest, left, sizeof(left));
	FUZZ_ASSERT(freshness_record_encode(&r, good + FRESHNESS_SECTOR_SIZE,
	    NULL) == 0);
	file = memfd_create("record", MFD_CLOEXEC);
	FUZZ_ASSERT(file >= 0);
}

/* False when the file stays as it was. */
static bool
make_file(struct buf *in, uint8_t mode)
{
	uint8_t image[FRESHNESS_RECORD_SIZE], n;
	uint16_t offset;

	memcpy(image, good, sizeof(image));
	while (buf_get_u16be(in, &offset) == 0 && buf_get_u8(in, &n) == 0) {
		size_t at = offset % sizeof(image), size = n;

		if (size > buf_left(in))
			size = buf_left(in);
		if (size > sizeof(image) - at)
			size = sizeof(image) - at;
		(void)buf_get_bytes(in, image + at, size);
	}
	for (size_t i = 0; i < 2 && (mode & MODE_CHECKSUMS) != 0; i++) {
		uint8_t *sector = image + i * FRESHNESS_SECTOR_SIZE;

		FUZZ_ASSERT(crypto_sha256(sector, CHECKSUM_AT,
		    sector + CHECKSUM_AT, NULL) == 0);
	}
	FUZZ_ASSERT(pwrite(file, image, sizeof(image), 0) ==
	    (ssize_t)sizeof(image));
	return memcmp(image, good, sizeof(image)) != 0;
}

static int
check(uint64_t epoch, const uint8_t digest[FRESHNESS_DIGEST_SIZE])
{
	struct freshness_claim c = { .epoch = epoch };
	struct freshness *f;
	int rc;

	memcpy(c.uuid, uuid, sizeof(uuid));
	memcpy(c.digest, digest, sizeof(c.digest));
	FUZZ_ASSERT(freshness_native(&f, native, NULL) == 0);
	rc = freshness_check(f, &c, NULL);
	freshness_free(f);
	return rc;
}

/* A record that nobody has touched says what it says, whatever else fails. */
static void
check_untouched(const struct freshness_claim *c, bool accept, int rc,
    uint64_t epoch)
{
	bool is_left = c->epoch == EPOCH && memcmp(c->digest, left,
	    sizeof(left)) == 0;

	if (is_left)
		FUZZ_ASSERT(rc != ERR_STALE && rc != ERR_FORMAT);
	else if (c->epoch <= EPOCH && !accept)
		FUZZ_ASSERT(rc < 0);
	if (rc == 0)
		FUZZ_ASSERT(epoch > EPOCH && epoch > c->epoch);
}

static void
check_after(const struct freshness_claim *c, uint64_t epoch, int confirmed,
    int closed)
{
	if (closed == 0) {
		FUZZ_ASSERT(check(epoch, released) == 0);
		FUZZ_ASSERT(check(epoch, left) == ERR_STALE);
	}
	/* What was there before is old, but only once the file is newer. */
	FUZZ_ASSERT(confirmed < 0 || check(c->epoch, c->digest) == ERR_STALE);
	FUZZ_ASSERT(check(epoch, released) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), control;
	struct freshness_claim c = { .epoch = EPOCH };
	uint8_t failing[4] = { 0 }, mode = 0, n = 0;
	int rc, confirmed = -1, closed = -1;
	struct freshness *f;
	struct freshness_grant grant = { 0 };
	bool touched;

	if (native == NULL)
		set_up();
	(void)buf_get_bytes(&in, failing, sizeof(failing));
	(void)buf_get_u8(&in, &mode);
	(void)buf_get_u8(&in, &n);
	touched = make_file(&in, mode);
	if (mode & MODE_EPOCH)
		c.epoch = n;
	memcpy(c.uuid, uuid, sizeof(uuid));
	memcpy(c.digest, mode & MODE_OTHER_DIGEST ? released : left,
	    sizeof(c.digest));
	c.host_bound = (mode & MODE_HOST_BOUND) != 0;

	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	if (freshness_native(&f, native, NULL) < 0) {
		(void)fail_end();
		return 0;
	}
	rc = freshness_acquire(f, &c, (mode & MODE_ACCEPT) != 0, &grant, NULL);
	if (!touched)
		check_untouched(&c, (mode & MODE_ACCEPT) != 0, rc, grant.epoch);
	if (rc == 0 && (confirmed = freshness_confirm(f, NULL)) == 0)
		closed = freshness_release(f, released, (mode & 1) != 0,
		    NULL);
	(void)fail_end();
	freshness_free(f);
	if (!touched && rc == 0)
		check_after(&c, grant.epoch, confirmed, closed);
	return 0;
}
