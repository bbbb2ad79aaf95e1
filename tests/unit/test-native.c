/* SPDX-License-Identifier: BSD-3-Clause */
/* The native provider over real directories. What needs a TPM is in
 * tests/integration/native-tpm.test. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nvram-crypt/native.h"

#define KEY_FILE_SIZE 64	/* doc/native-key.md: 32 of header, 32 of key */

static char top[64], state[96], native[128], key[160], records[160];

/* A key file written by hand after doc/native-key.md. Key 00 01 .. 1f; its
 * id is SP 800-108's KDF in counter mode, as computed with Python's hmac:
 * HMAC-SHA-256(key, 00000001 || "vtpmd native key id" || 00 || 00000080). */
static const uint8_t golden[KEY_FILE_SIZE] = {
	'V', 'T', 'P', 'M', 'H', 'K', 'E', 'Y', 0, 1, 0, 1,
	0xc1, 0x6f, 0x32, 0xbd, 0x0d, 0x6a, 0xce, 0x14,
	0x91, 0xf7, 0x53, 0x79, 0x45, 0xa7, 0xae, 0x23,
	0, 0, 0, 32,
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
	20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
};

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static void
setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(top, sizeof(top), "%.32s/test-native.XXXXXX",
	    tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(top));
	snprintf(state, sizeof(state), "%s/a/b", top);
	snprintf(native, sizeof(native), "%s/native", state);
	snprintf(key, sizeof(key), "%s/key", native);
	snprintf(records, sizeof(records), "%s/records", native);
}

static void
teardown(void)
{
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(native, .init = setup, .fini = teardown, .timeout = 20);

static struct native_config
config(void)
{
	return (struct native_config){ .state_dir = state,
		.owner = (uid_t)-1, .group = (gid_t)-1 };
}

/* Opens and closes; the code, and the text in *err. */
static int
try(bool create, struct err *err)
{
	struct native_config c = config();
	struct native *n = NULL;
	int rc;

	*err = (struct err){ 0 };
	rc = native_open(&n, &c, create, err);
	native_free(n);
	return rc;
}

static struct stat
look(const char *path)
{
	struct stat st = { 0 };

	cr_assert_eq(lstat(path, &st), 0, "%s: %s", path, strerror(errno));
	return st;
}

static void
put(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, data, size), (ssize_t)size);
	close(fd);
}

static void
make_dirs(void)
{
	char a[80];

	snprintf(a, sizeof(a), "%s/a", top);
	cr_assert_eq(mkdir(a, 0700), 0);
	cr_assert_eq(mkdir(state, 0700), 0);
	cr_assert_eq(mkdir(native, 0700), 0);
	cr_assert_eq(mkdir(records, 0700), 0);
}

Test(native, makes_all_private)
{
	struct err err;

	umask(0);
	cr_assert_eq(try(true, &err), 0, "%s", err.text);
	cr_assert_eq(look(state).st_mode, S_IFDIR | 0700);
	cr_assert_eq(look(native).st_mode, S_IFDIR | 0700);
	cr_assert_eq(look(records).st_mode, S_IFDIR | 0700);
	cr_assert_eq(look(key).st_mode, S_IFREG | 0600);
	cr_assert_eq(look(key).st_size, KEY_FILE_SIZE);
	cr_assert_eq(look(key).st_nlink, 1, "a temporary name is left");
}

Test(native, a_narrow_umask_does_not_lock_us_out)
{
	struct err err;

	umask(0777);
	cr_assert_eq(try(true, &err), 0, "%s", err.text);
	cr_assert_eq(look(native).st_mode, S_IFDIR | 0700);
	cr_assert_eq(look(key).st_mode, S_IFREG | 0600);
	cr_assert_eq(try(false, &err), 0, "%s", err.text);
}

Test(native, reads_the_golden_file)
{
	struct native_config c = config();
	struct native *n = NULL;
	struct stat want, got;
	struct err err = { 0 };

	make_dirs();
	put(key, golden, sizeof(golden));
	cr_assert_eq(native_open(&n, &c, false, &err), 0, "%s", err.text);
	cr_assert_eq(secret_size(native_key(n)), 32);
	cr_assert_arr_eq(secret_bytes(native_key(n)), golden + 32, 32);
	cr_assert_arr_eq(native_key_id(n), golden + 12, 16);
	cr_assert_str_eq(native_key_storage(n), "file");
	want = look(records);
	cr_assert_eq(fstat(native_records_fd(n), &got), 0);
	cr_assert_eq(got.st_ino, want.st_ino);
	native_free(n);
}

/* Another key opens the file: the records are there without ours. */
Test(native, does_without_a_key_that_cannot_be_opened)
{
	struct native_config c = config();
	struct native *n = NULL;
	struct stat want, got;
	struct err err = { 0 };

	make_dirs();
	cr_assert_eq(native_open_beside(&n, &c, &err), ERR_NOTFOUND);
	put(key, golden, sizeof(golden) - 1);
	cr_assert_eq(native_open(&n, &c, false, &err), ERR_FORMAT);
	cr_assert_eq(native_open_beside(&n, &c, &err), 0, "%s", err.text);
	cr_assert_null(native_key(n));
	want = look(records);
	cr_assert_eq(fstat(native_records_fd(n), &got), 0);
	cr_assert_eq(got.st_ino, want.st_ino);
	native_free(n);
	/* But not those that others may have put there. */
	cr_assert_eq(chmod(records, 0722), 0);
	cr_assert_eq(native_open_beside(&n, &c, &err), ERR_REFUSED);
}

Test(native, writes_what_the_format_says)
{
	struct native_config c = config();
	uint8_t file[KEY_FILE_SIZE];
	struct native *n = NULL;
	struct err err = { 0 };
	int fd;

	cr_assert_eq(native_open(&n, &c, true, &err), 0, "%s", err.text);
	fd = open(key, O_RDONLY);
	cr_assert_eq(read(fd, file, sizeof(file)), KEY_FILE_SIZE);
	close(fd);
	cr_assert_arr_eq(file, golden, 12);
	cr_assert_arr_eq(file + 12, native_key_id(n), 16);
	cr_assert_arr_eq(file + 28, golden + 28, 4);
	cr_assert_arr_eq(file + 32, secret_bytes(native_key(n)), 32);
	native_free(n);
}

Test(native, keys_are_random)
{
	struct native_config c = config();
	struct native *a = NULL, *b = NULL;
	struct err err = { 0 };

	cr_assert_eq(native_open(&a, &c, true, &err), 0, "%s", err.text);
	cr_assert_eq(unlink(key), 0);
	cr_assert_eq(native_open(&b, &c, true, &err), 0, "%s", err.text);
	cr_assert(!secret_equal(native_key(a), native_key(b)));
	cr_assert_neq(memcmp(native_key_id(a), native_key_id(b), 16), 0);
	native_free(a);
	native_free(b);
}

Test(native, missing_is_not_found_and_nothing_is_made)
{
	struct stat st;
	struct err err;

	cr_assert_eq(try(false, &err), ERR_NOTFOUND);
	cr_assert_neq(lstat(state, &st), 0);
	make_dirs();
	cr_assert_eq(try(false, &err), ERR_NOTFOUND);
	cr_assert_not_null(strstr(err.text, key), "%s", err.text);
	cr_assert_neq(lstat(key, &st), 0);
}

Test(native, a_relative_directory_is_refused)
{
	struct native_config c = config();
	struct native *n = NULL;
	struct err err = { 0 };

	c.state_dir = "a/b";
	cr_assert_eq(native_open(&n, &c, true, &err), ERR_USAGE);
	c.state_dir = NULL;
	cr_assert_eq(native_open(&n, &c, true, &err), ERR_USAGE);
}

/* Many first users at once: one key, the same for all. */
Test(native, first_users_at_once_agree)
{
	enum { USERS = 16 };
	uint8_t first[16], id[16];
	int go[2], ids[2];

	cr_assert_eq(pipe(go), 0);
	cr_assert_eq(pipe(ids), 0);
	for (int i = 0; i < USERS; i++) {
		struct native_config c = config();
		struct native *n = NULL;
		struct err err = { 0 };
		char byte;

		if (fork() != 0)
			continue;
		close(go[1]);
		if (read(go[0], &byte, 1) != 0 ||
		    native_open(&n, &c, true, &err) < 0 ||
		    write(ids[1], native_key_id(n), 16) != 16)
			_exit(1);
		_exit(0);
	}
	close(go[1]);	/* the start */
	for (int i = 0; i < USERS; i++) {
		int status;

		cr_assert_gt(wait(&status), 0);
		cr_assert_eq(status, 0);
		cr_assert_eq(read(ids[0], i == 0 ? first : id, 16), 16);
		if (i > 0)
			cr_assert_arr_eq(id, first, 16);
	}
	cr_assert_eq(look(key).st_nlink, 1, "a temporary name is left");
}

/* A file or directory in native/ that was last changed so long ago. */
static void
leave(const char *name, mode_t type, int seconds, char path[160])
{
	struct timespec times[2];

	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= seconds;
	times[1] = times[0];
	snprintf(path, 160, "%s/%s", native, name);
	cr_assert_eq(type == S_IFDIR ? mkdir(path, 0700) :
	    mknod(path, type | 0600, 0), 0);
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

Test(native, leftovers_of_the_dead_are_removed_and_no_others)
{
	static const struct {
		const char *name;
		mode_t type;
		int seconds;
		bool held, goes;
	} left[] = {
		{ ".key.0123456789abcdef", S_IFREG, 3600, false, true },
		{ ".key.fedcba9876543210", S_IFREG, 120, false, true },
		{ ".key.00000000000000a1", S_IFREG, 3600, true, false },
		{ ".key.00000000000000a2", S_IFREG, 5, false, false },
		{ ".key.00000000000000a3", S_IFREG, -3600, false, false },
		{ ".key.00000000000000a4", S_IFDIR, 3600, false, false },
		{ ".key.00000000000000a5", S_IFIFO, 3600, false, false },
		{ ".key.00000000000000A6", S_IFREG, 3600, false, false },
		{ ".key.00000000000000a", S_IFREG, 3600, false, false },
		{ ".key.00000000000000a77", S_IFREG, 3600, false, false },
		{ "key.0123456789abcdef", S_IFREG, 3600, false, false },
	};
	enum { N = sizeof(left) / sizeof(left[0]) };
	char path[N][160];
	struct err err = { 0 };
	struct stat before;
	int fd;

	cr_assert_eq(try(true, &err), 0);
	before = look(key);
	for (size_t i = 0; i < N; i++) {
		leave(left[i].name, left[i].type, left[i].seconds, path[i]);
		if (left[i].held) {
			fd = open(path[i], O_RDONLY | O_CLOEXEC);
			cr_assert_eq(flock(fd, LOCK_EX), 0);
		}
	}
	cr_assert_eq(try(false, &err), 0);
	cr_assert_eq(access(path[0], F_OK), 0, "to look removes nothing");
	cr_assert_eq(try(true, &err), 0, "%s", err.text);
	for (size_t i = 0; i < N; i++)
		cr_assert_eq(access(path[i], F_OK) != 0, left[i].goes, "%s",
		    path[i]);
	cr_assert_eq(look(key).st_ino, before.st_ino);
}

/* A writer that died after link(2): the leftover is the key by another name. */
Test(native, a_leftover_that_is_the_key_leaves_the_key)
{
	char path[160];
	struct err err = { 0 };

	make_dirs();
	put(key, golden, sizeof(golden));
	snprintf(path, sizeof(path), "%s/.key.0123456789abcdef", native);
	cr_assert_eq(link(key, path), 0);
	cr_assert_eq(utimensat(AT_FDCWD, path, (struct timespec[2]){
	    { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } }, 0), 0);
	cr_assert_eq(try(true, &err), 0, "%s", err.text);
	cr_assert_neq(access(path, F_OK), 0);
	cr_assert_eq(look(key).st_nlink, 1);
}

Test(native, refuses_a_key_that_others_can_reach)
{
	static const mode_t loose[] = { 0640, 0604, 0620, 0602, 0610, 0777 };
	struct err err;

	cr_assert_eq(try(true, &err), 0, "%s", err.text);
	for (size_t i = 0; i < sizeof(loose) / sizeof(*loose); i++) {
		cr_assert_eq(chmod(key, loose[i]), 0);
		cr_assert_eq(try(true, &err), ERR_REFUSED, "mode %o", loose[i]);
		cr_assert_not_null(strstr(err.text, "chmod 0600"));
	}
	cr_assert_eq(chmod(key, 0400), 0);
	cr_assert_eq(try(false, &err), 0, "%s", err.text);
}

Test(native, refuses_directories_that_others_can_write)
{
	const char *dirs[] = { state, native, records };
	struct err err;

	cr_assert_eq(try(true, &err), 0, "%s", err.text);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(chmod(dirs[i], 0720), 0);
		cr_assert_eq(try(true, &err), ERR_REFUSED, "%s", dirs[i]);
		cr_assert_eq(chmod(dirs[i], 01702), 0);
		cr_assert_eq(try(false, &err), ERR_REFUSED, "%s", dirs[i]);
		cr_assert_not_null(strstr(err.text, "chmod 0700"));
		cr_assert_eq(chmod(dirs[i], 0700), 0);
	}
	cr_assert_eq(try(false, &err), 0, "%s", err.text);
}

Test(native, every_changed_byte_is_noticed)
{
	uint8_t bytes[KEY_FILE_SIZE];
	struct err err;

	make_dirs();
	for (size_t i = 0; i < KEY_FILE_SIZE; i++) {
		memcpy(bytes, golden, sizeof(bytes));
		bytes[i] ^= 0x04;
		put(key, bytes, sizeof(bytes));
		/* create: damage must never be answered with a new key. */
		cr_assert_lt(try(true, &err), 0, "byte %zu", i);
		cr_assert(err.code == ERR_FORMAT || err.code ==
		    ERR_UNSUPPORTED, "byte %zu: %d", i, err.code);
		cr_assert_not_null(strstr(err.text, key));
	}
	put(key, golden, sizeof(golden));
	cr_assert_eq(try(true, &err), 0, "%s", err.text);
}

Test(native, every_cut_is_noticed)
{
	uint8_t longer[KEY_FILE_SIZE + 1] = { 0 };
	struct err err;

	make_dirs();
	for (size_t n = 0; n < KEY_FILE_SIZE; n++) {
		put(key, golden, n);
		cr_assert_eq(try(true, &err), ERR_FORMAT, "%zu bytes", n);
		cr_assert_eq(look(key).st_size, (off_t)n, "was replaced");
	}
	memcpy(longer, golden, sizeof(golden));
	put(key, longer, sizeof(longer));
	cr_assert_eq(try(true, &err), ERR_FORMAT);
}

Test(native, a_newer_format_says_so)
{
	uint8_t bytes[KEY_FILE_SIZE];
	struct err err;

	make_dirs();
	memcpy(bytes, golden, sizeof(bytes));
	bytes[9] = 2;
	put(key, bytes, sizeof(bytes));
	cr_assert_eq(try(false, &err), ERR_UNSUPPORTED);
	cr_assert_not_null(strstr(err.text, "newer"), "%s", err.text);
}

Test(native, links_and_pipes_are_not_keys)
{
	char aside[160];
	struct err err;

	snprintf(aside, sizeof(aside), "%s/aside", top);
	make_dirs();
	put(aside, golden, sizeof(golden));
	cr_assert_eq(symlink(aside, key), 0);
	cr_assert_lt(try(true, &err), 0);
	cr_assert_eq(unlink(key), 0);
	cr_assert_eq(mkfifo(key, 0600), 0);
	cr_assert_eq(try(true, &err), ERR_REFUSED);
	cr_assert_eq(unlink(key), 0);
	cr_assert_eq(rmdir(records), 0);
	cr_assert_eq(symlink(top, records), 0);
	cr_assert_lt(try(true, &err), 0, "a link for the records was followed");
}

Test(native, a_directory_that_cannot_be_made_is_named)
{
	char file[80];
	struct err err;

	snprintf(file, sizeof(file), "%s/a", top);
	put(file, "x", 1);
	cr_assert_eq(try(true, &err), ERR_SYSTEM);
	cr_assert_not_null(strstr(err.text, state), "%s", err.text);
	cr_assert_not_null(strstr(err.text, strerror(ENOTDIR)), "%s",
	    err.text);
}

/* Run once by root on a service's behalf, it must serve the service. */
Test(native, root_gives_all_to_the_owner)
{
	struct native_config c = config();
	struct native *n = NULL;
	struct err err = { 0 };
	int status;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	c.owner = c.group = 65534;
	cr_assert_eq(native_open(&n, &c, true, &err), 0, "%s", err.text);
	native_free(n);
	cr_assert_eq(look(state).st_uid, 65534);
	cr_assert_eq(look(native).st_uid, 65534);
	cr_assert_eq(look(native).st_gid, 65534);
	cr_assert_eq(look(records).st_uid, 65534);
	cr_assert_eq(look(key).st_uid, 65534);
	cr_assert_eq(chmod(top, 0755), 0);
	if (fork() == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		c.owner = (uid_t)-1;
		_exit(native_open(&n, &c, false, &err) < 0);
	}
	cr_assert_gt(wait(&status), 0);
	cr_assert_eq(status, 0);
}

Test(native, root_follows_the_directory_that_is_there)
{
	char a[80];
	struct err err;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	snprintf(a, sizeof(a), "%s/a", top);
	cr_assert_eq(mkdir(a, 0755), 0);
	cr_assert_eq(mkdir(state, 0750), 0);
	cr_assert_eq(chown(state, 65534, 65534), 0);
	cr_assert_eq(try(true, &err), 0, "%s", err.text);
	cr_assert_eq(look(a).st_uid, 0, "a directory not ours was given away");
	cr_assert_eq(look(native).st_uid, 65534);
	cr_assert_eq(look(records).st_uid, 65534);
	cr_assert_eq(look(key).st_uid, 65534);
}

Test(native, a_strangers_key_is_refused)
{
	struct err err;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(try(true, &err), 0, "%s", err.text);
	cr_assert_eq(chown(key, 12345, 12345), 0);
	cr_assert_eq(try(true, &err), ERR_REFUSED);
	cr_assert_eq(chown(key, 0, 0), 0);
	cr_assert_eq(chown(native, 12345, 12345), 0);
	cr_assert_eq(try(true, &err), ERR_REFUSED);
}

/* A helper that fails, babbles or is missing: an error, and no key file. */
Test(native, a_helper_that_fails_leaves_nothing)
{
	static const struct {
		const char *helper, *says;
	} cases[] = {
		{ "/nonexistent/vtpm-hostkey", "install it" },
		{ "/bin/false", "did not say why" },
		{ "/bin/true", "gave nothing" },
		{ "/usr/bin/yes", "too much" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct native_config c = config();
		struct native *n = NULL;
		struct err err = { 0 };
		struct stat st;

		c.seal_to_tpm = true;
		c.helper = cases[i].helper;
		cr_assert_eq(native_open(&n, &c, true, &err), ERR_TPM, "%s",
		    c.helper);
		cr_assert_not_null(strstr(err.text, cases[i].says), "%s: %s",
		    c.helper, err.text);
		cr_assert_neq(lstat(key, &st), 0);
	}
	cr_assert_lt(wait(NULL), 0, "a helper was not reaped");
}
