/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Before the supervisor rests: what it will still need is copied into one
 * mapping, and what it will not is listed. From supervisor_rest on nothing may
 * take memory, or the list is not complete.
 */
#include <config.h>

#include "vtpm/supervisor-rest.h"

#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#include "base/fdio.h"

#if !defined(SANITIZERS) && !defined(COVERAGE)

#define MAPS "/proc/self/maps"
#define MAPS_SIZE (64 * 1024)
/* Sizes that glibc has registered its area for rseq(2) with: 2.35 and later. */
#define RSEQ_SIZE 32

static const char *
copy_text(char **at, const char *text)
{
	const char *copy = *at;

	while ((*(*at)++ = *text++) != '\0')
		;
	return copy;
}

static struct rest *
make(const struct supervisor *s)
{
	size_t argc = 0, size = sizeof(struct rest) + strlen(s->program) + 1;
	struct rest *r;
	char *at;

	for (; s->argv[argc] != NULL; argc++)
		size += strlen(s->argv[argc]) + 1;
	size += (argc + 2) * sizeof(*r->argv);
	for (size_t i = 0; i < 2; i++)
		size += strlen(s->remove[i].name) + 1;
	r = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r == MAP_FAILED)
		return NULL;
	*r = (struct rest){ .sock = s->sock, .signals = s->signals,
		.self = s->self, .memory = s->memory.fd,
		.installed = s->installed,
		.monitor_pid = s->monitor_pid, .worker = s->worker,
		.argc = argc, .env = environ };
	memcpy(r->inherit, s->inherit, sizeof(r->inherit));
	if (strlen(s->agent) < sizeof(r->agent.sun_path)) {
		r->agent.sun_family = AF_UNIX;
		memcpy(r->agent.sun_path, s->agent, strlen(s->agent));
	}
	r->argv = (const char **)(r + 1);
	at = (char *)(r->argv + argc + 2);
	for (size_t i = 0; i < argc; i++)
		r->argv[i] = copy_text(&at, s->argv[i]);
	r->program = copy_text(&at, s->program);
	for (size_t i = 0; i < 2; i++) {
		r->remove[i].dir = s->remove[i].dir;
		r->remove[i].name = copy_text(&at, s->remove[i].name);
	}
	return r;
}

/* What stays: the program's own code and constants. */
struct kept {
	uintptr_t from, to;
};

static int
find_code(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct kept *k = arg;

	(void)size;
	*k = (struct kept){ UINTPTR_MAX, 0 };
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + p->p_vaddr;

		if (p->p_type != PT_LOAD || (p->p_flags & PF_W) != 0)
			continue;
		if (from < k->from)
			k->from = from;
		if (from + p->p_memsz > k->to)
			k->to = from + p->p_memsz;
	}
	/* The program is the first. */
	return 1;
}

/* Linux writes to what is registered by rseq(2) whenever it likes. */
static bool
ends_rseq(void)
{
#if defined(RSEQ_SIG) && defined(SYS_rseq)
	return __rseq_size == 0 || syscall(SYS_rseq,
	    (char *)__builtin_thread_pointer() + __rseq_offset, RSEQ_SIZE,
	    RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0;
#else
	return false;
#endif
}

static bool
contains(uintptr_t from, uintptr_t to, const void *what)
{
	return from <= (uintptr_t)what && (uintptr_t)what < to;
}

/* -1 for a line that this does not understand, and where there are too many. */
static int
judge_mapping(struct rest *r, const char *line, const struct kept *code,
    const void *thread)
{
	unsigned long from, to;
	int at = 0;

	if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &from, &to, &at) != 2 ||
	    at == 0)
		return -1;
	if (strncmp(line + at, "[stack]", 7) == 0) {
		r->stack_from = from;
		r->stack_to = to;
	}
	/* The kernel's own; a heap has a name too. */
	if ((line[at] == '[' && strncmp(line + at, "[heap]", 6) != 0 &&
	    strncmp(line + at, "[anon", 5) != 0) || contains(from, to, r) ||
	    (thread != NULL && contains(from, to, thread)) ||
	    (from >= code->from && from < code->to))
		return 0;
	if (r->n_unmap > 0 && r->unmap[r->n_unmap - 1].to == from) {
		r->unmap[r->n_unmap - 1].to = to;
		return 0;
	}
	if (r->n_unmap == REST_RANGES)
		return -1;
	r->unmap[r->n_unmap].from = from;
	r->unmap[r->n_unmap++].to = to;
	return 0;
}

static int
list(struct rest *r, const char *maps, const void *thread)
{
	struct kept code;

	(void)dl_iterate_phdr(find_code, &code);
	while (*maps != '\0') {
		if (judge_mapping(r, maps, &code, thread) < 0)
			return -1;
		maps += strcspn(maps, "\n");
		maps += *maps == '\n';
	}
	/* Whoever has moved these is not understood either. */
	return contains(r->stack_from, r->stack_to, environ) ? 0 : -1;
}

static int
read_maps(char *text, size_t size)
{
	int fd = open(MAPS, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n = 0;

	while (fd >= 0 && have < size - 1 &&
	    (n = read(fd, text + have, size - 1 - have)) > 0)
		have += (size_t)n;
	text[have] = '\0';
	if (fd < 0)
		return -1;
	close(fd);
	return n == 0 && have > 0 ? 0 : -1;
}

/* Lists what is mapped now; text is room for the kernel's list. */
static int
prepare(struct rest *r, char *text, size_t size)
{
	if (read_maps(text, size) < 0 || list(r, text, NULL) < 0)
		return -1;
	if (ends_rseq())
		return 0;
	r->n_unmap = 0;
	return list(r, text, __builtin_thread_pointer());
}

void
supervisor_rest(const struct supervisor *s)
{
	char *text = mmap(NULL, MAPS_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rest *r = make(s);

	if (text != MAP_FAILED && r != NULL &&
	    prepare(r, text, MAPS_SIZE) == 0) {
		(void)munmap(text, MAPS_SIZE);
		rest_run(r);
	}
	/* This is one time only: what r took is not worth its size. */
	if (text != MAP_FAILED)
		(void)munmap(text, MAPS_SIZE);
}

#else

void
supervisor_rest(const struct supervisor *s)
{
	(void)s;
}

#endif
