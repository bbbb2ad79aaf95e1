/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/ek-maker.h"

#include <openssl/x509v3.h>
#include <string.h>

static void
value_copy(X509_NAME_ENTRY *entry, char *out, size_t size)
{
	const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
	const uint8_t *data = ASN1_STRING_get0_data(value);
	size_t n = (size_t)ASN1_STRING_length(value);

	if (n >= size)
		n = size - 1;
	for (size_t i = 0; i < n; i++)
		out[i] = data[i] >= 0x20 && data[i] < 0x7f ? (char)data[i] :
		    '?';
	out[n] = '\0';
}

/* "id:" and four ASCII letters in hexadecimal, filled up with spaces or zeros
 * (TCG TPM Vendor ID Registry). What is something else stays as it is. */
static void
vendor_decode(char *text)
{
	uint8_t id[4];
	size_t n = 0;

	if (strncmp(text, "id:", 3) != 0 || hash_unhex(text + 3, id, 4) < 0)
		return;
	while (n < 4 && id[n] > 0x20 && id[n] < 0x7f)
		n++;
	if (n == 0)
		return;
	memcpy(text, id, n);
	text[n] = '\0';
}

static void
name_read(const X509_NAME *name, struct ek_maker *maker)
{
	char oid[32];

	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);

		if (OBJ_obj2txt(oid, sizeof(oid),
		    X509_NAME_ENTRY_get_object(entry), 1) <= 0)
			continue;
		/* tcg-at-tpmManufacturer, -Model, -Version. */
		if (strcmp(oid, "2.23.133.2.1") == 0)
			value_copy(entry, maker->manufacturer,
			    sizeof(maker->manufacturer));
		else if (strcmp(oid, "2.23.133.2.2") == 0)
			value_copy(entry, maker->model, sizeof(maker->model));
		else if (strcmp(oid, "2.23.133.2.3") == 0)
			value_copy(entry, maker->version,
			    sizeof(maker->version));
	}
}

void
ek_maker_read(X509 *cert, struct ek_maker *maker)
{
	GENERAL_NAMES *names;

	names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DIRNAME)
			name_read(name->d.directoryName, maker);
	}
	vendor_decode(maker->manufacturer);
	GENERAL_NAMES_free(names);
}
