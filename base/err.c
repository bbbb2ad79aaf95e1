/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef err_set		/* what err.h puts round them for the analyzer */
#undef err_sys
#undef err_prefix
#undef err_append

int
err_set(struct err *err, int code, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err->code = code;
	err->sys = 0;
	memcpy(err->text, text, strlen(text) + 1);
	return code;
}

int
err_sys(struct err *err, int sys, const char *fmt, ...)
{
	int code = sys == ENOSPC || sys == EDQUOT ? ERR_NOSPACE : ERR_SYSTEM;
	char what[ERR_TEXT_MAX];
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	err_set(err, code, "%.900s: %s", what, strerror(sys));
	err->sys = sys;
	return code;
}

int
err_prefix(struct err *err, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX], front[256];
	va_list ap;

	if (err == NULL)
		return ERR_INTERNAL;
	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(front, sizeof(front), fmt, ap);
	va_end(ap);
	snprintf(err->text, sizeof(err->text), "%s: %.*s", front,
	    (int)(sizeof(err->text) - sizeof(front) - 3), old);
	return err->code;
}

int
err_append(struct err *err, const char *fmt, ...)
{
	char more[ERR_TEXT_MAX];
	size_t used;
	va_list ap;

	if (err == NULL)
		return ERR_INTERNAL;
	used = strlen(err->text);
	va_start(ap, fmt);
	vsnprintf(more, sizeof(more), fmt, ap);
	va_end(ap);
	snprintf(err->text + used, sizeof(err->text) - used, "%s", more);
	return err->code;
}

static const struct {
	int code;
	const char *name;
	int exit_status;
} codes[] = {
	{ 0, "ok", 0 },
	{ ERR_INTERNAL, "internal", 1 },
	{ ERR_SYSTEM, "system", 1 },
	{ ERR_FORMAT, "format", 6 },
	{ ERR_AUTH, "auth", 6 },
	{ ERR_KEY, "key", 4 },
	{ ERR_STALE, "stale", 5 },
	{ ERR_BUSY, "busy", 7 },
	{ ERR_EXISTS, "exists", 8 },
	{ ERR_NOTFOUND, "not-found", 3 },
	{ ERR_USAGE, "usage", 2 },
	{ ERR_UNSUPPORTED, "unsupported", 1 },
	{ ERR_NOSPACE, "no-space", 1 },
	{ ERR_TPM, "tpm", 1 },
	{ ERR_CRYPTO, "crypto", 1 },
	{ ERR_CLOSED, "closed", 1 },
	{ ERR_REFUSED, "refused", 1 },
};

const char *
err_name(int code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].name;
	return "unknown";
}

int
err_exit_status(int code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].exit_status;
	return 1;
}
