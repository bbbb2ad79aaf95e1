/* SPDX-License-Identifier: BSD-3-Clause */
/* UUIDs of VMs, RFC 4122: 16 bytes in network order, text in lower case. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdint.h>

#define UUID_SIZE 16
#define UUID_TEXT_SIZE 37	/* with the final NUL */

/* 0, or ERR_FORMAT; takes upper and lower case. */
int uuid_parse(const char *text, uint8_t uuid[UUID_SIZE]);
void uuid_format(const uint8_t uuid[UUID_SIZE], char text[UUID_TEXT_SIZE]);
/* A random one (version 4). 0 or ERR_SYSTEM. */
int uuid_generate(uint8_t uuid[UUID_SIZE]);

#endif
