/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/access.h"

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPACE " \t\r\n,"
#define OWNER_SIZE 4

struct rule {
	uid_t uid;
	bool all, create;
	uint8_t vm[UUID_SIZE];		/* where not all */
};

struct rules {
	struct rule *rule;
	size_t count;
};

struct access {
	pthread_mutex_t lock;		/* of rules */
	struct rules rules;
	struct state_dir owners;
};

static int
add_rule(struct rules *rules, struct rule rule, struct err *err)
{
	struct rule *more = reallocarray(rules->rule, rules->count + 1,
	    sizeof(*more));

	if (more == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	rules->rule = more;
	rules->rule[rules->count++] = rule;
	return 0;
}

/* A name, or a number for who has none. */
static int
find_user(const char *name, uid_t *uid, struct err *err)
{
	const struct passwd *pw = getpwnam(name);
	char *end;
	unsigned long n;

	if (pw != NULL) {
		*uid = pw->pw_uid;
		return 0;
	}
	errno = 0;
	n = strtoul(name, &end, 10);
	if (name[0] < '0' || name[0] > '9' || *end != '\0' || errno != 0 ||
	    n >= (uid_t)-1)
		return err_set(err, ERR_USAGE, "there is no user '%.64s'",
		    name);
	*uid = (uid_t)n;
	return 0;
}

/* Users with spaces between them, who may have every VM. */
static int
add_users(struct rules *rules, const char *list, struct rule rule,
    struct err *err)
{
	char copy[512], *save = NULL, *name;
	int rc = 0;

	snprintf(copy, sizeof(copy), "%s", list);
	for (name = strtok_r(copy, SPACE, &save); name != NULL && rc == 0;
	    name = strtok_r(NULL, SPACE, &save))
		if ((rc = find_user(name, &rule.uid, err)) == 0)
			rc = add_rule(rules, rule, err);
	return rc < 0 ? err_prefix(err, "section [access]") : 0;
}

/* "USER: all" or "USER: UUID UUID". */
static int
add_line(struct rules *rules, char *line, struct err *err)
{
	char *colon, *save = NULL, *word;
	struct rule rule = { 0 };
	int rc;

	line[strcspn(line, "#\n")] = '\0';
	line += strspn(line, SPACE);
	if (*line == '\0')
		return 0;
	if ((colon = strchr(line, ':')) == NULL)
		return err_set(err, ERR_USAGE, "not 'USER: all' or 'USER: "
		    "UUID ...'");
	*colon = '\0';
	line[strcspn(line, SPACE)] = '\0';
	if ((rc = find_user(line, &rule.uid, err)) < 0)
		return rc;
	for (word = strtok_r(colon + 1, SPACE, &save); word != NULL && rc == 0;
	    word = strtok_r(NULL, SPACE, &save)) {
		rule.all = strcmp(word, "all") == 0;
		if (!rule.all && uuid_parse(word, rule.vm) < 0)
			return err_set(err, ERR_USAGE, "'%.64s' is neither "
			    "'all' nor a VM's UUID", word);
		rc = add_rule(rules, rule, err);
	}
	return rc;
}

static int
add_file(struct rules *rules, const char *path, struct err *err)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	int number = 0, rc = 0;

	if (f == NULL)
		return err_sys(err, errno, "cannot read the access file %s",
		    path);
	while (rc == 0 && getline(&line, &room, f) >= 0) {
		number++;
		if ((rc = add_line(rules, line, err)) < 0)
			err_prefix(err, "%s, line %d", path, number);
	}
	if (rc == 0 && ferror(f))
		rc = err_sys(err, errno, "cannot read the access file %s",
		    path);
	free(line);
	fclose(f);
	return rc;
}

int
access_reload(struct access *a, const struct settings *s, struct err *err)
{
	struct rules rules = { 0 }, before;
	int rc;

	if ((rc = add_users(&rules, s->access.all, (struct rule){ .all = true,
	    .create = true }, err)) < 0 ||
	    (rc = add_users(&rules, s->access.create,
	    (struct rule){ .create = true }, err)) < 0 ||
	    (s->access.file[0] != '\0' &&
	    (rc = add_file(&rules, s->access.file, err)) < 0)) {
		free(rules.rule);
		return rc;
	}
	pthread_mutex_lock(&a->lock);
	before = a->rules;
	a->rules = rules;
	pthread_mutex_unlock(&a->lock);
	free(before.rule);
	return 0;
}

int
access_open(const struct settings *s, const struct state_dir *state,
    struct access **out, struct err *err)
{
	struct access *a = calloc(1, sizeof(*a));
	int rc;

	if (a == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	pthread_mutex_init(&a->lock, NULL);
	a->owners.fd = -1;
	if ((rc = access_reload(a, s, err)) < 0 ||
	    (rc = state_dir_below(&a->owners, state, "owners", err)) < 0) {
		access_free(a);
		return rc;
	}
	*out = a;
	return 0;
}

void
access_free(struct access *a)
{
	if (a == NULL)
		return;
	state_dir_close(&a->owners);
	pthread_mutex_destroy(&a->lock);
	free(a->rules.rule);
	free(a);
}

/* A rule that only lets create has no VM. */
static bool
allows(const struct rule *r, const uint8_t vm[UUID_SIZE], bool create)
{
	if (r->create)
		return r->all || create;
	return r->all || memcmp(r->vm, vm, UUID_SIZE) == 0;
}

static bool
is_granted(struct access *a, uid_t uid, const uint8_t vm[UUID_SIZE],
    bool create)
{
	bool found = uid == 0;

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; !found && i < a->rules.count; i++)
		found = a->rules.rule[i].uid == uid &&
		    allows(&a->rules.rule[i], vm, create);
	pthread_mutex_unlock(&a->lock);
	return found;
}

/* ERR_NOTFOUND: nobody had it made here. */
static int
read_owner(struct access *a, const uint8_t vm[UUID_SIZE], uint32_t *owner)
{
	char name[UUID_TEXT_SIZE];
	uint8_t *data = NULL;
	size_t size = 0;
	struct buf in;
	int rc;

	uuid_format(vm, name);
	if ((rc = state_file_read(&a->owners, name, OWNER_SIZE, &data, &size,
	    NULL)) < 0)
		return rc;
	in = buf_reader(data, size);
	if (buf_get_u32be(&in, owner) < 0 || buf_left(&in) != 0)
		rc = ERR_FORMAT;
	free(data);
	return rc;
}

static bool
is_owner(struct access *a, uid_t uid, const uint8_t vm[UUID_SIZE])
{
	uint32_t owner;

	return read_owner(a, vm, &owner) == 0 && owner == uid;
}

bool
access_is_free(struct access *a, uid_t uid, const uint8_t vm[UUID_SIZE])
{
	uint32_t owner;
	int rc = read_owner(a, vm, &owner);

	return rc == ERR_NOTFOUND || (rc == 0 && owner == uid);
}

bool
access_has_rule(struct access *a, uid_t uid)
{
	bool found = uid == 0;

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; !found && i < a->rules.count; i++)
		found = a->rules.rule[i].uid == uid;
	pthread_mutex_unlock(&a->lock);
	return found;
}

int
access_check(struct access *a, uid_t uid, const uint8_t vm[UUID_SIZE],
    struct err *err)
{
	char name[UUID_TEXT_SIZE];

	if (is_granted(a, uid, vm, false) || is_owner(a, uid, vm))
		return 0;
	uuid_format(vm, name);
	return err_set(err, ERR_REFUSED, "user %u may not have the key of VM "
	    "%s on this host: allow it in section [access] of vta-kmxa.conf",
	    (unsigned)uid, name);
}

int
access_check_create(struct access *a, uid_t uid, const uint8_t vm[UUID_SIZE],
    struct err *err)
{
	if (is_granted(a, uid, vm, true))
		return 0;
	return err_set(err, ERR_REFUSED, "user %u may not create VMs with keys "
	    "of the authority on this host: name it in 'create' or 'all' of "
	    "section [access] of vta-kmxa.conf", (unsigned)uid);
}

int
access_record(struct access *a, uid_t uid, const uint8_t vm[UUID_SIZE],
    struct err *err)
{
	uint8_t bytes[OWNER_SIZE];
	struct buf w = buf_writer(bytes, sizeof(bytes));
	char name[UUID_TEXT_SIZE];

	if (uid == 0)
		return 0;
	buf_put_u32be(&w, uid);
	uuid_format(vm, name);
	return state_file_write(&a->owners, name, bytes, sizeof(bytes), err);
}

int
access_forget(struct access *a, const uint8_t vm[UUID_SIZE], struct err *err)
{
	char name[UUID_TEXT_SIZE];

	uuid_format(vm, name);
	return state_file_remove(&a->owners, name, err);
}
