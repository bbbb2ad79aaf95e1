/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Errors of the whole project: one enum, returned negative, and an optional
 * text for the person who has to do something about it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum {
	ERR_INTERNAL = -1,   /* a bug of ours, or a library that broke its word */
	ERR_SYSTEM = -2,     /* a system call failed; err.sys holds errno */
	ERR_FORMAT = -3,     /* bytes that are not what they should be */
	ERR_AUTH = -4,       /* an authentication tag did not verify */
	ERR_KEY = -5,        /* no protector could be opened with what was given */
	ERR_STALE = -6,      /* freshness: an older or forked copy */
	ERR_BUSY = -7,       /* somebody else holds it */
	ERR_EXISTS = -8,     /* would overwrite */
	ERR_NOTFOUND = -9,
	ERR_USAGE = -10,     /* wrong arguments */
	ERR_UNSUPPORTED = -11,
	ERR_NOSPACE = -12,
	ERR_TPM = -13,       /* libtpms or a TPM command failed; err.sys holds the TPM_RC */
	ERR_CRYPTO = -14,    /* OpenSSL failed where it must not */
	ERR_CLOSED = -15,    /* the peer went away */
	ERR_REFUSED = -16,   /* a rule forbids it */
};

#define ERR_TEXT_MAX 1024

/* What went wrong, for a reader: what was tried, on what, what the system
 * said, what to do. Zero-initialise; holds the first error set. */
struct err {
	int code;
	long sys;
	char text[ERR_TEXT_MAX];
};

/* Sets *err (may be NULL) and returns code, so that callers write
 * `return err_set(...)`. An earlier text is replaced, and
 * may be one of the arguments, as of all of these. */
int err_set(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set with ERR_SYSTEM (ERR_NOSPACE for ENOSPC and EDQUOT); appends
 * ": " and strerror(sys). */
int err_sys(struct err *err, int sys, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "text: " in front of what err already says. Returns err->code. */
int err_prefix(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Appends to what err already says, for advice. Returns err->code. */
int err_append(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* The analyzer does not see into err.c, and would follow paths on which these
 * return 0, as if nothing had failed. */
#define err_set(err, code, ...) ((void)err_set(err, code, __VA_ARGS__), (code))
#define err_sys(err, ...) ((void)err_sys(err, __VA_ARGS__), ERR_SYSTEM)
#define err_prefix(err, ...) ((void)err_prefix(err, __VA_ARGS__), ERR_INTERNAL)
#define err_append(err, ...) ((void)err_append(err, __VA_ARGS__), ERR_INTERNAL)
#endif

/* A stable one-word name ("auth", "stale", ...) for JSON and logs. */
const char *err_name(int code);

/* Exit status of a command that ended with this code: 0 success, 1 general,
 * 2 usage, 3 not found, 4 key, 5 refused as stale, 6 damaged, 7 busy,
 * 8 exists. The man pages' EXIT STATUS sections list them. */
int err_exit_status(int code);

#endif
