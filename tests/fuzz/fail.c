/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/fail.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "nvram-crypt/crypto.h"

#define SEED 0x9e3779b9u
#define NOW 1700000000		/* seconds since 1970; any will do */
/* As few as OpenSSL allows (SP 800-132), or each input takes a second. */
#define ITERATIONS 1000u

static struct {
	unsigned int one_in;	/* 0: nothing fails */
	uint32_t state;		/* of what fails */
	uint32_t random;	/* of what a key is made from */
	bool failed;
} the = { .state = SEED, .random = SEED };

/* xorshift32 */
static uint32_t
next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

void
fail_begin(struct buf *in)
{
	uint8_t bytes[4] = { 0 };

	(void)buf_get_bytes(in, bytes, sizeof(bytes));
	the.one_in = bytes[0];
	the.state = SEED ^ (uint32_t)(bytes[1] << 16 | bytes[2] << 8 |
	    bytes[3]);
	the.random = SEED;
	the.failed = false;
}

bool
fail_end(void)
{
	the.one_in = 0;
	return the.failed;
}

bool
fail_now(void)
{
	if (the.one_in == 0 || next(&the.state) % the.one_in != 0)
		return false;
	the.failed = true;
	return true;
}

_Noreturn void
fail_assertion(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: broken: %s\n", file, line, what);
	abort();
}

/* What follows stands in for the function behind __wrap_; a result that says
 * "failed" comes when fail_now says so. */
#define WRAP(type, name, failure, parameters, arguments) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type \
	__wrap_##name parameters \
	{ \
		if (fail_now()) { \
			errno = ENOMEM; \
			return failure; \
		} \
		return __real_##name arguments; \
	}

WRAP(void *, malloc, NULL, (size_t size), (size))
WRAP(void *, calloc, NULL, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, NULL, (void *p, size_t size), (p, size))
WRAP(void *, aligned_alloc, NULL, (size_t a, size_t size), (a, size))
WRAP(char *, strdup, NULL, (const char *s), (s))
WRAP(void *, mmap, MAP_FAILED, (void *at, size_t size, int prot, int flags,
    int fd, off_t offset), (at, size, prot, flags, fd, offset))
WRAP(int, mlock, -1, (const void *at, size_t size), (at, size))

WRAP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, NULL, (void), ())
WRAP(int, EVP_EncryptInit_ex2, 0, (EVP_CIPHER_CTX *c, const EVP_CIPHER *k,
    const unsigned char *key, const unsigned char *iv, const OSSL_PARAM *p),
    (c, k, key, iv, p))
WRAP(int, EVP_CipherInit_ex2, 0, (EVP_CIPHER_CTX *c, const EVP_CIPHER *k,
    const unsigned char *key, const unsigned char *iv, int encrypt,
    const OSSL_PARAM *p), (c, k, key, iv, encrypt, p))
WRAP(int, EVP_EncryptUpdate, 0, (EVP_CIPHER_CTX *c, unsigned char *out,
    int *n, const unsigned char *in, int size), (c, out, n, in, size))
WRAP(int, EVP_CipherUpdate, 0, (EVP_CIPHER_CTX *c, unsigned char *out,
    int *n, const unsigned char *in, int size), (c, out, n, in, size))
WRAP(int, EVP_CIPHER_CTX_ctrl, 0, (EVP_CIPHER_CTX *c, int type, int arg,
    void *p), (c, type, arg, p))
WRAP(int, EVP_Digest, 0, (const void *data, size_t size, unsigned char *md,
    unsigned int *n, const EVP_MD *type, ENGINE *e),
    (data, size, md, n, type, e))
WRAP(EVP_KDF_CTX *, EVP_KDF_CTX_new, NULL, (EVP_KDF *kdf), (kdf))
WRAP(int, EVP_KDF_derive, 0, (EVP_KDF_CTX *c, unsigned char *key, size_t n,
    const OSSL_PARAM *p), (c, key, n, p))
/* Not EVP_CipherFinal_ex: a failure of it is how a wrong tag shows. */

/* EINTR first, which has to be gone over, then for good. */
static int
socket_error(void)
{
	return fail_now() ? ECONNRESET : EINTR;
}

ssize_t __real_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t
__wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	if (!fail_now())
		return __real_recvmsg(fd, m, flags);
	errno = socket_error();
	return -1;
}

ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t
__wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	if (!fail_now())
		return __real_sendmsg(fd, m, flags);
	errno = socket_error();
	return -1;
}

int __wrap_RAND_priv_bytes_ex(OSSL_LIB_CTX *lib, unsigned char *out,
    size_t size, unsigned int strength);
int
__wrap_RAND_priv_bytes_ex(OSSL_LIB_CTX *lib, unsigned char *out, size_t size,
    unsigned int strength)
{
	(void)lib;
	(void)strength;
	if (fail_now())
		return 0;
	for (size_t i = 0; i < size; i++)
		out[i] = (unsigned char)(next(&the.random) >> 11);
	return 1;
}

time_t __wrap_time(time_t *t);
time_t
__wrap_time(time_t *t)
{
	if (t != NULL)
		*t = NOW;
	return NOW;
}

int __real_crypto_pbkdf2(const void *passphrase, size_t passphrase_size,
    const void *salt, size_t salt_size, uint32_t iterations, uint8_t *out,
    size_t out_size, struct err *err);
int __wrap_crypto_pbkdf2(const void *passphrase, size_t passphrase_size,
    const void *salt, size_t salt_size, uint32_t iterations, uint8_t *out,
    size_t out_size, struct err *err);
int
__wrap_crypto_pbkdf2(const void *passphrase, size_t passphrase_size,
    const void *salt, size_t salt_size, uint32_t iterations, uint8_t *out,
    size_t out_size, struct err *err)
{
	return __real_crypto_pbkdf2(passphrase, passphrase_size, salt,
	    salt_size, iterations < ITERATIONS ? iterations : ITERATIONS, out,
	    out_size, err);
}
