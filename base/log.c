/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

#define LINE_MAX_BYTES 2048

static struct {
	int fd;			/* where lines go; for syslog a socket */
	int to_syslog;
	int inherited;
	enum log_level level;
	char ident[32];
	char context[64];
	void (*sink)(enum log_level, const char *);
} state = { .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO };

static const char *const level_names[] = { "error", "warning", "info",
	"debug" };

int
log_level_parse(const char *name, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(*level_names); i++)
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	return ERR_USAGE;
}

const char *
log_level_name(enum log_level level)
{
	return level_names[level];
}

/* Not syslog(3): that makes a new socket when the service was restarted, which
 * the sandbox, coming later, forbids. One that is not connected reaches
 * whoever has the name at the time. */
static int
open_syslog(struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(err, errno, "cannot make a socket for syslog");
	/* Likewise reads its file now. */
	tzset();
	log_close();
	state.fd = fd;
	state.to_syslog = 1;
	return 0;
}

int
log_open(const char *target, const char *ident, enum log_level level,
    struct err *err)
{
	int fd;

	snprintf(state.ident, sizeof(state.ident), "%s", ident);
	state.level = level;
	if (target == NULL || strcmp(target, "-") == 0) {
		log_close();
		return 0;
	}
	if (strcmp(target, "syslog") == 0) {
		return open_syslog(err);
	}
	if (state.inherited)
		return 0;
	fd = strncmp(target, "fd:", 3) == 0 ?
	    fcntl(atoi(target + 3), F_DUPFD_CLOEXEC, 3) : open(target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY |
	    O_NOFOLLOW, 0640);
	if (fd < 0)
		return err_sys(err, errno, "cannot open the log file %s",
		    target);
	log_close();
	state.fd = fd;
	return 0;
}

void
log_close(void)
{
	if (state.fd != STDERR_FILENO)
		close(state.fd);
	state.to_syslog = 0;
	state.inherited = 0;
	state.fd = STDERR_FILENO;
}

int
log_file(void)
{
	return state.fd == STDERR_FILENO || state.to_syslog ? -1 : state.fd;
}

void
log_inherit(int fd, const char *ident)
{
	snprintf(state.ident, sizeof(state.ident), "%s", ident);
	log_close();
	state.fd = fd;
	state.inherited = 1;
}

void
log_set_context(const char *context)
{
	snprintf(state.context, sizeof(state.context), "%s", context);
}

void
log_set_sink(void (*sink)(enum log_level, const char *))
{
	state.sink = sink;
}

/* RFC 3164, in the form in which syslog(3) writes to the local service. A line
 * that it does not take at once is lost: a log must not stop a vTPM. */
static void
send_syslog(enum log_level level, const char *text)
{
	static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO,
		LOG_DEBUG };
	struct sockaddr_un to = { .sun_family = AF_UNIX,
		.sun_path = "/dev/log" };
	char line[LINE_MAX_BYTES + 256], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	n = snprintf(line, sizeof(line), "<%d>%s %s[%d]: %s%s%s: %s",
	    LOG_DAEMON | priorities[level], when, state.ident, (int)getpid(),
	    state.context, state.context[0] ? " " : "", level_names[level],
	    text);
	if (n > 0)
		(void)sendto(state.fd, line, (size_t)n, MSG_NOSIGNAL,
		    (struct sockaddr *)&to, sizeof(to));
}

/* One line is one write, so that lines of two processes do not mix. Control
 * characters are replaced: part of the text may come from outside. */
static void
emit(enum log_level level, char *text)
{
	char line[LINE_MAX_BYTES + 256];
	struct timespec now;
	struct tm tm;
	char when[32];
	int n;

	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	if (state.sink != NULL) {
		state.sink(level, text);
		return;
	}
	if (state.to_syslog) {
		send_syslog(level, text);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	n = snprintf(line, sizeof(line), "%s.%03ldZ %s[%d]%s%s %s: %s\n", when,
	    now.tv_nsec / 1000000, state.ident, (int)getpid(),
	    state.context[0] ? " " : "", state.context, level_names[level],
	    text);
	if (n > 0 && write(state.fd, line, (size_t)n) < 0) {
		/* A log that cannot be written must not stop a vTPM. */
	}
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	if (level > state.level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit(level, text);
}

void
log_event(enum log_level level, const char *name, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;
	int n;

	if (level > state.level)
		return;
	n = snprintf(text, sizeof(text), "event=%s ", name);
	if (n < 0 || (size_t)n >= sizeof(text))
		return;
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	emit(level, text);
}
