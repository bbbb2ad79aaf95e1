/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const states[] = { "making", "active", "destroying",
	"destroyed" };

const char *
kek_state_name(enum kek_state state)
{
	return states[state];
}

/* Takes what fits, and nothing that does not. */
static int
copy(char *out, size_t room, const char *text)
{
	size_t size = strlen(text);

	if (size >= room)
		return ERR_FORMAT;
	memcpy(out, text, size + 1);
	return 0;
}

static int
read_kek(const json_t *json, struct vm_kek *kek)
{
	const char *kms, *id, *state;
	json_int_t n, until = 0;

	if (json_unpack((json_t *)(uintptr_t)json, "{s:I s:s s:s s:s s?I !}",
	    "n", &n, "kms", &kms, "id", &id, "state", &state, "until",
	    &until) < 0 || n < 1 || n > VM_KEKS_MAX ||
	    copy(kek->kms, sizeof(kek->kms), kms) < 0 ||
	    copy(kek->id, sizeof(kek->id), id) < 0)
		return ERR_FORMAT;
	kek->n = (uint32_t)n;
	kek->making_until = until;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(states[i], state) == 0) {
			kek->state = (enum kek_state)i;
			return 0;
		}
	return ERR_FORMAT;
}

static int
read_keks(const json_t *list, struct vm *vm)
{
	size_t count = json_array_size(list);

	if (count > VM_KEKS_MAX || (vm->keks = calloc(count + 1,
	    sizeof(*vm->keks))) == NULL)
		return ERR_FORMAT;
	for (; vm->kek_count < count; vm->kek_count++) {
		struct vm_kek *kek = &vm->keks[vm->kek_count];

		if (read_kek(json_array_get(list, vm->kek_count), kek) < 0 ||
		    (vm->kek_count > 0 && kek->n <= kek[-1].n))
			return ERR_FORMAT;
	}
	return 0;
}

static int
read_groups(const json_t *list, struct vm *vm)
{
	const json_t *item;
	size_t i;

	if (json_array_size(list) > VM_GROUPS_MAX)
		return ERR_FORMAT;
	json_array_foreach(list, i, item) {
		if (!json_is_string(item) ||
		    !name_is_good(json_string_value(item)))
			return ERR_FORMAT;
		(void)copy(vm->groups[i], NAME_MAX_SIZE,
		    json_string_value(item));
		vm->group_count = i + 1;
	}
	return 0;
}

static int
read_serials(const json_t *list, struct vm *vm)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (!json_is_string(item) || vm_add_serial(vm,
		    json_string_value(item), NULL) < 0)
			return ERR_FORMAT;
	return 0;
}

int
vm_read(const json_t *json, const char *uuid, struct vm *vm, struct err *err)
{
	const char *title, *by;
	const json_t *groups, *keks, *serials = NULL;
	json_int_t created, shredded;
	int trust, forgotten = 0;

	*vm = (struct vm){ 0 };
	if (copy(vm->uuid, sizeof(vm->uuid), uuid) < 0 ||
	    json_unpack((json_t *)(uintptr_t)json,
	    "{s:s s:o s:b s:o s:I s:s s:I s?o s?b !}", "name", &title, "groups",
	    &groups, "needs_trust", &trust, "keks", &keks, "created", &created,
	    "by", &by, "shredded", &shredded, "serials", &serials,
	    "forgotten", &forgotten) < 0 ||
	    copy(vm->title, sizeof(vm->title), title) < 0 ||
	    copy(vm->by, sizeof(vm->by), by) < 0 ||
	    read_groups(groups, vm) < 0 || read_keks(keks, vm) < 0 ||
	    read_serials(serials, vm) < 0) {
		vm_reset(vm);
		return record_damaged(VM_KIND, uuid, err);
	}
	vm->needs_trust = trust;
	vm->created = created;
	vm->shredded = shredded;
	vm->forgotten = forgotten;
	return 0;
}

int
vm_load(struct store *store, const char *uuid, struct vm *vm, struct err *err)
{
	json_t *json = NULL;
	uint64_t version = 0;
	int rc;

	*vm = (struct vm){ 0 };
	rc = record_get(store, VM_KIND, uuid, &json, &version, err);
	if (rc == ERR_NOTFOUND)
		return err_set(err, rc, "the authority does not know a VM %s: "
		    "has its vTPM been created under this authority?", uuid);
	if (rc == 0 && (rc = vm_read(json, uuid, vm, err)) == 0)
		vm->version = version;
	json_decref(json);
	return rc;
}

static json_t *
kek_json(const struct vm_kek *kek)
{
	json_t *json = json_pack("{sI ss ss ss}", "n", (json_int_t)kek->n,
	    "kms", kek->kms, "id", kek->id, "state",
	    states[kek->state]);

	if (kek->state == KEK_MAKING)
		json_object_set_new(json, "until",
		    json_integer(kek->making_until));
	return json;
}

json_t *
vm_json(const struct vm *vm)
{
	json_t *groups = json_array(), *keks = json_array();
	json_t *serials = json_array();

	for (size_t i = 0; i < vm->group_count; i++)
		json_array_append_new(groups, json_string(vm->groups[i]));
	for (size_t i = 0; i < vm->kek_count; i++)
		json_array_append_new(keks, kek_json(&vm->keks[i]));
	for (size_t i = 0; i < vm->serial_count; i++)
		json_array_append_new(serials, json_string(vm->serials[i]));
	return json_pack("{ss so sb so sI ss sI so sb}", "name", vm->title,
	    "groups", groups, "needs_trust", vm->needs_trust, "keks", keks,
	    "created", (json_int_t)vm->created, "by", vm->by, "shredded",
	    (json_int_t)vm->shredded, "serials", serials,
	    "forgotten", vm->forgotten);
}

char *
vm_text(const struct vm *vm)
{
	json_t *json = vm_json(vm);
	char *text = json != NULL ? record_text(json) : NULL;

	json_decref(json);
	return text;
}

void
vm_reset(struct vm *vm)
{
	free(vm->keks);
	free(vm->serials);
	*vm = (struct vm){ 0 };
}

bool
vm_has_group(const struct vm *vm, const char *group)
{
	for (size_t i = 0; i < vm->group_count; i++)
		if (strcmp(vm->groups[i], group) == 0)
			return true;
	return false;
}

struct vm_kek *
vm_kek(const struct vm *vm, uint32_t n)
{
	for (size_t i = 0; i < vm->kek_count; i++)
		if (vm->keks[i].n == n)
			return &vm->keks[i];
	return NULL;
}

struct vm_kek *
vm_newest(const struct vm *vm)
{
	for (size_t i = vm->kek_count; i-- > 0;)
		if (vm->keks[i].state == KEK_ACTIVE)
			return &vm->keks[i];
	return NULL;
}

struct vm_kek *
vm_making(const struct vm *vm)
{
	for (size_t i = vm->kek_count; i-- > 0;)
		if (vm->keks[i].state == KEK_MAKING)
			return &vm->keks[i];
	return NULL;
}

struct vm_kek *
vm_add_kek(struct vm *vm, const char *kms)
{
	uint32_t n = vm->kek_count > 0 ? vm->keks[vm->kek_count - 1].n + 1 : 1;
	struct vm_kek *all;

	if (n > VM_KEKS_MAX)
		return NULL;
	all = realloc(vm->keks, (vm->kek_count + 1) * sizeof(*all));
	if (all == NULL)
		return NULL;
	vm->keks = all;
	all += vm->kek_count++;
	*all = (struct vm_kek){ .n = n, .state = KEK_MAKING };
	(void)copy(all->kms, sizeof(all->kms), kms);
	return all;
}

int
vm_add_serial(struct vm *vm, const char *serial, struct err *err)
{
	char (*all)[VM_SERIAL_SIZE];

	if (vm->serial_count >= VM_SERIALS_MAX)
		return err_set(err, ERR_REFUSED, "the VM %s has had %d EK "
		    "certificates: no more are issued", vm->uuid,
		    VM_SERIALS_MAX);
	all = realloc(vm->serials, (vm->serial_count + 1) * sizeof(*all));
	if (all == NULL)
		return err_set(err, ERR_SYSTEM, "no memory");
	vm->serials = all;
	if (copy(all[vm->serial_count], VM_SERIAL_SIZE, serial) < 0)
		return err_set(err, ERR_FORMAT, "a serial number is too long");
	vm->serial_count++;
	return 0;
}
