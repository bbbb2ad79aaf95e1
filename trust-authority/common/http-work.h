/* SPDX-License-Identifier: BSD-3-Clause */
/* A few threads and a queue that has an end. */
#ifndef TRUST_AUTHORITY_COMMON_HTTP_WORK_H
#define TRUST_AUTHORITY_COMMON_HTTP_WORK_H

#include <stddef.h>

#include "base/err.h"

struct http_work;

int http_work_new(size_t threads, size_t queue_max, struct http_work **out,
    struct err *err);
/* Calls run(job) in one of the threads. ERR_BUSY when the queue is full. */
int http_work_add(struct http_work *w, void (*run)(void *job), void *job);
/* Ends when all that was added has run. NULL is allowed. */
void http_work_free(struct http_work *w);

#endif
