/* SPDX-License-Identifier: BSD-3-Clause */
/* The golden bundle: read with each of its keys, and with none; every bit of it
 * flipped, cut at every length. tests/unit/golden/README.md says what is in
 * it; read-bundle.py agrees. */
#include <config.h>

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/bundle.h"
#include "nvram-crypt/slot.h"

#define GOLDEN GOLDEN_DIR "/bundle-1.bin"
#define KEY_EC GOLDEN_DIR "/bundle-ec.key"
#define KEY_RSA GOLDEN_DIR "/bundle-rsa.key"
#define GOLDEN_MAX 16384u
#define SLICES 4u
#ifdef SANITIZERS
#define STEP 7u		/* the sanitizers' cost is tenfold */
#else
#define STEP 1u
#endif

static uint8_t golden[GOLDEN_MAX];
static size_t golden_size;

static void
read_golden(void)
{
	int fd = open(GOLDEN, O_RDONLY);
	ssize_t n = read(fd, golden, sizeof(golden));

	cr_assert_gt(n, 4000);
	golden_size = (size_t)n;
	close(fd);
}

TestSuite(bundle, .init = read_golden);

static int
memory(const uint8_t *bytes, size_t size)
{
	int fd = memfd_create("bundle", MFD_CLOEXEC);

	cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
	return fd;
}

static struct bundle_key *
load(const char *path)
{
	struct bundle_key *key;

	cr_assert_eq(bundle_key_load(&key, path, NULL, NULL), 0);
	return key;
}

static bool
holds(const struct secret *state, uint32_t kind, const char *want)
{
	const uint8_t *data;
	size_t size;

	return slot_payload_get(secret_bytes(state), secret_size(state), kind,
	    &data, &size) == 0 && size == strlen(want) &&
	    memcmp(data, want, size) == 0;
}

/* Whether everything is as it was put in; the first error. */
static int
read_all(struct bundle *b)
{
	struct secret *one = NULL, *two = NULL;
	int rc;

	if ((rc = bundle_get(b, 0, &one, NULL)) == 0 &&
	    (rc = bundle_get(b, 1, &two, NULL)) == 0) {
		cr_assert(holds(one, NVRAM_PERMANENT,
		    "the permanent state of the first"));
		cr_assert(holds(one, NVRAM_VOLATILE,
		    "and its volatile state"));
		cr_assert(holds(two, NVRAM_PERMANENT,
		    "the permanent state of the second"));
	}
	secret_free(one);
	secret_free(two);
	return rc;
}

static int
open_all(const uint8_t *bytes, size_t size, const struct bundle_creds *creds)
{
	struct bundle *b = NULL;
	int rc;

	if ((rc = bundle_open_fd(&b, memory(bytes, size), "golden",
	    NULL)) == 0 && (rc = bundle_unlock(b, creds, NULL)) == 0)
		rc = read_all(b);
	bundle_close(b);
	return rc;
}

Test(bundle, manifest_without_a_key)
{
	struct bundle_creds none = { 0 };
	const struct bundle_manifest *m;
	struct secret *state;
	struct err err = { 0 };
	struct bundle *b;

	cr_assert_eq(bundle_open(&b, GOLDEN, &err), 0, "%s", err.text);
	m = bundle_manifest(b);
	cr_assert_not(bundle_unlocked(b));
	cr_assert_eq(m->n_recipients, 3);
	cr_assert_str_eq(m->recipients[0].label, "passphrase");
	cr_assert_eq(strncmp(m->recipients[1].label, "EC P-256 key ", 13), 0);
	cr_assert_eq(strncmp(m->recipients[2].label, "RSA key ", 8), 0);
	cr_assert_eq(m->n_vms, 2);
	cr_assert_str_eq(m->vms[1].name, "golden 2");
	cr_assert_eq(m->vms[1].uuid[15], 0x12);
	cr_assert_eq(m->vms[1].digest[31], 0x22);
	cr_assert_eq(m->vms[1].epoch, 8);
	cr_assert_eq(m->vms[1].created, 1700000000);
	cr_assert_eq(m->vms[1].state_version, 0x000902);
	cr_assert_eq(bundle_get(b, 0, &state, NULL), ERR_REFUSED);
	cr_assert_eq(bundle_unlock(b, &none, &err), ERR_KEY);
	cr_assert_not_null(strstr(err.text, "It is for: passphrase, EC P-256"));
	bundle_close(b);
}

Test(bundle, opened_by_each)
{
	static const char words[] = "correct horse battery staple";
	struct bundle_creds ec = { .key = load(KEY_EC) };
	struct bundle_creds rsa = { .key = load(KEY_RSA) };
	struct bundle_creds passphrase = {
		.passphrase = secret_from(words, sizeof(words) - 1) };
	struct bundle_creds wrong = {
		.passphrase = secret_from(words, sizeof(words) - 2) };

	cr_assert_eq(open_all(golden, golden_size, &ec), 0);
	cr_assert_eq(open_all(golden, golden_size, &rsa), 0);
	cr_assert_eq(open_all(golden, golden_size, &passphrase), 0);
	cr_assert_eq(open_all(golden, golden_size, &wrong), ERR_KEY);
}

static const size_t slices[SLICES] = { 0, 1, 2, 3 };

ParameterizedTestParameters(bundle, flipped)
{
	return cr_make_param_array(const size_t, slices, SLICES);
}

ParameterizedTest(const size_t *slice, bundle, flipped, .timeout = 200)
{
	struct bundle_creds creds = { .key = load(KEY_EC) };

	for (size_t bit = *slice * STEP; bit < 8 * golden_size;
	    bit += SLICES * STEP) {
		int rc;

		golden[bit / 8] ^= (uint8_t)(1u << bit % 8);
		rc = open_all(golden, golden_size, &creds);
		cr_assert(rc == ERR_AUTH || rc == ERR_KEY || rc == ERR_FORMAT ||
		    rc == ERR_UNSUPPORTED, "bit %zu: %d", bit, rc);
		golden[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	cr_assert_eq(open_all(golden, golden_size, &creds), 0);
}

Test(bundle, cut_short, .timeout = 200)
{
	struct bundle_creds creds = { .key = load(KEY_EC) };

	for (size_t size = 0; size < golden_size; size += STEP)
		cr_assert_eq(open_all(golden, size, &creds), ERR_FORMAT,
		    "%zu bytes", size);
}

Test(bundle, longer)
{
	struct bundle_creds creds = { .key = load(KEY_EC) };

	golden[golden_size] = 0;
	cr_assert_eq(open_all(golden, golden_size + 1, &creds), ERR_FORMAT);
}

/* Both states are whole, but not where they are. */
Test(bundle, states_exchanged)
{
	struct bundle_creds creds = { .key = load(KEY_EC) };
	struct bundle_creds none = { 0 };
	struct bundle *b;
	uint32_t size;

	cr_assert_eq(bundle_open_fd(&b, memory(golden, golden_size), "golden",
	    NULL), 0);
	cr_assert_eq(bundle_unlock(b, &none, NULL), ERR_KEY);
	size = bundle_manifest(b)->vms[0].size;
	bundle_close(b);
	for (uint32_t i = 0; i < 16; i++)
		golden[golden_size - i - 1] ^= golden[golden_size - size - i];
	cr_assert_eq(open_all(golden, golden_size, &creds), ERR_AUTH);
}

Test(bundle, what_it_is_not_made_for)
{
	struct recipient *to[1], *r;
	struct bundle_writer *w;
	char path[] = "/tmp/vtpm-bundle.XXXXXX";
	struct err err = { 0 };

	cr_assert_eq(recipient_from_pem(&r, KEY_EC, &err), ERR_FORMAT);
	cr_assert_not_null(strstr(err.text, "openssl pkey -pubout"));
	cr_assert_eq(recipient_from_passphrase(&to[0], secret_from("x", 1),
	    NULL), 0);
	close(mkstemp(path));
	cr_assert_eq(bundle_create(&w, path, to, 1, 1, 0, NULL), ERR_EXISTS);
	unlink(path);
	cr_assert_eq(bundle_create(&w, path, to, 0, 1, 0, NULL), ERR_USAGE);
	cr_assert_eq(bundle_create(&w, path, to, 1, 1025, 0, NULL),
	    ERR_USAGE);
	/* One that is not full gets no name. */
	cr_assert_eq(bundle_create(&w, path, to, 1, 1, 0, NULL), 0);
	cr_assert_eq(bundle_finish(w, NULL), ERR_INTERNAL);
	bundle_writer_free(w);
	cr_assert_neq(access(path, F_OK), 0);
	recipient_free(to[0]);
}
