/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libtpms's states begin with {version u16, magic u32, lowest version of a
 * reader u16} (src/tpm2/NVMarshal.c, NV_HEADER_Marshal), and it refuses a
 * state whose lowest reader is later than itself (NV_HEADER_Unmarshal). What
 * each release knows is in the table; a release takes what earlier ones wrote.
 */
#include "migration/state-version.h"

#include <stdio.h>

#include "base/buf.h"

#define PERMANENT_MAGIC 0xab364723u
#define VOLATILE_MAGIC 0x45637889u

/* PERSISTENT_ALL_VERSION and VOLATILE_STATE_VERSION by minor release. */
static const struct {
	uint32_t release;	/* major << 16 | minor << 8 */
	uint16_t permanent, volatile_state;
} known[] = {
	{ 0x000900, 3, 4 },
	{ 0x000a00, 4, 4 },
};
#define N_KNOWN (sizeof(known) / sizeof(known[0]))

int
state_version_parse(const char *text, uint32_t *version, struct err *err)
{
	unsigned int major, minor, micro = 0;
	char rest;
	int n = sscanf(text, "%3u.%3u.%3u%c", &major, &minor, &micro, &rest);

	if (n == 4 || n < 2 || (n == 2 && sscanf(text, "%3u.%3u%c", &major,
	    &minor, &rest) != 2) || major > 255 || minor > 255 || micro > 255)
		return err_set(err, ERR_USAGE, "'%s' is not a version of "
		    "libtpms, like 0.9.2", text);
	*version = major << 16 | minor << 8 | micro;
	return 0;
}

static int
check_state(const char *what, const uint8_t *data, size_t size,
    uint32_t want_magic, uint16_t reader, uint32_t target, struct err *err)
{
	struct buf b = buf_reader(data, size);
	uint16_t version = 0, lowest = 0;
	uint32_t magic = 0;

	buf_get_u16be(&b, &version);
	buf_get_u32be(&b, &magic);
	/* Before version 2 nothing says it, and anybody reads it. */
	if (version >= 2)
		buf_get_u16be(&b, &lowest);
	if (!buf_ok(&b) || magic != want_magic)
		return err_set(err, ERR_FORMAT, "the %s state is not one of "
		    "libtpms's", what);
	if (lowest <= reader)
		return 0;
	return err_set(err, ERR_UNSUPPORTED, "the %s state needs a libtpms "
	    "that reads version %u, and libtpms %u.%u reads up to %u", what,
	    lowest, target >> 16, target >> 8 & 0xff, reader);
}

int
state_version_check(uint32_t target, uint32_t written,
    const uint8_t *permanent, size_t permanent_size,
    const uint8_t *volatile_state, size_t volatile_size, struct err *err)
{
	int rc;

	if (target >> 8 >= written >> 8)
		return 0;
	for (size_t i = 0; i < N_KNOWN; i++) {
		if (known[i].release >> 8 != target >> 8)
			continue;
		if ((rc = check_state("permanent", permanent, permanent_size,
		    PERMANENT_MAGIC, known[i].permanent, target, err)) < 0 ||
		    volatile_size == 0)
			return rc;
		return check_state("volatile", volatile_state, volatile_size,
		    VOLATILE_MAGIC, known[i].volatile_state, target, err);
	}
	return err_set(err, ERR_UNSUPPORTED, "libtpms %u.%u is earlier than "
	    "the %u.%u that wrote the state, and what it reads is not known "
	    "here", target >> 16, target >> 8 & 0xff, written >> 16,
	    written >> 8 & 0xff);
}
