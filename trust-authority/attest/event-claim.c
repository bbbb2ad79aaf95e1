/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/event-claim.h"

#include <string.h>

static const uint8_t global_guid[16] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93,
	0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
static const uint8_t security_guid[16] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d,
	0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };

/* The digest is that of these bytes. */
static int
covers(struct hasher *h, const uint8_t *digest, const void *data, size_t size,
    bool *yes, struct err *err)
{
	const struct hash_part part = { data, size };
	uint8_t out[HASH_MAX];
	int rc;

	if ((rc = hasher_digest(h, &part, 1, out, err)) == 0)
		*yes = memcmp(out, digest, hasher_alg(h)->size) == 0;
	return rc;
}

/* UEFI_VARIABLE_DATA: measured whole. EV_EFI_VARIABLE_BOOT may be
 * measured by its value alone, and then its name is a label. */
static int
variable_read(const struct event *event, struct event_claim *c)
{
	struct buf in = buf_reader(event->data, event->size);
	uint64_t units = 0, size = 0;
	const uint8_t *name;

	buf_get_bytes(&in, c->guid, sizeof(c->guid));
	buf_get_u64le(&in, &units);
	buf_get_u64le(&in, &size);
	if (!buf_ok(&in) || units > event->size / 2 ||
	    buf_get_ref(&in, &name, (size_t)units * 2) < 0 ||
	    size != buf_left(&in))
		return ERR_FORMAT;
	c->value_size = (size_t)size;
	buf_get_ref(&in, &c->value, c->value_size);
	c->kind = CLAIM_VARIABLE;
	text_add_utf16(&c->text, name, (size_t)units * 2);
	return 0;
}

/* UEFI_IMAGE_LOAD_EVENT: where the image came from. Its digest is the
 * image's (Authenticode), so this is a label. */
static void
image_read(const struct event *event, struct event_claim *c)
{
	struct buf in = buf_reader(event->data, event->size);
	uint64_t location, length, link, size = 0;
	const uint8_t *path;

	buf_get_u64le(&in, &location);
	buf_get_u64le(&in, &length);
	buf_get_u64le(&in, &link);
	buf_get_u64le(&in, &size);
	if (!buf_ok(&in) || size > buf_left(&in) ||
	    buf_get_ref(&in, &path, (size_t)size) < 0)
		return;
	text_add_device_path(&c->text, path, (size_t)size);
}

/* EV_SEPARATOR: zero or all ones; an error is measured as the number 1 and
 * told in the data. */
static int
separator_read(const struct event *event, struct hasher *h,
    const uint8_t *digest, struct event_claim *c, struct err *err)
{
	static const uint8_t values[3][4] = { { 0, 0, 0, 0 },
		{ 0xff, 0xff, 0xff, 0xff }, { 1, 0, 0, 0 } };
	bool yes = false;
	int rc;

	text_format(&c->text, "separator");
	for (size_t i = 0; i < 3; i++) {
		if ((rc = covers(h, digest, values[i], 4, &yes, err)) < 0)
			return rc;
		if (!yes)
			continue;
		if (i == 2) {
			c->kind = CLAIM_SEPARATOR_ERROR;
			text_add_bytes(&c->text, event->data, event->size);
		} else if (event->size == 4 &&
		    memcmp(event->data, values[i], 4) == 0) {
			c->kind = CLAIM_SEPARATOR;
		} else {
			return 0;
		}
		c->checked = true;
		return 0;
	}
	return 0;
}

/* GRUB's tpm module measures the text without the prefix and final zero that
 * it writes into the event (grub-core/commands/tpm.c). */
static int
grub_read(const struct event *event, struct hasher *h, const uint8_t *digest,
    struct event_claim *c, struct err *err)
{
	static const struct {
		const char *prefix;
		enum claim_kind kind;
	} kinds[] = {
		{ "grub_cmd: ", CLAIM_BOOT_COMMAND },
		{ "kernel_cmdline: ", CLAIM_KERNEL_COMMAND },
		{ "module_cmdline: ", CLAIM_BOOT_COMMAND },
	};
	size_t n = event->size, skip;

	if (n > 0 && event->data[n - 1] == 0)
		n--;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		skip = strlen(kinds[i].prefix);
		if (n < skip || memcmp(event->data, kinds[i].prefix, skip) != 0)
			continue;
		text_free(&c->text);
		text_init(&c->text);
		text_add_bytes(&c->text, event->data + skip, n - skip);
		c->kind = kinds[i].kind;
		return covers(h, digest, event->data + skip, n - skip,
		    &c->checked, err);
	}
	return 0;
}

/* UTF-16 that is ASCII has a zero in every second byte. */
static bool
looks_utf16(const uint8_t *data, size_t size)
{
	return size >= 2 && size % 2 == 0 && data[0] != 0 && data[1] == 0;
}

/* Text that was measured as it stands: systemd-stub's command line in PCR 12
 * (or 8, in old ones), UTF-16 with its final zero. Otherwise a file's name. */
static int
ipl_read(const struct event *event, struct hasher *h, const uint8_t *digest,
    struct event_claim *c, struct err *err)
{
	bool yes = false, wide = looks_utf16(event->data, event->size);
	int rc;

	if (wide)
		text_add_utf16(&c->text, event->data, event->size);
	else
		text_add_bytes(&c->text, event->data, event->size);
	if ((rc = covers(h, digest, event->data, event->size, &yes,
	    err)) < 0)
		return rc;
	if (!yes)
		return grub_read(event, h, digest, c, err);
	c->kind = wide && (event->pcr == 12 || event->pcr == 8) ?
	    CLAIM_KERNEL_COMMAND : CLAIM_TEXT;
	c->checked = true;
	return 0;
}

static int
text_read(const struct event *event, struct hasher *h, const uint8_t *digest,
    enum claim_kind kind, struct event_claim *c, struct err *err)
{
	int rc;

	if (looks_utf16(event->data, event->size))
		text_add_utf16(&c->text, event->data, event->size);
	else
		text_add_bytes(&c->text, event->data, event->size);
	if ((rc = covers(h, digest, event->data, event->size, &c->checked,
	    err)) == 0 && c->checked)
		c->kind = kind;
	return rc;
}

static int
variable_check(const struct event *event, struct hasher *h,
    const uint8_t *digest, struct event_claim *c, struct err *err)
{
	int rc;

	if (variable_read(event, c) < 0) {
		text_format(&c->text, "(a damaged variable)");
		return 0;
	}
	if ((rc = covers(h, digest, event->data, event->size, &c->checked,
	    err)) == 0 && !c->checked)
		c->kind = CLAIM_LABEL;
	return rc;
}

int
event_claim_read(const struct eventlog *log, const struct event *event,
    struct hasher *h, struct event_claim *c, struct err *err)
{
	const uint8_t *digest = eventlog_digest(log, event, hasher_alg(h));

	memset(c, 0, sizeof(*c));
	text_init(&c->text);
	if (digest == NULL)
		return err_set(err, ERR_NOTFOUND, "the event log has no "
		    "digests of the bank %s", hasher_alg(h)->name);
	switch (event->type) {
	case EV_EFI_VARIABLE_DRIVER_CONFIG:
	case EV_EFI_VARIABLE_BOOT:
	case EV_EFI_VARIABLE_BOOT2:
	case EV_EFI_VARIABLE_AUTHORITY:
		return variable_check(event, h, digest, c, err);
	case EV_EFI_BOOT_SERVICES_APPLICATION:
	case EV_EFI_BOOT_SERVICES_DRIVER:
	case EV_EFI_RUNTIME_SERVICES_DRIVER:
		image_read(event, c);
		return 0;
	case EV_SEPARATOR:
		return separator_read(event, h, digest, c, err);
	case EV_IPL:
		return ipl_read(event, h, digest, c, err);
	case EV_ACTION:
	case EV_EFI_ACTION:
		return text_read(event, h, digest, CLAIM_ACTION, c, err);
	case EV_S_CRTM_VERSION:
		return text_read(event, h, digest, CLAIM_TEXT, c, err);
	case EV_EFI_GPT_EVENT:
	case EV_EFI_GPT_EVENT2:
		text_format(&c->text, "partition table, %zu bytes",
		    event->size);
		return covers(h, digest, event->data, event->size,
		    &c->checked, err);
	default:
		return 0;
	}
}

void
event_claim_free(struct event_claim *claim)
{
	text_free(&claim->text);
}

bool
event_claim_is_variable(const struct event_claim *c, const char *name)
{
	bool global = strcmp(name, "db") != 0 && strcmp(name, "dbx") != 0;

	return c->kind == CLAIM_VARIABLE && c->text.data != NULL &&
	    c->text.plain && strcmp(c->text.data, name) == 0 &&
	    memcmp(c->guid, global ? global_guid : security_guid, 16) == 0;
}
