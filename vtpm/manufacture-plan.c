/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading what the user wants made. */
#include "vtpm/manufacture.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	uint16_t hash;		/* TPM_ALG_ID, TCG Algorithm Registry */
} bank_names[] = {
	{ "sha1", 0x0004 },
	{ "sha256", 0x000b },
	{ "sha384", 0x000c },
	{ "sha512", 0x000d },
};
#define N_BANK_NAMES (sizeof(bank_names) / sizeof(bank_names[0]))

const char *
manufacture_bank_name(uint16_t hash)
{
	for (size_t i = 0; i < N_BANK_NAMES; i++)
		if (bank_names[i].hash == hash)
			return bank_names[i].name;
	return NULL;
}

static int
add_bank(struct manufacture_plan *plan, const char *name, struct err *err)
{
	uint16_t hash = 0;

	for (size_t i = 0; i < N_BANK_NAMES; i++)
		if (strcmp(bank_names[i].name, name) == 0)
			hash = bank_names[i].hash;
	if (hash == 0)
		return err_set(err, ERR_USAGE, "there is no PCR bank '%s': "
		    "choose from sha1, sha256, sha384, sha512", name);
	for (size_t i = 0; i < plan->n_banks; i++)
		if (plan->banks[i] == hash)
			return err_set(err, ERR_USAGE,
			    "the PCR bank %s is named twice", name);
	if (plan->n_banks == MANUFACTURE_BANKS_MAX)
		return err_set(err, ERR_USAGE, "too many PCR banks");
	plan->banks[plan->n_banks++] = hash;
	return 0;
}

static int
add_ek(struct manufacture_plan *plan, const char *name, struct err *err)
{
	const struct tpm_template *t = tpm_template_ek(name);

	if (t == NULL)
		return err_set(err, ERR_USAGE, "there is no EK '%s': choose "
		    "from rsa2048, rsa3072, p384, p256, or none", name);
	for (size_t i = 0; i < plan->n_eks; i++)
		if (plan->eks[i] == t)
			return err_set(err, ERR_USAGE,
			    "the EK %s is named twice", name);
	if (plan->n_eks == MANUFACTURE_EKS_MAX)
		return err_set(err, ERR_USAGE, "too many EKs");
	plan->eks[plan->n_eks++] = t;
	return 0;
}

/* Calls add for each item between commas; an empty one is an error there. */
static int
each_item(struct manufacture_plan *plan, const char *list,
    int (*add)(struct manufacture_plan *, const char *, struct err *),
    struct err *err)
{
	char item[32];
	int rc;

	for (;;) {
		size_t n = strcspn(list, ",");

		snprintf(item, sizeof(item), "%.*s", (int)(n < 31 ? n : 31),
		    list);
		if ((rc = add(plan, item, err)) < 0)
			return rc;
		if (list[n] == '\0')
			return 0;
		list += n + 1;
	}
}

int
manufacture_parse_banks(struct manufacture_plan *plan, const char *list,
    struct err *err)
{
	plan->n_banks = 0;
	return each_item(plan, list, add_bank, err);
}

int
manufacture_parse_eks(struct manufacture_plan *plan, const char *list,
    struct err *err)
{
	plan->n_eks = 0;
	if (strcmp(list, "none") == 0)
		return 0;
	return each_item(plan, list, add_ek, err);
}

int
manufacture_parse_srk(struct manufacture_plan *plan, const char *name,
    struct err *err)
{
	plan->srk = NULL;
	if (strcmp(name, "none") == 0)
		return 0;
	if ((plan->srk = tpm_template_srk(name)) == NULL)
		return err_set(err, ERR_USAGE, "there is no SRK '%s': choose "
		    "from rsa2048, p256, none", name);
	return 0;
}
