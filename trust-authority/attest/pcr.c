/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/pcr.h"

#include <string.h>

static int
bank_read(struct buf *in, struct pcr_set *set, struct err *err)
{
	struct pcr_bank *bank = &set->bank[set->count];
	uint8_t octets, select;
	uint16_t id;

	if (buf_get_u16be(in, &id) < 0 || buf_get_u8(in, &octets) < 0)
		return err_set(err, ERR_FORMAT, "PCR selection is cut short");
	if ((bank->alg = hash_by_id(id)) == NULL)
		return err_set(err, ERR_FORMAT, "PCR selection names the "
		    "unknown hash algorithm 0x%04x", id);
	if (pcr_bank_find(set, bank->alg) != NULL)
		return err_set(err, ERR_FORMAT,
		    "PCR selection lists the bank %s twice", bank->alg->name);
	if (octets > PCR_COUNT / 8)
		return err_set(err, ERR_FORMAT,
		    "PCR selection of %u octets, more than %u", octets,
		    PCR_COUNT / 8);
	for (unsigned int i = 0; i < octets; i++) {
		if (buf_get_u8(in, &select) < 0)
			return err_set(err, ERR_FORMAT,
			    "PCR selection is cut short");
		bank->mask |= (uint32_t)select << (8 * i);
	}
	set->count++;
	return 0;
}

int
pcr_selection_read(struct buf *in, struct pcr_set *set, struct err *err)
{
	uint32_t count;
	int rc;

	memset(set, 0, sizeof(*set));
	if (buf_get_u32be(in, &count) < 0)
		return err_set(err, ERR_FORMAT, "PCR selection is cut short");
	if (count > PCR_BANKS_MAX)
		return err_set(err, ERR_FORMAT,
		    "PCR selection of %u banks, more than %u", count,
		    PCR_BANKS_MAX);
	for (uint32_t i = 0; i < count; i++)
		if ((rc = bank_read(in, set, err)) < 0)
			return rc;
	return 0;
}

int
pcr_values_read(struct pcr_set *set, const uint8_t *data, size_t size,
    struct err *err)
{
	struct buf in = buf_reader(data, size);

	for (size_t b = 0; b < set->count; b++)
		for (uint32_t i = 0; i < PCR_COUNT; i++)
			if (set->bank[b].mask & 1u << i)
				buf_get_bytes(&in, set->bank[b].value[i],
				    set->bank[b].alg->size);
	if (!buf_ok(&in) || buf_left(&in) > 0)
		return err_set(err, ERR_FORMAT, "%zu bytes of PCR values are "
		    "not what the quote selects", size);
	return 0;
}

int
pcr_set_digest(const struct pcr_set *set, const struct hash_alg *alg,
    uint8_t out[HASH_MAX], struct err *err)
{
	struct hash_part parts[PCR_BANKS_MAX * PCR_COUNT];
	size_t n = 0;

	for (size_t b = 0; b < set->count; b++)
		for (uint32_t i = 0; i < PCR_COUNT; i++)
			if (set->bank[b].mask & 1u << i)
				parts[n++] = (struct hash_part){
				    set->bank[b].value[i],
				    set->bank[b].alg->size };
	return hash_digest(alg, parts, n, out, err);
}

const struct pcr_bank *
pcr_bank_find(const struct pcr_set *set, const struct hash_alg *alg)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->bank[i].alg == alg)
			return &set->bank[i];
	return NULL;
}

const uint8_t *
pcr_bank_value(const struct pcr_bank *bank, uint32_t pcr)
{
	if (bank == NULL || pcr >= PCR_COUNT || !(bank->mask & 1u << pcr))
		return NULL;
	return bank->value[pcr];
}

void
pcr_reset_value(uint8_t *out, const struct hash_alg *alg, uint32_t pcr)
{
	memset(out, pcr >= 17 && pcr <= 22 ? 0xff : 0, alg->size);
}
