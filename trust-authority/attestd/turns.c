/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/turns.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No more addresses than workers at a time, of which there are at most 256
 * (common/config.c). */
#define TURNS_MAX 256

struct turn {
	char address[INET6_ADDRSTRLEN];
	unsigned int count;
};

struct turns {
	unsigned int per_address;
	pthread_mutex_t lock;
	struct turn turn[TURNS_MAX];
};

struct turns *
turns_new(unsigned int per_address)
{
	struct turns *t = calloc(1, sizeof(*t));

	if (t != NULL) {
		t->per_address = per_address;
		pthread_mutex_init(&t->lock, NULL);
	}
	return t;
}

void
turns_free(struct turns *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* Its own, else a free one, else NULL. */
static struct turn *
find(struct turns *t, const char *address)
{
	struct turn *unused = NULL;

	for (size_t i = 0; i < TURNS_MAX; i++) {
		struct turn *turn = &t->turn[i];

		if (turn->count == 0)
			unused = turn;
		else if (strcmp(turn->address, address) == 0)
			return turn;
	}
	if (unused != NULL)
		snprintf(unused->address, sizeof(unused->address), "%s",
		    address);
	return unused;
}

int
turns_take(struct turns *t, const char *address, struct err *err)
{
	struct turn *turn;
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	turn = find(t, address);
	if (turn == NULL || turn->count >= t->per_address)
		rc = err_set(err, ERR_BUSY, "%u attestations of %s are under "
		    "way, and no more at a time are allowed ([attest] "
		    "per_address); try again later", t->per_address, address);
	else
		turn->count++;
	pthread_mutex_unlock(&t->lock);
	return rc;
}

void
turns_give(struct turns *t, const char *address)
{
	struct turn *turn;

	pthread_mutex_lock(&t->lock);
	if ((turn = find(t, address)) != NULL && turn->count > 0)
		turn->count--;
	pthread_mutex_unlock(&t->lock);
}
