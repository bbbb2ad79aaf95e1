/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "trust-authority/vtactl/vm-find.h"
#include "trust-authority/vtactl/vtactl.h"

static const char *reason;
static bool yes, no_trust;
static struct text_list groups;

static const struct option reason_options[] = {
	{ "reason", "TEXT", "for the record", &reason, NULL, NULL },
	{ 0 },
};
static const struct option shred_options[] = {
	{ "yes", NULL, "do not ask", NULL, &yes, NULL },
	{ 0 },
};
static const struct option grant_options[] = {
	{ "group", "GROUP", "a group that gets it; may be given several times",
	    NULL, NULL, &groups },
	{ "no-trust-needed", NULL, "also for hosts that meet no policy", NULL,
	    &no_trust, NULL },
	{ 0 },
};

static void
column_owner(const json_t *row, char *out, size_t room)
{
	const json_t *owner = json_object_get(row, "owner");
	const char *host = json_is_string(owner) ? json_string_value(owner) :
	    text_of(owner, "host");

	clean_text(host[0] != '\0' ? host : "-", out, room);
}

/* Handed out by a migration, and nobody has claimed it. */
static bool
is_offered(const json_t *row)
{
	return json_is_true(json_object_get(json_object_get(row, "offer"),
	    "open"));
}

static bool
has_owner(const json_t *row)
{
	const json_t *owner = json_object_get(row, "owner");

	return owner != NULL && !json_is_null(owner);
}

static void
column_state(const json_t *row, char *out, size_t room)
{
	const json_t *shredded = json_object_get(row, "shredded");
	bool gone = json_is_true(shredded) || json_integer_value(shredded) > 0;

	snprintf(out, room, "%s", gone ? "shredded" : !has_owner(row) ?
	    json_is_false(json_object_get(row, "clean")) ? "not clean" :
	    "closed" : is_offered(row) ? "offered" : "open");
}

static void
print_vms(const json_t *answer)
{
	static const struct column columns[] = {
		{ "UUID", "vm", NULL }, { "NAME", "name", NULL },
		{ "GROUPS", "groups", NULL },
		{ "NEEDS TRUST", "needs_trust", NULL },
		{ "EPOCH", "epoch", NULL }, { "STATE", NULL, column_state },
		{ "OWNER", NULL, column_owner },
	};

	print_table(json_object_get(answer, "vms"), columns, 7);
}

static int
list(struct vtactl *v, struct err *err)
{
	json_t *answer;
	int rc;

	if ((rc = vm_list(v, &answer, err)) < 0)
		return rc;
	return print_result(v, answer, print_vms, err);
}

static void
print_keks(const json_t *vm)
{
	static const struct column columns[] = {
		{ "KEK", "n", NULL }, { "STATE", "state", NULL },
		{ "KMS", "kms", NULL }, { "ID THERE", "id", NULL },
	};
	const json_t *keks = json_object_get(vm, "keks");

	if (json_array_size(keks) == 0)
		return;
	putchar('\n');
	print_table(keks, columns, 4);
}

static void
print_offer(const json_t *vm)
{
	const json_t *offer = json_object_get(vm, "offer");
	char host[512], at[64];

	if (!json_is_object(offer))
		return;
	clean_text(text_of(offer, "host"), host, sizeof(host));
	member_time(offer, "at", at, sizeof(at));
	printf("%-12s handed out by %s, %s%s\n", "offer", host, at,
	    is_offered(vm) ? "; not claimed yet" : "; claimed");
}

static void
print_vm(const json_t *vm)
{
	static const char *const members[] = { "vm", "name", "groups",
		"needs_trust", "epoch", "confirmed", "clean", "by" };
	const json_t *owner = json_object_get(vm, "owner");
	char text[512];

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (json_object_get(vm, members[i]) == NULL)
			continue;
		member_text(vm, members[i], text, sizeof(text));
		printf("%-12s %s\n", members[i], text);
	}
	member_time(vm, "created", text, sizeof(text));
	printf("%-12s %s\n", "created", text);
	column_state(vm, text, sizeof(text));
	printf("%-12s %s\n", "state", text);
	if (json_is_true(json_object_get(vm, "accept")))
		printf("%-12s any copy of its file, once (accept-restore)\n",
		    "accepts");
	column_owner(vm, text, sizeof(text));
	printf("%-12s %s\n", "owner", text);
	if (json_is_object(owner)) {
		member_time(owner, "lease_until", text, sizeof(text));
		printf("%-12s %s\n", "lease until", text);
	}
	print_offer(vm);
	print_keks(vm);
}

static int
show(struct vtactl *v, struct err *err)
{
	char uuid[UUID_TEXT_SIZE];
	json_t *answer;
	int rc;

	if ((rc = vm_find(v, v->operands[0], uuid, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_KMXD, HTTP_GET, NULL, &answer, err,
	    "/v1/vms/%s", uuid)) < 0)
		return rc;
	return print_result(v, answer, print_vm, err);
}

/* POST /v1/vms/UUID/WHAT. body: without what is common to all. */
static int
post(struct vtactl *v, const char *uuid, const char *what, json_t *body,
    const char *line, struct err *err)
{
	int rc;

	if ((rc = vtactl_call(v, SERVICE_KMXD, HTTP_POST, body, NULL, err,
	    "/v1/vms/%s/%s", uuid, what)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "vm", uuid), err, "VM %s %s",
	    v->operands[0], line);
}

static json_t *
body_reason(void)
{
	return json_pack("{s:s}", "reason", reason != NULL ? reason : "");
}

static int
fence(struct vtactl *v, struct err *err)
{
	char uuid[UUID_TEXT_SIZE];
	int rc;

	if ((rc = vm_find(v, v->operands[0], uuid, err)) < 0)
		return rc;
	return post(v, uuid, "fence", body_reason(), "is nobody's now: "
	    "another host may open it at once.", err);
}

static int
accept_restore(struct vtactl *v, struct err *err)
{
	char uuid[UUID_TEXT_SIZE];
	int rc;

	if ((rc = vm_find(v, v->operands[0], uuid, err)) < 0)
		return rc;
	return post(v, uuid, "accept-restore", body_reason(), "may be opened "
	    "once with whatever copy of its file comes next.", err);
}

static int
retire(struct vtactl *v, struct err *err)
{
	char uuid[UUID_TEXT_SIZE];
	int rc;

	if ((rc = vm_find(v, v->operands[0], uuid, err)) < 0)
		return rc;
	return post(v, uuid, "retire", json_object(), "has only its newest "
	    "KEK: older copies of its file do not open any more.", err);
}

static int
shred(struct vtactl *v, struct err *err)
{
	char uuid[UUID_TEXT_SIZE], question[512];
	const char *name;
	json_t *vm = NULL;
	int rc;

	if ((rc = vm_find(v, v->operands[0], uuid, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_KMXD, HTTP_GET, NULL, &vm, err,
	    "/v1/vms/%s", uuid)) < 0)
		return rc;
	name = text_of(vm, "name")[0] != '\0' ? text_of(vm, "name") : uuid;
	snprintf(question, sizeof(question), "This destroys the keys of VM %s "
	    "(%s): its virtual TPM, every copy and every backup of it can "
	    "never be opened again.", name, uuid);
	if ((rc = confirm(yes, question, name, err)) == 0)
		rc = post(v, uuid, "shred", json_pack("{s:s}", "name", name),
		    "is shredded: nothing opens its virtual TPM again.", err);
	json_decref(vm);
	return rc;
}

static int
grant(struct vtactl *v, struct err *err)
{
	char uuid[UUID_TEXT_SIZE];
	int rc;

	if (groups.count == 0)
		return err_set(err, ERR_USAGE, "vtactl grant needs --group: "
		    "the groups whose hosts may have the VM's key, all of "
		    "them");
	for (size_t i = 0; i < groups.count; i++)
		if ((rc = name_check("group", groups.text[i], err)) < 0)
			return rc;
	if ((rc = vm_find(v, v->operands[0], uuid, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_KMXD, HTTP_PUT, json_pack(
	    "{s:o, s:b}", "groups", body_list(&groups), "needs_trust",
	    !no_trust), NULL, err, "/v1/vms/%s/grants", uuid)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "vm", uuid), err, "VM %s may "
	    "be opened by these groups and no others%s.", v->operands[0],
	    no_trust ? ", on any of their hosts" : ", on hosts that are "
	    "attested");
}

const struct command grant_commands[] = {
	{
		.name = "grant", .operands = "VM", .least = 1, .most = 1,
		.summary = "Say which groups' hosts get a VM's key",
		.details = "VM is a name or UUID. The groups given are all "
		    "that have it afterwards.\n",
		.options = grant_options, .run = grant,
	},
	{ 0 },
};

const struct command vm_commands[] = {
	{
		.name = "vm list", .operands = "",
		.summary = "List the VMs whose keys are here", .run = list,
	},
	{
		.name = "vm show", .operands = "VM", .least = 1, .most = 1,
		.summary = "Show a VM: its owner, epoch and keys", .run = show,
	},
	{
		.name = "vm fence", .operands = "VM", .least = 1, .most = 1,
		.summary = "Take a VM from the host that owns it, at once",
		.details = "For a host that is dead or cut off; be sure that "
		    "it is. Its copy, if it still runs, stops\nwriting when "
		    "it learns of this.\n",
		.options = reason_options, .run = fence,
	},
	{
		.name = "vm accept-restore", .operands = "VM", .least = 1,
		.most = 1,
		.summary = "Let a VM open once from an older copy of its file",
		.options = reason_options, .run = accept_restore,
	},
	{
		.name = "vm retire", .operands = "VM", .least = 1, .most = 1,
		.summary = "Destroy a VM's keys from before its last rekey",
		.run = retire,
	},
	{
		.name = "vm shred", .operands = "VM", .least = 1, .most = 1,
		.summary = "Destroy all keys of a VM, for ever",
		.options = shred_options, .run = shred,
	},
	{ 0 },
};
