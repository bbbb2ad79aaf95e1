/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/digest-set.h"

#include <stdlib.h>
#include <string.h>

#define TABLES 4	/* as many algorithms as hash.h knows */

/* Places of alg->size bytes; one of zeros is empty, for no file has that
 * digest. room is a power of two, or 0. */
struct table {
	const struct hash_alg *alg;
	uint8_t *places;
	size_t room, count;
};

struct digest_set {
	struct table tables[TABLES];
};

static const uint8_t empty[HASH_MAX];

struct digest_set *
digest_set_new(void)
{
	return calloc(1, sizeof(struct digest_set));
}

void
digest_set_free(struct digest_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < TABLES; i++)
		free(set->tables[i].places);
	free(set);
}

/* Where it is, or where it would go. A digest's own bytes are hash enough: who
 * chooses them slows a policy down, which only an administrator writes. */
static uint8_t *
find(const struct table *t, const uint8_t *digest)
{
	size_t at = 0, size = t->alg->size;

	memcpy(&at, digest, sizeof(at));
	for (;; at++) {
		uint8_t *p = t->places + (at & (t->room - 1)) * size;

		if (memcmp(p, digest, size) == 0 || memcmp(p, empty, size) == 0)
			return p;
	}
}

static int
grow(struct table *t)
{
	struct table bigger = *t;
	size_t size = t->alg->size;

	bigger.room = t->room == 0 ? 64 : 2 * t->room;
	bigger.places = calloc(bigger.room, size);
	if (bigger.places == NULL)
		return ERR_INTERNAL;
	for (size_t i = 0; i < t->room; i++) {
		const uint8_t *p = t->places + i * size;

		if (memcmp(p, empty, size) != 0)
			memcpy(find(&bigger, p), p, size);
	}
	free(t->places);
	*t = bigger;
	return 0;
}

int
digest_set_add(struct digest_set *set, const struct hash_alg *alg,
    const uint8_t *digest, struct err *err)
{
	struct table *t = set->tables;
	uint8_t *p;

	if (memcmp(digest, empty, alg->size) == 0)
		return err_set(err, ERR_FORMAT,
		    "a digest of zeros is no file's");
	while (t->alg != NULL && t->alg != alg)
		t++;
	t->alg = alg;
	if (2 * (t->count + 1) > t->room && grow(t) < 0)
		return err_set(err, ERR_INTERNAL, "out of memory");
	p = find(t, digest);
	if (memcmp(p, empty, alg->size) == 0) {
		memcpy(p, digest, alg->size);
		t->count++;
	}
	return 0;
}

bool
digest_set_has(const struct digest_set *set, const struct hash_alg *alg,
    const uint8_t *digest)
{
	if (memcmp(digest, empty, alg->size) == 0)
		return false;
	for (size_t i = 0; i < TABLES; i++)
		if (set->tables[i].alg == alg && set->tables[i].count > 0)
			return memcmp(find(&set->tables[i], digest), empty,
			    alg->size) != 0;
	return false;
}

size_t
digest_set_count(const struct digest_set *set)
{
	size_t n = 0;

	for (size_t i = 0; i < TABLES; i++)
		n += set->tables[i].count;
	return n;
}
