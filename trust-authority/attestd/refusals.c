/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/refusals.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/attestd/attestd.h"

/* Halves, so that unknown names do not push out those of hosts. */
#define REFUSALS_MAX 256

struct refusal {
	int64_t at;			/* 0: free */
	char name[NAME_MAX_SIZE];
	char ek[DIRECTORY_FINGERPRINT_SIZE];
	char address[INET6_ADDRSTRLEN];
	char reason[DIRECTORY_REASON_MAX];
};

struct refusals {
	pthread_mutex_t lock;
	struct refusal of[2][REFUSALS_MAX];	/* unknown, known */
};

struct refusals *
refusals_new(void)
{
	struct refusals *r = calloc(1, sizeof(*r));

	if (r != NULL)
		pthread_mutex_init(&r->lock, NULL);
	return r;
}

void
refusals_free(struct refusals *r)
{
	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void
refusals_add(struct refusals *r, const char *name, bool known,
    const char *ek, const char *address, const char *reason, int64_t now)
{
	struct refusal *list = r->of[known], *place = list;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < REFUSALS_MAX; i++) {
		if (list[i].at != 0 && strcmp(list[i].name, name) == 0) {
			place = &list[i];
			break;
		}
		if (list[i].at < place->at)
			place = &list[i];
	}
	place->at = now;
	text_cut(place->name, sizeof(place->name), name);
	text_cut(place->ek, sizeof(place->ek), ek);
	text_cut(place->address, sizeof(place->address), address);
	text_cut(place->reason, sizeof(place->reason), reason);
	pthread_mutex_unlock(&r->lock);
}

void
refusals_forget(struct refusals *r, const char *host)
{
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < REFUSALS_MAX; i++)
		if (strcmp(r->of[true][i].name, host) == 0)
			r->of[true][i].at = 0;
	pthread_mutex_unlock(&r->lock);
}

json_t *
refusals_of(struct refusals *r, const char *name, int64_t since)
{
	json_t *out = NULL;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; out == NULL && i < REFUSALS_MAX; i++) {
		const struct refusal *one = &r->of[true][i];

		if (one->at > 0 && one->at >= since &&
		    strcmp(one->name, name) == 0)
			out = json_pack("{ss ss sI}", "reason", one->reason,
			    "address", one->address, "at",
			    (json_int_t)one->at);
	}
	pthread_mutex_unlock(&r->lock);
	return out;
}

json_t *
refusals_unknown(struct refusals *r)
{
	json_t *out = json_array();

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; out != NULL && i < REFUSALS_MAX; i++) {
		const struct refusal *one = &r->of[false][i];

		if (one->at > 0)
			(void)json_array_append_new(out, json_pack(
			    "{ss ss ss ss sI}", "name", one->name, "ek",
			    one->ek, "reason", one->reason, "address",
			    one->address, "at", (json_int_t)one->at));
	}
	pthread_mutex_unlock(&r->lock);
	return out;
}
