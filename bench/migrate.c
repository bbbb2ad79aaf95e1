/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The blobs' part of a live migration, while the VM is stopped: in QEMU's order
 * (tpm_emulator_pre_save, tpm_emulator_set_state_blobs) GET_STATEBLOB of the
 * three kinds on the source, then STOP, SET_STATEBLOB of two and INIT on the
 * target, one after the other without a pause, which is harder than what QEMU
 * does between. Then the VM runs on: its first command, which is not part of
 * it, has a row without a bar, so that nothing hides there. Each move goes the
 * other way than the one before, with a fresh process as its target.
 *
 * vtpmd's two share the file. swtpm 0.7 has a directory for each and keys for
 * files and stream, as libvirt starts it for a domain with encryption.
 */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/peer.h"
#include "bench/wire.h"

#define KEY "key"
#define SWTPM_KEY "file=" KEY ",format=hex,mode=aes-256-cbc"
/* Issue: at most so much over the plain state. */
#define OVERHEAD_MAX 1024

enum part { PART_GET, PART_SET, PART_BOTH, PART_FIRST, PARTS };

static const char *const vtpmd_incoming[] = { "--incoming", NULL };
static const char *const swtpm_keys[] = { "--key", SWTPM_KEY,
	"--migration-key", SWTPM_KEY, NULL };

/* A VM, and where it runs. */
struct vm {
	struct peer side[2];
	size_t here;
	struct state_blob blobs[BLOB_KINDS];
	double us[PARTS];
};

static int
get_blobs(struct vm *vm, struct err *err)
{
	struct peer *p = &vm->side[vm->here];
	double start = now_us();
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < BLOB_KINDS; i++)
		rc = ctrl_get_blob(p->ctrl, i + 1, &vm->blobs[i], err);
	vm->us[PART_GET] = now_us() - start;
	return rc;
}

static int
set_blobs(struct vm *vm, struct peer *p, struct err *err)
{
	double start = now_us();
	int rc = ctrl_stop(p->ctrl, err);

	/* QEMU leaves empty ones out. */
	for (uint32_t i = 0; rc == 0 && i < BLOB_KINDS; i++)
		if (vm->blobs[i].size > 0)
			rc = ctrl_set_blob(p->ctrl, i + 1, &vm->blobs[i], err);
	if (rc == 0)
		rc = ctrl_init_incoming(p->ctrl, err);
	vm->us[PART_SET] = now_us() - start;
	vm->us[PART_BOTH] = vm->us[PART_GET] + vm->us[PART_SET];
	return rc;
}

static int
first_command(struct vm *vm, struct err *err)
{
	struct peer *p = &vm->side[vm->here];
	struct command c;
	double start;
	int rc;

	command_pcr_extend(&c);
	start = now_us();
	rc = command_run(p->data, &c, NULL, err);
	vm->us[PART_FIRST] = now_us() - start;
	return rc;
}

/* One migration; the sample is of the blobs' part. */
static int
move(void *arg, double *us, struct err *err)
{
	struct vm *vm = arg;
	struct peer *target = &vm->side[vm->here ^ 1u];
	int rc;

	if ((rc = peer_start(target, err)) < 0 ||
	    (rc = ctrl_data_fd(target->ctrl, &target->data, err)) < 0 ||
	    (rc = get_blobs(vm, err)) < 0 ||
	    (rc = set_blobs(vm, target, err)) < 0)
		return rc;
	vm->here ^= 1u;
	if ((rc = first_command(vm, err)) < 0)
		return rc;
	peer_stop(&vm->side[vm->here ^ 1u]);
	/* As a guest does meanwhile: the next move is not out of the blue. */
	rc = peer_use(target, err);
	*us = vm->us[PART_BOTH];
	return rc;
}

static struct vm
vm_named(const struct bench *b, enum peer_kind kind, const char *files[2],
    const char *sockets[2])
{
	struct vm vm = { .here = 0 };

	for (size_t i = 0; i < 2; i++) {
		vm.side[i] = peer_named(b, kind, files[i]);
		snprintf(vm.side[i].socket, sizeof(vm.side[i].socket), "%s",
		    sockets[i]);
		vm.side[i].options = kind == PEER_SWTPM ? swtpm_keys : NULL;
	}
	return vm;
}

static int
write_key(struct err *err)
{
	FILE *f = fopen(KEY, "we");
	int bad = f == NULL;

	for (size_t i = 0; !bad && i < 32; i++)
		bad = fputs("5a", f) < 0;
	if (f != NULL && fclose(f) != 0)
		bad = 1;
	return bad ? err_set(err, ERR_SYSTEM, "cannot write a key") : 0;
}

static int
make_swtpm(struct vm *vm, struct err *err)
{
	static const char *const options[] = { "--keyfile", KEY, "--cipher",
		"aes-256-cbc", NULL };
	int rc;

	if ((rc = write_key(err)) < 0 ||
	    (rc = peer_create_with(&vm->side[0], options, err)) < 0)
		return rc;
	return peer_copy(&vm->side[0], &vm->side[1], err);
}

static int
begin(struct vm *vm, struct err *err)
{
	int rc = peer_power_on(&vm->side[0], err);

	if (rc == 0)
		rc = peer_use(&vm->side[0], err);
	/* From now on each is a target when it starts. */
	for (size_t i = 0; i < 2; i++)
		if (vm->side[i].kind == PEER_VTPMD)
			vm->side[i].options = vtpmd_incoming;
	return rc;
}

/* A move of each in turn, and all parts of each. */
static int
measure(struct vm vm[2], struct subject s[PARTS][2], size_t rounds,
    struct err *err)
{
	double us;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 2; i++)
		rc = move(&vm[i], &us, err);
	for (size_t round = 0; rc == 0 && round < rounds; round++)
		for (size_t k = 0; rc == 0 && k < 2; k++) {
			size_t i = (round + k) % 2;

			rc = move(&vm[i], &us, err);
			for (size_t part = 0; part < PARTS; part++)
				s[part][i].samples[round] = vm[i].us[part];
		}
	return rc;
}

static void
tell_time(const struct bench *b, const char *what,
    const struct subject s[2], double bar)
{
	struct report_row row = { .bar = bar };
	size_t n = b->plan.moves;

	snprintf(row.what, sizeof(row.what), "%s", what);
	snprintf(row.ours, sizeof(row.ours), "%.2f ms",
	    subject_median(&s[0], n) / 1e3);
	snprintf(row.other, sizeof(row.other), "swtpm with keys, %.2f ms",
	    subject_median(&s[1], n) / 1e3);
	row.ratio = subject_ratio(&s[0], &s[1], NULL, n);
	report_add(b->report, &row);
}

static int
tell_size(const struct bench *b, const struct vm *vm, struct err *err)
{
	struct report_row row = { .what = "migration: bytes over the state",
		.bar = 1.0 };
	size_t bytes = 0, plain = 0, size;
	int rc;

	for (size_t i = 0; i < BLOB_KINDS; i++) {
		if (vm->blobs[i].size == 0)
			continue;
		if ((rc = blob_plain_size(&vm->blobs[i], &size, err)) < 0)
			return rc;
		bytes += vm->blobs[i].size;
		plain += size;
	}
	snprintf(row.ours, sizeof(row.ours), "%zu", bytes - plain);
	snprintf(row.other, sizeof(row.other), "%d; state %zu bytes",
	    OVERHEAD_MAX, plain);
	row.ratio.mid = (double)(bytes - plain) / OVERHEAD_MAX;
	report_add(b->report, &row);
	return 0;
}

static int
tell(const struct bench *b, const struct vm *ours,
    struct subject s[PARTS][2], struct err *err)
{
	tell_time(b, "migration: 3 GET on the source", s[PART_GET], 0);
	tell_time(b, "migration: 2 SET, INIT on the target", s[PART_SET], 0);
	tell_time(b, "migration: both", s[PART_BOTH], 1.0);
	tell_time(b, "migration: first command after it", s[PART_FIRST], 0);
	return tell_size(b, ours, err);
}

int
bench_migrate(const struct bench *b, struct err *err)
{
	const char *file[] = { "vm0.nvram", "vm0.nvram" };
	const char *dirs[] = { "swmig0", "swmig1" };
	const char *ends[] = { "mig0", "mig1" };
	struct vm vm[] = { vm_named(b, PEER_VTPMD, file, ends),
		vm_named(b, PEER_SWTPM, dirs, dirs) };
	struct subject s[PARTS][2] = { { { .name = "vtpmd" } } };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < PARTS; i++)
		rc = subjects_room(s[i], 2, b->plan.moves, err);
	if (rc == 0 && (rc = make_swtpm(&vm[1], err)) == 0 &&
	    (rc = begin(&vm[0], err)) == 0 &&
	    (rc = begin(&vm[1], err)) == 0 &&
	    (rc = measure(vm, s, b->plan.moves, err)) == 0)
		rc = tell(b, &vm[0], s, err);
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < 2; k++)
			peer_stop(&vm[i].side[k]);
	for (size_t i = 0; i < PARTS; i++)
		subjects_free(s[i], 2);
	return rc;
}
