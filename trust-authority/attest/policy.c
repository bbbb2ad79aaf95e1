/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/policy.h"

#include <stdlib.h>
#include <string.h>

#include "trust-authority/attest/policy-read.h"

#define MEMBERS(table) (table), sizeof(table) / sizeof((table)[0])

const struct measured_kind measured_kinds[MEASURED_COUNT] = {
	[MEASURED_DRIVERS] = { "boot_drivers", 2 },
	[MEASURED_APPLICATIONS] = { "boot_applications", 4 },
	[MEASURED_PARTITIONS] = { "partition_tables", 5 },
	[MEASURED_FILES] = { "boot_files", 9 },
	[MEASURED_MOK] = { "machine_owner_keys", 14 },
};

const char *const variable_names[VARIABLE_COUNT] = {
	"PK", "KEK", "db", "dbx",
};

#define READER(name) \
	static int name(json_t *value, struct policy *p, const char *path, \
	    struct err *err)

READER(read_format)
{
	(void)p;
	if (json_integer_value(value) == POLICY_FORMAT)
		return 0;
	return err_set(err, ERR_UNSUPPORTED, "policy: %s must be %d", path,
	    POLICY_FORMAT);
}

READER(read_name)
{
	const char *name = json_string_value(value);
	size_t n = strlen(name);

	if (n == 0 || n > POLICY_NAME_MAX || strspn(name, "abcdefghijklmnopqrst"
	    "uvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != n ||
	    name[0] == '.')
		return err_set(err, ERR_FORMAT, "policy: %s must be 1 to %d "
		    "letters, digits, dots, dashes and underscores", path,
		    POLICY_NAME_MAX);
	memcpy(p->name, name, n + 1);
	return 0;
}

/* For people. */
READER(read_description)
{
	(void)value;
	(void)p;
	(void)path;
	(void)err;
	return 0;
}

READER(read_bank)
{
	p->bank = hash_by_name(json_string_value(value));
	if (p->bank == NULL || p->bank->id == TPM_ALG_SHA1)
		return err_set(err, ERR_FORMAT, "policy: %s must be sha256, "
		    "sha384 or sha512", path);
	return 0;
}

/* "7" and no other way to write it. */
static int
pcr_number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' ||
	    n >= PCR_COUNT || (text[0] == '0' && text[1] != '\0'))
		return -1;
	return (int)n;
}

READER(read_pcrs)
{
	const char *name;
	json_t *list;
	int n, rc;

	json_object_foreach(value, name, list) {
		if ((n = pcr_number(name)) < 0)
			return err_set(err, ERR_FORMAT,
			    "policy: %s.%.40s is no PCR", path, name);
		if ((rc = type_check(list, JSON_ARRAY, path, err)) < 0 ||
		    (rc = digest_list_read(list, p->bank, &p->pcr[n], path,
		    err)) < 0)
			return rc;
	}
	return 0;
}

READER(read_replay)
{
	json_t *item;
	size_t i;

	json_array_foreach(value, i, item) {
		if (!json_is_integer(item) || json_integer_value(item) < 0 ||
		    json_integer_value(item) >= PCR_COUNT)
			return err_set(err, ERR_FORMAT,
			    "policy: %s[%zu] is no PCR", path, i);
		p->replay |= 1u << json_integer_value(item);
	}
	return 0;
}

#define LIST_READER(name, function, target) \
	READER(name) \
	{ \
		return function(value, p->bank, &p->target, path, err); \
	}
LIST_READER(read_pk, digest_list_read, variable[VARIABLE_PK])
LIST_READER(read_kek, digest_list_read, variable[VARIABLE_KEK])
LIST_READER(read_db, digest_list_read, variable[VARIABLE_DB])
LIST_READER(read_dbx, digest_list_read, variable[VARIABLE_DBX])
LIST_READER(read_authorities, digest_list_read, authorities)
LIST_READER(read_drivers, measured_list_read, measured[MEASURED_DRIVERS])
LIST_READER(read_applications, measured_list_read,
    measured[MEASURED_APPLICATIONS])
LIST_READER(read_partitions, measured_list_read, measured[MEASURED_PARTITIONS])
LIST_READER(read_files, measured_list_read, measured[MEASURED_FILES])
LIST_READER(read_mok, measured_list_read, measured[MEASURED_MOK])

#define TEXT_READER(name, target) \
	READER(name) \
	{ \
		return text_list_read(value, &p->target, path, err); \
	}
TEXT_READER(read_kernel_commands, kernel_commands)
TEXT_READER(read_boot_commands, boot_commands)
TEXT_READER(read_actions, actions)

READER(read_secure_boot)
{
	static const struct member members[] = {
		{ "PK", false, JSON_ARRAY, read_pk },
		{ "KEK", false, JSON_ARRAY, read_kek },
		{ "db", false, JSON_ARRAY, read_db },
		{ "dbx", false, JSON_ARRAY, read_dbx },
		{ "authorities", false, JSON_ARRAY, read_authorities },
	};

	p->secure_boot = true;
	p->replay |= 1u << 7;
	return members_read(value, MEMBERS(members), p, path, err);
}

READER(read_event_log)
{
	static const struct member members[] = {
		{ "pcrs", false, JSON_ARRAY, read_replay },
		{ "secure_boot", false, JSON_OBJECT, read_secure_boot },
		{ "boot_drivers", false, JSON_ARRAY, read_drivers },
		{ "boot_applications", false, JSON_ARRAY, read_applications },
		{ "partition_tables", false, JSON_ARRAY, read_partitions },
		{ "boot_files", false, JSON_ARRAY, read_files },
		{ "machine_owner_keys", false, JSON_ARRAY, read_mok },
		{ "kernel_command_lines", false, JSON_ARRAY,
		    read_kernel_commands },
		{ "boot_commands", false, JSON_ARRAY, read_boot_commands },
		{ "actions", false, JSON_ARRAY, read_actions },
	};
	int rc;

	p->events = true;
	/* What the firmware measures is always looked at. */
	p->replay = 0xff;
	if ((rc = members_read(value, MEMBERS(members), p, path, err)) < 0)
		return rc;
	for (size_t i = 0; i < MEASURED_COUNT; i++)
		if (p->measured[i].given)
			p->replay |= 1u << measured_kinds[i].pcr;
	/* GRUB's command lines are in PCR 8, systemd-stub's in 12. */
	if (p->kernel_commands.given || p->boot_commands.given)
		p->replay |= 1u << 8 | 1u << 12;
	return 0;
}

READER(read_extend)
{
	const char *how = json_string_value(value);

	if (strcmp(how, "sha1-padded") == 0)
		p->ima_extend = IMA_EXTEND_SHA1_PADDED;
	else if (strcmp(how, "bank") != 0)
		return err_set(err, ERR_FORMAT,
		    "policy: %s must be bank or sha1-padded", path);
	return 0;
}

#define BOOL_READER(name, target) \
	READER(name) \
	{ \
		(void)path; \
		(void)err; \
		p->target = json_is_true(value); \
		return 0; \
	}
BOOL_READER(read_violations, ima_violations)
BOOL_READER(read_boot_aggregate, ima_boot_aggregate)
BOOL_READER(read_clock_safe, clock_safe)
BOOL_READER(read_resets, resets)
BOOL_READER(read_restarts, restarts)

READER(read_ima_digests)
{
	return digest_set_read(value, p->ima_digests, path, err);
}

READER(read_ima)
{
	static const struct member members[] = {
		{ "extend", false, JSON_STRING, read_extend },
		{ "allow_violations", false, JSON_TRUE, read_violations },
		{ "boot_aggregate", false, JSON_TRUE, read_boot_aggregate },
		{ "digests", true, JSON_ARRAY, read_ima_digests },
	};

	p->ima = true;
	p->ima_boot_aggregate = true;
	if ((p->ima_digests = digest_set_new()) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	return members_read(value, MEMBERS(members), p, path, err);
}

READER(read_firmware)
{
	uint8_t bytes[8];
	json_t *item;
	struct buf in;
	size_t i;

	p->firmware = calloc(json_array_size(value) + 1, sizeof(uint64_t));
	if (p->firmware == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	json_array_foreach(value, i, item) {
		if (!json_is_string(item) || hash_unhex(json_string_value(item),
		    bytes, sizeof(bytes)) < 0)
			return err_set(err, ERR_FORMAT, "policy: %s[%zu] must "
			    "be 16 hexadecimal digits", path, i);
		in = buf_reader(bytes, sizeof(bytes));
		(void)buf_get_u64be(&in, &p->firmware[i]);
	}
	p->firmware_count = json_array_size(value);
	p->firmware_given = true;
	return 0;
}

READER(read_tpm)
{
	static const struct member members[] = {
		{ "firmware", false, JSON_ARRAY, read_firmware },
		{ "clock_safe", false, JSON_TRUE, read_clock_safe },
		{ "allow_resets", false, JSON_TRUE, read_resets },
		{ "allow_restarts", false, JSON_TRUE, read_restarts },
	};

	return members_read(value, MEMBERS(members), p, path, err);
}

/* Something must be asked of the boot, or any host would pass. */
static int
asks_something(const struct policy *p, struct err *err)
{
	bool yes = p->secure_boot || p->kernel_commands.given;

	for (size_t i = 0; i < PCR_COUNT; i++)
		yes = yes || p->pcr[i].given;
	for (size_t i = 0; i < MEASURED_COUNT; i++)
		yes = yes || p->measured[i].given;
	if (yes)
		return 0;
	return err_set(err, ERR_FORMAT, "policy: it asks for no PCR value, "
	    "Secure Boot, boot application, file or command line, and would "
	    "approve every boot");
}

static int
root_read(json_t *root, struct policy *p, struct err *err)
{
	static const struct member members[] = {
		{ "format", true, JSON_INTEGER, read_format },
		{ "name", true, JSON_STRING, read_name },
		{ "description", false, JSON_STRING, read_description },
		{ "bank", true, JSON_STRING, read_bank },
		{ "pcrs", false, JSON_OBJECT, read_pcrs },
		{ "event_log", false, JSON_OBJECT, read_event_log },
		{ "ima", false, JSON_OBJECT, read_ima },
		{ "tpm", false, JSON_OBJECT, read_tpm },
	};
	int rc;

	if (!json_is_object(root))
		return err_set(err, ERR_FORMAT, "policy: not an object");
	p->resets = true;
	if ((rc = members_read(root, MEMBERS(members), p, "", err)) < 0)
		return rc;
	return asks_something(p, err);
}

int
policy_read(const char *json, size_t size, struct policy **out,
    struct err *err)
{
	struct policy *p = NULL;
	json_t *root = NULL;
	json_error_t why;
	int rc;

	*out = NULL;
	if (size > POLICY_SIZE_MAX)
		return err_set(err, ERR_FORMAT, "a policy of %zu bytes, more "
		    "than %u", size, POLICY_SIZE_MAX);
	root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &why);
	if (root == NULL)
		return err_set(err, ERR_FORMAT,
		    "policy: not JSON: line %d, column %d: %s", why.line,
		    why.column, why.text);
	if ((p = calloc(1, sizeof(*p))) == NULL)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	else
		rc = root_read(root, p, err);
	if (rc == 0) {
		*out = p;
		p = NULL;
	}
	policy_free(p);
	json_decref(root);
	return rc;
}

void
policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < PCR_COUNT; i++)
		digest_list_free(&p->pcr[i]);
	for (size_t i = 0; i < VARIABLE_COUNT; i++)
		digest_list_free(&p->variable[i]);
	digest_list_free(&p->authorities);
	for (size_t i = 0; i < MEASURED_COUNT; i++)
		measured_list_free(&p->measured[i]);
	text_list_free(&p->kernel_commands);
	text_list_free(&p->boot_commands);
	text_list_free(&p->actions);
	digest_set_free(p->ima_digests);
	free(p->firmware);
	free(p);
}

const char *
policy_name(const struct policy *p)
{
	return p->name;
}
