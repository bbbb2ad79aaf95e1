/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The authority's directory, made whole or not at all: everything is written
 * under another name, which one rename then makes the directory. A process that
 * was killed leaves that other name, and the next one clears it away.
 */
#ifndef TRUST_AUTHORITY_VTACTL_PLACE_H
#define TRUST_AUTHORITY_VTACTL_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "trust-authority/vtactl/identity.h"

/* Who may read what. */
enum place_mode {
	PLACE_PUBLIC,	/* 0644 */
	PLACE_SERVICE,	/* 0640, of the services' group */
	PLACE_SECRET,	/* 0600 */
};

/* Whose the services' files are to be. */
struct place_owner {
	uid_t uid;
	gid_t gid;
	bool given;	/* else all stays with who runs this */
};

struct place {
	char path[4096], temporary[4096];
	int fd;		/* the temporary one's; -1: none */
	struct place_owner owner;
};

/* ERR_EXISTS where the directory is there and not empty, ERR_BUSY while
 * another process makes it. */
int place_begin(struct place *p, const char *path,
    const struct place_owner *owner, struct err *err);
int place_directory(struct place *p, const char *name, enum place_mode mode,
    struct err *err);
int place_write(struct place *p, const char *name, enum place_mode mode,
    const void *data, size_t size, struct err *err);
/* NAME.pem and, where key, NAME.key: certificates are public. */
int place_write_identity(struct place *p, const char *name,
    const struct identity *id, enum place_mode key, struct err *err);
int place_write_certificate(struct place *p, const char *name,
    const struct identity *id, struct err *err);
int place_finish(struct place *p, struct err *err);
/* Removes what place_finish has not put into place. */
void place_abandon(struct place *p);

/* Puts a new file in an old one's place, with that one's owner and mode. */
int place_replace(const char *path, const void *data, size_t size,
    struct err *err);

#endif
