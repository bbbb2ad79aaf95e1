/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is wrong now: each alarm is an event when it is raised and one when it
 * is over, and stands in the status between. In this process; another node has
 * its own.
 */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_ALARMS_H
#define TRUST_AUTHORITY_KEYPROVIDER_ALARMS_H

#include <jansson.h>

#include "base/err.h"

#define ALARMS_MAX 64	/* the oldest goes for a new one */
#define ALARM_OBJECT_SIZE 65

struct alarms;

int alarms_new(struct alarms **out, struct err *err);
void alarms_free(struct alarms *a);

/* name: "key.create-failed", an event's. object: a KMS or VM. An alarm that is
 * there gets the new text, and is no event. */
void alarm_raise(struct alarms *a, const char *name, const char *object,
    const char *text);
/* The event is NAME.over. Nothing where there was none. */
void alarm_clear(struct alarms *a, const char *name, const char *object);
/* The objects that have this alarm; how many. */
size_t alarm_objects(struct alarms *a, const char *name,
    char objects[ALARMS_MAX][ALARM_OBJECT_SIZE]);
/* [{alarm, object, text, since, count}] */
json_t *alarms_json(struct alarms *a);

#endif
