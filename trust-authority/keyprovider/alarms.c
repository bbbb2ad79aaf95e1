/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/alarms.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

struct alarm {
	char name[32], object[ALARM_OBJECT_SIZE], text[512];
	int64_t since;		/* 0: none */
	uint64_t count;
};

struct alarms {
	pthread_mutex_t lock;
	struct alarm all[ALARMS_MAX];
};

int
alarms_new(struct alarms **out, struct err *err)
{
	if ((*out = calloc(1, sizeof(**out))) == NULL)
		return err_sys(err, errno, "no memory for alarms");
	pthread_mutex_init(&(*out)->lock, NULL);
	return 0;
}

void
alarms_free(struct alarms *a)
{
	if (a != NULL)
		pthread_mutex_destroy(&a->lock);
	free(a);
}

/* The one of this name, NULL if there is none; *room is for a new one. */
static struct alarm *
find(struct alarms *a, const char *name, const char *object,
    struct alarm **room)
{
	*room = &a->all[0];
	for (size_t i = 0; i < ALARMS_MAX; i++) {
		struct alarm *one = &a->all[i];

		if (one->since != 0 && strcmp(one->name, name) == 0 &&
		    strcmp(one->object, object) == 0)
			return one;
		if (one->since < (*room)->since)
			*room = one;
	}
	return NULL;
}

void
alarm_raise(struct alarms *a, const char *name, const char *object,
    const char *text)
{
	struct alarm *one, *room;
	bool fresh;

	pthread_mutex_lock(&a->lock);
	one = find(a, name, object, &room);
	if ((fresh = one == NULL)) {
		one = room;
		*one = (struct alarm){ .since = time(NULL) };
		snprintf(one->name, sizeof(one->name), "%s", name);
		snprintf(one->object, sizeof(one->object), "%s", object);
	}
	one->count++;
	snprintf(one->text, sizeof(one->text), "%s", text);
	pthread_mutex_unlock(&a->lock);
	if (fresh)
		log_event(LOG_LEVEL_ERROR, name, "alarm=yes object=%s "
		    "text=\"%s\"", object, text);
}

void
alarm_clear(struct alarms *a, const char *name, const char *object)
{
	struct alarm *one, *room;
	char over[48];

	pthread_mutex_lock(&a->lock);
	if ((one = find(a, name, object, &room)) != NULL)
		one->since = 0;
	pthread_mutex_unlock(&a->lock);
	if (one == NULL)
		return;
	snprintf(over, sizeof(over), "%s.over", name);
	log_event(LOG_LEVEL_INFO, over, "object=%s", object);
}

size_t
alarm_objects(struct alarms *a, const char *name,
    char objects[ALARMS_MAX][ALARM_OBJECT_SIZE])
{
	size_t count = 0;

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < ALARMS_MAX; i++)
		if (a->all[i].since != 0 &&
		    strcmp(a->all[i].name, name) == 0)
			memcpy(objects[count++], a->all[i].object,
			    ALARM_OBJECT_SIZE);
	pthread_mutex_unlock(&a->lock);
	return count;
}

json_t *
alarms_json(struct alarms *a)
{
	json_t *list = json_array();

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < ALARMS_MAX; i++) {
		const struct alarm *one = &a->all[i];

		if (one->since != 0)
			json_array_append_new(list, json_pack(
			    "{ss ss ss sI sI}", "alarm", one->name, "object",
			    one->object, "text", one->text, "since",
			    (json_int_t)one->since, "count",
			    (json_int_t)one->count));
	}
	pthread_mutex_unlock(&a->lock);
	return list;
}
