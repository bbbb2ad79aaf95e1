/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/secret.h"
#include "config.h"

#ifndef SANITIZERS
/* The value of a line of the smaps entry that p lies in. */
static int
smaps(const void *p, const char *field, char *out, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	int inside = 0, found = -1;

	cr_assert_not_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (unsigned long)p >= from &&
			    (unsigned long)p < to;
		else if (inside && strncmp(line, field, strlen(field)) == 0) {
			snprintf(out, size, "%s", line + strlen(field));
			found = 0;
		}
	}
	fclose(f);
	return found;
}
#endif

Test(secret, starts_as_zero_and_keeps_what_is_put_in)
{
	static const uint8_t zero[32];
	struct secret *s = secret_new(32), *t;

	cr_assert_not_null(s);
	cr_assert_eq(secret_size(s), 32);
	cr_assert_arr_eq(secret_bytes(s), zero, 32);
	memset(secret_data(s), 7, 32);
	t = secret_from(secret_bytes(s), 32);
	cr_assert(secret_equal(s, t));
	secret_free(s);
	secret_free(t);
	secret_free(NULL);
}

/* The sanitizers intercept mlock and do nothing. */
#ifndef SANITIZERS
Test(secret, lives_in_locked_pages_out_of_core_dumps)
{
	struct secret *s = secret_new(100);
	char text[512];

	cr_assert_eq(smaps(secret_data(s), "VmFlags:", text, sizeof(text)), 0);
	cr_assert_not_null(strstr(text, " lo"), "not locked: %s", text);
	cr_assert_not_null(strstr(text, " dd"), "in core dumps: %s", text);
	cr_assert_not_null(strstr(text, " wf"), "kept on fork: %s", text);
	secret_free(s);
}
#endif

Test(secret, is_gone_in_a_forked_child)
{
	struct secret *s = secret_from("sesame", 6);
	int status;

	if (fork() == 0)
		_exit(memcmp(secret_bytes(s), "sesame", 6) == 0);
	wait(&status);
	cr_assert_eq(status, 0);
	cr_assert_arr_eq(secret_bytes(s), "sesame", 6);
	secret_free(s);
}

Test(secret, is_unmapped_when_freed)
{
	struct secret *s = secret_from("sesame", 6);
	uintptr_t page = (uintptr_t)s & ~(uintptr_t)(getpagesize() - 1);
	unsigned char vec;

	secret_free(s);
	cr_assert_neq(mincore((void *)page, 1, &vec), 0);
	cr_assert_eq(errno, ENOMEM);
}

#ifndef SANITIZERS
Test(secret, memory_that_cannot_be_locked_is_an_error)
{
	const struct rlimit none = { 0 };
	struct secret *s;

	if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
		cr_skip_test("cannot give up root's right to lock memory");
	cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
	s = secret_new(32);
	cr_assert_null(s);
	cr_assert(errno == EPERM || errno == ENOMEM);
}
#endif

Test(secret, absurd_sizes_fail)
{
	cr_assert_null(secret_new(SIZE_MAX));
	cr_assert_null(secret_new(SIZE_MAX - 20));
	cr_assert_null(secret_new(SIZE_MAX / 2 - 4096));
}

Test(secret, truncate_cleanses_the_rest)
{
	struct secret *s = secret_from("abcdef", 6);

	secret_truncate(s, 2);
	cr_assert_eq(secret_size(s), 2);
	cr_assert_arr_eq(secret_bytes(s), "ab\0\0\0\0", 6);
	secret_truncate(s, 6);
	cr_assert_eq(secret_size(s), 2, "it must not grow");
	secret_free(s);
}

Test(secret, equal_compares_all)
{
	struct secret *a = secret_from("abcd", 4), *b = secret_from("abcd", 4);

	cr_assert(secret_equal(a, b));
	for (size_t i = 0; i < 4; i++) {
		secret_data(b)[i] ^= 0x80;
		cr_assert(!secret_equal(a, b), "byte %zu", i);
		secret_data(b)[i] ^= 0x80;
	}
	secret_truncate(b, 3);
	cr_assert(!secret_equal(a, b));
	secret_free(a);
	secret_free(b);
}

/* What secret_read_fd makes of these bytes, given in two writes. */
static struct secret *
read_back(const char *text, size_t max, struct err *err)
{
	size_t n = strlen(text), half = n / 2;
	struct secret *s;
	int p[2];

	cr_assert_eq(pipe(p), 0);
	if (fork() == 0) {
		if (write(p[1], text, half) < 0)
			_exit(1);
		usleep(2000);
		_exit(write(p[1], text + half, n - half) < 0);
	}
	close(p[1]);
	s = secret_read_fd(p[0], max, err);
	close(p[0]);
	wait(NULL);
	return s;
}

Test(secret, read_drops_one_newline)
{
	static const struct {
		const char *in, *out;
	} cases[] = { { "pass", "pass" }, { "pass\n", "pass" },
		{ "pass\n\n", "pass\n" }, { " pa ss ", " pa ss " },
		{ "p\nq\n", "p\nq" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct err err = { 0 };
		struct secret *s = read_back(cases[i].in, 16, &err);

		cr_assert_not_null(s, "%s", err.text);
		cr_assert_eq(secret_size(s), strlen(cases[i].out));
		cr_assert_arr_eq(secret_bytes(s), cases[i].out,
		    strlen(cases[i].out));
		secret_free(s);
	}
}

Test(secret, read_knows_its_bounds)
{
	struct err err = { 0 };
	struct secret *s;

	cr_assert_null(read_back("", 8, &err));
	cr_assert_eq(err.code, ERR_USAGE);
	cr_assert_null(read_back("\n", 8, &err));
	cr_assert_eq(err.code, ERR_USAGE);
	cr_assert_null(read_back("123456789", 8, &err));
	cr_assert_eq(err.code, ERR_USAGE);
	cr_assert_null(read_back("123456789\n", 8, &err));
	cr_assert_null(read_back("1234567890123456789", 8, &err));
	cr_assert_not_null(s = read_back("12345678\n", 8, &err));
	cr_assert_eq(secret_size(s), 8);
	secret_free(s);
	cr_assert_null(secret_read_fd(-1, 8, &err));
	cr_assert_eq(err.sys, EBADF);
}

static bool
is_mapped(const void *at)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	unsigned char in_core;

	return mincore((void *)((uintptr_t)at / page * page), page,
	    &in_core) == 0;
}

Test(secret, kept_pages_are_given_back)
{
	struct secret *a, *b;

	secret_keep(2);
	a = secret_new(10);
	b = secret_new(10);
	secret_free(a);
	secret_free(b);
	cr_assert(is_mapped(a) && is_mapped(b));
	secret_keep(1);
	cr_assert(is_mapped(a) != is_mapped(b));
	secret_keep(0);
	cr_assert(!is_mapped(a) && !is_mapped(b));
	a = secret_new(10);
	cr_assert_not_null(a);
	secret_free(a);
	cr_assert(!is_mapped(a));
}

Test(secret, kept_pages)
{
	struct secret *a, *b, *large;

	secret_keep(1);
	a = secret_from("remember me", 11);
	cr_assert_not_null(a);
	secret_free(a);
	b = secret_new(100);
	cr_assert_eq(b, a);
	cr_assert_eq(secret_size(b), 100);
	for (size_t i = 0; i < 100; i++)
		cr_assert_eq(secret_bytes(b)[i], 0);
	/* It is taken, and no large one is kept. */
	a = secret_new(100);
	cr_assert_neq(a, b);
	large = secret_new(10000);
	cr_assert_not_null(large);
	secret_free(large);
	secret_free(b);
	secret_free(a);
	a = secret_new(10000);
	cr_assert_neq(a, b);
	secret_free(a);
}
