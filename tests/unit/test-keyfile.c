/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/keyfile.h"
#include "trust-authority/common/config.h"

struct mine {
	struct authority_config common;
	char name[8];
	char path[32];
	long count;
	bool flag;
};

#define AT(field) offsetof(struct mine, field), \
	sizeof(((struct mine *)NULL)->field)

static const struct keyfile_key own[] = {
	{ "own", "name", keyfile_set_text, AT(name), 0, 0, false },
	{ "own", "path", keyfile_set_path, AT(path), 0, 0, false },
	{ "own", "count", keyfile_set_number, AT(count), 1, 100, false },
	{ "more", "flag", keyfile_set_flag, AT(flag), 0, 0, false },
};

static char file[32];
static struct mine got;
static struct err err;

static void
put(const char *text, size_t size)
{
	int fd;

	snprintf(file, sizeof(file), "/tmp/keyfile-XXXXXX");
	fd = mkstemp(file);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, size), (ssize_t)size);
	close(fd);
}

static int
read_own(const char *text)
{
	int rc;

	put(text, strlen(text));
	memset(&got, 0, sizeof(got));
	rc = keyfile_read(file, true, own, sizeof(own) / sizeof(own[0]), &got,
	    &err);
	unlink(file);
	return rc;
}

static int
read_all(unsigned int sections, const char *text)
{
	int rc;

	put(text, strlen(text));
	memset(&got, 0, sizeof(got));
	rc = authority_config_read(file, sections, own,
	    sizeof(own) / sizeof(own[0]), &got, &err);
	unlink(file);
	return rc;
}

static void
refused(const char *text, const char *line, const char *why)
{
	cr_assert_eq(read_own(text), ERR_USAGE, "%s", text);
	cr_assert_not_null(strstr(err.text, line), "%s", err.text);
	cr_assert_not_null(strstr(err.text, why), "%s", err.text);
}

Test(keyfile, reads_every_kind_of_value)
{
	cr_assert_eq(read_own("; comment\n[own]\nname = abc ; and another\n"
	    "path=/etc/x\ncount = 100\n\n[more]\nflag = yes\n"), 0, "%s",
	    err.text);
	cr_assert_str_eq(got.name, "abc");
	cr_assert_str_eq(got.path, "/etc/x");
	cr_assert_eq(got.count, 100);
	cr_assert(got.flag);
	cr_assert_eq(read_own(""), 0);
	cr_assert_eq(read_own("[own]\nname = 1234567"), 0, "%s", err.text);
}

Test(keyfile, refuses_what_it_does_not_know_by_line)
{
	refused("[own]\nname = a\nnome = b\n", "line 3", "unknown key 'nome'");
	refused("[own]\nflag = yes\n", "line 2", "[own]");
	refused("name = a\n", "line 1", "unknown key");
	refused("[own]\n\n[other]\n", "line 3", "unknown section [other]");
	refused("[ow]\nname = a\n", "line 1", "unknown section [ow]");
	refused("[own]\nwhat is this\n[other]\n", "line 2", "key = value");
	refused("[own]\nnome = 1\nwhat is this\n", "line 2", "unknown key");
}

Test(keyfile, refuses_bad_values_by_line)
{
	refused("[own]\nname = 12345678\n", "line 2", "longer than 7");
	refused("[own]\npath = etc\n", "line 2", "absolute");
	refused("[own]\ncount = 0\n", "line 2", "1 to 100");
	refused("[own]\ncount = 101\n", "line 2", "1 to 100");
	refused("[own]\ncount = -1\n", "line 2", "1 to 100");
	refused("[own]\ncount = 1x\n", "line 2", "1 to 100");
	refused("[own]\ncount = 99999999999999999999\n", "line 2", "1 to 100");
	refused("[own]\ncount =\n", "line 2", "1 to 100");
	refused("[more]\nflag = 1\n", "line 2", "'yes' or 'no'");
}

Test(keyfile, a_key_that_comes_twice_is_refused)
{
	refused("[own]\nname = a\nname = b\n", "line 3", "set before");
	refused("[own]\nname = a\n  b\n", "line 3", "set before");
}

/* inih takes the rest of a long line for another line, or worse. */
Test(keyfile, a_line_too_long_is_refused)
{
	char text[600];

	memset(text, 'x', sizeof(text));
	memcpy(text, "[own]\nname = ", 13);
	text[sizeof(text) - 1] = '\0';
	refused(text, "line 2", "longer than");
}

Test(keyfile, a_file_that_must_exist)
{
	cr_assert_eq(keyfile_read("/nonexistent/x", false, own, 4, &got, &err),
	    0);
	cr_assert_eq(keyfile_read("/nonexistent/x", true, own, 4, &got, &err),
	    ERR_SYSTEM);
	cr_assert_not_null(strstr(err.text, "/nonexistent/x"));
	cr_assert_eq(keyfile_read("/tmp", true, own, 4, &got, &err),
	    ERR_SYSTEM, "a directory");
}

#define SERVER "[server]\ncertificate = /c\nkey = /k\n"

Test(config, has_defaults_and_needs_what_has_none)
{
	cr_assert_eq(read_all(CONFIG_SERVER, SERVER "[own]\nname = me\n"), 0,
	    "%s", err.text);
	cr_assert_str_eq(got.common.server.address, "::");
	cr_assert_eq(got.common.server.workers, 8);
	cr_assert_eq(got.common.log.level, LOG_LEVEL_INFO);
	cr_assert_str_eq(got.name, "me");
	cr_assert_eq(read_all(CONFIG_SERVER, "[server]\nkey = /k\n"),
	    ERR_USAGE);
	cr_assert_not_null(strstr(err.text, "'certificate'"), "%s", err.text);
	cr_assert_eq(read_all(0, SERVER), ERR_USAGE, "no server, no section");
	cr_assert_not_null(strstr(err.text, "[server]"));
	cr_assert_eq(read_all(0, "[log]\ntarget = syslog\nlevel = debug\n"), 0);
	cr_assert_eq(got.common.log.level, LOG_LEVEL_DEBUG);
	cr_assert_eq(read_all(0, "[log]\nlevel = loud\n"), ERR_USAGE);
}

Test(config, an_address_is_a_number)
{
	cr_assert_eq(read_all(CONFIG_SERVER, SERVER "address = ::1\n"), 0);
	cr_assert_eq(read_all(CONFIG_SERVER, SERVER "address = localhost\n"),
	    ERR_USAGE);
	cr_assert_not_null(strstr(err.text, "line 4"), "%s", err.text);
	cr_assert_eq(read_all(CONFIG_SERVER, SERVER "port = 65536\n"),
	    ERR_USAGE);
}

Test(config, each_kind_of_store_has_its_keys)
{
	cr_assert_eq(read_all(CONFIG_STORE, "[store]\nfile = /f\n"), 0, "%s",
	    err.text);
	cr_assert_eq(read_all(CONFIG_STORE, ""), ERR_USAGE);
	cr_assert_not_null(strstr(err.text, "'file'"), "%s", err.text);
	cr_assert_eq(read_all(CONFIG_STORE, "[store]\nkind = etcd\n"
	    "endpoints = https://a\nca = /a\ncertificate = /c\nkey = /k\n"), 0,
	    "%s", err.text);
	cr_assert_eq(read_all(CONFIG_STORE, "[store]\nkind = etcd\n"
	    "endpoints = https://a\n"), ERR_USAGE, "etcd without TLS");
	cr_assert_eq(read_all(CONFIG_STORE, "[store]\nkind = etcd\n"
	    "endpoints = https://a\nca = /a\ncertificate = /c\nkey = /k\n"
	    "file = /f\n"), ERR_USAGE);
	cr_assert_eq(read_all(CONFIG_STORE, "[store]\nkind = files\n"),
	    ERR_USAGE);
}
