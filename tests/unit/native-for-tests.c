/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/native-for-tests.h"

#include <stdlib.h>
#include <string.h>

struct native {
	struct secret *key;
	uint8_t id[NATIVE_KEY_ID_SIZE];
	int records_fd;
};

struct native *
native_for_tests(uint8_t byte, int records_fd)
{
	struct native *n = calloc(1, sizeof(*n));

	if (n == NULL || (n->key = secret_new(32)) == NULL)
		abort();
	memset(secret_data(n->key), byte, 32);
	memset(n->id, byte, sizeof(n->id));
	n->records_fd = records_fd;
	return n;
}

void
native_for_tests_free(struct native *n)
{
	secret_free(n->key);
	free(n);
}

const struct secret *
native_key(const struct native *n)
{
	return n->key;
}

const uint8_t *
native_key_id(const struct native *n)
{
	return n->id;
}

const char *
native_key_storage(const struct native *n)
{
	(void)n;
	return "file";
}

int
native_records_fd(const struct native *n)
{
	return n->records_fd;
}
