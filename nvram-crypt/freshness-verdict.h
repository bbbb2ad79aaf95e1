/* SPDX-License-Identifier: BSD-3-Clause */
/* What a judgement by this host's record means to people: texts and events. */
#ifndef NVRAM_CRYPT_FRESHNESS_VERDICT_H
#define NVRAM_CRYPT_FRESHNESS_VERDICT_H

#include "nvram-crypt/freshness-record.h"

/* ERR_STALE with what is wrong, and that an administrator may allow it. */
int freshness_refuse(enum freshness_verdict v,
    const struct freshness_record *r, const struct freshness_claim *c,
    struct err *err);
/* Judges, and logs what is not plainly fresh. *accepted: it would be refused but
 * for the administrator's word. */
int freshness_verdict_on(const struct freshness_record *r,
    const struct freshness_claim *c, bool accept, bool *accepted,
    struct err *err);
/* No record here (ERR_NOTFOUND), or none that can be read: what then? */
int freshness_judge_missing(int why, const struct freshness_claim *c,
    bool accept, struct err *err);

#endif
