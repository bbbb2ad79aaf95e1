/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trust-authority/common/audit.h"
#include "trust-authority/vtactl/vtactl.h"

#define HASH_TEXT (2 * AUDIT_HASH_SIZE)

static const char *from_text, *expect, *file;
static bool verify, lines;

static const struct option options[] = {
	{ "from", "N", "from record N on; default: 1", &from_text, NULL,
	    NULL },
	{ "verify", NULL, "check that none was removed, changed or put in",
	    NULL, &verify, NULL },
	{ "expect", "N:HASH", "with --verify: record N is there and has this "
	    "hash, as a log elsewhere says", &expect, NULL, NULL },
	{ "lines", NULL, "print the records as they are kept, a line each",
	    NULL, &lines, NULL },
	{ "file", "FILE", "read those lines from a file instead of asking "
	    "vta-attestd", &file, NULL, NULL },
	{ 0 },
};

struct reading {
	struct audit_chain chain;
	json_t *records;	/* what is printed; NULL with --lines */
	uint64_t from, count;
	uint64_t expect_seq;	/* 0: nothing expected */
	char expect_hash[HASH_TEXT + 1];
	bool begun, expected;
};

static int
parse_expect(struct reading *r, struct err *err)
{
	const char *colon;
	char *end;

	if (expect == NULL)
		return 0;
	colon = strchr(expect, ':');
	r->expect_seq = strtoull(expect, &end, 10);
	if (!verify || colon == NULL || end != colon || r->expect_seq == 0 ||
	    strlen(colon + 1) != HASH_TEXT)
		return err_set(err, ERR_USAGE, "--expect is N:HASH, the seq "
		    "and hash of an event=audit line, and goes with "
		    "--verify");
	memcpy(r->expect_hash, colon + 1, HASH_TEXT + 1);
	return 0;
}

static int
hash_of(const json_t *line, uint8_t hash[AUDIT_HASH_SIZE])
{
	const char *text = text_of(line, "hash");
	unsigned int byte;

	if (strlen(text) != HASH_TEXT)
		return ERR_FORMAT;
	for (size_t i = 0; i < AUDIT_HASH_SIZE; i++) {
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return ERR_FORMAT;
		hash[i] = (uint8_t)byte;
	}
	return 0;
}

static int
check(struct reading *r, const char *line, const json_t *json, uint64_t seq,
    struct err *err)
{
	int rc;

	/* What is before the first one asked for is believed: it is where the
	 * check begins. */
	if (!r->begun && seq < r->from) {
		r->chain.seq = seq;
		r->begun = true;
		return hash_of(json, r->chain.hash);
	}
	r->begun = true;
	if ((rc = audit_chain_next(&r->chain, line, err)) < 0)
		return rc;
	if (seq == r->expect_seq) {
		if (strcmp(text_of(json, "hash"), r->expect_hash) != 0)
			return err_set(err, ERR_AUTH, "record %llu is not the "
			    "one that was expected: the chain was made anew",
			    (unsigned long long)seq);
		r->expected = true;
	}
	return 0;
}

static int
read_line(struct reading *r, char *line, struct err *err)
{
	json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	const json_t *record = json_object_get(json, "record");
	uint64_t seq = (uint64_t)number_of(record, "seq");
	int rc = 0;

	if (seq == 0) {
		rc = err_set(err, ERR_FORMAT, "after record %llu comes a line "
		    "that is none", (unsigned long long)r->chain.seq);
		goto out;
	}
	if (verify && (rc = check(r, line, json, seq, err)) < 0)
		goto out;
	r->count = seq;
	if (seq < r->from)
		goto out;
	if (lines)
		puts(line);
	else
		json_array_append(r->records, json_object_get(json,
		    "record"));
out:
	json_decref(json);
	return rc;
}

static int
read_lines(struct reading *r, char *text, size_t *n, struct err *err)
{
	char *save = NULL;
	int rc = 0;

	*n = 0;
	for (char *line = strtok_r(text, "\n", &save); line != NULL && rc == 0;
	    line = strtok_r(NULL, "\n", &save), ++*n)
		rc = read_line(r, line, err);
	return rc;
}

static int
read_file(struct reading *r, struct err *err)
{
	char *text;
	size_t size, n;
	int rc;

	if ((rc = file_read(file, (size_t)1 << 30, &text, &size, err)) < 0)
		return rc;
	rc = read_lines(r, text, &n, err);
	free(text);
	return rc;
}

/* A service may give so many at a time: until it gives none. */
static int
read_service(struct vtactl *v, struct reading *r, struct err *err)
{
	uint64_t next = verify && r->from > 1 ? r->from - 1 : r->from;
	struct http_reply reply;
	size_t n = 1;
	int rc = 0;

	while (rc == 0 && n > 0) {
		rc = vtactl_call_raw(v, SERVICE_ATTESTD, HTTP_GET, NULL,
		    &reply, err, "/v1/audit?from=%llu",
		    (unsigned long long)next);
		n = 0;
		if (rc == 0 && reply.text != NULL)
			rc = read_lines(r, reply.text, &n, err);
		http_reply_reset(&reply);
		next = r->count + 1;
	}
	return rc;
}

static void
column_time(const json_t *row, char *out, size_t room)
{
	struct tm tm = { 0 };
	int y, mo, d, h, mi, s;

	snprintf(out, room, "-");
	if (sscanf(text_of(row, "time"), "%d-%d-%dT%d:%d:%d", &y, &mo, &d, &h,
	    &mi, &s) != 6)
		return;
	tm.tm_year = y - 1900;
	tm.tm_mon = mo - 1;
	tm.tm_mday = d;
	tm.tm_hour = h;
	tm.tm_min = mi;
	tm.tm_sec = s;
	time_text((json_int_t)timegm(&tm), out, room);
}

static void
column_who(const json_t *row, char *out, size_t room)
{
	member_text(row, "who", out, room < 33 ? room : 33);
}

static void
column_detail(const json_t *row, char *out, size_t room)
{
	const json_t *detail = json_object_get(row, "detail");
	char *text = detail != NULL ? json_dumps(detail, JSON_COMPACT |
	    JSON_SORT_KEYS) : NULL;

	clean_text(text != NULL ? text : "-", out, room);
	free(text);
}

static void
print(const json_t *answer)
{
	static const struct column columns[] = {
		{ "N", "seq", NULL }, { "TIME", NULL, column_time },
		{ "WHO", NULL, column_who }, { "FROM", "from", NULL },
		{ "WHAT", "what", NULL }, { "OBJECT", "object", NULL },
		{ "RESULT", "result", NULL },
		{ "DETAIL", NULL, column_detail },
	};

	print_table(json_object_get(answer, "records"), columns, 8);
	if (json_is_true(json_object_get(answer, "verified")))
		printf("\nNone is missing or changed, up to record %lld, whose "
		    "hash is\n%s.\nThe log elsewhere (event=audit) says "
		    "whether it is the last one.\n",
		    (long long)number_of(answer, "last"),
		    text_of(answer, "hash"));
}

static int
finish(struct vtactl *v, struct reading *r, struct err *err)
{
	char hash[HASH_TEXT + 1] = "";

	if (r->expect_seq != 0 && !r->expected)
		return err_set(err, ERR_AUTH, "record %llu is expected and "
		    "not there: the chain was cut", (unsigned long long)
		    r->expect_seq);
	if (lines)
		return fflush(stdout) == 0 ? 0 : err_set(err, ERR_SYSTEM,
		    "cannot write the output");
	for (size_t i = 0; i < AUDIT_HASH_SIZE; i++)
		snprintf(hash + 2 * i, 3, "%02x", r->chain.hash[i]);
	return print_result(v, json_pack("{s:O, s:b, s:I, s:s}", "records",
	    r->records, "verified", verify, "last", (json_int_t)r->count,
	    "hash", verify ? hash : ""), print, err);
}

static int
run(struct vtactl *v, struct err *err)
{
	struct reading r = { .records = json_array() };
	long from = 1;
	int rc;

	if ((rc = option_number("from", from_text, 1, 1000000000, &from,
	    err)) < 0 || (rc = parse_expect(&r, err)) < 0)
		goto out;
	r.from = (uint64_t)from;
	rc = file != NULL ? read_file(&r, err) : read_service(v, &r, err);
	if (rc == 0)
		rc = finish(v, &r, err);
out:
	json_decref(r.records);
	return rc;
}

const struct command audit_commands[] = {
	{
		.name = "audit", .operands = "",
		.summary = "Show who changed what, when and from where",
		.details = "--verify checks the chain here, and trusts nothing "
		    "of the service for it. Keep the lines\nelsewhere, or "
		    "the log's event=audit: a chain made anew is found by "
		    "those alone.\n",
		.options = options, .run = run,
	},
	{ 0 },
};
