/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/crypto-provider.h"

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <string.h>

#include "nvram-crypt/crypto.h"

#define PROVIDER_NAME "vtpmd"
/* The longest of the lists below is that of the ciphers. */
#define ALGORITHMS_MAX 32
#define OPERATIONS_MAX 9

/*
 * What is left in. Each is found in the default provider's tables by the first
 * of its names, and has no other name but those that stand here: object
 * identifiers are for parsing certificates, and every name costs 100 bytes.
 *
 * libtpms calls EVP with what EVP_aes_*, EVP_camellia_* and EVP_des_ede3*
 * return (its TpmProfile.h leaves out 192 bits), and with RSA keys as EVP_PKEY;
 * its own hashes and elliptic curves fetch nothing. EC, ECDSA, ECDH, the KDFs
 * and HMAC are what it fetches where it is configured another way. CTR-DRBG is
 * not among them: it would fetch a cipher of its own.
 */
struct operation {
	int id;
	const char *const *names;
};

static const struct operation nvram_operations[OPERATIONS_MAX] = {
	{ OSSL_OP_DIGEST, (const char *const[]){
		"SHA2-256:SHA256", "SHA2-512:SHA512", NULL } },
	{ OSSL_OP_CIPHER, (const char *const[]){
		"AES-256-ECB", "AES-256-GCM", NULL } },
	{ OSSL_OP_MAC, (const char *const[]){ "HMAC", NULL } },
	{ OSSL_OP_KDF, (const char *const[]){ "KBKDF", "PBKDF2", NULL } },
	{ OSSL_OP_RAND, (const char *const[]){ "HASH-DRBG", NULL } },
	/* For a migration; where there is none they are not asked for. */
	{ OSSL_OP_KEYMGMT, (const char *const[]){ "EC:id-ecPublicKey",
		NULL } },
	{ OSSL_OP_KEYEXCH, (const char *const[]){ "ECDH", NULL } },
};

static const struct operation tpm_operations[OPERATIONS_MAX] = {
	{ OSSL_OP_DIGEST, (const char *const[]){
		"SHA1:SHA-1", "SHA2-256:SHA256", "SHA2-384:SHA384",
		"SHA2-512:SHA512", NULL } },
	{ OSSL_OP_CIPHER, (const char *const[]){
		"AES-128-ECB", "AES-256-ECB",
		"AES-128-CBC", "AES-256-CBC",
		"AES-128-CFB", "AES-256-CFB",
		"AES-128-OFB", "AES-256-OFB",
		"AES-128-CTR", "AES-256-CTR",
		"CAMELLIA-128-ECB", "CAMELLIA-256-ECB",
		"CAMELLIA-128-CBC", "CAMELLIA-256-CBC",
		"CAMELLIA-128-CFB", "CAMELLIA-256-CFB",
		"CAMELLIA-128-OFB", "CAMELLIA-256-OFB",
		"CAMELLIA-128-CTR", "CAMELLIA-256-CTR",
		"DES-EDE3-ECB:DES-EDE3", "DES-EDE3-CBC",
		"DES-EDE3-CFB", "DES-EDE3-OFB",
		NULL } },
	{ OSSL_OP_MAC, (const char *const[]){ "HMAC", NULL } },
	{ OSSL_OP_KDF, (const char *const[]){ "KBKDF", "SSKDF", NULL } },
	{ OSSL_OP_RAND, (const char *const[]){ "HASH-DRBG", NULL } },
	{ OSSL_OP_KEYMGMT, (const char *const[]){ "RSA:rsaEncryption",
		"EC:id-ecPublicKey", NULL } },
	{ OSSL_OP_KEYEXCH, (const char *const[]){ "ECDH", NULL } },
	{ OSSL_OP_SIGNATURE, (const char *const[]){ "RSA", "ECDSA", NULL } },
	{ OSSL_OP_ASYM_CIPHER, (const char *const[]){ "RSA", NULL } },
};

static const struct operation *const uses[] = {
	[CRYPTO_FOR_NVRAM] = nvram_operations,
	[CRYPTO_FOR_TPM] = tpm_operations,
};

/* OpenSSL keeps pointers into the algorithms. */
static struct {
	void *context;	/* the default provider's */
	const struct operation *operations;
	OSSL_ALGORITHM *algorithms[OPERATIONS_MAX];
	/* Holds the default provider, which is not active any more. */
	EVP_ASYM_CIPHER *hold;
} provider;

/* Whether the first of names, separated by colons, is the first of ours. */
static bool
begins_alike(const char *names, const char *ours)
{
	while (*ours != '\0' && *ours != ':' && *names == *ours) {
		names++;
		ours++;
	}
	return (*ours == '\0' || *ours == ':') &&
	    (*names == '\0' || *names == ':');
}

/* Whether any of names is. */
static bool
has_name(const char *names, const char *ours)
{
	while (!begins_alike(names, ours)) {
		if ((names = strchr(names, ':')) == NULL)
			return false;
		names++;
	}
	return true;
}

static const char *
listed(const struct operation *o, const char *names,
    bool (*is)(const char *names, const char *ours))
{
	for (const char *const *ours = o->names; *ours != NULL; ours++)
		if (is(names, *ours))
			return *ours;
	return NULL;
}

static size_t
pick(const struct operation *o, const OSSL_ALGORITHM *all,
    OSSL_ALGORITHM kept[ALGORITHMS_MAX],
    bool (*is)(const char *names, const char *ours))
{
	size_t n = 0;

	for (; all != NULL && all->algorithm_names != NULL &&
	    n < ALGORITHMS_MAX; all++) {
		kept[n] = *all;
		kept[n].algorithm_names = listed(o, all->algorithm_names, is);
		if (kept[n].algorithm_names != NULL)
			n++;
	}
	return n;
}

/* The end is an entry without names. NULL where there is no memory. */
static OSSL_ALGORITHM *
filter(const struct operation *o, const OSSL_ALGORITHM *all)
{
	OSSL_ALGORITHM kept[ALGORITHMS_MAX + 1];
	size_t wanted = 0, n;

	while (o->names[wanted] != NULL)
		wanted++;
	/* OpenSSL 3.0's come first with our names; looking through all of their
	 * names takes half of the time that the context does. */
	if ((n = pick(o, all, kept, begins_alike)) != wanted)
		n = pick(o, all, kept, has_name);
	kept[n++] = (OSSL_ALGORITHM){ 0 };
	return OPENSSL_memdup(kept, n * sizeof(kept[0]));
}

static const OSSL_ALGORITHM *
query_operation(void *context, int id, int *no_cache)
{
	(void)context;
	*no_cache = 0;
	for (size_t i = 0; i < OPERATIONS_MAX; i++)
		if (provider.operations[i].id == id)
			return provider.algorithms[i];
	return NULL;
}

static int
init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **context)
{
	static const OSSL_DISPATCH functions[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION,
		    (void (*)(void))query_operation },
		{ 0, NULL },
	};

	(void)handle;
	(void)in;
	*out = functions;
	/* Each algorithm is called with it. */
	*context = provider.context;
	return 1;
}

/* What the default provider has for each operation. */
static int
take_tables(OSSL_PROVIDER *whole, struct err *err)
{
	provider.context = OSSL_PROVIDER_get0_provider_ctx(whole);
	for (size_t i = 0; i < OPERATIONS_MAX && provider.operations[i].id != 0;
	    i++) {
		const struct operation *o = &provider.operations[i];
		int no_cache = 0;

		provider.algorithms[i] = filter(o,
		    OSSL_PROVIDER_query_operation(whole, o->id, &no_cache));
		if (provider.algorithms[i] == NULL)
			return crypto_error(err, "copying the list of "
			    "algorithms");
	}
	return 0;
}

/*
 * The default provider is loaded into lib as well, for what it fetches itself
 * (a DRBG its hash, KBKDF its HMAC) is looked for in the context into which it
 * was loaded, and is then found in our tables. It is unloaded at once: so it is
 * not asked for algorithms, but lives as long as something fetched from it
 * (crypto/provider_core.c, ossl_provider_free).
 */
int
crypto_provider_load(OSSL_LIB_CTX *lib, enum crypto_use use, struct err *err)
{
	OSSL_PROVIDER *whole = NULL;
	int rc;

	if (provider.operations != NULL)
		return err_set(err, ERR_INTERNAL, "two narrow providers in "
		    "one process");
	provider.operations = uses[use];
	if ((whole = OSSL_PROVIDER_load(lib, "default")) == NULL ||
	    (provider.hold = EVP_ASYM_CIPHER_fetch(lib, "RSA", NULL)) == NULL)
		rc = crypto_error(err, "loading its default provider");
	else
		rc = take_tables(whole, err);
	if (whole != NULL && OSSL_PROVIDER_unload(whole) != 1 && rc == 0)
		rc = crypto_error(err, "unloading its default provider");
	if (rc == 0 && (OSSL_PROVIDER_add_builtin(lib, PROVIDER_NAME,
	    init) != 1 || OSSL_PROVIDER_load(lib, PROVIDER_NAME) == NULL))
		rc = crypto_error(err, "loading our provider");
	return rc;
}
