/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a vTPM has what Windows is documented to need of one: doc/windows.md
 * names each check with its source. Asked of a copy in this process's memory,
 * so that nothing of the vTPM itself changes.
 */
#ifndef VTPM_WINDOWS_CHECK_H
#define VTPM_WINDOWS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define WINDOWS_CHECKS_MAX 48u

enum windows_verdict {
	WINDOWS_OK,
	/* Windows works without; Microsoft's certification programme for
	 * hardware, or another host's administrator, may ask for it. */
	WINDOWS_ADVICE,
	WINDOWS_SHORT,
};

struct windows_check {
	const char *name;		/* "ek-certificate" */
	const char *source;		/* see doc/windows.md */
	enum windows_verdict verdict;
	char found[320];		/* what there is */
	const char *remedy;		/* what to do; NULL where it is well */
};

struct windows_report {
	struct windows_check checks[WINDOWS_CHECKS_MAX];
	size_t n;
};

/* state: a TPM's permanent state. Once per process. An error means that the TPM
 * could not be asked at all. */
int windows_check(const uint8_t *state, size_t size, struct windows_report *r,
    struct err *err);

#endif
