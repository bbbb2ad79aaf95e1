/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/pcr-list.h"

#include <stdbool.h>
#include <string.h>

/* "12" up to what is no digit; above PCR_COUNT for what is no PCR. */
static unsigned int
number_take(const char **text)
{
	unsigned int n = 0, digits = 0;

	for (; **text >= '0' && **text <= '9'; ++*text)
		if (++digits <= 2)
			n = 10 * n + (unsigned int)(**text - '0');
	return digits == 1 || digits == 2 ? n : PCR_COUNT;
}

static bool
bank_take(const char **text, struct pcr_set *out)
{
	struct pcr_bank *bank = &out->bank[out->count];
	char name[16] = "";
	size_t n = strcspn(*text, ":");

	if (n >= sizeof(name) || (*text)[n] != ':' ||
	    out->count == PCR_BANKS_MAX)
		return false;
	memcpy(name, *text, n);
	bank->alg = hash_by_name(name);
	if (bank->alg == NULL || pcr_bank_find(out, bank->alg) != NULL)
		return false;
	*text += n;
	do {
		unsigned int pcr;

		++*text;
		pcr = number_take(text);
		if (pcr >= PCR_COUNT || bank->mask & 1u << pcr)
			return false;
		bank->mask |= 1u << pcr;
	} while (**text == ',');
	out->count++;
	return true;
}

int
pcr_list_parse(const char *text, struct pcr_set *out, struct err *err)
{
	const char *at = text;

	memset(out, 0, sizeof(*out));
	while (bank_take(&at, out))
		if (*at++ != '+')
			break;
	if (out->count > 0 && at[-1] == '\0')
		return 0;
	return err_set(err, ERR_USAGE, "\"%.64s\" is no list of PCRs; write "
	    "for example sha256:0,1,2,7+sha384:7", text);
}
