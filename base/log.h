/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Log lines and events. An event is a line that an operator's monitoring
 * matches on: it carries a stable name ("event=nvram.torn") and key=value
 * pairs; doc/protocols.md lists them all.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG };

/* Where lines go: "-" or NULL standard error, "syslog", "fd:N", or a file's path
 * (opened for append, mode 0640, made if missing). ident is the program's
 * name. Returns 0 or a negative code; until the first call lines go to
 * standard error at level info. */
struct err;
int log_open(const char *target, const char *ident, enum log_level level,
    struct err *err);
void log_close(void);
/* The descriptor of the file that lines go to, -1 for any other target: for
 * log_inherit in a program that could not open it. A log_open of a file keeps
 * it then. */
int log_file(void);
void log_inherit(int fd, const char *ident);
/* "error", "warning", "info" or "debug"; ERR_USAGE otherwise. */
int log_level_parse(const char *name, enum log_level *level);
const char *log_level_name(enum log_level level);
/* Puts this text (at most 63 bytes; a VM's UUID) into every line. */
void log_set_context(const char *context);
/* Sends lines to a function instead, for a process that has no descriptor of
 * its own to write to. NULL restores the target. */
void log_set_sink(void (*sink)(enum log_level, const char *line));

void log_line(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* name as "freshness.stale"; fmt gives the key=value pairs. */
void log_event(enum log_level level, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
