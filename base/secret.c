/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/secret.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"

#define KEEP_MAX 64

/* The header shares the locked mapping with the bytes, so that one munmap
 * releases all. */
struct secret {
	size_t map_size;
	size_t size;
	uint8_t data[];
};

/* Pages of released secrets. */
static _Atomic(struct secret *) kept[KEEP_MAX];
static atomic_uint keep;

void
secret_keep(unsigned int pages)
{
	keep = pages < KEEP_MAX ? pages : KEEP_MAX;
	for (unsigned int i = keep; i < KEEP_MAX; i++) {
		struct secret *s = atomic_exchange(&kept[i], NULL);

		if (s != NULL)
			munmap(s, (size_t)sysconf(_SC_PAGESIZE));
	}
}

static struct secret *
take_kept(void)
{
	for (unsigned int i = 0; i < keep; i++) {
		struct secret *s = atomic_load_explicit(&kept[i],
		    memory_order_relaxed) != NULL ?
		    atomic_exchange(&kept[i], NULL) : NULL;

		if (s != NULL)
			return s;
	}
	return NULL;
}

static bool
keep_it(struct secret *s)
{
	for (unsigned int i = 0; i < keep; i++) {
		struct secret *none = NULL;

		if (atomic_load_explicit(&kept[i], memory_order_relaxed) ==
		    NULL && atomic_compare_exchange_strong(&kept[i], &none, s))
			return true;
	}
	return false;
}

void
cleanse(void *data, size_t size)
{
	explicit_bzero(data, size);
}

/* Locked pages, NULL and errno where they cannot be had. */
static struct secret *
map_locked(size_t map_size)
{
	struct secret *s;
	int rc;

	s = mmap(NULL, map_size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return NULL;
	/* Pages that are never touched cost nothing and hold nothing. */
	rc = mlock2(s, map_size, MLOCK_ONFAULT);
	/* Where there is no mlock2 (valgrind), glibc says EINVAL. */
	if (rc < 0 && errno == EINVAL)
		rc = mlock(s, map_size);
	if (rc < 0) {
		int sys = errno;

		munmap(s, map_size);
		errno = sys;
		return NULL;
	}
	/* Both are advice that old kernels may not know; the process's own
	 * PR_SET_DUMPABLE and RLIMIT_CORE stand behind the first. */
	(void)madvise(s, map_size, MADV_DONTDUMP);
	(void)madvise(s, map_size, MADV_WIPEONFORK);
	return s;
}

struct secret *
secret_new(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct secret *s = NULL;
	size_t map_size;

	if (size > SIZE_MAX / 2) {
		errno = ENOMEM;
		return NULL;
	}
	map_size = (sizeof(*s) + size + page - 1) / page * page;
	if (map_size == page)
		s = take_kept();
	if (s == NULL && (s = map_locked(map_size)) == NULL)
		return NULL;
	s->map_size = map_size;
	s->size = size;
	return s;
}

struct secret *
secret_from(const void *data, size_t size)
{
	struct secret *s = secret_new(size);

	if (s != NULL && size > 0)
		memcpy(s->data, data, size);
	return s;
}

void
secret_free(struct secret *s)
{
	size_t map_size;

	if (s == NULL)
		return;
	map_size = s->map_size;
	cleanse(s, map_size);
	if (map_size != (size_t)sysconf(_SC_PAGESIZE) || !keep_it(s))
		munmap(s, map_size);
}

uint8_t *
secret_data(struct secret *s)
{
	return s->data;
}

const uint8_t *
secret_bytes(const struct secret *s)
{
	return s->data;
}

size_t
secret_size(const struct secret *s)
{
	return s->size;
}

void
secret_truncate(struct secret *s, size_t size)
{
	if (size >= s->size)
		return;
	cleanse(s->data + size, s->size - size);
	s->size = size;
}

bool
secret_equal(const struct secret *a, const struct secret *b)
{
	volatile uint8_t diff = 0;

	if (a->size != b->size)
		return false;
	for (size_t i = 0; i < a->size; i++)
		diff |= a->data[i] ^ b->data[i];
	return diff == 0;
}

struct secret *
secret_read_fd(int fd, size_t max, struct err *err)
{
	struct secret *s = NULL;
	size_t used = 0;

	if ((s = secret_new(max + 2)) == NULL) {
		err_sys(err, errno, "cannot lock %zu bytes of memory for a "
		    "secret (raise the memlock limit)", max + 2);
		return NULL;
	}
	for (;;) {
		ssize_t n = read(fd, s->data + used, max + 2 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, errno,
			    "cannot read the secret from descriptor %d", fd);
			goto fail;
		}
		if (n == 0)
			break;
		used += (size_t)n;
		if (used == max + 2)
			break;
	}
	if (used > 0 && s->data[used - 1] == '\n')
		used--;
	if (used == 0) {
		err_set(err, ERR_USAGE, "descriptor %d gave an empty secret",
		    fd);
		goto fail;
	}
	if (used > max) {
		err_set(err, ERR_USAGE, "the secret on descriptor %d is longer "
		    "than %zu bytes", fd, max);
		goto fail;
	}
	secret_truncate(s, used);
	return s;
fail:
	secret_free(s);
	return NULL;
}
