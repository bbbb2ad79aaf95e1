/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may ask for which VM's key, by the uid that the kernel says
 * (SO_PEERCRED): root; the users of `all`; those that the access file gives this VM; and who
 * had the VM made through this agent, of which the state directory has a file
 * each in "owners".
 */
#ifndef AGENT_DAEMON_ACCESS_H
#define AGENT_DAEMON_ACCESS_H

#include <sys/types.h>

#include "trust-authority/agent/daemon/settings.h"
#include "trust-authority/agent/state-dir.h"

struct access;

int access_open(const struct settings *s, const struct state_dir *state,
    struct access **out, struct err *err);
/* NULL is allowed. */
void access_free(struct access *a);
/* Reads users and file again; what cannot be read changes nothing. */
int access_reload(struct access *a, const struct settings *s,
    struct err *err);

/* ERR_REFUSED, with the uid and what to do. From any thread, as all below. */
int access_check(struct access *a, uid_t uid, const uint8_t vm[UUID_SIZE],
    struct err *err);
int access_check_create(struct access *a, uid_t uid,
    const uint8_t vm[UUID_SIZE], struct err *err);
/* Whether no other user than this one had the VM made. */
bool access_is_free(struct access *a, uid_t uid, const uint8_t vm[UUID_SIZE]);
/* Whether a rule names this user; one whose VMs were made here need not have
 * any. */
bool access_has_rule(struct access *a, uid_t uid);
/* That this user had the VM made. */
int access_record(struct access *a, uid_t uid, const uint8_t vm[UUID_SIZE],
    struct err *err);
int access_forget(struct access *a, const uint8_t vm[UUID_SIZE],
    struct err *err);

#endif
