/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtpmd.conf(5), read by vtpmd and vtpmctl alike. What the command line says
 * wins over the environment (VTPMD_STATE_DIR), and that over the file.
 */
#ifndef VTPM_CONFIG_H
#define VTPM_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"
#include "nvram-crypt/native.h"

/* Who runs vtpmd where nobody says; data/sysusers.d makes the user. */
#define CONFIG_SERVICE_USER "vtpmd"
/* Where vta-kmxa listens where nobody says. */
#define CONFIG_AGENT "/run/vta-kmxa/agent.sock"

struct config {
	char state_dir[PATH_MAX];	/* absolute */
	bool seal_to_tpm;		/* [native] key = tpm */
	char tcti[256];			/* [native] tcti; empty: default */
	uid_t owner;			/* [native] owner; (uid_t)-1: who owns
					 * state_dir, else the caller */
	gid_t group;
	char agent[PATH_MAX];		/* [authority] socket */
	bool allow_restore;		/* [migration] allow_restore */
	char user[64];			/* [vtpmd] user; empty: choose */
	char log[PATH_MAX];		/* [vtpmd] log; empty: stderr */
	enum log_level log_level;
	/* For the programs in swtpm's place. */
	char swtpm_protector[128];	/* of a new file; empty: native */
	bool swtpm_import;		/* take in swtpm's own state */
};

/* file NULL: SYSCONFDIR/vtpmd/vtpmd.conf where it exists, else defaults; a
 * named file must exist. state_dir NULL: not given on the command line. An
 * unknown section or key is ERR_USAGE with file and line. */
int config_load(struct config *c, const char *file, const char *state_dir,
    struct err *err);

/* What the native provider needs of it; points into *c. */
struct native_config config_native(const struct config *c);

#endif
