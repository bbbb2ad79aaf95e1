/* SPDX-License-Identifier: BSD-3-Clause */
/* What swtpm's options take: "name=value,name,name=value". */
#ifndef QEMU_GLUE_SUBOPTIONS_H
#define QEMU_GLUE_SUBOPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define SUBOPTIONS_MAX 16

struct suboptions {
	const char *option;	/* for messages: "--ctrl" */
	char *copy;
	struct {
		const char *name, *value;	/* value NULL: none given */
	} items[SUBOPTIONS_MAX];
	size_t n;
};

/* known: names, "name=" where a value is needed, "name?" where one may be
 * given; NULL at the end. The last of a name counts. ERR_USAGE. */
int suboptions_parse(struct suboptions *s, const char *option,
    const char *text, const char *const *known, struct err *err);
void suboptions_free(struct suboptions *s);

bool suboptions_has(const struct suboptions *s, const char *name);
/* NULL: not given. */
const char *suboptions_get(const struct suboptions *s, const char *name);
/* "name", "name=true", "name=false". */
int suboptions_flag(const struct suboptions *s, const char *name, bool *flag,
    struct err *err);
/* A number of base 8 or 10; stays as it is where it is not given. */
int suboptions_number(const struct suboptions *s, const char *name, int base,
    unsigned long max, unsigned long *number, struct err *err);

#endif
