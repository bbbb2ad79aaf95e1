/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "trust-authority/vtactl/vtactl.h"

#define CELL 256
#define COLUMNS_MAX 12

static int
flush(struct err *err)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return err_set(err, ERR_SYSTEM, "cannot write the output");
	return 0;
}

int
print_result(const struct vtactl *v, json_t *json,
    void (*print)(const json_t *json), struct err *err)
{
	if (json == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (!v->json)
		print(json);
	else if (json_dumpf(json, stdout, JSON_INDENT(2)) == 0)
		putchar('\n');
	json_decref(json);
	return flush(err);
}

int
print_done(const struct vtactl *v, json_t *json, struct err *err,
    const char *line, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, line);
	vsnprintf(text, sizeof(text), line, ap);
	va_end(ap);
	if (!v->json) {
		print_text(text);
		putchar('\n');
	} else {
		if (json == NULL)
			json = json_object();
		json_object_set_new(json, "done", json_true());
		if (json_dumpf(json, stdout, JSON_INDENT(2)) == 0)
			putchar('\n');
	}
	json_decref(json);
	return flush(err);
}

void
print_error(const struct vtactl *v, const struct err *err)
{
	char clean[ERR_TEXT_MAX];
	json_t *inner, *json;

	clean_text(err->text, clean, sizeof(clean));
	if (!v->json) {
		fprintf(stderr, "vtactl: %s\n", clean);
		if (v->fault[0] != '\0')
			fprintf(stderr, "vtactl: at fault: %s\n", v->fault);
		return;
	}
	inner = json_pack("{s:s, s:i, s:s}", "code", err_name(err->code),
	    "exit_status", err_exit_status(err->code), "text", clean);
	if (v->fault[0] != '\0')
		json_object_set_new(inner, "fault", json_string(v->fault));
	json = json_pack("{s:o}", "error", inner);
	json_dumpf(json, stderr, JSON_INDENT(2));
	fputc('\n', stderr);
	json_decref(json);
}

/* As jansson refuses other bytes than UTF-8, and terminals act on control
 * characters: both become '?'. C1 controls are 0xc2 0x80 to 0x9f in UTF-8. */
void
clean_text(const char *in, char *out, size_t room)
{
	json_t *test;

	snprintf(out, room, "%s", in);
	for (unsigned char *p = (unsigned char *)out; *p != '\0'; p++)
		if (*p < 0x20 || *p == 0x7f ||
		    (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
			*p = '?';
	if ((test = json_string(out)) == NULL)
		for (unsigned char *p = (unsigned char *)out; *p != '\0'; p++)
			if (*p >= 0x80)
				*p = '?';
	json_decref(test);
}

void
print_text(const char *text)
{
	char clean[ERR_TEXT_MAX];

	clean_text(text, clean, sizeof(clean));
	fputs(clean, stdout);
}

void
time_text(json_int_t seconds, char *out, size_t room)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (seconds <= 0 || localtime_r(&t, &tm) == NULL ||
	    strftime(out, room, "%Y-%m-%dT%H:%M:%S%z", &tm) == 0)
		snprintf(out, room, "-");
}

void
member_text(const json_t *row, const char *member, char *out, size_t room)
{
	const json_t *m = json_object_get(row, member);
	size_t used = 0;

	snprintf(out, room, "-");
	if (json_is_string(m) && json_string_length(m) > 0) {
		clean_text(json_string_value(m), out, room);
	} else if (json_is_integer(m)) {
		snprintf(out, room, "%lld", (long long)json_integer_value(m));
	} else if (json_is_boolean(m)) {
		snprintf(out, room, "%s", json_is_true(m) ? "yes" : "no");
	} else if (json_is_array(m)) {
		for (size_t i = 0; i < json_array_size(m) && used < room; i++) {
			const char *t = json_string_value(
			    json_array_get(m, i));

			used += (size_t)snprintf(out + used, room - used,
			    "%s%s", i > 0 ? ", " : "", t != NULL ? t : "?");
		}
	}
}

void
member_time(const json_t *row, const char *member, char *out, size_t room)
{
	time_text(number_of(row, member), out, room);
}

const char *
text_of(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text != NULL ? text : "";
}

json_int_t
number_of(const json_t *json, const char *name)
{
	return json_integer_value(json_object_get(json, name));
}

json_t *
rows_of(json_t *answer, const char *name)
{
	json_t *rows = json_object_get(answer, name);

	return rows != NULL ? rows : answer;
}

static void
cell(const struct column *c, const json_t *row, const char *key, char *out)
{
	if (c->text != NULL)
		c->text(row, out, CELL);
	else if (key != NULL && strcmp(c->member, "name") == 0 &&
	    json_object_get(row, "name") == NULL)
		clean_text(key, out, CELL);
	else
		member_text(row, c->member, out, CELL);
}

/* Columns as characters, not bytes, so that UTF-8 lines up. */
static size_t
width_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void
put_cell(const char *text, size_t width, bool last)
{
	size_t n = width_of(text);

	fputs(text, stdout);
	for (; !last && n < width + 2; n++)
		putchar(' ');
}

struct table {
	const struct column *columns;
	size_t count, width[COLUMNS_MAX];
	bool print;
};

static void
table_row(struct table *t, const json_t *row, const char *key)
{
	char text[CELL];
	size_t n;

	for (size_t i = 0; i < t->count; i++) {
		cell(&t->columns[i], row, key, text);
		n = width_of(text);
		if (t->print)
			put_cell(text, t->width[i], i + 1 == t->count);
		else if (n > t->width[i])
			t->width[i] = n;
	}
	if (t->print)
		putchar('\n');
}

static void
table_rows(struct table *t, const json_t *rows)
{
	const char *key;
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		table_row(t, row, NULL);
	/* Constness is lost in jansson's iterators, nothing is changed. */
	json_object_foreach((json_t *)(uintptr_t)rows, key, row) {
		table_row(t, row, key);
	}
}

void
print_table(const json_t *rows, const struct column *columns, size_t count)
{
	struct table t = { .columns = columns, .count = count };

	for (size_t i = 0; i < count; i++)
		t.width[i] = width_of(columns[i].title);
	table_rows(&t, rows);
	for (size_t i = 0; i < count; i++)
		put_cell(columns[i].title, t.width[i], i + 1 == count);
	putchar('\n');
	t.print = true;
	table_rows(&t, rows);
}
