/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An OpenSSL provider that is the default provider with most of its algorithms
 * left out. OpenSSL makes a table entry of some 700 bytes, and takes time, for
 * each algorithm of an operation when the first of them is fetched: 295 kB for
 * all of them, 85 kB for those that libtpms fetches, 35 kB for ours.
 */
#ifndef NVRAM_CRYPT_CRYPTO_PROVIDER_H
#define NVRAM_CRYPT_CRYPTO_PROVIDER_H

#include <openssl/types.h>

#include "base/err.h"

enum crypto_use {
	CRYPTO_FOR_NVRAM,	/* what nvram-crypt fetches */
	CRYPTO_FOR_TPM,		/* what libtpms 0.9 fetches */
};

/* Gives lib, a new library context without a provider, what that use needs and
 * nothing else. Once in a process. */
int crypto_provider_load(OSSL_LIB_CTX *lib, enum crypto_use use,
    struct err *err);

#endif
