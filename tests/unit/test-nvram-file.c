/* SPDX-License-Identifier: BSD-3-Clause */
/* The real file: creation, locks, what is not a file, destruction. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/nvram-fixture.h"

static struct fixture fx;
static char path[128];

static void
setup(void)
{
	memset(&fx, 0, sizeof(fx));
	fixture_dir(&fx);
	fixture_make(&fx);
	snprintf(path, sizeof(path), "%s/vm.nvram", fx.dir);
}

static void
teardown(void)
{
	fixture_free(&fx);
}

static int
create(struct freshness *f, struct err *err)
{
	struct nvram_record record = { NVRAM_PERMANENT,
		(const uint8_t *)"a very secret state", 19 };
	struct nvram_create_args args = { .path = path,
		.protector = protector_ops_by_name("native"),
		.creds = &fx.creds, .records = &record, .n_records = 1,
		.freshness = f };

	memcpy(args.uuid, fixture_uuid, UUID_SIZE);
	return nvram_create(&args, err);
}

static size_t
files_in(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	cr_assert_not_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;	/* . and .. */
}

TestSuite(file, .init = setup, .fini = teardown);

Test(file, create)
{
	struct err err = { 0 };
	struct stat st;
	struct nvram *nv;
	static uint8_t bytes[1 << 20];
	int fd;

	cr_assert_eq(create(NULL, &err), 0, "%s", err.text);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(st.st_nlink, 1);
	cr_assert_eq(st.st_size, 2 * 12288 + 2 * (256 * 1024 + 4096));
	cr_assert_geq(st.st_blocks * 512, st.st_size, "not all is allocated");
	fd = open(path, O_RDONLY);
	cr_assert_eq(read(fd, bytes, sizeof(bytes)), st.st_size);
	close(fd);
	cr_assert_null(memmem(bytes, sizeof(bytes), "secret state", 12));
	cr_assert_eq(create(NULL, &err), ERR_EXISTS);
	cr_assert_eq(files_in(fx.dir), 2, "a temporary file is left");
	cr_assert_eq(nvram_open(&nv, path, true, &err), 0);
	cr_assert_eq(nvram_unlock(nv, &fx.creds, &err), 0);
	nvram_close(nv);
}

/* What cannot be written in full is not there at all. */
Test(file, create_on_a_full_disk)
{
	struct err err = { 0 };
	char dir[96];

	snprintf(dir, sizeof(dir), "%s/records", fx.dir);
	if (mount("none", dir, "tmpfs", 0, "size=128k") < 0)
		cr_skip("cannot mount a small file system here");
	snprintf(path, sizeof(path), "%s/vm.nvram", dir);
	cr_expect_eq(create(NULL, &err), ERR_NOSPACE, "%s", err.text);
	cr_expect_eq(files_in(dir), 0);
	cr_expect_eq(umount2(dir, MNT_DETACH), 0);
}

/* Without its record the new file would be refused later: so it is not made. */
Test(file, create_without_room_for_the_record)
{
	struct native *native;
	struct freshness *f;
	struct err err = { 0 };
	char dir[96];
	int fd;

	snprintf(dir, sizeof(dir), "%s/records", fx.dir);
	if (mount("none", dir, "tmpfs", 0, "nr_inodes=1") < 0)
		cr_skip("cannot mount a small file system here");
	cr_expect_geq(fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0);
	native = native_for_tests(1, fd);
	cr_expect_eq(freshness_native(&f, native, &err), 0);
	cr_expect_eq(create(f, &err), ERR_NOSPACE, "%s", err.text);
	cr_expect_eq(access(path, F_OK), -1);
	cr_expect_eq(files_in(dir), 0);
	freshness_free(f);
	native_for_tests_free(native);
	close(fd);
	cr_expect_eq(umount2(dir, MNT_DETACH), 0);
}

Test(file, two_openers)
{
	struct nvram *first, *second = NULL;
	struct err err = { 0 };
	int status;
	pid_t pid;

	cr_assert_eq(create(NULL, &err), 0);
	cr_assert_eq(nvram_open(&first, path, true, &err), 0);
	cr_assert_eq(nvram_unlock(first, &fx.creds, &err), 0);
	cr_assert_eq(nvram_acquire(first, NULL, false, &err), 0);
	cr_assert_eq(nvram_open(&second, path, true, &err), ERR_BUSY);
	cr_assert_not_null(strstr(err.text, ", process "), "%s", err.text);
	cr_assert_eq(nvram_open(&second, path, false, &err), 0);
	nvram_close(second);
	if ((pid = fork()) == 0)
		_exit(nvram_open(&second, path, true, NULL) == ERR_BUSY ?
		    0 : 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	nvram_close(first);
	cr_assert_eq(nvram_open(&second, path, true, &err), 0);
	nvram_close(second);
}

Test(file, read_only)
{
	struct err err = { 0 };
	struct nvram *nv;

	cr_assert_eq(create(NULL, &err), 0);
	cr_assert_eq(nvram_open(&nv, path, false, &err), 0);
	cr_assert_eq(nvram_unlock(nv, &fx.creds, &err), 0);
	cr_assert_eq(nvram_acquire(nv, NULL, false, &err), ERR_REFUSED);
	cr_assert_eq(nvram_rekey(nv, true, &fx.creds, &err), ERR_REFUSED);
	nvram_close(nv);
}

Test(file, what_is_no_file)
{
	char name[160];
	struct err err = { 0 };
	struct nvram *nv;

	cr_assert_eq(nvram_open(&nv, path, true, &err), ERR_NOTFOUND);
	cr_assert_eq(nvram_open(&nv, fx.dir, false, &err), ERR_REFUSED);
	snprintf(name, sizeof(name), "%s/fifo", fx.dir);
	cr_assert_eq(mkfifo(name, 0600), 0);
	cr_assert_eq(nvram_open(&nv, name, true, &err), ERR_REFUSED);
	snprintf(name, sizeof(name), "%s/link", fx.dir);
	cr_assert_eq(create(NULL, &err), 0);
	cr_assert_eq(symlink(path, name), 0);
	cr_assert_eq(nvram_open(&nv, name, true, &err), 0);
	nvram_close(nv);
	cr_assert_eq(nvram_open(&nv, "/etc/passwd", false, &err), ERR_FORMAT);
}

Test(file, destroy)
{
	struct freshness *f;
	struct err err = { 0 };
	struct nvram *nv;
	struct nvram *other;
	static uint8_t bytes[1 << 20];
	bool begun = true;
	int fd;

	cr_assert_eq(freshness_native(&f, fx.native, &err), 0);
	cr_assert_eq(create(f, &err), 0, "%s", err.text);
	cr_assert_eq(nvram_open_to_destroy(&nv, path, &begun, &err), 0);
	cr_assert(!begun);
	cr_assert_eq(nvram_open_to_destroy(&other, path, &begun, &err),
	    ERR_BUSY);
	fd = open(path, O_RDONLY);	/* to look at it afterwards */
	cr_assert_eq(nvram_destroy(nv, path, &err), 0, "%s", err.text);
	nvram_close(nv);
	cr_assert_eq(access(path, F_OK), -1);
	cr_assert_gt(read(fd, bytes, sizeof(bytes)), 0);
	close(fd);
	cr_assert_null(memmem(bytes, sizeof(bytes), "VTPMNV", 6));
	cr_assert_null(memmem(bytes, sizeof(bytes), fixture_uuid, UUID_SIZE));
	cr_assert_eq(nvram_open_to_destroy(&nv, "/etc/passwd", &begun, &err),
	    ERR_FORMAT);
	cr_assert_eq(freshness_forget(f, fixture_uuid, &err), 0);
	cr_assert_eq(freshness_forget(f, fixture_uuid, &err), ERR_NOTFOUND);
	freshness_free(f);
}

Test(file, destroy_leaves_another_file_of_the_name)
{
	char aside[128], link[128];
	struct err err = { 0 };
	struct nvram *nv;
	bool begun;

	snprintf(aside, sizeof(aside), "%s/aside", fx.dir);
	snprintf(link, sizeof(link), "%s/link", fx.dir);
	cr_assert_eq(create(NULL, &err), 0, "%s", err.text);
	cr_assert_eq(symlink(path, link), 0);
	cr_assert_eq(nvram_open_to_destroy(&nv, link, &begun, &err), 0);
	cr_assert_eq(rename(path, aside), 0);
	cr_assert_eq(nvram_destroy(nv, link, &err), ERR_SYSTEM);
	cr_assert_eq(create(NULL, &err), 0, "%s", err.text);
	cr_assert_eq(nvram_destroy(nv, link, &err), ERR_REFUSED);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(rename(aside, path), 0);
	cr_assert_eq(nvram_unlock(nv, &fx.creds, &err), 0, "%s", err.text);
	cr_assert_eq(nvram_destroy(nv, link, &err), 0, "%s", err.text);
	cr_assert_eq(access(path, F_OK), -1, "the file, not the link to it");
	nvram_close(nv);
}
