/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NV_Write to an ordinary index, from the command to its answer: vtpmd, which
 * answers when the state is encrypted on the disk; swtpm, which neither
 * encrypts nor syncs; and the bare write, the least that being durable costs
 * here: this process calls pwrite of as many bytes as a slot of vtpmd's file
 * takes, into space that is allocated and written, at two places in turn, and
 * fdatasync. There is no TPM, no encryption, no socket and no other process in
 * it, so what vtpmd takes beside it is all of these.
 *
 * The floor is the same bare write in another process, which answers a command
 * with as many bytes once it is done: what this machine takes for the disk and
 * the one socket without which there is no TPM. It has no bar; the bars are for
 * vtpmd, and what the floor takes of swtpm's time shows how much of its bar is
 * left for all that a TPM does.
 *
 * A little of each in turn; once on the disk of the working directory, once on
 * tmpfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/echo.h"
#include "bench/peer.h"
#include "bench/wire.h"

enum { VTPMD, SWTPM, BARE, FLOOR, N_SUBJECTS };

/* doc/nvram-format.md: a slot's header and its one record's, and that a slot
 * is written in whole pages. */
#define SLOT_OVERHEAD (128 + 8)
#define PAGE 4096
#define BARE_MAX (64 * 1024)

/* Where the files are. On tmpfs, without a disk, what is left is processor
 * time: no bar is for that. */
struct place {
	const char *name, *vtpmd, *swtpm, *bare, *floor;
	bool barred;
};

struct writer {
	int fd;			/* data socket, or the bare file */
	uint32_t index;
	uint16_t size;		/* of the index */
	size_t bytes;		/* of a bare write */
	size_t answer;		/* bytes of NV_Write's */
	unsigned int count;
	size_t batch;
};

static int
nv_write(void *arg, double *us, struct err *err)
{
	struct writer *w = arg;
	double start = now_us();
	int rc;

	for (size_t i = 0; i < w->batch; i++) {
		struct command c;

		/* Another content each time, or libtpms stores nothing. */
		command_nv_write(&c, w->index, w->size, (uint8_t)++w->count);
		if ((rc = command_run(w->fd, &c, NULL, err)) < 0)
			return rc;
	}
	*us = (now_us() - start) / (double)w->batch;
	return 0;
}

/* Two places in turn, as the two slots. */
static int
write_once(void *arg)
{
	static uint8_t bytes[BARE_MAX];
	struct writer *w = arg;

	memset(bytes, (int)++w->count, 16);
	if (pwrite(w->fd, bytes, w->bytes, (w->count & 1) * BARE_MAX) !=
	    (ssize_t)w->bytes || fdatasync(w->fd) < 0)
		return ERR_SYSTEM;
	return 0;
}

static int
bare_write(void *arg, double *us, struct err *err)
{
	struct writer *w = arg;
	double start = now_us();

	for (size_t i = 0; i < w->batch; i++)
		if (write_once(w) < 0)
			return err_sys(err, errno, "cannot write");
	*us = (now_us() - start) / (double)w->batch;
	return 0;
}

/* fd is the echo's, which has been given what to write. */
static int
floor_write(void *arg, double *us, struct err *err)
{
	struct writer *w = arg;
	double start = now_us();
	int rc;

	for (size_t i = 0; i < w->batch; i++) {
		struct command c;

		command_nv_write(&c, w->index, w->size, (uint8_t)++w->count);
		if ((rc = echo_run(w->fd, &c, w->answer, err)) < 0)
			return rc;
	}
	*us = (now_us() - start) / (double)w->batch;
	return 0;
}

static int
bare_open(const char *name, int *fd, struct err *err)
{
	static const uint8_t zeros[2 * BARE_MAX];

	*fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0 || pwrite(*fd, zeros, sizeof(zeros), 0) !=
	    sizeof(zeros) || fsync(*fd) < 0)
		return err_sys(err, errno, "cannot make a file");
	return 0;
}

static void
report_writes(const struct bench *b, const struct place *place,
    const struct writer *w, const struct subject *s)
{
	size_t n = b->plan.rounds;
	struct report_row row = { .bar = place->barred ? 0.8 : 0 };

	snprintf(row.what, sizeof(row.what), "NV_Write (%u bytes), %s",
	    w[VTPMD].size, place->name);
	snprintf(row.ours, sizeof(row.ours), "%.0f us",
	    subject_median(&s[VTPMD], n));
	snprintf(row.other, sizeof(row.other), "swtpm, no sync, %.0f us",
	    subject_median(&s[SWTPM], n));
	row.ratio = subject_ratio(&s[VTPMD], &s[SWTPM], NULL, n);
	report_add(b->report, &row);
	snprintf(row.other, sizeof(row.other),
	    "bare pwrite %zu KiB+fdatasync, %.*f us", w[BARE].bytes / 1024,
	    place->barred ? 0 : 1, subject_median(&s[BARE], n));
	row.ratio = subject_ratio(&s[VTPMD], &s[BARE], NULL, n);
	row.bar = place->barred ? 1.4 : 0;
	report_add(b->report, &row);
	row.bar = 0;
	snprintf(row.other, sizeof(row.other),
	    "floor: echo + bare write, %.0f us", subject_median(&s[FLOOR], n));
	row.ratio = subject_ratio(&s[VTPMD], &s[FLOOR], NULL, n);
	report_add(b->report, &row);
	snprintf(row.what, sizeof(row.what), "floor (%u bytes), %s",
	    w[VTPMD].size, place->name);
	snprintf(row.ours, sizeof(row.ours), "%.0f us",
	    subject_median(&s[FLOOR], n));
	snprintf(row.other, sizeof(row.other), "swtpm, no sync, %.0f us",
	    subject_median(&s[SWTPM], n));
	row.ratio = subject_ratio(&s[FLOOR], &s[SWTPM], NULL, n);
	report_add(b->report, &row);
}

static int
define(const struct peer *p, uint32_t index, uint16_t size, struct err *err)
{
	struct command c;

	command_nv_define(&c, index, size);
	if (command_run(p->data, &c, NULL, err) < 0)
		return err_prefix(err, "%s: NV_DefineSpace", p->name);
	return 0;
}

static int
compare(const struct bench *b, const struct place *place,
    const struct peer *vtpmd, const struct peer *swtpm, const int *files,
    uint16_t size, struct err *err)
{
	struct writer w[N_SUBJECTS], other;
	struct echo echo = { .fd = -1 };
	struct subject s[N_SUBJECTS] = {
		{ "vtpmd", nv_write, &w[VTPMD], NULL },
		{ "swtpm", nv_write, &w[SWTPM], NULL },
		{ "bare write", bare_write, &w[BARE], NULL },
		{ "floor", floor_write, &w[FLOOR], NULL },
	};
	uint32_t index = 0x01500000u + size;
	struct command c;
	size_t state = 0;
	int rc;

	if ((rc = define(vtpmd, index, size, err)) < 0 ||
	    (rc = define(swtpm, index, size, err)) < 0)
		return rc;
	for (size_t i = 0; i < N_SUBJECTS; i++)
		w[i] = (struct writer){ .index = index, .size = size,
			.batch = b->plan.writes };
	w[VTPMD].fd = vtpmd->data;
	w[SWTPM].fd = swtpm->data;
	w[BARE].fd = files[BARE];
	/* The first write makes the state as large as it stays. */
	if ((rc = nv_write(&w[VTPMD], &(double){ 0 }, err)) < 0 ||
	    (rc = ctrl_state_size(vtpmd->ctrl, &state, err)) < 0)
		return rc;
	w[BARE].bytes = (state + SLOT_OVERHEAD + PAGE - 1) / PAGE * PAGE;
	if (w[BARE].bytes > BARE_MAX)
		return err_set(err, ERR_INTERNAL, "a state of %zu bytes",
		    state);
	other = w[BARE];
	other.fd = files[FLOOR];
	command_nv_write(&c, index, size, 1);
	if ((rc = command_run(vtpmd->data, &c, &w[FLOOR].answer, err)) < 0 ||
	    (rc = echo_start(&echo, write_once, &other, err)) < 0)
		goto out;
	w[FLOOR].fd = echo.fd;
	rc = subjects_measure(s, N_SUBJECTS, b->plan.rounds, err);
	if (rc == 0)
		report_writes(b, place, w, s);
	subjects_free(s, N_SUBJECTS);
out:
	echo_stop(&echo);
	return rc;
}

static int
compare_at(const struct bench *b, const struct place *place, struct err *err)
{
	struct peer vtpmd = peer_named(b, PEER_VTPMD, place->vtpmd);
	struct peer swtpm = peer_named(b, PEER_SWTPM, place->swtpm);
	int files[N_SUBJECTS] = { [BARE] = -1, [FLOOR] = -1 };
	int rc;

	if ((rc = bare_open(place->bare, &files[BARE], err)) < 0 ||
	    (rc = bare_open(place->floor, &files[FLOOR], err)) < 0 ||
	    (rc = peer_create(&vtpmd, NULL, NULL, err)) < 0 ||
	    (rc = peer_create(&swtpm, NULL, NULL, err)) < 0 ||
	    (rc = peer_power_on(&vtpmd, err)) < 0 ||
	    (rc = peer_power_on(&swtpm, err)) < 0 ||
	    (rc = compare(b, place, &vtpmd, &swtpm, files, 32, err)) < 0)
		goto out;
	rc = compare(b, place, &vtpmd, &swtpm, files, 1024, err);
out:
	peer_stop(&swtpm);
	peer_stop(&vtpmd);
	for (size_t i = BARE; i < N_SUBJECTS; i++)
		if (files[i] >= 0)
			close(files[i]);
	return rc;
}

int
bench_writes(const struct bench *b, struct err *err)
{
	static const struct place places[] = {
		{ "durable", "writes.nvram", "swwrites", "bare", "floor",
		    true },
		{ "tmpfs", "tmpfs/writes.nvram", "tmpfs/swwrites",
		    "tmpfs/bare", "tmpfs/floor", false },
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 2; i++)
		if ((rc = compare_at(b, &places[i], err)) < 0)
			err_prefix(err, "%s", places[i].name);
	return rc;
}
