/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts that attest without a TPM: an endorsement key with its certificate, an
 * attestation key, quotes, and TPM2_ActivateCredential, by OpenSSL. What they
 * show is the boot of the place's real host.
 */
#ifndef BENCH_SOFT_HOST_H
#define BENCH_SOFT_HOST_H

#include <jansson.h>
#include <stdbool.h>

#include "bench/place.h"
#include "trust-authority/attest/tpm-key.h"
#include "trust-authority/common/jwk.h"

#define SOFT_PUB_MAX 600

/* TPM makers' CA: a root and who issues, RSA of 2048 bits as most are. */
struct soft_ca {
	EVP_PKEY *root_key, *key;
	X509 *root, *cert;
};

int soft_ca_new(struct soft_ca *ca, struct err *err);
void soft_ca_free(struct soft_ca *ca);
/* Both PEM texts to vta-attestd. */
int soft_ca_import(const struct soft_ca *ca, const struct place *p,
    struct err *err);

struct soft_host {
	char name[32];
	EVP_PKEY *ek, *ak;
	struct tpm_key *ek_key, *ak_key;	/* as the service reads them */
	uint8_t ek_pub[SOFT_PUB_MAX], ak_pub[SOFT_PUB_MAX];	/* TPMT_PUBLIC */
	size_t ek_size, ak_size;
	char *ek_cert;			/* DER, base64url */
};

/* rsa: of 2048 bits, else P-256. Of h only the name is set. */
int soft_host_make(struct soft_host *h, bool rsa, const struct soft_ca *ca,
    struct err *err);
void soft_host_reset(struct soft_host *h);
/* Another attestation key: the next attestation has to show that the TPM has
 * it. */
int soft_host_new_ak(struct soft_host *h, struct err *err);

/* The bodies of both requests; free them. begun is the first one's answer;
 * transport a key of the host's. */
char *soft_host_begin(const struct soft_host *h, struct err *err);
char *soft_host_finish(const struct soft_host *h, const struct place *p,
    const json_t *begun, const struct jwk *transport, struct err *err);
/* bytes of the evidence in it. */
size_t soft_evidence_size(const struct place *p);

char *base64_text(const void *data, size_t size);

#endif
