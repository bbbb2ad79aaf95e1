/* SPDX-License-Identifier: BSD-3-Clause */
/* A storage for tests of the sandbox: stands in for vtpm/storage.c at link
 * time and runs the probe that is "loaded" inside the confined monitor. */
#include <stdlib.h>

#include "tests/probe/probe.h"
#include "vtpm/storage.h"

struct storage {
	struct nvram_header header;
};

int
storage_open(struct storage **out, const char *path,
    const struct config *config, const struct secret *passphrase,
    struct agent *agent, struct err *err)
{
	(void)path;
	(void)agent;
	(void)config;
	(void)passphrase;
	(void)err;
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? ERR_INTERNAL : 0;
}

int
storage_acquire(struct storage *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

int
storage_close(struct storage *s, struct err *err)
{
	(void)err;
	free(s);
	return 0;
}

const struct nvram_header *
storage_header(const struct storage *s)
{
	return &s->header;
}

int
storage_load(struct storage *s, enum tpm_state which, const uint8_t **data,
    size_t *size, struct err *err)
{
	(void)s;
	(void)err;
	*data = NULL;
	*size = 0;
	return -probe(which);
}

int
storage_store(struct storage *s, enum tpm_state which, const uint8_t *data,
    size_t size, struct err *err)
{
	(void)s;
	(void)which;
	(void)data;
	(void)size;
	(void)err;
	return 0;
}

int
storage_undo(struct storage *s, struct err *err)
{
	(void)s;
	return err_set(err, ERR_NOTFOUND, "nothing is stored here");
}

int
storage_drop_volatile(struct storage *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

int
storage_note_version(struct storage *s, uint32_t version, struct err *err)
{
	(void)s;
	(void)version;
	(void)err;
	return 0;
}

void
storage_rest(struct storage *s)
{
	(void)s;
}

bool
storage_moves(const struct storage *s)
{
	(void)s;
	return false;
}

bool
storage_look(struct storage *s)
{
	(void)s;
	return false;
}

bool
storage_fenced(struct storage *s)
{
	(void)s;
	return false;
}

void
storage_abandon(struct storage *s)
{
	free(s);
}

int
storage_hand_over(struct storage *s, struct storage_handover *h,
    struct err *err)
{
	(void)s;
	(void)h;
	return err_set(err, ERR_UNSUPPORTED, "there is no file");
}

int
storage_adopt(struct storage **out, const struct storage_handover *h,
    const char *path, struct agent *agent, struct err *err)
{
	(void)h;
	(void)path;
	(void)agent;
	return storage_open(out, NULL, NULL, NULL, NULL, err);
}

int
storage_open_waiting(struct storage **out, const char *path,
    const struct config *config, const struct secret *passphrase,
    struct agent *agent, struct err *err)
{
	return storage_open(out, path, config, passphrase, agent, err);
}

void
storage_allow_restore(struct storage *s, bool allow)
{
	(void)s;
	(void)allow;
}

int
storage_hand_out(struct storage *s, struct envelope_session **session,
    struct err *err)
{
	(void)s;
	*session = NULL;
	return err_set(err, ERR_UNSUPPORTED, "there is no file");
}

void
storage_lend(struct storage *s)
{
	(void)s;
}

void
storage_give_up(struct storage *s)
{
	(void)s;
}

bool
storage_holds_what_came(const struct storage *s)
{
	(void)s;
	return false;
}

int
storage_own(struct storage *s, unsigned int wait_ms, struct err *err)
{
	(void)s;
	(void)wait_ms;
	(void)err;
	return 0;
}

int
storage_reclaim(struct storage *s, unsigned int wait_ms, struct err *err)
{
	return storage_own(s, wait_ms, err);
}

int
storage_open_blob(struct storage *s, unsigned int wait_ms, const void *bytes,
    size_t size, struct envelope *e, struct secret **state, struct err *err)
{
	(void)s;
	(void)wait_ms;
	(void)bytes;
	(void)size;
	(void)e;
	*state = NULL;
	return err_set(err, ERR_UNSUPPORTED, "there is no file");
}

int
storage_receive(struct storage *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

int
storage_arrived(struct storage *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

int
storage_sent(struct storage *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

void
storage_adopt_keys(struct storage *s, int fd,
    const uint8_t key[MIGRATE_TABLE_KEY_SIZE])
{
	(void)s;
	(void)fd;
	(void)key;
}
