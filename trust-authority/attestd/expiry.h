/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTESTD_EXPIRY_H
#define ATTESTD_EXPIRY_H

#include "trust-authority/attestd/attestd.h"

/* Hosts whose token has ended without a new one: their state becomes `expired`,
 * with one event each, whichever node sees it. Called now and then. */
void expiry_look(struct attestd *d);

#endif
