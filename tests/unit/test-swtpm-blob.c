/* SPDX-License-Identifier: BSD-3-Clause */
/* swtpm's blobs: one that swtpm 0.7.1 wrote under a passphrase, cut, flipped;
 * and which libtpms takes which state. */
#include <config.h>

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "migration/state-version.h"
#include "migration/swtpm-state.h"

static uint8_t blob[8192];
static size_t blob_size;
static struct swtpm_key *key;

static void
set_up(void)
{
	int fd = open(GOLDEN_DIR "/swtpm-0.7.1.bin", O_RDONLY);
	ssize_t n = read(fd, blob, sizeof(blob));

	cr_assert_gt(n, 1000);
	blob_size = (size_t)n;
	close(fd);
	cr_assert_eq(swtpm_key_parse(&key, "pwdfile=" GOLDEN_DIR
	    "/swtpm.pass,mode=aes-256-cbc", NULL), 0);
}

TestSuite(swtpm_blob, .init = set_up);

/* libtpms's PERSISTENT_ALL_MAGIC says that it was decrypted. */
Test(swtpm_blob, golden)
{
	static const uint8_t head[] = { 0, 3, 0xab, 0x36, 0x47, 0x23, 0, 3 };
	struct secret *state;

	cr_assert_eq(swtpm_blob_decode(blob, blob_size, key, &state, NULL), 0);
	cr_assert_eq(memcmp(secret_bytes(state), head, sizeof(head)), 0);
	secret_free(state);
	cr_assert_eq(swtpm_blob_decode(blob, blob_size, NULL, &state, NULL),
	    ERR_KEY);
}

/* But for the version's number: a lowest reader of 0 is one too. */
Test(swtpm_blob, flipped, .timeout = 100)
{
	struct secret *state;

	for (size_t bit = 16; bit < 8 * blob_size; bit++) {
		/* One flag says nothing, and tags only what a section is. */
		if (bit / 8 == 4 || (bit / 8 == 5 && bit % 8 > 3))
			continue;
		blob[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_lt(swtpm_blob_decode(blob, blob_size, key, &state,
		    NULL), 0, "bit %zu", bit);
		cr_assert_null(state);
		blob[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

Test(swtpm_blob, cut_short)
{
	struct secret *state;

	for (size_t size = 0; size < blob_size; size++)
		cr_assert_eq(swtpm_blob_decode(blob, size, key, &state, NULL),
		    ERR_FORMAT, "%zu bytes", size);
}

/* Sizes around AES's block and swtpm's padding. */
Test(swtpm_blob, there_and_back)
{
	struct secret *one, *again;

	for (size_t size = 1; size < 70; size++) {
		cr_assert_eq(swtpm_blob_encode(blob, size, key, &one, NULL),
		    0);
		cr_assert_eq(swtpm_blob_decode(secret_bytes(one),
		    secret_size(one), key, &again, NULL), 0);
		cr_assert_eq(secret_size(again), size);
		cr_assert_eq(memcmp(secret_bytes(again), blob, size), 0);
		secret_free(one);
		secret_free(again);
	}
}

Test(swtpm_key, what_is_not_one)
{
	static const char *const wrong[] = { "", "file=", "mode=aes-cbc",
		"secret", "file=a,fd=3", "file=a,kdf=sha512",
		"pwdfile=a,format=hex", "file=a,mode=des", "fd=x",
		"file=a,remove=true" };
	struct swtpm_key *k;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_eq(swtpm_key_parse(&k, wrong[i], NULL), ERR_USAGE,
		    "%s", wrong[i]);
}

/* NVMarshal.c of libtpms 0.9 and 0.10: a state names its lowest reader. */
Test(state_version, check)
{
	uint8_t p[8] = { 0, 4, 0xab, 0x36, 0x47, 0x23, 0, 3 };
	uint8_t v[8] = { 0, 4, 0x45, 0x63, 0x78, 0x89, 0, 1 };

	/* The same or a later release. */
	cr_assert_eq(state_version_check(0x0902, 0x0902, p, 8, v, 8, NULL), 0);
	cr_assert_eq(state_version_check(0x0900, 0x0906, p, 8, v, 8, NULL), 0);
	cr_assert_eq(state_version_check(0x0b00, 0x0902, p, 8, v, 8, NULL), 0);
	/* An earlier one. */
	cr_assert_eq(state_version_check(0x0902, 0x0a00, p, 8, v, 8, NULL), 0);
	p[7] = 4;
	cr_assert_eq(state_version_check(0x0902, 0x0a00, p, 8, v, 8, NULL),
	    ERR_UNSUPPORTED);
	cr_assert_eq(state_version_check(0x0a00, 0x0b00, p, 8, NULL, 0, NULL),
	    0);
	v[7] = 5;
	cr_assert_eq(state_version_check(0x0a00, 0x0b00, p, 8, v, 8, NULL),
	    ERR_UNSUPPORTED);
	cr_assert_eq(state_version_check(0x0800, 0x0902, p, 8, v, 8, NULL),
	    ERR_UNSUPPORTED);
	cr_assert_eq(state_version_check(0x0902, 0x0a00, p, 5, v, 8, NULL),
	    ERR_FORMAT);
}

Test(state_version, parse)
{
	static const char *const wrong[] = { "", "0", "0.9.2.1", "0.9x",
		"a.b", "0.9.", "0.300.1" };
	uint32_t v;

	cr_assert_eq(state_version_parse("0.9.2", &v, NULL), 0);
	cr_assert_eq(v, 0x000902);
	cr_assert_eq(state_version_parse("1.10", &v, NULL), 0);
	cr_assert_eq(v, 0x010a00);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_eq(state_version_parse(wrong[i], &v, NULL),
		    ERR_USAGE, "%s", wrong[i]);
}
