/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/syscall-filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define THIS_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define THIS_ARCH AUDIT_ARCH_RISCV64
#else
/* cppcheck-suppress preprocessorErrorDirective */
#error "which AUDIT_ARCH_ (linux/audit.h) is this, and is it little-endian?"
#endif

/* Numbers from here on are x32's on x86-64 (asm/unistd.h, __X32_SYSCALL_BIT),
 * and nobody's elsewhere. */
#define FOREIGN_NUMBERS 0x40000000u

#define NUMBER_AT offsetof(struct seccomp_data, nr)
#define ARCH_AT offsetof(struct seccomp_data, arch)
/* Little-endian: the low half first. */
#define LOW_AT(i) (offsetof(struct seccomp_data, args) + 8u * (i))
#define HIGH_AT(i) (LOW_AT(i) + 4u)

/* From this number on, up to the next span's, this rule decides; NULL: none. */
struct span {
	uint32_t from;
	const struct syscall_rule *rule;
};

struct program {
	struct sock_filter *code;
	unsigned int size;
	bool full;
	uint32_t otherwise;
};

void
syscall_filter_start(struct syscall_filter *f, uint32_t otherwise)
{
	f->otherwise = otherwise;
	f->n = 0;
	f->full = false;
}

void
syscall_filter_add_if(struct syscall_filter *f, uint32_t action, int call,
    enum syscall_check check, unsigned int argument, uint32_t value)
{
	if (f->n == SYSCALL_RULES_MAX || call < 0) {
		f->full = true;
		return;
	}
	f->rules[f->n++] = (struct syscall_rule){ .number = (uint32_t)call,
		.action = action, .check = check, .argument = argument,
		.value = value };
}

void
syscall_filter_add(struct syscall_filter *f, uint32_t action, const int *calls,
    size_t n)
{
	for (size_t i = 0; i < n; i++)
		syscall_filter_add_if(f, action, calls[i], SYSCALL_ALWAYS, 0,
		    0);
}

static int
by_number(const void *a, const void *b)
{
	const struct syscall_rule *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* Whether two rules can share a span. */
static bool
alike(const struct syscall_rule *a, const struct syscall_rule *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return a->check == SYSCALL_ALWAYS && b->check == SYSCALL_ALWAYS &&
	    a->action == b->action;
}

static size_t
add_span(struct span *spans, size_t n, uint32_t from,
    const struct syscall_rule *rule)
{
	/* Nothing between two neighbours. */
	if (n > 0 && spans[n - 1].from == from)
		n--;
	if (n > 0 && alike(spans[n - 1].rule, rule))
		return n;
	spans[n] = (struct span){ from, rule };
	return n + 1;
}

/* All numbers from 0 up, as spans; rules are in order. */
static size_t
make_spans(const struct syscall_rule *rules, size_t n, struct span *spans)
{
	size_t count = add_span(spans, 0, 0, NULL);

	for (size_t i = 0; i < n; i++) {
		count = add_span(spans, count, rules[i].number, &rules[i]);
		count = add_span(spans, count, rules[i].number + 1, NULL);
	}
	return count;
}

static unsigned int
emit(struct program *p, uint16_t code, uint32_t k, unsigned int jt,
    unsigned int jf)
{
	if (p->size == SYSCALL_CODE_MAX) {
		p->full = true;
		return p->size - 1;
	}
	p->code[p->size] = (struct sock_filter){ .code = code, .k = k,
		.jt = (uint8_t)jt, .jf = (uint8_t)jf };
	return p->size++;
}

static void
emit_return(struct program *p, uint32_t action)
{
	emit(p, BPF_RET | BPF_K, action, 0, 0);
}

static void
emit_rule(struct program *p, const struct syscall_rule *r)
{
	if (r == NULL) {
		emit_return(p, p->otherwise);
		return;
	}
	switch (r->check) {
	case SYSCALL_ALWAYS:
		emit_return(p, r->action);
		return;
	case SYSCALL_BITS_CLEAR:
		emit(p, BPF_LD | BPF_W | BPF_ABS, LOW_AT(r->argument), 0, 0);
		emit(p, BPF_JMP | BPF_JSET | BPF_K, r->value, 1, 0);
		break;
	case SYSCALL_EQUAL:
		emit(p, BPF_LD | BPF_W | BPF_ABS, HIGH_AT(r->argument), 0, 0);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
		emit(p, BPF_LD | BPF_W | BPF_ABS, LOW_AT(r->argument), 0, 0);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, r->value, 0, 1);
		break;
	}
	emit_return(p, r->action);
	emit_return(p, p->otherwise);
}

/* A binary search over spans: the lower half follows, the upper one is jumped
 * to. The number is in the accumulator. */
static void
emit_search(struct program *p, const struct span *spans, size_t n)
{
	unsigned int at;

	if (n == 1) {
		emit_rule(p, spans[0].rule);
		return;
	}
	at = emit(p, BPF_JMP | BPF_JGE | BPF_K, spans[n / 2].from, 0, 0);
	emit_search(p, spans, n / 2);
	p->code[at].jt = (uint8_t)(p->size - at - 1);
	emit_search(p, spans + n / 2, n - n / 2);
}

int
syscall_filter_assemble(const struct syscall_filter *f,
    struct sock_filter code[SYSCALL_CODE_MAX], struct err *err)
{
	struct program p = { .code = code, .otherwise = f->otherwise };
	struct syscall_rule rules[SYSCALL_RULES_MAX];
	struct span spans[2 * SYSCALL_RULES_MAX + 1];

	memcpy(rules, f->rules, f->n * sizeof(rules[0]));
	qsort(rules, f->n, sizeof(rules[0]), by_number);
	for (size_t i = 1; i < f->n; i++)
		if (rules[i].number == rules[i - 1].number)
			return err_set(err, ERR_INTERNAL, "system call %u is "
			    "twice in a filter", rules[i].number);
	emit(&p, BPF_LD | BPF_W | BPF_ABS, ARCH_AT, 0, 0);
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0);
	emit_return(&p, SECCOMP_RET_KILL_PROCESS);
	emit(&p, BPF_LD | BPF_W | BPF_ABS, NUMBER_AT, 0, 0);
	emit(&p, BPF_JMP | BPF_JGE | BPF_K, FOREIGN_NUMBERS, 0, 1);
	emit_return(&p, SECCOMP_RET_KILL_PROCESS);
	emit_search(&p, spans, make_spans(rules, f->n, spans));
	/* No jump is longer than the program, so each fits its eight bits. */
	if (f->full || p.full)
		return err_set(err, ERR_INTERNAL, "a system call filter of "
		    "%zu rules is too long", f->n);
	return (int)p.size;
}

int
syscall_filter_load(const struct syscall_filter *f, struct err *err)
{
	struct sock_filter code[SYSCALL_CODE_MAX];
	struct sock_fprog program = { .filter = code };
	long rc;
	int n;

	if ((n = syscall_filter_assemble(f, code, err)) < 0)
		return n;
	program.len = (unsigned short)n;
	/* All threads, or the data thread would stay outside. */
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_TSYNC, &program);
	if (rc < 0)
		return err_sys(err, errno, "cannot load the seccomp filter");
	if (rc > 0)
		return err_set(err, ERR_SYSTEM, "cannot load the seccomp "
		    "filter: thread %ld is under one of its own", rc);
	return 0;
}
