/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/policies.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Policies kept beside those in use; a group has at most
 * DIRECTORY_GROUP_POLICIES. */
#define KEPT_MAX 64

struct policy_used {
	struct policy_used *next;
	struct policy_record record;
	struct policy *policy;
	unsigned int users;
	uint64_t last;		/* turn of its last use */
	bool gone;		/* another one is in its place */
};

struct policies {
	struct store *store;
	pthread_mutex_t loading;	/* one at a time, taken first */
	pthread_mutex_t lock;		/* of the rest */
	struct policy_used *first;
	size_t count;
	uint64_t turn;
};

struct policies *
policies_new(struct store *store)
{
	struct policies *p = calloc(1, sizeof(*p));

	if (p != NULL) {
		p->store = store;
		pthread_mutex_init(&p->loading, NULL);
		pthread_mutex_init(&p->lock, NULL);
	}
	return p;
}

static void
used_free(struct policy_used *u)
{
	policy_free(u->policy);
	free(u);
}

void
policies_free(struct policies *p)
{
	struct policy_used *u;

	if (p == NULL)
		return;
	while ((u = p->first) != NULL) {
		p->first = u->next;
		used_free(u);
	}
	pthread_mutex_destroy(&p->loading);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Takes out of the list and frees what nobody uses and is gone, and beyond
 * KEPT_MAX what was not used for longest. With the lock. */
static void
sweep(struct policies *p)
{
	struct policy_used **at, **oldest, *u;

	do {
		oldest = NULL;
		for (at = &p->first; (u = *at) != NULL; ) {
			if (u->users == 0 && u->gone) {
				*at = u->next;
				used_free(u);
				p->count--;
				continue;
			}
			if (u->users == 0 && (oldest == NULL ||
			    u->last < (*oldest)->last))
				oldest = at;
			at = &u->next;
		}
		if (p->count > KEPT_MAX && oldest != NULL)
			(*oldest)->gone = true;
	} while (p->count > KEPT_MAX && oldest != NULL);
}

/* What is in memory, if it is that of the record; takes it. */
static struct policy_used *
find(struct policies *p, const struct policy_record *record)
{
	struct policy_used *u, *found = NULL;

	pthread_mutex_lock(&p->lock);
	for (u = p->first; u != NULL; u = u->next) {
		if (u->gone || strcmp(u->record.name, record->name) != 0)
			continue;
		if (strcmp(u->record.sha256, record->sha256) != 0) {
			u->gone = true;
			continue;
		}
		u->users++;
		u->last = ++p->turn;
		found = u;
		break;
	}
	sweep(p);
	pthread_mutex_unlock(&p->lock);
	return found;
}

static int
load(struct policies *p, const struct policy_record *record,
    struct policy_used **out, struct err *err)
{
	struct policy_used *u = calloc(1, sizeof(*u));
	char *text = NULL;
	int rc;

	if (u == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = policy_parts_read(p->store, record, &text, err)) < 0 ||
	    (rc = policy_read(text, (size_t)record->size, &u->policy,
	    err)) < 0) {
		free(u);
		goto out;
	}
	u->record = *record;
	u->users = 1;
	pthread_mutex_lock(&p->lock);
	u->last = ++p->turn;
	u->next = p->first;
	p->first = u;
	p->count++;
	pthread_mutex_unlock(&p->lock);
	*out = u;
out:
	free(text);
	return rc;
}

int
policies_take(struct policies *p, const char *name, struct policy_used **out,
    struct err *err)
{
	struct policy_record record;
	int rc;

	if ((rc = policy_record_get(p->store, name, &record, err)) < 0)
		return rc;
	if ((*out = find(p, &record)) != NULL)
		return 0;
	/* Who comes while it is parsed waits for it. */
	pthread_mutex_lock(&p->loading);
	if ((*out = find(p, &record)) == NULL)
		rc = load(p, &record, out, err);
	pthread_mutex_unlock(&p->loading);
	return rc;
}

const struct policy *
policy_used(const struct policy_used *u)
{
	return u->policy;
}

void
policies_give(struct policies *p, struct policy_used *u)
{
	if (u == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	u->users--;
	sweep(p);
	pthread_mutex_unlock(&p->lock);
}
