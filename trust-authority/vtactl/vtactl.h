/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtactl: a table of subcommands, grouped in files by what they are about
 * (init.c, host.c, ...). A command's options are data, so that parsing, --help
 * and the completion's test are the same for all.
 */
#ifndef TRUST_AUTHORITY_VTACTL_VTACTL_H
#define TRUST_AUTHORITY_VTACTL_VTACTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "trust-authority/common/config.h"
#include "trust-authority/common/http-client.h"

#define OPERANDS_MAX 3
#define LIST_MAX 32
#define NAME_LENGTH_MAX 64	/* of hosts, groups, policies, KMSes */

enum service { SERVICE_ATTESTD, SERVICE_KMXD };

/* vtactl.conf. */
struct vtactl_config {
	struct authority_config common;	/* [log] alone; first */
	char urls[2][512];		/* by service; with spaces between */
	char ca[PATH_MAX], certificate[PATH_MAX], key[PATH_MAX];
};

/* What an option that may be given several times, or with commas, gave. */
struct text_list {
	const char *text[LIST_MAX];
	size_t count;
};

/* Exactly one of value, list and flag. */
struct option {
	const char *name;		/* without "--" */
	const char *argument;		/* for the help: "FILE"; NULL: a flag */
	const char *help;
	const char **value;
	bool *flag;
	struct text_list *list;
};

struct vtactl {
	bool json, help;
	const char *config_file;
	struct vtactl_config config;
	struct http_client *client;	/* NULL until the first call */
	const char *operands[OPERANDS_MAX];
	size_t n_operands;
	char fault[16];			/* of the last error; "" for none */
	const struct command *command;
};

struct command {
	const char *name;	/* "init", "host import" */
	const char *operands;	/* "NAME", for the help */
	size_t least, most;
	const char *summary;
	const char *details;	/* more for --help, whole lines; NULL */
	const struct option *options;	/* ends with a name of NULL; NULL */
	int (*run)(struct vtactl *v, struct err *err);
};

/* One array for each file, which a command with a name of NULL ends. */
extern const struct command init_commands[], admin_commands[],
    renew_commands[], kms_commands[], ek_ca_commands[],
    host_export_commands[], host_commands[],
    policy_commands[], group_commands[], grant_commands[], vm_commands[],
    ca_commands[], status_commands[], audit_commands[];

/* options.c: fills v and the command's own values from argv (which starts
 * behind the command's name). */
int options_parse(struct vtactl *v, int argc, char **argv, struct err *err);
/* The shared ones before a command; *used is how many of argv they were. */
int options_global(struct vtactl *v, int argc, char **argv, int *used,
    struct err *err);
void options_help(const struct command *command);
/* A decimal number of least to most; text NULL leaves *out. */
int option_number(const char *name, const char *text, long least, long most,
    long *out, struct err *err);
/* "yes" or "no". */
int option_flag(const char *name, const char *text, bool *out,
    struct err *err);

/* call.c */

/* Reads vtactl.conf, once. */
int vtactl_configure(struct vtactl *v, struct err *err);
/* Calls a service, each of its URLs in turn until one answers. body is
 * released, NULL for none. *out (may be NULL) is the answer's JSON, to be
 * released; ERR_FORMAT if there is none. path is a printf format. */
int vtactl_call(struct vtactl *v, enum service service,
    enum http_method method, json_t *body, json_t **out, struct err *err,
    const char *path, ...) __attribute__((format(printf, 7, 8)));
/* The same for an answer of any type; *reply is to be reset. */
int vtactl_call_raw(struct vtactl *v, enum service service,
    enum http_method method, const json_t *body, struct http_reply *reply,
    struct err *err, const char *path, ...)
	__attribute__((format(printf, 7, 8)));
void vtactl_reset(struct vtactl *v);
/* ERR_USAGE unless it is a name as the services take them; what: "host". */
int name_check(const char *what, const char *name, struct err *err);
/* Asks for the word on the terminal; yes: it need not be asked. */
int confirm(bool yes, const char *question, const char *word,
    struct err *err);
/* Puts a text, number, flag into an object unless the value is NULL, negative
 * or not given. */
void body_set_text(json_t *body, const char *name, const char *value);
json_t *body_list(const struct text_list *list);

/* read.c: files that a person names ("-": standard input). *out is malloc'ed,
 * a NUL after size bytes; cleanse and free it where it has a secret. */
int file_read(const char *path, size_t max, char **out, size_t *size,
    struct err *err);
/* A new file, or standard output where path is NULL or "-". */
int file_write_new(const char *path, mode_t mode, const void *data,
    size_t size, struct err *err);

/* print.c */

/* A column of a table: a title and the member of each row it shows, or a
 * function that makes its text of the row. */
struct column {
	const char *title, *member;
	void (*text)(const json_t *row, char *out, size_t room);
};
/* Prints a result: JSON as it is, or text through `print`. Frees json. */
int print_result(const struct vtactl *v, json_t *json,
    void (*print)(const json_t *json), struct err *err);
/* The same for one line for people, with JSON {"done": TRUE, ...}: json may
 * be NULL. */
int print_done(const struct vtactl *v, json_t *json, struct err *err,
    const char *line, ...) __attribute__((format(printf, 4, 5)));
void print_error(const struct vtactl *v, const struct err *err);
/* rows: an array of objects, or an object of such by name, which becomes the
 * column whose member is "name" where the row has none. */
void print_table(const json_t *rows, const struct column *columns,
    size_t count);
/* What a service or a host called something, without what a terminal would
 * act on. */
void print_text(const char *text);
void clean_text(const char *in, char *out, size_t room);
/* Seconds since 1970 as local time, RFC 3339; "-" for 0. */
void time_text(json_int_t seconds, char *out, size_t room);
/* A member of any simple type as text: "-" where there is none. */
void member_text(const json_t *row, const char *member, char *out,
    size_t room);
void member_time(const json_t *row, const char *member, char *out,
    size_t room);
/* "text" member of an object, "" where there is none. */
const char *text_of(const json_t *json, const char *name);
json_int_t number_of(const json_t *json, const char *name);
/* The rows in an answer that is {"name": [...]}, or the array itself. */
json_t *rows_of(json_t *answer, const char *name);

#endif
