/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "vtpm/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 64

int
sandbox_process(struct err *err)
{
	struct rlimit none = { 0, 0 };
	struct rlimit few = { DESCRIPTORS_MAX, DESCRIPTORS_MAX };

	if (setrlimit(RLIMIT_CORE, &none) < 0 ||
	    setrlimit(RLIMIT_NOFILE, &few) < 0)
		return err_sys(err, errno, "cannot lower a resource limit");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "cannot give up being dumpable or "
		    "gaining privileges");
	return 0;
}

int
sandbox_drop_user(const char *user, struct err *err)
{
	const struct passwd *pw;
	int death_signal = 0;

	if ((pw = getpwnam(user)) == NULL)
		return err_set(err, ERR_USAGE, "there is no user %s", user);
	/* What the starter set (PR_SET_PDEATHSIG) does not survive the change
	 * by itself, prctl(2). */
	prctl(PR_GET_PDEATHSIG, &death_signal);
	if (setgroups(0, NULL) < 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return err_sys(err, errno, "cannot become user %s", user);
	if (pw->pw_uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		return err_set(err, ERR_INTERNAL,
		    "user %s can become root again", user);
	/* Changing the user made the process dumpable by fs.suid_dumpable. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, death_signal) < 0)
		return err_sys(err, errno, "cannot give up being dumpable");
	return 0;
}

#ifndef SANITIZERS

/* Landlock's interface in full (linux/landlock.h of kernel 6.12): older headers
 * know less of it than the kernel may. */
struct landlock_ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;	/* ABI 4 */
	uint64_t scoped;		/* ABI 6 */
};

struct landlock_beneath {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

#define LANDLOCK_VERSION_FLAG 1u
#define LANDLOCK_BENEATH 1
#define LANDLOCK_REMOVE_FILE (1ull << 5)

static int
landlock_abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_VERSION_FLAG);
}

/* The file system rights that an ABI knows: 13, then REFER (2), TRUNCATE (3)
 * and IOCTL_DEV (5). */
static uint64_t
landlock_fs_rights(int abi)
{
	int n = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;

	return (1ull << n) - 1;
}

int
sandbox_paths(const int *remove_in, size_t n, struct err *err)
{
	struct landlock_ruleset rules = { 0 };
	int abi = landlock_abi(), set = -1, rc = 0;
	size_t size;

	/* A kernel without it: the system call filter stands alone. */
	if (abi < 1)
		return 0;
	rules.handled_access_fs = landlock_fs_rights(abi);
	rules.handled_access_net = 3;	/* bind and connect TCP */
	size = abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
	set = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	if (set < 0)
		return err_sys(err, errno, "cannot make a Landlock ruleset");
	for (size_t i = 0; i < n; i++) {
		struct landlock_beneath rule = {
			.allowed_access = LANDLOCK_REMOVE_FILE,
			.parent_fd = remove_in[i] };

		if (remove_in[i] < 0)
			continue;
		if (syscall(SYS_landlock_add_rule, set, LANDLOCK_BENEATH,
		    &rule, 0) < 0) {
			rc = err_sys(err, errno, "cannot add a Landlock rule");
			goto out;
		}
	}
	if (syscall(SYS_landlock_restrict_self, set, 0) < 0)
		rc = err_sys(err, errno, "cannot enter the Landlock ruleset");
out:
	close(set);
	return rc;
}

#else	/* SANITIZERS: their runtime reads /proc when it reports */

int
sandbox_paths(const int *remove_in, size_t n, struct err *err)
{
	(void)remove_in;
	(void)n;
	(void)err;
	return 0;
}

#endif
