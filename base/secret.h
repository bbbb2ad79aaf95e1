/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes that must not leak: their own pages, locked into memory, left out of
 * core dumps, gone in a forked child, cleansed on release, compared in
 * constant time. Never print one.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct secret;

/* size bytes of zero; NULL when memory cannot be had or locked (errno set:
 * ENOMEM or EPERM point at RLIMIT_MEMLOCK). */
struct secret *secret_new(size_t size);
struct secret *secret_from(const void *data, size_t size);
/* Cleanses and releases. NULL is allowed. */
void secret_free(struct secret *s);

/* From now on this process keeps so many released secrets' pages, cleansed and
 * still locked, for the next secrets of up to a page: without, each is seven
 * system calls and a page fault. For services that make some for every request,
 * and for a start that makes one after the other. At most 64; those that are
 * kept beyond a smaller number are given back. Not while another thread uses
 * secrets, if it is smaller. */
void secret_keep(unsigned int pages);

uint8_t *secret_data(struct secret *s);
const uint8_t *secret_bytes(const struct secret *s);
size_t secret_size(const struct secret *s);
/* Makes it shorter; the bytes cut off are cleansed. */
void secret_truncate(struct secret *s, size_t size);
bool secret_equal(const struct secret *a, const struct secret *b);

/* Overwrites in a way that the compiler keeps. */
void cleanse(void *data, size_t size);

/* Reads a secret from descriptor fd to its end: at least 1, at most max bytes;
 * one trailing newline is dropped. NULL and *err on failure. */
struct err;
struct secret *secret_read_fd(int fd, size_t max, struct err *err);

#endif
