/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trust-authority/common/service.h"

static int
check_mode(int fd, const char *file, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot look at %s", file);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USAGE, "%s is not a file", file);
	if (st.st_mode & S_IRWXO)
		return err_set(err, ERR_REFUSED, "%s has a key that every user "
		    "of this machine can read; chmod o= %s", file, file);
	return 0;
}

static int
digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
decode(const struct secret *text, const char *file, struct secret *key,
    struct err *err)
{
	const uint8_t *in = secret_bytes(text);
	uint8_t *out = secret_data(key);
	bool good = secret_size(text) == 2 * SERVICE_SEALING_SIZE;

	for (size_t i = 0; good && i < SERVICE_SEALING_SIZE; i++) {
		int high = digit(in[2 * i]), low = digit(in[2 * i + 1]);

		good = high >= 0 && low >= 0;
		if (good)
			out[i] = (uint8_t)(high << 4 | low);
	}
	if (!good)
		return err_set(err, ERR_FORMAT, "%s is not a sealing key: %d "
		    "lower-case hexadecimal digits and a newline", file,
		    2 * SERVICE_SEALING_SIZE);
	return 0;
}

int
service_sealing_key(const char *file, struct secret **out, struct err *err)
{
	struct secret *text = NULL, *key = NULL;
	int fd, rc;

	if ((fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0)
		return err_sys(err, errno, "cannot open the sealing key %s",
		    file);
	if ((rc = check_mode(fd, file, err)) < 0)
		goto out;
	if ((text = secret_read_fd(fd, 4096, err)) == NULL) {
		rc = err_prefix(err, "%s", file);
		goto out;
	}
	if ((key = secret_new(SERVICE_SEALING_SIZE)) == NULL) {
		rc = err_sys(err, errno, "no locked memory for a key");
		goto out;
	}
	if ((rc = decode(text, file, key, err)) == 0) {
		*out = key;
		key = NULL;
	}
out:
	secret_free(text);
	secret_free(key);
	close(fd);
	return rc;
}

int
service_derive(const struct secret *sealing, const char *purpose,
    struct secret **out, struct err *err)
{
	/* OpenSSL's parameters are not const; it only reads these. */
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
		    (char *)(uintptr_t)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
		    (void *)(uintptr_t)secret_bytes(sealing),
		    secret_size(sealing)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
		    (void *)(uintptr_t)purpose, strlen(purpose)),
		OSSL_PARAM_construct_end() };
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	struct secret *key = secret_new(SERVICE_SEALING_SIZE);
	int rc = 0;

	if (ctx == NULL || key == NULL || EVP_KDF_derive(ctx,
	    secret_data(key), SERVICE_SEALING_SIZE, params) != 1) {
		rc = err_set(err, ERR_CRYPTO, "cannot derive a key");
		goto out;
	}
	*out = key;
	key = NULL;
out:
	secret_free(key);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return rc;
}
