/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A system call filter: a table of calls and what becomes of each, assembled
 * into a classic BPF program for seccomp(2). By hand, and not by libseccomp,
 * because that costs every start a library, a heap and a quarter of a
 * millisecond per filter; doc/performance.md.
 *
 *	struct syscall_filter f;
 *
 *	syscall_filter_start(&f, SECCOMP_RET_KILL_PROCESS);
 *	syscall_filter_add(&f, SECCOMP_RET_ALLOW, calls, n);
 *	rc = syscall_filter_load(&f, err);
 *
 * A list of what is forbidden works as well: start with SECCOMP_RET_ALLOW and
 * add with another action.
 */
#ifndef VTPM_SYSCALL_FILTER_H
#define VTPM_SYSCALL_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SYSCALL_RULES_MAX 96
/* So that every jump fits its eight bits. */
#define SYSCALL_CODE_MAX 255

/* When a rule holds; where it does not, the call is one of the others. */
enum syscall_check {
	SYSCALL_ALWAYS,
	SYSCALL_BITS_CLEAR,	/* none of these low 32 bits of the argument */
	SYSCALL_EQUAL,		/* the whole argument */
};

struct syscall_rule {
	uint32_t number;
	uint32_t action;
	enum syscall_check check;
	unsigned int argument;	/* 0 to 5 */
	uint32_t value;
};

struct syscall_filter {
	uint32_t otherwise;
	size_t n;
	bool full;		/* more rules than there is room for */
	struct syscall_rule rules[SYSCALL_RULES_MAX];
};

/* otherwise, action: SECCOMP_RET_... Calls by another architecture's numbers
 * (i386, x32) always kill the process. */
void syscall_filter_start(struct syscall_filter *f, uint32_t otherwise);
/* Each call once in a filter. */
void syscall_filter_add(struct syscall_filter *f, uint32_t action,
    const int *calls, size_t n);
void syscall_filter_add_if(struct syscall_filter *f, uint32_t action, int call,
    enum syscall_check check, unsigned int argument, uint32_t value);

/* The number of instructions in code, or an error. */
int syscall_filter_assemble(const struct syscall_filter *f,
    struct sock_filter code[SYSCALL_CODE_MAX], struct err *err);
/* For all threads of this process and for good. The process must have given up
 * gaining privileges (PR_SET_NO_NEW_PRIVS). */
int syscall_filter_load(const struct syscall_filter *f, struct err *err);

#endif
