/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 48
#define DASHES "------------------------------------------"
#define NOTES_MAX 48
#define NOTE_SIZE 320
#define TEXT_SIZE (16 * 1024)

struct report {
	const char *ours;
	struct report_row rows[ROWS_MAX];
	size_t n_rows;
	char notes[NOTES_MAX][NOTE_SIZE];
	size_t n_notes;
	char text[TEXT_SIZE];
	size_t text_size;
};

int
report_new(struct report **out, const char *ours, struct err *err)
{
	if ((*out = calloc(1, sizeof(**out))) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	(*out)->ours = ours;
	return 0;
}

void
report_free(struct report *r)
{
	free(r);
}

static const char *
verdict(const struct report_row *row)
{
	if (row->bar <= 0)
		return "";
	return row->ratio.mid <= row->bar ? "met" : "NOT met";
}

static void
write_row(const struct report_row *row, FILE *f)
{
	char bar[16] = "", spread[32] = "";

	if (row->bar > 0)
		snprintf(bar, sizeof(bar), "%.2f", row->bar);
	if (row->ratio.high > 0)
		snprintf(spread, sizeof(spread), "%.2f-%.2f", row->ratio.low,
		    row->ratio.high);
	fprintf(f, "| %-34s | %9s | %-40s | %5.2f | %-11s | %4s | %-7s |\n",
	    row->what, row->ours, row->other, row->ratio.mid, spread, bar,
	    verdict(row));
}

static void
write_head(const struct report *r, FILE *f)
{
	fprintf(f, "| %-34s | %9s | %-40s | %5s | %-11s | %4s | %-7s |\n",
	    "what", r->ours, "beside", "ratio", "quartiles", "bar", "");
	fprintf(f, "|%.36s|%.10s:|%.42s|%.6s:|%.13s|%.5s:|%.9s|\n", DASHES,
	    DASHES, DASHES, DASHES, DASHES, DASHES, DASHES);
}

void
report_add(struct report *r, const struct report_row *row)
{
	if (r->n_rows == 0)
		write_head(r, stdout);
	write_row(row, stdout);
	fflush(stdout);
	if (r->n_rows < ROWS_MAX)
		r->rows[r->n_rows++] = *row;
}

void
report_note(struct report *r, const char *fmt, ...)
{
	va_list ap;

	if (r->n_notes == NOTES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(r->notes[r->n_notes++], NOTE_SIZE, fmt, ap);
	va_end(ap);
}

void
report_text(struct report *r, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(r->text + r->text_size, TEXT_SIZE - r->text_size, fmt,
	    ap);
	va_end(ap);
	if (n > 0 && (size_t)n < TEXT_SIZE - r->text_size - 1) {
		r->text_size += (size_t)n;
		r->text[r->text_size++] = '\n';
	}
	r->text[r->text_size] = '\0';
}

void
report_write(const struct report *r, FILE *f)
{
	size_t bars = 0, met = 0;

	if (f != stdout) {
		write_head(r, f);
		for (size_t i = 0; i < r->n_rows; i++)
			write_row(&r->rows[i], f);
	}
	for (size_t i = 0; i < r->n_rows; i++) {
		bars += r->rows[i].bar > 0;
		met += strcmp(verdict(&r->rows[i]), "met") == 0;
	}
	fprintf(f, "\n%zu of %zu bars met.\n", met, bars);
	if (r->n_notes > 0)
		fprintf(f, "\n");
	for (size_t i = 0; i < r->n_notes; i++)
		fprintf(f, "- %s\n", r->notes[i]);
	if (r->text_size > 0)
		fprintf(f, "\n%s", r->text);
}
