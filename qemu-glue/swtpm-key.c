/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/swtpm-key.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "qemu-glue/suboptions.h"

#define PASSPHRASE_MAX 1024	/* vtpmd's */

static const char *const known[] = { "file=", "fd=", "pwdfile=", "pwdfd=",
	"format=", "mode=", "kdf=", "remove?", NULL };

/* Bytes of the AES key that a mode is for; 0: there is no such mode. */
static size_t
key_size(const char *mode)
{
	if (mode == NULL || strcmp(mode, "aes-cbc") == 0 ||
	    strcmp(mode, "aes-128-cbc") == 0)
		return 16;
	return strcmp(mode, "aes-256-cbc") == 0 ? 32 : 0;
}

static int
check_words(const struct suboptions *s, struct err *err)
{
	const char *format = suboptions_get(s, "format");
	const char *kdf = suboptions_get(s, "kdf");
	const char *mode = suboptions_get(s, "mode");

	if (key_size(mode) == 0)
		return err_set(err, ERR_USAGE, "%s: Unknown encryption mode "
		    "'%s'", s->option, mode);
	if (format != NULL && strcmp(format, "hex") != 0 &&
	    strcmp(format, "binary") != 0)
		return err_set(err, ERR_USAGE, "%s: Unknown key format '%s'",
		    s->option, format);
	if (kdf != NULL && strcmp(kdf, "pbkdf2") != 0 &&
	    strcmp(kdf, "sha512") != 0)
		return err_set(err, ERR_USAGE, "%s: Unknown kdf '%s'",
		    s->option, kdf);
	if (suboptions_has(s, "file") + suboptions_has(s, "fd") +
	    suboptions_has(s, "pwdfile") + suboptions_has(s, "pwdfd") != 1)
		return err_set(err, ERR_USAGE, "%s: Either file=, fd=, "
		    "pwdfile= or pwdfd= must be given", s->option);
	return 0;
}

static struct secret *
read_source(const struct suboptions *s, const char *file, const char *fd_name,
    struct err *err)
{
	const char *path = suboptions_get(s, file);
	struct secret *read;
	unsigned long n = 0;
	int fd;

	if (suboptions_number(s, fd_name, 10, 1 << 20, &n, err) < 0)
		return NULL;
	fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : (int)n;
	if (fd < 0) {
		err_sys(err, errno, "Unable to open file %s", path);
		return NULL;
	}
	read = secret_read_fd(fd, PASSPHRASE_MAX, err);
	close(fd);
	return read;
}

static struct secret *
hex_of_binary(const struct secret *key, size_t size, struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *in = secret_bytes(key);
	struct secret *hex;

	if (secret_size(key) != size) {
		err_set(err, ERR_USAGE, "the key has %zu bytes, and not the "
		    "%zu of this mode", secret_size(key), size);
		return NULL;
	}
	if ((hex = secret_new(2 * size)) == NULL) {
		err_sys(err, errno, "cannot lock memory for a key");
		return NULL;
	}
	for (size_t i = 0; i < size; i++) {
		secret_data(hex)[2 * i] = (uint8_t)digits[in[i] >> 4];
		secret_data(hex)[2 * i + 1] = (uint8_t)digits[in[i] & 15];
	}
	return hex;
}

static struct secret *
hex_of_text(const struct secret *text, size_t size, struct err *err)
{
	const uint8_t *in = secret_bytes(text);
	size_t n = secret_size(text);
	struct secret *hex;

	if (n > 2 && in[0] == '0' && (in[1] == 'x' || in[1] == 'X')) {
		in += 2;
		n -= 2;
	}
	while (n > 0 && isspace(in[n - 1]))
		n--;
	if (n != 2 * size) {
		err_set(err, ERR_USAGE, "the key has %zu hexadecimal digits, "
		    "and not the %zu of this mode", n, 2 * size);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (!isxdigit(in[i])) {
			err_set(err, ERR_USAGE, "the key is not in "
			    "hexadecimal digits");
			return NULL;
		}
	if ((hex = secret_new(n)) == NULL)
		err_sys(err, errno, "cannot lock memory for a key");
	for (size_t i = 0; hex != NULL && i < n; i++)
		secret_data(hex)[i] = (uint8_t)tolower(in[i]);
	return hex;
}

/* Binary keys may end with a byte that looks like a line's end, which
 * secret_read_fd drops. */
static struct secret *
read_binary(const struct suboptions *s, size_t size, struct err *err)
{
	const char *path = suboptions_get(s, "file");
	struct secret *key = secret_new(size), *hex = NULL;
	unsigned long n = 0;
	uint8_t more;
	int fd;

	if (key == NULL) {
		err_sys(err, errno, "cannot lock memory for a key");
		return NULL;
	}
	if (suboptions_number(s, "fd", 10, 1 << 20, &n, err) < 0)
		goto out;
	fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : (int)n;
	if (fd < 0) {
		err_sys(err, errno, "Unable to open file %s", path);
		goto out;
	}
	if (fdio_read(fd, secret_data(key), size) < 0 || read(fd, &more, 1) > 0)
		err_set(err, ERR_USAGE, "the key has not the %zu bytes of "
		    "this mode", size);
	else
		hex = hex_of_binary(key, size, err);
	close(fd);
out:
	secret_free(key);
	return hex;
}

static struct secret *
read_key(const struct suboptions *s, struct err *err)
{
	const char *format = suboptions_get(s, "format");
	size_t size = key_size(suboptions_get(s, "mode"));
	struct secret *text, *hex;

	if (format != NULL && strcmp(format, "binary") == 0)
		return read_binary(s, size, err);
	if ((text = read_source(s, "file", "fd", err)) == NULL)
		return NULL;
	hex = hex_of_text(text, size, err);
	secret_free(text);
	return hex;
}

struct secret *
swtpm_key_passphrase(const char *option, const char *spec, struct err *err)
{
	struct secret *passphrase = NULL;
	struct suboptions s;
	const char *path;
	bool remove = false;

	if (suboptions_parse(&s, option, spec, known, err) < 0)
		return NULL;
	if (check_words(&s, err) < 0 ||
	    suboptions_flag(&s, "remove", &remove, err) < 0)
		goto out;
	if (suboptions_has(&s, "file") || suboptions_has(&s, "fd"))
		passphrase = read_key(&s, err);
	else
		passphrase = read_source(&s, "pwdfile", "pwdfd", err);
	path = suboptions_get(&s, "file");
	if (path == NULL)
		path = suboptions_get(&s, "pwdfile");
	if (passphrase != NULL && remove && path != NULL && unlink(path) < 0)
		fprintf(stderr, "swtpm: cannot remove %s: %s\n", path,
		    strerror(errno));
out:
	suboptions_free(&s);
	return passphrase;
}

int
swtpm_key_descriptor(const struct secret *passphrase, int *fd, struct err *err)
{
	int ends[2];

	/* A pipe has room for more than a passphrase may have. */
	if (pipe(ends) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	if (fdio_write(ends[1], secret_bytes(passphrase),
	    secret_size(passphrase)) < 0) {
		close(ends[0]);
		close(ends[1]);
		return err_sys(err, errno, "cannot pass a passphrase on");
	}
	close(ends[1]);
	*fd = ends[0];
	return 0;
}
