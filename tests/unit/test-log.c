/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

static char path[64];
static char text[8192];

static void
setup(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/test-log.XXXXXX");
	cr_assert_geq(fd = mkstemp(path), 0);
	close(fd);
}

static void
teardown(void)
{
	unlink(path);
}

TestSuite(log, .init = setup, .fini = teardown);

static const char *
contents(void)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	cr_assert_geq(n, 0);
	text[n] = '\0';
	return text;
}

static bool
matches(const char *pattern)
{
	regex_t re;
	int rc;

	cr_assert_eq(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	rc = regexec(&re, contents(), 0, NULL, 0);
	regfree(&re);
	return rc == 0;
}

static void
begin(enum log_level level)
{
	struct err err = { 0 };

	cr_assert_eq(log_open(path, "prog", level, &err), 0, "%s", err.text);
}

/* Time after RFC 3339 in UTC, program and pid, level, text. */
Test(log, a_line)
{
	char pattern[256];

	begin(LOG_LEVEL_INFO);
	log_info("hello %d", 7);
	snprintf(pattern, sizeof(pattern), "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}"
	    ":[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z prog\\[%d\\] info: hello 7\n$",
	    (int)getpid());
	cr_assert(matches(pattern), "%s", text);
}

Test(log, levels_filter)
{
	begin(LOG_LEVEL_WARNING);
	log_debug("d");
	log_info("i");
	log_event(LOG_LEVEL_INFO, "a.b", "x=1");
	cr_assert_str_empty(contents());
	log_warning("w");
	log_error("e");
	cr_assert(matches("warning: w\n.* error: e\n$"), "%s", text);
}

Test(log, an_event_has_name_and_context)
{
	begin(LOG_LEVEL_INFO);
	log_set_context("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	log_event(LOG_LEVEL_WARNING, "nvram.torn", "slot=%d", 1);
	cr_assert(matches("\\] 6ba7b810-[-0-9a-f]+ warning: event=nvram.torn "
	    "slot=1\n$"), "%s", text);
}

/* Text from outside must not forge a second line or drive a terminal. */
Test(log, control_characters_are_replaced)
{
	begin(LOG_LEVEL_INFO);
	log_info("a\nb\rc\033[31md\x7f" "e\tf");
	cr_assert(matches("info: a b c \\[31md e f\n$"), "%s", text);
}

Test(log, long_lines_are_cut_but_ended)
{
	char big[5000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	begin(LOG_LEVEL_INFO);
	log_info("%s", big);
	log_event(LOG_LEVEL_INFO, "e", "%s", big);
	log_event(LOG_LEVEL_INFO, big, "never");
	cr_assert(matches("^[^\n]*x\n[^\n]*event=e x+\n$"));
}

Test(log, appends_and_makes_private_files)
{
	struct stat st;

	begin(LOG_LEVEL_INFO);
	log_info("one");
	log_close();
	begin(LOG_LEVEL_INFO);
	log_info("two");
	log_close();
	cr_assert(matches("one\n.*two\n$"), "%s", text);
	unlink(path);
	umask(0);
	begin(LOG_LEVEL_INFO);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0640);
}

Test(log, a_target_that_cannot_be_opened)
{
	struct err err = { 0 };

	cr_assert_lt(log_open("/nonexistent/log", "prog", LOG_LEVEL_INFO,
	    &err), 0);
	cr_assert_not_null(strstr(err.text, "/nonexistent/log"));
	unlink(path);
	cr_assert_eq(symlink("/dev/null", path), 0);
	cr_assert_lt(log_open(path, "prog", LOG_LEVEL_INFO, &err), 0,
	    "a link was followed");
}

static char sunk[256];

static void
sink(enum log_level level, const char *line)
{
	snprintf(sunk, sizeof(sunk), "%d:%s", level, line);
}

Test(log, a_sink_takes_all)
{
	begin(LOG_LEVEL_INFO);
	log_set_sink(sink);
	log_warning("a\nb");
	cr_assert_str_eq(sunk, "1:a b");
	cr_assert_str_empty(contents());
	log_set_sink(NULL);
	log_warning("back");
	cr_assert(matches("back\n$"));
}

Test(log, level_names)
{
	enum log_level level = LOG_LEVEL_ERROR;

	cr_assert_eq(log_level_parse("debug", &level), 0);
	cr_assert_eq(level, LOG_LEVEL_DEBUG);
	cr_assert_eq(log_level_parse("error", &level), 0);
	cr_assert_eq(level, LOG_LEVEL_ERROR);
	cr_assert_eq(log_level_parse("Error", &level), ERR_USAGE);
	cr_assert_eq(log_level_parse("", &level), ERR_USAGE);
}
