/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtpmctl: a table of subcommands, one file each (ctl-create.c, ...). A
 * command's options are data, so that parsing and --help are the same for
 * all.
 */
#ifndef VTPM_VTPMCTL_H
#define VTPM_VTPMCTL_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/err.h"
#include "base/secret.h"
#include "nvram-crypt/nvram.h"
#include "vtpm/config.h"
#include "vtpm/manufacture.h"

#define PASSPHRASE_MAX 1024u
#define OPERANDS_MAX 1025	/* of export: BUNDLE_VMS_MAX and one more */

/* Exactly one of value and flag. */
struct ctl_option {
	const char *name;		/* without "--" */
	const char *argument;		/* for the help: "FILE"; NULL: a flag */
	const char *help;
	const char **value;
	bool *flag;
};

/* What all commands share: options that every one takes, and what comes of
 * them. */
struct ctl {
	bool json, help;
	const char *config_file, *state_dir, *passphrase_fd;
	struct config config;
	struct native *native;		/* NULL where this host has no key */
	struct agent *agent;		/* of the trust authority */
	struct freshness *freshness;	/* of native, or the authority's */
	bool new_kek;			/* see struct protector_creds */
	struct secret *passphrase;
	const char *operands[OPERANDS_MAX];
	size_t n_given;			/* operands there are */
	const struct ctl_command *command;
};

struct ctl_command {
	const char *name;	/* "create", "protector add" */
	const char *operands;	/* "FILE", for the help */
	size_t n_operands;
	bool operands_optional;	/* fewer will do */
	bool operands_many;	/* or more */
	const char *summary;
	/* More for --help, whole lines; NULL. */
	const char *details;
	/* Of this command alone; ends with a name of NULL. May be NULL. The
	 * values are reset before each parse. */
	const struct ctl_option *options;
	int (*run)(struct ctl *ctl, struct err *err);
};

extern const struct ctl_command ctl_create, ctl_info, ctl_verify,
    ctl_protector_list, ctl_protector_add, ctl_protector_remove,
    ctl_cert_list, ctl_cert_export, ctl_rekey, ctl_accept_restore,
    ctl_destroy, ctl_upgrade, ctl_version, ctl_agent_status, ctl_export,
    ctl_import, ctl_migrate_check, ctl_migrate_key, ctl_windows_check,
    ctl_libvirt_enable, ctl_libvirt_disable, ctl_libvirt_status;

/* ctl-options.c: fills ctl and the command's own values from argv (which
 * starts behind the command's name). */
int ctl_options_parse(struct ctl *ctl, int argc, char **argv, struct err *err);
/* The shared ones before a command; *used is how many of argv they were. */
int ctl_options_global(struct ctl *ctl, int argc, char **argv, int *used,
    struct err *err);
void ctl_options_help(const struct ctl_command *command);

/* ctl-open.c: what commands need of the host and the file. */

/* Configuration only, and who would ask the agent: nobody is asked yet. */
int ctl_load_config(struct ctl *ctl, struct err *err);
/* Also the passphrase of --passphrase-fd, and the native provider: with
 * create it is made, otherwise it may be missing. */
int ctl_load_host(struct ctl *ctl, bool create, struct err *err);
/* The passphrase alone; once. */
int ctl_load_passphrase(struct ctl *ctl, struct err *err);
/* The same for a file that is open: where the trust authority keeps its record,
 * this host's own key may be missing, or not to be had. */
int ctl_load_host_for(struct ctl *ctl, const struct nvram *nv,
    struct err *err);
/* Once it is unlocked: ctl->freshness becomes that of the keeper of its record. */
int ctl_choose_record(struct ctl *ctl, const struct nvram *nv,
    struct err *err);
/* This host's own record, whoever keeps the file's. */
int ctl_use_native_record(struct ctl *ctl, struct err *err);
int ctl_use_authority(struct ctl *ctl, struct err *err);
/* Configuration, and the native provider for its records: made if missing, but
 * one whose key cannot be opened will do. */
int ctl_load_records(struct ctl *ctl, struct err *err);
void ctl_reset(struct ctl *ctl);
struct protector_creds ctl_creds(const struct ctl *ctl);
/* nvram_open, ctl_load_host, nvram_unlock of operand 0. */
int ctl_open_unlocked(struct ctl *ctl, bool writable, struct nvram **nv,
    struct err *err);
/* Takes it into use, by the record that its protectors ask for. */
int ctl_acquire(struct ctl *ctl, struct nvram *nv, bool accept_restore,
    struct err *err);
/* For changing a stopped file: also nvram_acquire. To be ended with
 * ctl_close_changed, which releases it; *rc is what the change gave. */
int ctl_open_to_change(struct ctl *ctl, bool accept_restore,
    struct nvram **nv, struct err *err);
int ctl_close_changed(struct nvram *nv, int rc, struct err *err);

/* A protector as "native", "passphrase:fd=N" or "authority[:GROUP]" says. secret
 * is a new one for passphrase, else NULL; group points into text, "" where there
 * is none. */
struct ctl_protector {
	const struct protector_ops *ops;
	struct secret *secret;
	const char *group;
};
int ctl_parse_protector(const char *text, struct ctl_protector *p,
    struct err *err);

/* ctl-authority.c: VMs at the trust authority. */

/* Has the VM made there, with its KEK. */
int ctl_authority_create(struct ctl *ctl, const uint8_t uuid[UUID_SIZE],
    const char *name, const char *group, struct err *err);
/* Undoes that where something after it failed; says so if it cannot. */
void ctl_authority_undo(struct ctl *ctl, const uint8_t uuid[UUID_SIZE]);
/* ctl-give.c: operand 0, a file of this host's, becomes one of the authority's;
 * or that is finished where it was cut short. *nv: released, to be closed by the
 * caller, also after an error; NULL: not opened. */
int ctl_give(struct ctl *ctl, const struct ctl_protector *p,
    const char *label, struct nvram **nv, struct err *err);
/* Certificates by the authority's CA for EKs of the plan's VM. */
void ctl_authority_certify(struct ctl *ctl, struct manufacture_plan *plan);
/* ctl-create.c: --uuid (NULL: a random one) and --name (NULL: none). */
int ctl_parse_vm(const char *uuid_text, const char *name,
    uint8_t uuid[UUID_SIZE], struct err *err);
/* A descriptor's number; the text is ERR_USAGE where it is none. */
int ctl_parse_fd(const char *text, int *fd, struct err *err);

/* ctl-print.c */

/* Prints a result: JSON as it is, or text through `print`. Frees json. */
int ctl_print(const struct ctl *ctl, json_t *json,
    void (*print)(const json_t *json), struct err *err);
void ctl_print_error(const struct ctl *ctl, const struct err *err);
/* Text that may be anybody's: control characters, and bytes that are not
 * UTF-8, become '?'. */
json_t *ctl_json_text(const char *text);
json_t *ctl_json_hex(const uint8_t *data, size_t size);
json_t *ctl_json_time(uint64_t seconds);	/* RFC 3339 */
json_t *ctl_json_uuid(const uint8_t uuid[UUID_SIZE]);
json_t *ctl_json_protectors(const struct nvram_header *header);
/* "text" member of an object, "" where there is none. */
const char *ctl_text(const json_t *json, const char *key);
json_int_t ctl_number(const json_t *json, const char *key);
void ctl_print_protectors(const json_t *protectors);

#endif
