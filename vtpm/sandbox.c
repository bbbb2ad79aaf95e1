/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "vtpm/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
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
sandbox_drop_user(const struct user *user, struct err *err)
{
	int death_signal = 0;

	/* What the starter set (PR_SET_PDEATHSIG) does not survive the change
	 * by itself, prctl(2). */
	prctl(PR_GET_PDEATHSIG, &death_signal);
	if (setgroups(0, NULL) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return err_sys(err, errno, "cannot become user %s",
		    user->name);
	if (user->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		return err_set(err, ERR_INTERNAL,
		    "user %s can become root again", user->name);
	/* Changing the user made the process dumpable by fs.suid_dumpable. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, death_signal) < 0)
		return err_sys(err, errno, "cannot give up being dumpable");
	return 0;
}

/* How many of descriptors 0 to 2 go to /dev/null: where a sanitizer's report
 * goes to a file, the last one stays. (A pipe's reader would wait for us.) */
static int
standard_closed(void)
{
#ifdef SANITIZERS
	struct stat st;

	if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode))
		return STDERR_FILENO;
#endif
	return STDERR_FILENO + 1;
}

/* Standard descriptors are not just closed, or another file gets their number.
 * And they lead nowhere: libtpms's own messages, which quote the guest's
 * commands, must not be seen. */
int
sandbox_descriptors(const int *keep, size_t n, struct err *err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned int from = STDERR_FILENO + 1;

	for (int fd = 0; fd < standard_closed(); fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return err_sys(err, errno, "cannot open /dev/null");
	for (;;) {
		unsigned int next = ~0u;

		for (size_t i = 0; i < n; i++)
			if (keep[i] >= (int)from && (unsigned int)keep[i] < next)
				next = (unsigned int)keep[i];
		if (next > from)
			close_range(from, next == ~0u ? next : next - 1, 0);
		if (next == ~0u)
			return 0;
		from = next + 1;
	}
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
#define LANDLOCK_EXECUTE (1ull << 0)
#define LANDLOCK_WRITE_FILE (1ull << 1)
#define LANDLOCK_READ_FILE (1ull << 2)
#define LANDLOCK_READ_DIR (1ull << 3)
#define LANDLOCK_REMOVE_FILE (1ull << 5)
#define LANDLOCK_MAKE_REG (1ull << 8)

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

static int
allow_beneath(int set, int fd, uint64_t rights, struct err *err)
{
	struct landlock_beneath rule = { rights, fd };

	if (syscall(SYS_landlock_add_rule, set, LANDLOCK_BENEATH, &rule,
	    0) < 0)
		return err_sys(err, errno, "cannot add a Landlock rule");
	return 0;
}

static int
allow_path(int set, const char *path, uint64_t rights, struct err *err)
{
	int fd = open(path, O_PATH | O_CLOEXEC), rc;

	if (fd < 0)
		return err_sys(err, errno, "cannot open %s", path);
	rc = allow_beneath(set, fd, rights, err);
	close(fd);
	return rc;
}

/* *set is -1 on a kernel without it: the system call filters stand alone. */
static int
make_rules(int *set, struct err *err)
{
	struct landlock_ruleset rules = { 0 };
	int abi = landlock_abi();
	size_t size;

	*set = -1;
	if (abi < 1)
		return 0;
	rules.handled_access_fs = landlock_fs_rights(abi);
	rules.handled_access_net = 3;	/* bind and connect TCP */
	size = abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
	*set = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	if (*set < 0)
		return err_sys(err, errno, "cannot make a Landlock ruleset");
	return 0;
}

static int
enter_rules(int set, struct err *err)
{
	if (syscall(SYS_landlock_restrict_self, set, 0) < 0)
		return err_sys(err, errno, "cannot enter the Landlock ruleset");
	return 0;
}

int
sandbox_paths(struct err *err)
{
	int set, rc;

	if ((rc = make_rules(&set, err)) < 0 || set < 0)
		return rc;
	rc = enter_rules(set, err);
	close(set);
	return rc;
}

int
sandbox_paths_supervisor(const int *remove_in, size_t n, struct err *err)
{
	int set, rc;

	if ((rc = make_rules(&set, err)) < 0 || set < 0)
		return rc;
	if ((rc = allow_path(set, "/", LANDLOCK_EXECUTE | LANDLOCK_READ_FILE |
	    LANDLOCK_READ_DIR, err)) < 0 ||
	    (rc = allow_path(set, "/dev/null", LANDLOCK_READ_FILE |
	    LANDLOCK_WRITE_FILE, err)) < 0)
		goto out;
	for (size_t i = 0; i < n; i++)
		if (remove_in[i] >= 0 && (rc = allow_beneath(set,
		    remove_in[i], LANDLOCK_REMOVE_FILE, err)) < 0)
			goto out;
	rc = enter_rules(set, err);
out:
	close(set);
	return rc;
}

int
sandbox_paths_porter(const char *directory, const int *records, size_t n,
    struct err *err)
{
	int set, rc;

	if ((rc = make_rules(&set, err)) < 0 || set < 0)
		return rc;
	rc = allow_path(set, directory, LANDLOCK_READ_DIR |
	    LANDLOCK_MAKE_REG | LANDLOCK_REMOVE_FILE, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (records[i] >= 0)
			rc = allow_beneath(set, records[i],
			    LANDLOCK_READ_FILE | LANDLOCK_WRITE_FILE |
			    LANDLOCK_MAKE_REG | LANDLOCK_REMOVE_FILE, err);
	if (rc == 0)
		rc = enter_rules(set, err);
	close(set);
	return rc;
}

#else	/* SANITIZERS: their runtime reads /proc when it reports */

int
sandbox_paths(struct err *err)
{
	(void)err;
	return 0;
}

int
sandbox_paths_supervisor(const int *remove_in, size_t n, struct err *err)
{
	(void)remove_in;
	(void)n;
	(void)err;
	return 0;
}

int
sandbox_paths_porter(const char *directory, const int *records, size_t n,
    struct err *err)
{
	(void)directory;
	(void)records;
	(void)n;
	(void)err;
	return 0;
}

#endif
