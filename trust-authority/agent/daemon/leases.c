/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/leases.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/leases-ask.h"
#include "trust-authority/agent/daemon/sock.h"

struct entry {
	struct entry *next;
	struct lease lease;
	uint64_t gone;		/* ms; when its connection ended */
};

struct leases {
	struct kmxa *k;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct entry *first;
	size_t count;
	/* Of renewing. */
	uint64_t renewed;		/* ms; the last that worked */
	bool cut_off;
};

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct entry **
place_of(struct leases *l, const uint8_t vm[UUID_SIZE])
{
	struct entry **at = &l->first;

	while (*at != NULL && memcmp((*at)->lease.vm, vm, UUID_SIZE) != 0)
		at = &(*at)->next;
	return at;
}

static bool
is_instance(const struct entry *e,
    const uint8_t instance[LEASES_INSTANCE_SIZE])
{
	return e != NULL && memcmp(e->lease.instance, instance,
	    LEASES_INSTANCE_SIZE) == 0;
}

int
leases_add(struct leases *l, const struct lease *lease, struct err *err)
{
	struct entry **at, *e;
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	at = place_of(l, lease->vm);
	if (*at == NULL && (e = calloc(1, sizeof(*e))) != NULL) {
		*at = e;
		if (l->count++ == 0)
			l->renewed = now_ms();
		/* It may have a shorter lease than those before. */
		pthread_cond_signal(&l->wake);
	}
	if (*at == NULL)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	else {
		(*at)->lease = *lease;
		(*at)->gone = 0;
	}
	pthread_mutex_unlock(&l->lock);
	return rc;
}

bool
leases_attach(struct leases *l, const struct lease *lease)
{
	struct entry *e;
	bool is;

	pthread_mutex_lock(&l->lock);
	e = *place_of(l, lease->vm);
	is = is_instance(e, lease->instance) && e->lease.epoch == lease->epoch;
	if (is) {
		e->lease.connection = lease->connection;
		e->gone = 0;
	}
	pthread_mutex_unlock(&l->lock);
	return is;
}

/* With the lock. */
static void
remove_at(struct leases *l, struct entry **at)
{
	struct entry *e = *at;

	*at = e->next;
	l->count--;
	free(e);
}

void
leases_remove(struct leases *l, const uint8_t vm[UUID_SIZE],
    const uint8_t instance[LEASES_INSTANCE_SIZE])
{
	struct entry **at;

	pthread_mutex_lock(&l->lock);
	at = place_of(l, vm);
	if (is_instance(*at, instance))
		remove_at(l, at);
	pthread_mutex_unlock(&l->lock);
}

void
leases_known(struct leases *l, const uint8_t vm[UUID_SIZE])
{
	struct entry *e;

	pthread_mutex_lock(&l->lock);
	if ((e = *place_of(l, vm)) != NULL)
		e->lease.alone = false;
	pthread_mutex_unlock(&l->lock);
}

bool
leases_is_held(struct leases *l, const uint8_t vm[UUID_SIZE],
    const uint8_t instance[LEASES_INSTANCE_SIZE])
{
	struct entry *e;
	bool held;

	pthread_mutex_lock(&l->lock);
	e = *place_of(l, vm);
	held = e != NULL && !is_instance(e, instance) &&
	    e->lease.connection != 0;
	pthread_mutex_unlock(&l->lock);
	return held;
}

bool
leases_left(struct leases *l, const uint8_t vm[UUID_SIZE],
    uint8_t instance[LEASES_INSTANCE_SIZE])
{
	struct entry *e;
	bool left;

	pthread_mutex_lock(&l->lock);
	e = *place_of(l, vm);
	left = e != NULL && e->lease.connection == 0;
	if (left)
		memcpy(instance, e->lease.instance, LEASES_INSTANCE_SIZE);
	pthread_mutex_unlock(&l->lock);
	return left;
}

void
leases_gone(struct leases *l, uint64_t connection)
{
	pthread_mutex_lock(&l->lock);
	for (struct entry *e = l->first; e != NULL; e = e->next)
		if (e->lease.connection == connection) {
			e->lease.connection = 0;
			e->gone = now_ms();
		}
	pthread_mutex_unlock(&l->lock);
}

void
leases_lost(struct leases *l, const uint8_t vm[UUID_SIZE],
    uint64_t epoch, const uint8_t instance[LEASES_INSTANCE_SIZE],
    enum agent_fault fault, const char *why)
{
	struct lease lost = { 0 };
	struct entry **at;
	char name[UUID_TEXT_SIZE];

	pthread_mutex_lock(&l->lock);
	at = place_of(l, vm);
	if (is_instance(*at, instance) && (*at)->lease.epoch == epoch) {
		lost = (*at)->lease;
		remove_at(l, at);
	}
	pthread_mutex_unlock(&l->lock);
	if (lost.seconds == 0)
		return;
	uuid_format(vm, name);
	log_event(LOG_LEVEL_ERROR, "agent.lost", "vm=%s epoch=%llu told=%s "
	    "fault=%s reason=\"%s\"", name, (unsigned long long)lost.epoch,
	    lost.connection != 0 ? "yes" : "no",
	    agent_fault_name((uint8_t)fault), why);
	if (lost.connection != 0)
		sock_tell_lost(l->k->sock, lost.connection, lost.vm,
		    lost.epoch, fault, why);
}

/* With the lock: what nobody came back for. */
static void
drop_left(struct leases *l)
{
	struct entry **at = &l->first;
	char name[UUID_TEXT_SIZE];

	while (*at != NULL) {
		const struct lease *lease = &(*at)->lease;

		if (lease->connection != 0 || now_ms() - (*at)->gone <=
		    2000 * (uint64_t)lease->seconds) {
			at = &(*at)->next;
			continue;
		}
		uuid_format(lease->vm, name);
		log_event(LOG_LEVEL_WARNING, "agent.lease_left", "vm=%s "
		    "epoch=%llu", name, (unsigned long long)lease->epoch);
		remove_at(l, at);
	}
}

/* With the lock: a copy of those that the authority knows, from after on. */
static size_t
copy_some(struct leases *l, size_t after, struct lease *out, size_t room,
    uint32_t *shortest)
{
	size_t n = 0, at = 0;

	for (struct entry *e = l->first; e != NULL; e = e->next) {
		if (e->lease.alone || at++ < after)
			continue;
		if (*shortest == 0 || e->lease.seconds < *shortest)
			*shortest = e->lease.seconds;
		if (n < room)
			out[n++] = e->lease;
	}
	return n;
}

static void
renewed(struct leases *l, int rc, uint32_t seconds, const struct err *why)
{
	uint64_t since;
	bool cut_off;

	pthread_mutex_lock(&l->lock);
	if (rc == 0)
		l->renewed = now_ms();
	since = now_ms() - l->renewed;
	cut_off = l->cut_off;
	l->cut_off = since > 1000 * (uint64_t)seconds;
	pthread_mutex_unlock(&l->lock);
	if (!cut_off && since > 1000 * (uint64_t)seconds)
		log_event(LOG_LEVEL_ERROR, "agent.cut_off", "seconds=%llu "
		    "error=\"%s\" consequence=\"the VMs go on; another host "
		    "may take them over\"",
		    (unsigned long long)(since / 1000), why->text);
	if (cut_off && rc == 0)
		log_event(LOG_LEVEL_INFO, "agent.reconnected", "what=leases");
}

/* All of them, in pieces. The pause until the next time, in ms. */
static uint64_t
renew(struct leases *l)
{
	struct lease *some = calloc(LEASES_ASK_MAX, sizeof(*some));
	struct err err = { 0 };
	uint32_t shortest = 0;
	size_t at = 0, n;
	int rc = 0;

	if (some == NULL)
		return 1000;
	do {
		pthread_mutex_lock(&l->lock);
		drop_left(l);
		n = copy_some(l, at, some, LEASES_ASK_MAX, &shortest);
		pthread_mutex_unlock(&l->lock);
		at += n;
		if (n > 0)
			rc = leases_ask_some(l->k, some, n, &err);
	} while (rc == 0 && n == LEASES_ASK_MAX);
	free(some);
	if (shortest == 0)
		return 60000;
	renewed(l, rc, shortest, &err);
	/* Sooner after a failure: the lease is running. */
	return (uint64_t)shortest * 1000 / (rc == 0 ? 3 : 6);
}

static void *
run(void *arg)
{
	struct leases *l = arg;
	struct timespec end;
	uint64_t ms;

	for (;;) {
		ms = renew(l);
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += (time_t)(ms / 1000);
		end.tv_nsec += (long)(ms % 1000) * 1000000;
		if (end.tv_nsec >= 1000000000) {
			end.tv_sec++;
			end.tv_nsec -= 1000000000;
		}
		pthread_mutex_lock(&l->lock);
		(void)pthread_cond_timedwait(&l->wake, &l->lock, &end);
		pthread_mutex_unlock(&l->lock);
	}
	return NULL;
}

int
leases_start(struct kmxa *k, struct leases **out, struct err *err)
{
	struct leases *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;
	int sys;

	if (l == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	l->k = k;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &attr);
	pthread_condattr_destroy(&attr);
	*out = l;
	if ((sys = pthread_create(&l->thread, NULL, run, l)) == 0)
		return 0;
	*out = NULL;
	free(l);
	return err_sys(err, sys, "cannot start a thread");
}

void
leases_set_seconds(struct leases *l, uint32_t seconds)
{
	pthread_mutex_lock(&l->lock);
	for (struct entry *e = l->first; e != NULL; e = e->next)
		if (!e->lease.alone)
			e->lease.seconds = seconds;
	pthread_mutex_unlock(&l->lock);
}

json_t *
leases_json(struct leases *l, bool (*filter)(void *arg,
    const uint8_t vm[UUID_SIZE]), void *arg, size_t *count)
{
	json_t *list = json_array();
	char name[UUID_TEXT_SIZE];

	pthread_mutex_lock(&l->lock);
	*count = l->count;
	for (struct entry *e = l->first; e != NULL; e = e->next) {
		if (!filter(arg, e->lease.vm))
			continue;
		uuid_format(e->lease.vm, name);
		(void)json_array_append_new(list, json_pack("{ss sI sb sb}",
		    "vm", name, "epoch", (json_int_t)e->lease.epoch,
		    "attached", e->lease.connection != 0, "alone",
		    e->lease.alone));
	}
	pthread_mutex_unlock(&l->lock);
	return list;
}
