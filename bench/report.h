/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of results: what was measured, the bar, and whether it is met. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "base/err.h"

#define REPORT_CELL 64

/* Of many samples: first quartile, median, third quartile. */
struct spread {
	double low, mid, high;
};

struct report_row {
	char what[REPORT_CELL];
	char ours[REPORT_CELL];		/* with unit */
	char other[REPORT_CELL];	/* what it is compared with, and that
					 * one's value */
	struct spread ratio;		/* ours / other; low and high are 0
					 * where there is one sample only */
	double bar;			/* 0: there is none */
};

struct report;

/* ours: what is measured, the head of its column; a string that stays. */
int report_new(struct report **out, const char *ours, struct err *err);
void report_free(struct report *r);
/* Copies the row, and prints it at once so that a person sees it go on. */
void report_add(struct report *r, const struct report_row *row);
/* A line below the table. */
void report_note(struct report *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A line of Markdown below the notes: for a table of another shape. */
void report_text(struct report *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The table, the notes and the text as Markdown. */
void report_write(const struct report *r, FILE *f);

#endif
