/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/secret.h"
#include "migration/swtpm-state.h"
#include "nvram-crypt/crypto.h"

#define INPUT_MAX 4096u
#define KEY_SIZE_MAX 32u
/* swtpm's own, key.c: a cost of yesterday, but it is the format. */
#define ITERATIONS 1000u
static const uint8_t salt[5] = { 's', 'w', 't', 'p', 'm' };

enum kdf { KDF_PBKDF2, KDF_SHA512 };

struct swtpm_key {
	size_t size;		/* by mode, or of the key; 0: not said */
	struct secret *key;	/* or */
	struct secret *passphrase;
	enum kdf kdf;
};

/* What the text said. */
struct spec {
	const char *source;	/* path or number */
	bool by_fd, passphrase, binary;
	size_t size;
	enum kdf kdf;
	bool kdf_said, format_said;
};

/* -- the text -- */

static int
set_source(struct spec *s, const char *value, bool by_fd, bool passphrase,
    struct err *err)
{
	if (s->source != NULL)
		return err_set(err, ERR_USAGE, "swtpm's key comes from one "
		    "place: file, fd, pwdfile or pwdfd");
	s->source = value;
	s->by_fd = by_fd;
	s->passphrase = passphrase;
	return 0;
}

/* One of two words: 0, 1 or -1. */
static int
which(const char *value, const char *zero, const char *one)
{
	if (strcmp(value, zero) == 0)
		return 0;
	return strcmp(value, one) == 0 ? 1 : -1;
}

static int
set_option(struct spec *s, const char *name, const char *value,
    struct err *err)
{
	int n = -1;

	if (strcmp(name, "file") == 0 || strcmp(name, "fd") == 0)
		return set_source(s, value, name[1] == 'd', false, err);
	if (strcmp(name, "pwdfile") == 0 || strcmp(name, "pwdfd") == 0)
		return set_source(s, value, name[4] == 'd', true, err);
	if (strcmp(name, "format") == 0 &&
	    (n = which(value, "hex", "binary")) >= 0) {
		s->binary = n == 1;
		s->format_said = true;
	} else if (strcmp(name, "mode") == 0) {
		n = which(value, "aes-cbc", "aes-256-cbc");
		if (n < 0)
			n = which(value, "aes-128-cbc", "aes-256-cbc");
		s->size = n == 1 ? 32 : 16;
	} else if (strcmp(name, "kdf") == 0 &&
	    (n = which(value, "pbkdf2", "sha512")) >= 0) {
		s->kdf = n == 1 ? KDF_SHA512 : KDF_PBKDF2;
		s->kdf_said = true;
	}
	if (n >= 0)
		return 0;
	/* The text is not repeated: it may be somebody's passphrase. */
	return err_set(err, ERR_USAGE, "swtpm's key is file=F or fd=N, with "
	    "format=hex|binary; or pwdfile=F or pwdfd=N, with "
	    "kdf=pbkdf2|sha512; and mode=aes-cbc|aes-256-cbc");
}

static int
parse_spec(struct spec *s, char *text, struct err *err)
{
	char *rest = text, *one, *equals;
	int rc;

	while ((one = strsep(&rest, ",")) != NULL) {
		if ((equals = strchr(one, '=')) != NULL)
			*equals++ = '\0';
		if ((rc = set_option(s, one, equals != NULL ? equals : "",
		    err)) < 0)
			return rc;
	}
	if (s->source == NULL || s->source[0] == '\0')
		return err_set(err, ERR_USAGE, "where is swtpm's key? file=, "
		    "fd=, pwdfile= or pwdfd=");
	if (s->passphrase ? s->format_said : s->kdf_said)
		return err_set(err, ERR_USAGE, "format= is for a key, kdf= for "
		    "a passphrase");
	return 0;
}

/* -- what it names -- */

static int
open_source(const struct spec *s, struct err *err)
{
	char *end;
	long n;
	int fd;

	if (!s->by_fd) {
		fd = open(s->source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		return fd >= 0 ? fd : err_sys(err, errno, "cannot open %s",
		    s->source);
	}
	n = strtol(s->source, &end, 10);
	if (*end != '\0' || n < 0 || n > INT_MAX)
		return err_set(err, ERR_USAGE, "'%s' is not the number of a "
		    "descriptor", s->source);
	return (int)n;
}

/* To its last byte: a newline at the end of a passphrase's file is part of it
 * for swtpm, so secret_read_fd will not do. */
static int
read_source(const struct spec *s, struct secret **out, struct err *err)
{
	size_t have = 0;
	ssize_t n = 1;
	int fd, rc = 0;

	if ((fd = open_source(s, err)) < 0)
		return fd;
	if ((*out = secret_new(INPUT_MAX)) == NULL)
		rc = err_sys(err, errno, "cannot lock memory for a key");
	while (rc == 0 && n > 0 && have < INPUT_MAX) {
		n = read(fd, secret_data(*out) + have, INPUT_MAX - have);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			rc = err_sys(err, errno, "cannot read swtpm's key");
		else
			have += (size_t)n;
	}
	if (rc == 0 && (have == 0 || have == INPUT_MAX))
		rc = err_set(err, ERR_USAGE, "swtpm's key is empty, or longer "
		    "than %u bytes", INPUT_MAX - 1);
	if (!s->by_fd)
		close(fd);
	if (rc == 0)
		secret_truncate(*out, have);
	return rc;
}

static int
digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (uint8_t)tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Digits up to the first white space, perhaps after 0x; in place. */
static int
from_hex(struct secret *s)
{
	uint8_t *bytes = secret_data(s);
	size_t size = secret_size(s), at = 0, n = 0;

	if (size > 2 && bytes[0] == '0' && bytes[1] == 'x')
		at = 2;
	for (; at < size && !isspace(bytes[at]); at += 2, n++) {
		int high = digit(bytes[at]);
		int low = at + 1 < size ? digit(bytes[at + 1]) : -1;

		if (high < 0 || low < 0)
			return -1;
		bytes[n] = (uint8_t)(high << 4 | low);
	}
	secret_truncate(s, n);
	return 0;
}

static int
take_key(struct swtpm_key *k, const struct spec *s, struct secret *input,
    struct err *err)
{
	size_t size;

	if (!s->binary && from_hex(input) < 0)
		return err_set(err, ERR_USAGE, "swtpm's key is not hexadecimal "
		    "digits; if it is raw bytes, say format=binary");
	size = secret_size(input);
	if ((size != 16 && size != 32) || (s->size != 0 && s->size != size))
		return err_set(err, ERR_USAGE, "swtpm's key has %zu bits: %s",
		    8 * size, s->size != 0 ? "that is not what its mode "
		    "needs" : "it must be 128 or 256");
	k->key = input;
	k->size = size;
	return 0;
}

int
swtpm_key_parse(struct swtpm_key **out, const char *text, struct err *err)
{
	struct swtpm_key *k = calloc(1, sizeof(*k));
	struct spec spec = { 0 };
	struct secret *input = NULL;
	char *copy = strdup(text);
	int rc;

	*out = NULL;
	if (k == NULL || copy == NULL) {
		rc = err_sys(err, ENOMEM, "cannot keep a key");
		goto out;
	}
	if ((rc = parse_spec(&spec, copy, err)) < 0 ||
	    (rc = read_source(&spec, &input, err)) < 0)
		goto out;
	k->kdf = spec.kdf;
	k->size = spec.size;
	if (spec.passphrase)
		k->passphrase = input;
	else if ((rc = take_key(k, &spec, input, err)) < 0)
		goto out;
	input = NULL;
	*out = k;
	k = NULL;
out:
	secret_free(input);
	swtpm_key_free(k);
	free(copy);
	return rc;
}

void
swtpm_key_free(struct swtpm_key *k)
{
	if (k == NULL)
		return;
	secret_free(k->key);
	secret_free(k->passphrase);
	free(k);
}

size_t
swtpm_key_size(const struct swtpm_key *k)
{
	return k->size;
}

static int
hash(const struct secret *passphrase, uint8_t *out, size_t size,
    struct err *err)
{
	uint8_t digest[64];
	int rc;

	if ((rc = crypto_init(err)) < 0)
		return rc;
	if (EVP_Q_digest(crypto_context(), "SHA512", NULL,
	    secret_bytes(passphrase), secret_size(passphrase), digest,
	    NULL) != 1)
		rc = crypto_error(err, "SHA-512");
	else
		memcpy(out, digest, size);
	cleanse(digest, sizeof(digest));
	return rc;
}

/* Not crypto_pbkdf2, which keeps the lower limits of SP 800-132: this salt is
 * shorter. */
static int
stretch(const struct secret *passphrase, uint8_t *out, size_t size,
    struct err *err)
{
	EVP_KDF_CTX *ctx = NULL;
	EVP_KDF *kdf = NULL;
	uint32_t iterations = ITERATIONS;
	int no_limits = 1, rc;
	char digest[] = "SHA512";
	OSSL_PARAM params[6];

	if ((rc = crypto_init(err)) < 0)
		return rc;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
	    digest, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD,
	    (void *)(uintptr_t)secret_bytes(passphrase),
	    secret_size(passphrase));
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
	    (void *)(uintptr_t)salt, sizeof(salt));
	params[3] = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ITER,
	    &iterations);
	params[4] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5,
	    &no_limits);
	params[5] = OSSL_PARAM_construct_end();
	if ((kdf = EVP_KDF_fetch(crypto_context(), "PBKDF2", NULL)) == NULL ||
	    (ctx = EVP_KDF_CTX_new(kdf)) == NULL ||
	    EVP_KDF_derive(ctx, out, size, params) != 1)
		rc = crypto_error(err, "PBKDF2");
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return rc;
}

int
swtpm_key_get(const struct swtpm_key *k, size_t size, struct secret **bytes,
    struct err *err)
{
	int rc = 0;

	*bytes = NULL;
	if (k->size != 0 && k->size != size)
		return err_set(err, ERR_KEY, "swtpm's state is under a key of "
		    "%zu bits, and this one is for %zu: see mode=", 8 * size,
		    8 * k->size);
	if (size > KEY_SIZE_MAX || (*bytes = secret_new(size)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	if (k->key != NULL)
		memcpy(secret_data(*bytes), secret_bytes(k->key), size);
	else if (k->kdf == KDF_SHA512)
		rc = hash(k->passphrase, secret_data(*bytes), size, err);
	else
		rc = stretch(k->passphrase, secret_data(*bytes), size, err);
	if (rc < 0) {
		secret_free(*bytes);
		*bytes = NULL;
	}
	return rc;
}
