/* SPDX-License-Identifier: BSD-3-Clause */
/* The open file goes to another program's monitor: an upgrade. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nvram-crypt/freshness-authority.h"
#include "vtpm/storage-internal.h"

bool
storage_moves(const struct storage *s)
{
	return s->hold != STORAGE_OWNED || s->offered || s->waits;
}

int
storage_hand_over(struct storage *s, struct storage_handover *h,
    struct err *err)
{
	int rc;

	if (storage_moves(s))
		return err_set(err, ERR_REFUSED, "the state is on its way");
	/* Whether a program that comes after asks in time is not known. */
	if ((rc = storage_check_fence(s, err)) < 0)
		return rc;
	h->record = freshness_hand_over(s->freshness);
	h->keys = s->keys_fd;
	if (s->keys_fd >= 0)
		memcpy(h->keys_key, secret_bytes(s->keys_key),
		    sizeof(h->keys_key));
	if ((rc = nvram_hand_over(s->nv, &h->file, &h->secret, err)) < 0)
		return rc;
	/* Its last word to the agent may have been answered so. */
	return storage_check_fence(s, err);
}

static int
adopt_record(struct storage *s, int fd, struct err *err)
{
	const struct nvram_header *header = nvram_header(s->nv);

	if (nvram_wants_authority(s->nv))
		return freshness_authority_adopt(&s->freshness, s->agent, fd,
		    header->uuid, header->epoch, err);
	return freshness_adopt(&s->freshness, fd, header->uuid, header->epoch,
	    err);
}

int
storage_adopt(struct storage **out, const struct storage_handover *h,
    const char *path, struct agent *agent, struct err *err)
{
	struct storage *s;
	int rc;

	*out = NULL;
	if ((s = storage_new(agent)) == NULL) {
		close(h->file);
		if (h->record >= 0)
			close(h->record);
		return err_set(err, ERR_INTERNAL, "out of memory");
	}
	rc = nvram_adopt(&s->nv, h->file, path, &h->secret, err);
	if (rc == 0 && h->record >= 0)
		rc = adopt_record(s, h->record, err);
	else if (h->record >= 0)
		close(h->record);
	if (rc < 0) {
		storage_free(s);
		return rc;
	}
	nvram_keep_fresh(s->nv, s->freshness);
	s->floor = nvram_header(s->nv)->epoch;
	if ((rc = storage_read_note(s, err)) < 0) {
		storage_free(s);
		return rc;
	}
	*out = s;
	return 0;
}
