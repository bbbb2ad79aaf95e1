/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTESTD_SERVICE_TABLE_H
#define ATTESTD_SERVICE_TABLE_H

#include "trust-authority/common/service.h"

extern const struct service_program attestd_program;

#endif
