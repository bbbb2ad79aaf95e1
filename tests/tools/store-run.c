/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store, worked from outside: `store-run CONFIG`, where CONFIG is a JSON
 * object of struct store_config's fields; then a JSON object with "do" in each
 * line of standard input, answered by one line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/log.h"
#include "trust-authority/common/audit.h"
#include "trust-authority/common/store.h"

static struct store *store;

static const char *
text(const json_t *from, const char *name)
{
	return json_string_value(json_object_get(from, name));
}

static uint64_t
number(const json_t *from, const char *name, uint64_t otherwise)
{
	const json_t *value = json_object_get(from, name);

	return value != NULL ? (uint64_t)json_integer_value(value) : otherwise;
}

static json_t *
record(const struct store_record *r)
{
	return json_pack("{ss ss% sI}", "key", r->key, "value", r->value,
	    r->size, "version", (json_int_t)r->version);
}

static int
do_get(const json_t *order, json_t *out, struct err *err)
{
	struct store_record r;
	int rc = store_get(store, text(order, "kind"), text(order, "key"), &r,
	    err);

	if (rc == 0)
		json_object_set_new(out, "record", record(&r));
	store_record_reset(&r);
	return rc;
}

static int
do_list(const json_t *order, json_t *out, struct err *err)
{
	const struct store_query q = { text(order, "kind"),
		text(order, "prefix"), text(order, "after"),
		number(order, "since", 0), (size_t)number(order, "max", 0) };
	json_t *records = json_array();
	struct store_list list;
	int rc = store_list(store, &q, &list, err);

	for (size_t i = 0; i < list.count; i++)
		json_array_append_new(records, record(&list.records[i]));
	json_object_set_new(out, "records", records);
	json_object_set_new(out, "more", json_boolean(list.more));
	store_list_reset(&list);
	return rc;
}

static size_t
read_ops(const json_t *order, struct store_op *ops)
{
	const json_t *list = json_object_get(order, "ops"), *one;
	size_t i;

	json_array_foreach(list, i, one) {
		const char *what = text(one, "what");

		ops[i] = (struct store_op){
			.what = what[0] == 'p' ? STORE_PUT :
			    what[0] == 'r' ? STORE_REMOVE : STORE_CHECK,
			.kind = text(one, "kind"), .key = text(one, "key"),
			.value = text(one, "value"),
			.size = json_string_length(json_object_get(one,
			    "value")),
			.expect = number(one, "expect", STORE_ANY),
		};
	}
	return i;
}

static int
do_commit(const json_t *order, json_t *out, struct err *err)
{
	struct store_op ops[64];
	uint64_t version = 0;
	size_t failed = 0, count = read_ops(order, ops);
	int rc = store_commit(store, ops, count, &version, &failed, err);

	json_object_set_new(out, "version", json_integer((json_int_t)version));
	json_object_set_new(out, "failed", json_integer((json_int_t)failed));
	return rc;
}

/* Adds one to a record's number, n times, as anybody should who shares it. */
static int
do_count(const json_t *order, json_t *out, struct err *err)
{
	const char *kind = text(order, "kind"), *key = text(order, "key");
	uint64_t n = number(order, "n", 1);
	int stale = 0, rc = 0;

	while (n > 0 && rc == 0) {
		struct store_record r;
		char value[32];

		rc = store_get(store, kind, key, &r, err);
		if (rc < 0 && rc != ERR_NOTFOUND)
			break;
		snprintf(value, sizeof(value), "%ld", rc == 0 ?
		    atol(r.value) + 1 : 1);
		rc = store_put(store, kind, key, value, strlen(value),
		    rc == 0 ? r.version : 0, NULL, err);
		store_record_reset(&r);
		n -= rc == 0;
		stale += rc != 0;
		if (rc == ERR_STALE || rc == ERR_EXISTS)
			rc = 0;
	}
	json_object_set_new(out, "stale", json_integer(stale));
	json_object_set_new(out, "left", json_integer((json_int_t)n));
	return rc;
}

static int
do_revision(const json_t *order, json_t *out, struct err *err)
{
	uint64_t revision = 0;
	int rc = store_revision(store, &revision, err);

	(void)order;
	json_object_set_new(out, "revision",
	    json_integer((json_int_t)revision));
	return rc;
}

static int
do_audit(const json_t *order, json_t *out, struct err *err)
{
	struct audit_entry entry = { .who = text(order, "who"),
		.what = text(order, "what"), .object = text(order, "object"),
		.from = text(order, "from"), .result = text(order, "result"),
		.detail = json_object_get(order, "detail") };
	struct store_op ops[64];
	size_t count = read_ops(order, ops);

	(void)out;
	return audit_commit(store, &entry, ops, count, NULL, err);
}

static int
on_line(void *arg, const char *line, struct err *err)
{
	(void)err;
	json_array_append_new(arg, json_string(line));
	return 0;
}

static int
do_export(const json_t *order, json_t *out, struct err *err)
{
	json_t *lines = json_array();

	json_object_set_new(out, "lines", lines);
	return audit_export(store, number(order, "from", 1), on_line, lines,
	    err);
}

static int
do_verify(const json_t *order, json_t *out, struct err *err)
{
	uint64_t count = 0;
	int rc = audit_verify(store, &count, err);

	(void)order;
	json_object_set_new(out, "count", json_integer((json_int_t)count));
	return rc;
}

static int
do_verify_lines(const json_t *order, json_t *out, struct err *err)
{
	const json_t *lines = json_object_get(order, "lines"), *line;
	struct audit_chain chain = { 0 };
	size_t i;
	int rc = 0;

	json_array_foreach(lines, i, line)
		if (rc == 0)
			rc = audit_chain_next(&chain, json_string_value(line),
			    err);
	json_object_set_new(out, "count", json_integer((json_int_t)chain.seq));
	return rc;
}

static const struct {
	const char *name;
	int (*run)(const json_t *order, json_t *out, struct err *err);
} orders[] = {
	{ "get", do_get }, { "list", do_list }, { "commit", do_commit },
	{ "count", do_count }, { "revision", do_revision },
	{ "audit", do_audit }, { "export", do_export },
	{ "verify", do_verify }, { "verify-lines", do_verify_lines },
};

static void
obey(const char *line)
{
	json_t *order = json_loads(line, 0, NULL), *out = json_object();
	const char *name = text(order, "do");
	struct err err = { 0 };
	int rc = ERR_USAGE;

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (strcmp(orders[i].name, name) == 0)
			rc = orders[i].run(order, out, &err);
	json_object_set_new(out, "code", json_string(err_name(rc)));
	json_object_set_new(out, "text", json_string(rc < 0 ? err.text : ""));
	json_dumpf(out, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(order);
	json_decref(out);
}

int
main(int argc, char **argv)
{
	json_t *c = argc == 2 ? json_loads(argv[1], 0, NULL) : NULL;
	const struct store_config config = { text(c, "kind"), text(c, "file"),
		text(c, "endpoints"), text(c, "prefix"), text(c, "ca"),
		text(c, "certificate"), text(c, "key"),
		(unsigned int)number(c, "busy_ms", 0) };
	static char line[1u << 21];
	struct err err = { 0 };
	int rc;

	if (c == NULL)
		return 2;
	if ((rc = store_open(&config, &store, &err)) < 0) {
		json_decref(c);
		fprintf(stderr, "%s: %s\n", err_name(rc), err.text);
		return err_exit_status(rc);
	}
	puts("open");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL)
		obey(line);
	store_close(store);
	json_decref(c);
	return 0;
}
