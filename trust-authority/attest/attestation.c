/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/attestation.h"

#include <stdlib.h>
#include <string.h>

struct ima_view {
	const struct hash_alg *bank;
	enum ima_extend how;
	size_t count;
	int rc;
	struct err err;
};

#define IMA_VIEWS (2 * PCR_BANKS_MAX)

struct attestation {
	struct quote quote;
	struct eventlog *eventlog;
	struct ima_log *ima_log;
	struct event_view *view[PCR_BANKS_MAX];
	struct ima_view ima[IMA_VIEWS];
};

int
attestation_verify(const struct evidence *ev, const struct tpm_key *ak,
    const struct tpm_key *ek, const uint8_t binding[QUOTE_BINDING_SIZE],
    struct attestation **out, struct err *err)
{
	struct attestation *a = calloc(1, sizeof(*a));
	int rc;

	*out = NULL;
	if (a == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = quote_verify(&ev->quote, ak, ek, binding, &a->quote,
	    err)) < 0)
		goto out;
	if (ev->eventlog != NULL && (rc = eventlog_read(ev->eventlog,
	    ev->eventlog_size, &a->eventlog, err)) < 0)
		goto out;
	if (ev->ima_log != NULL && (rc = ima_log_read(ev->ima_log,
	    ev->ima_log_size, &a->ima_log, err)) < 0)
		goto out;
	*out = a;
	a = NULL;
out:
	attestation_free(a);
	return rc;
}

static void
view_free(struct event_view *view, size_t count)
{
	if (view == NULL)
		return;
	for (size_t i = 0; view->claims != NULL && i < count; i++)
		event_claim_free(&view->claims[i]);
	free(view->claims);
	free(view);
}

void
attestation_free(struct attestation *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < PCR_BANKS_MAX; i++)
		view_free(a->view[i], a->eventlog != NULL ?
		    eventlog_count(a->eventlog) : 0);
	eventlog_free(a->eventlog);
	ima_log_free(a->ima_log);
	free(a);
}

const struct quote *
attestation_quote(const struct attestation *a)
{
	return &a->quote;
}

const struct eventlog *
attestation_eventlog(const struct attestation *a)
{
	return a->eventlog;
}

const struct ima_log *
attestation_ima_log(const struct attestation *a)
{
	return a->ima_log;
}

static int
view_fill(const struct attestation *a, const struct pcr_bank *quoted,
    struct event_view *view, struct err *err)
{
	size_t count = eventlog_count(a->eventlog);
	const struct hash_alg *alg = quoted->alg;
	struct hasher *h;
	int rc;

	if ((h = hasher_new(alg, err)) == NULL)
		return ERR_CRYPTO;
	rc = eventlog_replay(a->eventlog, alg, &view->replay, err);
	for (uint32_t i = 0; rc == 0 && i < PCR_COUNT; i++) {
		const uint8_t *value = pcr_bank_value(quoted, i);

		if (value != NULL && memcmp(value, view->replay.value[i],
		    alg->size) == 0)
			view->explained |= 1u << i;
	}
	view->claims = calloc(count + 1, sizeof(*view->claims));
	if (rc == 0 && view->claims == NULL)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = event_claim_read(a->eventlog, eventlog_at(a->eventlog, i),
		    h, &view->claims[i], err);
	hasher_free(h);
	return rc;
}

const struct event_view *
attestation_events(struct attestation *a, const struct hash_alg *bank,
    struct err *err)
{
	const struct pcr_bank *quoted = pcr_bank_find(&a->quote.pcrs, bank);
	struct event_view *view;
	size_t i;

	if (a->eventlog == NULL) {
		err_set(err, ERR_NOTFOUND, "the host sent no event log");
		return NULL;
	}
	if (quoted == NULL) {
		err_set(err, ERR_NOTFOUND, "the quote is not over the bank %s",
		    bank->name);
		return NULL;
	}
	i = (size_t)(quoted - a->quote.pcrs.bank);
	if (a->view[i] != NULL)
		return a->view[i];
	if ((view = calloc(1, sizeof(*view))) == NULL) {
		err_set(err, ERR_INTERNAL, "out of memory");
		return NULL;
	}
	if (view_fill(a, quoted, view, err) < 0) {
		view_free(view, eventlog_count(a->eventlog));
		return NULL;
	}
	a->view[i] = view;
	return view;
}

int
attestation_ima_replay(struct attestation *a, const struct hash_alg *bank,
    enum ima_extend how, size_t *count, struct err *err)
{
	struct ima_view *view = a->ima;
	const uint8_t *quoted;

	*count = 0;
	if (a->ima_log == NULL)
		return err_set(err, ERR_NOTFOUND, "the host sent no IMA log");
	quoted = pcr_bank_value(pcr_bank_find(&a->quote.pcrs, bank), IMA_PCR);
	if (quoted == NULL)
		return err_set(err, ERR_NOTFOUND, "PCR %u of the bank %s was "
		    "not quoted", IMA_PCR, bank->name);
	while (view->bank != NULL && (view->bank != bank || view->how != how))
		view++;
	if (view->bank == NULL) {
		view->bank = bank;
		view->how = how;
		view->rc = ima_log_replay(a->ima_log, bank, how, quoted,
		    &view->count, &view->err);
	}
	*count = view->count;
	if (view->rc < 0 && err != NULL)
		*err = view->err;
	return view->rc;
}
