/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Create, Locate and Get Attributes: the operations with attributes, whose
 * form changed most between the versions. In 1.x each is a structure with a
 * name in words and a value (KMIP 1.4, 2.1.1); in 2.0 it is an item with a tag
 * of its own, all in one Attributes structure (KMIP 2.0, 4 and 7.1).
 */
#include <string.h>

#include "trust-authority/kmip/message.h"
#include "trust-authority/kmip/operations.h"
#include "trust-authority/kmip/protocol.h"
#include "trust-authority/kmip/ttlv.h"

/* KMIP 2.0, 4.58: "x" is for clients' own attributes, as the prefix "x-" is
 * in 1.x (KMIP 1.4, 3.37). */
#define CLIENTS_VENDOR "x"
#define CLIENTS_PREFIX "x-"

static bool
is_2(struct kmip_version version)
{
	return version.major >= 2;
}

static const struct {
	uint32_t tag;
	const char *name;	/* in 1.x */
	enum ttlv_type type;
} attributes[] = {
	{ TAG_OBJECT_TYPE, "Object Type", TTLV_ENUMERATION },
	{ TAG_CRYPTOGRAPHIC_ALGORITHM, "Cryptographic Algorithm",
	    TTLV_ENUMERATION },
	{ TAG_CRYPTOGRAPHIC_LENGTH, "Cryptographic Length", TTLV_INTEGER },
	{ TAG_CRYPTOGRAPHIC_USAGE_MASK, "Cryptographic Usage Mask",
	    TTLV_INTEGER },
	{ TAG_STATE, "State", TTLV_ENUMERATION },
	{ TAG_INITIAL_DATE, "Initial Date", TTLV_DATE_TIME },
	{ TAG_ACTIVATION_DATE, "Activation Date", TTLV_DATE_TIME },
	{ TAG_NAME, "Name", TTLV_STRUCTURE },
};
#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

static size_t
attribute_by_tag(uint32_t tag)
{
	size_t i = 0;

	while (i < ATTRIBUTES && attributes[i].tag != tag)
		i++;
	return i;
}

static size_t
attribute_by_name(const char *name)
{
	size_t i = 0;

	while (i < ATTRIBUTES && strcmp(attributes[i].name, name) != 0)
		i++;
	return i;
}

static void
put_value(struct buf *out, uint32_t tag, enum ttlv_type type, uint32_t v)
{
	if (type == TTLV_ENUMERATION)
		(void)ttlv_put_enumeration(out, tag, v);
	else
		(void)ttlv_put_integer(out, tag, (int32_t)v);
}

static void
put_number(struct buf *out, struct kmip_version version, uint32_t tag,
    uint32_t v)
{
	size_t i = attribute_by_tag(tag), begun;

	if (is_2(version)) {
		put_value(out, tag, attributes[i].type, v);
		return;
	}
	begun = ttlv_begin(out, TAG_ATTRIBUTE);
	(void)ttlv_put_text(out, TAG_ATTRIBUTE_NAME, attributes[i].name);
	put_value(out, TAG_ATTRIBUTE_VALUE, attributes[i].type, v);
	(void)ttlv_end(out, begun);
}

/* KMIP 1.4, 3.2. */
static void
put_name(struct buf *out, struct kmip_version version, const char *name)
{
	size_t begun = 0, inner;

	if (!is_2(version)) {
		begun = ttlv_begin(out, TAG_ATTRIBUTE);
		(void)ttlv_put_text(out, TAG_ATTRIBUTE_NAME, "Name");
		inner = ttlv_begin(out, TAG_ATTRIBUTE_VALUE);
	} else {
		inner = ttlv_begin(out, TAG_NAME);
	}
	(void)ttlv_put_text(out, TAG_NAME_VALUE, name);
	(void)ttlv_put_enumeration(out, TAG_NAME_TYPE, NAME_TYPE_TEXT);
	(void)ttlv_end(out, inner);
	if (!is_2(version))
		(void)ttlv_end(out, begun);
}

static void
put_custom(struct buf *out, struct kmip_version version,
    const struct kmip_custom *custom)
{
	size_t begun = ttlv_begin(out, TAG_ATTRIBUTE);
	char name[KMIP_TEXT_SIZE + sizeof(CLIENTS_PREFIX)] = CLIENTS_PREFIX;

	if (is_2(version)) {
		(void)ttlv_put_text(out, TAG_VENDOR_IDENTIFICATION,
		    CLIENTS_VENDOR);
		(void)ttlv_put_text(out, TAG_ATTRIBUTE_NAME, custom->name);
	} else {
		strncat(name, custom->name, KMIP_TEXT_SIZE - 1);
		(void)ttlv_put_text(out, TAG_ATTRIBUTE_NAME, name);
	}
	(void)ttlv_put_text(out, TAG_ATTRIBUTE_VALUE, custom->value);
	(void)ttlv_end(out, begun);
}

static void
put_spec(struct buf *out, struct kmip_version version,
    const struct kmip_key_spec *spec)
{
	if (spec->name != NULL)
		put_name(out, version, spec->name);
	for (size_t i = 0; i < spec->custom_count; i++)
		put_custom(out, version, &spec->custom[i]);
}

/* Create: KMIP 1.4, 4.1; KMIP 2.0, 6.1.8. */

static void
put_create(struct buf *out, struct kmip_version version, const void *in)
{
	const struct kmip_key_spec *spec = in;
	size_t begun;

	(void)ttlv_put_enumeration(out, TAG_OBJECT_TYPE,
	    OBJECT_TYPE_SYMMETRIC_KEY);
	begun = ttlv_begin(out, is_2(version) ? TAG_ATTRIBUTES :
	    TAG_TEMPLATE_ATTRIBUTE);
	put_number(out, version, TAG_CRYPTOGRAPHIC_ALGORITHM, ALGORITHM_AES);
	put_number(out, version, TAG_CRYPTOGRAPHIC_LENGTH, KMIP_KEY_SIZE * 8);
	put_number(out, version, TAG_CRYPTOGRAPHIC_USAGE_MASK, spec->usage);
	put_spec(out, version, spec);
	(void)ttlv_end(out, begun);
}

static int
take_create(struct buf *payload, struct kmip_version version, const void *in,
    void *out, struct err *err)
{
	uint32_t type;

	(void)version;
	(void)in;
	(void)err;
	(void)ttlv_get_enumeration(payload, TAG_OBJECT_TYPE, &type);
	if (type != OBJECT_TYPE_SYMMETRIC_KEY)
		payload->failed = true;
	(void)ttlv_get_text(payload, TAG_UNIQUE_IDENTIFIER, out,
	    KMIP_TEXT_SIZE);
	return buf_ok(payload) ? 0 : ERR_FORMAT;
}

const struct operation operation_create = {
	OPERATION_CREATE, false, put_create, take_create,
};

/* Locate: KMIP 1.4, 4.9; KMIP 2.0, 6.1.28. */

static void
put_locate(struct buf *out, struct kmip_version version, const void *in)
{
	const struct locate_request *r = in;
	size_t begun = 0;

	(void)ttlv_put_integer(out, TAG_MAXIMUM_ITEMS, (int32_t)r->max);
	if (is_2(version))
		begun = ttlv_begin(out, TAG_ATTRIBUTES);
	put_number(out, version, TAG_OBJECT_TYPE, OBJECT_TYPE_SYMMETRIC_KEY);
	if (r->spec->state != 0)
		put_number(out, version, TAG_STATE, r->spec->state);
	put_spec(out, version, r->spec);
	if (is_2(version))
		(void)ttlv_end(out, begun);
}

static int
take_locate(struct buf *payload, struct kmip_version version, const void *in,
    void *out, struct err *err)
{
	struct locate_answer *answer = out;
	char id[KMIP_TEXT_SIZE];

	(void)version;
	(void)in;
	(void)err;
	answer->count = 0;
	if (ttlv_next_is(payload, TAG_LOCATED_ITEMS))
		(void)ttlv_skip(payload);
	while (ttlv_next_is(payload, TAG_UNIQUE_IDENTIFIER)) {
		if (ttlv_get_text(payload, TAG_UNIQUE_IDENTIFIER, id,
		    sizeof(id)) < 0)
			break;
		if (answer->count < answer->max)
			memcpy(answer->ids[answer->count], id, sizeof(id));
		answer->count++;
	}
	return buf_ok(payload) ? 0 : ERR_FORMAT;
}

const struct operation operation_locate = {
	OPERATION_LOCATE, true, put_locate, take_locate,
};

/* Get Attributes: KMIP 1.4, 4.12; KMIP 2.0, 6.1.20. */

static void
put_get_attributes(struct buf *out, struct kmip_version version,
    const void *in)
{
	(void)ttlv_put_text(out, TAG_UNIQUE_IDENTIFIER, in);
	for (size_t i = 0; i < ATTRIBUTES; i++) {
		if (is_2(version))
			(void)ttlv_put_enumeration(out,
			    TAG_ATTRIBUTE_REFERENCE, attributes[i].tag);
		else
			(void)ttlv_put_text(out, TAG_ATTRIBUTE_NAME,
			    attributes[i].name);
	}
}

static void
take_name(struct buf *in, uint32_t tag, struct kmip_attributes *a)
{
	char name[KMIP_TEXT_SIZE];
	struct buf inner;

	(void)ttlv_get_structure(in, tag, &inner);
	(void)ttlv_get_text(&inner, TAG_NAME_VALUE, name, sizeof(name));
	if (!buf_ok(&inner))
		in->failed = true;
	else if (a->name[0] == '\0')
		memcpy(a->name, name, sizeof(name));
}

/* The value of attribute i, under its own tag or as an Attribute Value. */
static void
take_attribute(struct buf *in, uint32_t tag, size_t i,
    struct kmip_attributes *a)
{
	int64_t when = 0;
	uint32_t number = 0;
	int32_t integer = 0;

	if (attributes[i].type == TTLV_ENUMERATION)
		(void)ttlv_get_enumeration(in, tag, &number);
	else if (attributes[i].type == TTLV_INTEGER)
		(void)ttlv_get_integer(in, tag, &integer);
	else if (attributes[i].type == TTLV_DATE_TIME)
		(void)ttlv_get_date_time(in, tag, &when);
	switch (attributes[i].tag) {
	case TAG_OBJECT_TYPE:
		a->object_type = number;
		break;
	case TAG_CRYPTOGRAPHIC_ALGORITHM:
		a->algorithm = number;
		break;
	case TAG_CRYPTOGRAPHIC_LENGTH:
		a->length = integer;
		break;
	case TAG_CRYPTOGRAPHIC_USAGE_MASK:
		a->usage = (uint32_t)integer;
		break;
	case TAG_STATE:
		a->state = (enum kmip_state)number;
		break;
	case TAG_INITIAL_DATE:
		a->initial_date = when;
		break;
	case TAG_ACTIVATION_DATE:
		a->activation_date = when;
		break;
	default:
		take_name(in, tag, a);
		break;
	}
}

static void
take_attribute_1(struct buf *payload, struct kmip_attributes *a)
{
	char name[KMIP_TEXT_SIZE];
	struct buf inner;
	size_t i;

	(void)ttlv_get_structure(payload, TAG_ATTRIBUTE, &inner);
	(void)ttlv_get_text(&inner, TAG_ATTRIBUTE_NAME, name, sizeof(name));
	if (ttlv_next_is(&inner, TAG_ATTRIBUTE_INDEX))
		(void)ttlv_skip(&inner);
	if ((i = attribute_by_name(name)) < ATTRIBUTES)
		take_attribute(&inner, TAG_ATTRIBUTE_VALUE, i, a);
	if (!buf_ok(&inner))
		payload->failed = true;
}

static void
take_attributes_2(struct buf *payload, struct kmip_attributes *a)
{
	struct buf inner;

	(void)ttlv_get_structure(payload, TAG_ATTRIBUTES, &inner);
	while (buf_left(&inner) > 0) {
		size_t i = 0;

		while (i < ATTRIBUTES &&
		    !ttlv_next_is(&inner, attributes[i].tag))
			i++;
		if (i < ATTRIBUTES)
			take_attribute(&inner, attributes[i].tag, i, a);
		else
			(void)ttlv_skip(&inner);
	}
	if (!buf_ok(&inner))
		payload->failed = true;
}

static int
take_get_attributes(struct buf *payload, struct kmip_version version,
    const void *in, void *out, struct err *err)
{
	struct kmip_attributes *a = out;
	int rc;

	memset(a, 0, sizeof(*a));
	if ((rc = take_same_id(payload, in, err)) < 0)
		return rc;
	if (is_2(version) && buf_left(payload) > 0)
		take_attributes_2(payload, a);
	while (!is_2(version) && ttlv_next_is(payload, TAG_ATTRIBUTE))
		take_attribute_1(payload, a);
	return buf_ok(payload) ? 0 : ERR_FORMAT;
}

const struct operation operation_get_attributes = {
	OPERATION_GET_ATTRIBUTES, true, put_get_attributes,
	take_get_attributes,
};
