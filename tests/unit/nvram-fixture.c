/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/nvram-fixture.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

char fixture_log[4096];

const uint8_t fixture_uuid[UUID_SIZE] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
	0x47, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01 };

/* Thousands of damaged files would fill the output; the last line is kept. */
static void
keep_line(enum log_level level, const char *line)
{
	(void)level;
	snprintf(fixture_log, sizeof(fixture_log), "%s", line);
}

static uint8_t
byte_of(unsigned int n, enum nvram_kind kind, size_t i)
{
	return (uint8_t)(n * 37 + kind * 101 + i * 7 + (i >> 8));
}

static void
fill(unsigned int n, enum nvram_kind kind, uint8_t *data)
{
	for (size_t i = 0; i < FIXTURE_STATE_SIZE; i++)
		data[i] = byte_of(n, kind, i);
}

static void
make_file(struct fixture *fx)
{
	uint8_t permanent[FIXTURE_STATE_SIZE], volatile_[FIXTURE_STATE_SIZE];
	struct nvram_record records[] = {
		{ NVRAM_PERMANENT, permanent, sizeof(permanent) },
		{ NVRAM_VOLATILE, volatile_, sizeof(volatile_) },
	};
	struct nvram_create_args args = { .name = "fixture",
		.state_version = 0x00090002,
		.protector = protector_ops_by_name("native"),
		.creds = &fx->creds, .records = records, .n_records = 2,
		.slot_size = FIXTURE_SLOT_SIZE };
	struct err err = { 0 };

	memcpy(args.uuid, fixture_uuid, UUID_SIZE);
	fill(0, NVRAM_PERMANENT, permanent);
	fill(0, NVRAM_VOLATILE, volatile_);
	cr_assert_eq(nvram_create_store(fault_store_base(fx->store), &args,
	    &err), 0, "%s", err.text);
	fault_store_disarm(fx->store);
}

void
fixture_dir(struct fixture *fx)
{
	char path[80];

	snprintf(fx->dir, sizeof(fx->dir), "/tmp/vtpm-test.XXXXXX");
	cr_assert_not_null(mkdtemp(fx->dir));
	snprintf(path, sizeof(path), "%s/records", fx->dir);
	cr_assert_eq(mkdir(path, 0700), 0);
	fx->records_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(fx->records_fd, 0);
}

void
fixture_make(struct fixture *fx)
{
	log_set_sink(keep_line);
	fx->native = native_for_tests(0x5a,
	    fx->dir[0] != '\0' ? fx->records_fd : -1);
	fx->creds = (struct protector_creds){ .native = fx->native };
	fx->store = fault_store_new(FIXTURE_FILE_SIZE);
	make_file(fx);
}

static void
remove_all(const char *dir)
{
	char path[512];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlink(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(dir);
}

void
fixture_free(struct fixture *fx)
{
	char path[80];

	native_for_tests_free(fx->native);
	fault_store_free(fx->store);
	if (fx->dir[0] == '\0')
		return;
	close(fx->records_fd);
	snprintf(path, sizeof(path), "%s/records", fx->dir);
	remove_all(path);
	remove_all(fx->dir);
}

int
fixture_unlock(struct fixture *fx, struct nvram **nv)
{
	int rc;

	if ((rc = nvram_open_store(nv, fault_store_base(fx->store), "fixture",
	    NULL)) < 0)
		return rc;
	if ((rc = nvram_unlock(*nv, &fx->creds, NULL)) < 0) {
		nvram_close(*nv);
		*nv = NULL;
	}
	return rc;
}

struct nvram *
fixture_acquire(struct fixture *fx)
{
	struct err err = { 0 };
	struct nvram *nv;

	cr_assert_eq(fixture_unlock(fx, &nv), 0);
	cr_assert_eq(nvram_acquire(nv, NULL, false, &err), 0, "%s", err.text);
	return nv;
}

static int
commit_by(int (*put)(struct nvram *, const struct nvram_record *, size_t,
    struct err *), struct nvram *nv, unsigned int n)
{
	uint8_t permanent[FIXTURE_STATE_SIZE], volatile_[FIXTURE_STATE_SIZE];
	struct nvram_record records[] = {
		{ NVRAM_PERMANENT, permanent, sizeof(permanent) },
		{ NVRAM_VOLATILE, volatile_, sizeof(volatile_) },
	};

	fill(n, NVRAM_PERMANENT, permanent);
	fill(n, NVRAM_VOLATILE, volatile_);
	return put(nv, records, 2, NULL);
}

int
fixture_commit(struct nvram *nv, unsigned int n)
{
	return commit_by(nvram_commit, nv, n);
}

int
fixture_commit_unsynced(struct nvram *nv, unsigned int n)
{
	return commit_by(nvram_commit_unsynced, nv, n);
}

static bool
is_state(const struct nvram *nv, unsigned int n, enum nvram_kind kind)
{
	uint8_t expected[FIXTURE_STATE_SIZE];
	const uint8_t *data;
	size_t size;

	fill(n, kind, expected);
	return nvram_get(nv, kind, &data, &size, NULL) == 0 &&
	    size == sizeof(expected) && memcmp(data, expected, size) == 0;
}

int
fixture_state(const struct nvram *nv)
{
	for (unsigned int n = 0; n < 8; n++)
		if (is_state(nv, n, NVRAM_PERMANENT) &&
		    is_state(nv, n, NVRAM_VOLATILE))
			return (int)n;
	return -1;
}
