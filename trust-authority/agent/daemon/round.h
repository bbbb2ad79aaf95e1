/* SPDX-License-Identifier: BSD-3-Clause */
/* One attestation: begin, the credential where there is one, evidence, finish.
 * doc/authority-protocols.md, "vta-attestd". */
#ifndef AGENT_DAEMON_ROUND_H
#define AGENT_DAEMON_ROUND_H

#include "trust-authority/agent/daemon/kmxa.h"

struct round_result {
	struct trust_report report;
	json_t *verdict;		/* NULL: none */
	int64_t attest_again;		/* seconds; 0: not said */
	int64_t expires;
};

/* Judged, for or against: 0. Else nothing is known: ERR_STALE, ERR_BUSY and
 * others, of the authority or of the TPM (*of_tpm). Blocks. now: also in the
 * pause after a failure. *r is to be reset in any case. */
int round_run(struct kmxa *k, bool now, struct round_result *r, bool *of_tpm,
    struct err *err);
void round_reset(struct round_result *r);

#endif
