/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/freshness.h"

#include "nvram-crypt/freshness-provider.h"

void
freshness_free(struct freshness *f)
{
	if (f != NULL)
		f->ops->close(f);
}

bool
freshness_is_authority(const struct freshness *f)
{
	return f->ops->authority;
}

int
freshness_register(struct freshness *f, const struct freshness_claim *c,
    struct err *err)
{
	return f->ops->register_vm(f, c, err);
}

int
freshness_acquire(struct freshness *f, const struct freshness_claim *c,
    bool accept, struct freshness_grant *grant, struct err *err)
{
	return f->ops->acquire(f, c, accept, grant, err);
}

int
freshness_prepare(struct freshness *f, const struct freshness_claim *c,
    struct err *err)
{
	return f->ops->prepare(f, c, err);
}

int
freshness_offer(struct freshness *f, const struct freshness_handover *h,
    struct err *err)
{
	return f->ops->offer != NULL ? f->ops->offer(f, h, err) : 0;
}

int
freshness_take_up(struct freshness *f, const struct freshness_claim *c,
    const uint8_t session[FRESHNESS_SESSION_SIZE], bool back,
    struct freshness_grant *grant, struct err *err)
{
	if (f->ops->take_up == NULL)
		return err_set(err, ERR_UNSUPPORTED, "only the trust authority "
		    "keeps what is on offer");
	return f->ops->take_up(f, c, session, back, grant, err);
}

int
freshness_admit(struct freshness *f, const struct freshness_claim *c,
    struct err *err)
{
	if (f->ops->admit == NULL)
		return err_set(err, ERR_UNSUPPORTED, "the trust authority "
		    "keeps the record of this VM");
	return f->ops->admit(f, c, err);
}

int
freshness_let_go(struct freshness *f)
{
	if (f->ops->let_go == NULL)
		return ERR_UNSUPPORTED;
	f->ops->let_go(f);
	return 0;
}

int
freshness_end_loan(struct freshness *f,
    const uint8_t digest[FRESHNESS_DIGEST_SIZE], bool synced, struct err *err)
{
	return f->ops->end_loan(f, digest, synced, err);
}

int
freshness_confirm(struct freshness *f, struct err *err)
{
	return f->ops->confirm(f, err);
}

int
freshness_raise(struct freshness *f, uint64_t epoch, struct err *err)
{
	if (f->ops->raise == NULL)
		return err_set(err, ERR_UNSUPPORTED, "a VM whose record the "
		    "trust authority keeps cannot come without its file");
	return f->ops->raise(f, epoch, err);
}

int
freshness_release(struct freshness *f,
    const uint8_t digest[FRESHNESS_DIGEST_SIZE], bool synced, struct err *err)
{
	return f->ops->release(f, digest, synced, err);
}

int
freshness_forget(struct freshness *f, const uint8_t uuid[UUID_SIZE],
    struct err *err)
{
	return f->ops->forget(f, uuid, err);
}

int
freshness_check(struct freshness *f, const struct freshness_claim *c,
    struct err *err)
{
	return f->ops->check(f, c, err);
}

int
freshness_hand_over(const struct freshness *f)
{
	return f->ops->hand_over(f);
}
