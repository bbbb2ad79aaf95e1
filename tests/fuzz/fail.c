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
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

	/* Happens once, and what fails then fails for good. */
	FUZZ_ASSERT(crypto_init(NULL) == 0);
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

unsigned int
fail_pause(void)
{
	unsigned int one_in = the.one_in;

	the.one_in = 0;
	return one_in;
}

void
fail_resume(unsigned int paused)
{
	the.one_in = paused;
}

_Noreturn void
fail_assertion(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: broken: %s\n", file, line, what);
	abort();
}

/* What follows stands in for the function behind __wrap_; a result that says
 * "failed", with errno sys, comes when fail_now says so. */
#define WRAP(type, name, failure, sys, parameters, arguments) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type \
	__wrap_##name parameters \
	{ \
		if (fail_now()) { \
			errno = sys; \
			return failure; \
		} \
		return __real_##name arguments; \
	}

WRAP(void *, malloc, NULL, ENOMEM, (size_t size), (size))
WRAP(void *, calloc, NULL, ENOMEM, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, NULL, ENOMEM, (void *p, size_t size), (p, size))
WRAP(void *, aligned_alloc, NULL, ENOMEM, (size_t a, size_t size), (a, size))
WRAP(char *, strdup, NULL, ENOMEM, (const char *s), (s))
WRAP(void *, mmap, MAP_FAILED, ENOMEM, (void *at, size_t size, int prot,
    int flags, int fd, off_t offset), (at, size, prot, flags, fd, offset))
WRAP(int, mlock, -1, ENOMEM, (const void *at, size_t size), (at, size))
/* EINVAL: where the kernel has none, mlock is called. */
WRAP(int, mlock2, -1, fail_now() ? ENOMEM : EINVAL, (const void *at,
    size_t size, unsigned int flags), (at, size, flags))

WRAP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, NULL, 0, (void), ())
WRAP(int, EVP_EncryptInit_ex2, 0, 0, (EVP_CIPHER_CTX *c, const EVP_CIPHER *k,
    const unsigned char *key, const unsigned char *iv, const OSSL_PARAM *p),
    (c, k, key, iv, p))
WRAP(int, EVP_CipherInit_ex2, 0, 0, (EVP_CIPHER_CTX *c, const EVP_CIPHER *k,
    const unsigned char *key, const unsigned char *iv, int encrypt,
    const OSSL_PARAM *p), (c, k, key, iv, encrypt, p))
WRAP(int, EVP_EncryptUpdate, 0, 0, (EVP_CIPHER_CTX *c, unsigned char *out,
    int *n, const unsigned char *in, int size), (c, out, n, in, size))
WRAP(int, EVP_CipherUpdate, 0, 0, (EVP_CIPHER_CTX *c, unsigned char *out,
    int *n, const unsigned char *in, int size), (c, out, n, in, size))
WRAP(int, EVP_CIPHER_CTX_ctrl, 0, 0, (EVP_CIPHER_CTX *c, int type, int arg,
    void *p), (c, type, arg, p))
WRAP(int, EVP_Digest, 0, 0, (const void *data, size_t size, unsigned char *md,
    unsigned int *n, const EVP_MD *type, ENGINE *e),
    (data, size, md, n, type, e))
WRAP(EVP_KDF *, EVP_KDF_fetch, NULL, 0, (OSSL_LIB_CTX *lib, const char *name,
    const char *properties), (lib, name, properties))
WRAP(EVP_KDF_CTX *, EVP_KDF_CTX_new, NULL, 0, (EVP_KDF *kdf), (kdf))
WRAP(int, EVP_KDF_derive, 0, 0, (EVP_KDF_CTX *c, unsigned char *key, size_t n,
    const OSSL_PARAM *p), (c, key, n, p))

/* Only of an encryption: a failing decryption is how a wrong tag shows. */
int __real_EVP_CipherFinal_ex(EVP_CIPHER_CTX *c, unsigned char *out, int *n);
int __wrap_EVP_CipherFinal_ex(EVP_CIPHER_CTX *c, unsigned char *out, int *n);
int
__wrap_EVP_CipherFinal_ex(EVP_CIPHER_CTX *c, unsigned char *out, int *n)
{
	if (EVP_CIPHER_CTX_is_encrypting(c) && fail_now())
		return 0;
	return __real_EVP_CipherFinal_ex(c, out, n);
}

WRAP(int, fstat, -1, EIO, (int fd, struct stat *st), (fd, st))
WRAP(int, fsync, -1, EIO, (int fd), (fd))
WRAP(off_t, lseek, -1, ESPIPE, (int fd, off_t offset, int from),
    (fd, offset, from))
WRAP(int, socketpair, -1, EMFILE, (int domain, int type, int protocol,
    int ends[2]), (domain, type, protocol, ends))
WRAP(int, accept4, -1, EMFILE, (int fd, struct sockaddr *a, socklen_t *n,
    int flags), (fd, a, n, flags))

/* EINTR first, which has to be gone over, then for good. */
static int
interrupted_or(int sys)
{
	return fail_now() ? sys : EINTR;
}

WRAP(int, fdatasync, -1, interrupted_or(EIO), (int fd), (fd))
WRAP(ssize_t, recvmsg, -1, interrupted_or(ECONNRESET), (int fd,
    struct msghdr *m, int flags), (fd, m, flags))
WRAP(ssize_t, sendmsg, -1, interrupted_or(ECONNRESET), (int fd,
    const struct msghdr *m, int flags), (fd, m, flags))

/* As much of size as is done: less, or none and errno. */
static size_t
share_of(size_t size, int sys)
{
	if (!fail_now())
		return size;
	if (fail_now() && size > 1)
		return 1 + next(&the.state) % (size - 1);
	errno = interrupted_or(sys);
	return 0;
}

#define WRAP_IO(name, sys, parameters, arguments) \
	ssize_t __real_##name parameters; \
	ssize_t __wrap_##name parameters; \
	ssize_t \
	__wrap_##name parameters \
	{ \
		size_t whole = size; \
\
		size = share_of(size, sys); \
		return size == 0 && whole > 0 ? -1 : __real_##name arguments; \
	}

WRAP_IO(read, EIO, (int fd, void *data, size_t size), (fd, data, size))
WRAP_IO(write, ENOSPC, (int fd, const void *data, size_t size),
    (fd, data, size))
WRAP_IO(pread, EIO, (int fd, void *data, size_t size, off_t at),
    (fd, data, size, at))
WRAP_IO(pwrite, ENOSPC, (int fd, const void *data, size_t size, off_t at),
    (fd, data, size, at))
WRAP_IO(sendfile, ECONNRESET, (int out, int in, off_t *at, size_t size),
    (out, in, at, size))

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

ssize_t __wrap_getrandom(void *out, size_t size, unsigned int flags);
ssize_t
__wrap_getrandom(void *out, size_t size, unsigned int flags)
{
	(void)flags;
	if (__wrap_RAND_priv_bytes_ex(NULL, out, size, 0) == 1)
		return (ssize_t)size;
	errno = EAGAIN;
	return -1;
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
