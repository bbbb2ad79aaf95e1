/* SPDX-License-Identifier: BSD-3-Clause */
/* What puts our swtpm in libvirt's way: files that vtpmctl libvirt enable
 * writes, disable removes and status looks at. */
#ifndef VTPM_CTL_LIBVIRT_H
#define VTPM_CTL_LIBVIRT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LIBVIRT_FRONT LIBEXECDIR "/swtpm"
#define LIBVIRT_STATE LOCALSTATEDIR "/lib/vtpmd-libvirt"
/* systemd's own for services, systemd.exec(5), with our folder before it. */
#define LIBVIRT_DEFAULT_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum libvirt_state {
	LIBVIRT_NOT_HERE,	/* nothing on this host wants it */
	LIBVIRT_ABSENT,
	LIBVIRT_OURS,
	LIBVIRT_OUTDATED,	/* ours, of another release */
	LIBVIRT_FOREIGN,	/* somebody else's file of that name */
};

struct libvirt_part {
	const char *path;
	const char *text;
	/* Only where this exists, NULL: always. */
	const char *condition;
	/* The text is a block of a file that is the administrator's. */
	bool block;
};

extern const struct libvirt_part libvirt_parts[];
extern const size_t libvirt_n_parts;

/* --root of the command that runs; "" for none. */
extern const char *libvirt_root;

int libvirt_path(char out[PATH_MAX], const char *path, struct err *err);
int libvirt_look(const struct libvirt_part *p, enum libvirt_state *state,
    struct err *err);

#endif
