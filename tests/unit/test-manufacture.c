/* SPDX-License-Identifier: BSD-3-Clause */
/* What manufacture gives back, and what it says when the TPM says no. */
#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vtpm/manufacture.h"
#include "vtpm/tpm-certs.h"
#include "vtpm/tpm-command.h"
#include "vtpm/tpm-memory.h"
#include "vtpm/tpm.h"

static char dir[64];
static struct native_config config = { .state_dir = dir,
	.owner = (uid_t)-1, .group = (gid_t)-1 };
static struct ek_ca *ca;
static struct err err;

static int
remove_entry(const char *path, const struct stat *st, int type,
    struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/vtpmd-test.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(ek_ca_open(&ca, &config, true, &err), 0, "%s", err.text);
}

static void
teardown(void)
{
	ek_ca_free(ca);
	nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(manufacture, .init = setup, .fini = teardown, .timeout = 60);

static void
make_plan(struct manufacture_plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	cr_assert_eq(manufacture_parse_banks(plan, "sha384", &err), 0);
	cr_assert_eq(manufacture_parse_eks(plan, "p384,p256", &err), 0);
	cr_assert_eq(manufacture_parse_srk(plan, "p256", &err), 0);
}

Test(manufacture, state_starts_again)
{
	static const struct tpm_bank wanted[] = { { 0x0004, false },
		{ 0x000b, false }, { 0x000c, true }, { 0x000d, false } };
	struct tpm_bank banks[TPM_BANKS_MAX];
	uint32_t handles[TPM_HANDLES_MAX];
	struct manufacture_plan plan;
	struct secret *state = NULL;
	size_t n;

	make_plan(&plan);
	cr_assert_eq(manufacture(&plan, ca, &state, &err), 0, "%s", err.text);
	cr_assert_eq(tpm_memory_power_on(secret_bytes(state),
	    secret_size(state), &err), 0, "%s", err.text);
	cr_assert_eq(tpm2_startup_clear(&err), 0);
	cr_assert_eq(tpm2_get_banks(banks, &n, &err), 0);
	cr_assert_eq(n, 4);
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(banks[i].hash, wanted[i].hash);
		cr_assert_eq(banks[i].active, wanted[i].active);
	}
	cr_assert_eq(tpm2_get_handles(0x81000000, handles, &n, &err), 0);
	cr_assert_eq(n, 3);
	cr_assert_eq(handles[0], 0x81000001);
	cr_assert_eq(handles[1], 0x81010002);
	cr_assert_eq(handles[2], 0x81010016);
	/* Nothing transient is left, and the end was orderly. */
	cr_assert_eq(tpm2_get_handles(0x80000000, handles, &n, &err), 0);
	cr_assert_eq(n, 0);
	tpm_memory_free();
	secret_free(state);
}

Test(manufacture, certificates_are_found_again)
{
	static struct tpm_cert certs[TPM_CERTS_MAX];
	struct manufacture_plan plan;
	struct secret *state = NULL;
	size_t n;

	make_plan(&plan);
	cr_assert_eq(manufacture(&plan, ca, &state, &err), 0, "%s", err.text);
	cr_assert_eq(tpm_certs_read(secret_bytes(state), secret_size(state),
	    certs, &n, &err), 0, "%s", err.text);
	cr_assert_eq(n, 3);
	cr_assert_str_eq(certs[0].kind, "p256");
	cr_assert_str_eq(certs[1].kind, "p384");
	cr_assert_str_eq(certs[2].kind, "platform");
	cr_assert(certs[2].attribute);
	secret_free(state);
}

/* Two errors that every TPM has: an index that is there, one that is not. */
Test(manufacture, errors_carry_command_and_rc)
{
	uint32_t attributes;
	size_t size;

	cr_assert_eq(tpm_memory_power_on(NULL, 0, &err), 0);
	/* Before TPM2_Startup: TPM_RC_INITIALIZE (Part 3, 9.3). */
	cr_assert_eq(tpm2_nv_read_public(0x01c00002, &attributes, &size,
	    &err), ERR_TPM);
	cr_assert_eq(err.sys, TPM_RC_INITIALIZE);
	cr_assert_eq(tpm2_startup_clear(&err), 0);
	cr_assert_eq(tpm2_nv_read_public(0x01c00002, &attributes, &size,
	    &err), ERR_TPM);
	/* TPM_RC_HANDLE for handle 1 (Part 2, 6.6.3). */
	cr_assert_eq(err.sys, 0x18b);
	cr_assert_str_eq(err.text,
	    "TPM2_NV_ReadPublic failed with TPM_RC 0x18b");
	cr_assert_eq(tpm2_nv_define_space(0x01c00002, TPMA_NV_PPWRITE |
	    TPMA_NV_PPREAD | TPMA_NV_PLATFORMCREATE, 8, &err), 0);
	cr_assert_eq(tpm2_nv_define_space(0x01c00002, TPMA_NV_PPWRITE |
	    TPMA_NV_PPREAD | TPMA_NV_PLATFORMCREATE, 8, &err), ERR_TPM);
	cr_assert_eq(err.sys, 0x14c);	/* TPM_RC_NV_DEFINED */
	tpm_memory_free();
}

/* A state that is none: an error, not a new TPM. */
Test(manufacture, garbage_is_no_state)
{
	static const uint8_t garbage[1000] = { 1, 2, 3 };

	cr_assert_eq(tpm_memory_power_on(garbage, sizeof(garbage), &err),
	    ERR_TPM);
	tpm_memory_free();
}

Test(manufacture, bank_that_this_tpm_has_not)
{
	struct manufacture_plan plan;
	struct secret *state = NULL;

	make_plan(&plan);
	plan.banks[plan.n_banks++] = 0x0027;	/* SHA3-256 */
	cr_assert_eq(manufacture(&plan, ca, &state, &err), ERR_UNSUPPORTED);
	cr_assert_null(state);
}

Test(plan, lists)
{
	struct manufacture_plan plan = { 0 };

	cr_assert_eq(manufacture_parse_banks(&plan, "sha1,sha512", &err), 0);
	cr_assert_eq(plan.n_banks, 2);
	cr_assert_eq(plan.banks[1], 0x000d);
	cr_assert_eq(manufacture_parse_banks(&plan, ",sha1", &err), ERR_USAGE);
	cr_assert_eq(manufacture_parse_banks(&plan,
	    "a-name-that-is-much-longer-than-any-of-ours", &err), ERR_USAGE);
	cr_assert_str_eq(manufacture_bank_name(0x000c), "sha384");
	cr_assert_null(manufacture_bank_name(0x0012));
}
