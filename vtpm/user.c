/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/user.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define PASSWD "/etc/passwd"

static int
take(struct user *u, const char *name, const struct passwd *pw)
{
	*u = (struct user){ name, pw->pw_uid, pw->pw_gid };
	return 0;
}

int
user_find_local(struct user *u, const char *name, struct err *err)
{
	FILE *f = fopen(PASSWD, "re");
	const struct passwd *pw = NULL;
	int rc;

	if (f != NULL)
		while ((pw = fgetpwent(f)) != NULL)
			if (strcmp(pw->pw_name, name) == 0)
				break;
	rc = pw != NULL ? take(u, name, pw) : err_set(err, ERR_NOTFOUND,
	    "there is no user %s in " PASSWD, name);
	if (f != NULL)
		fclose(f);
	return rc;
}

int
user_find(struct user *u, const char *name, struct err *err)
{
	const struct passwd *pw;

	if (user_find_local(u, name, NULL) == 0)
		return 0;
	if ((pw = getpwnam(name)) != NULL)
		return take(u, name, pw);
	return err_set(err, ERR_USAGE, "there is no user %s", name);
}
