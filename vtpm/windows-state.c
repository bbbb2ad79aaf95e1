/* SPDX-License-Identifier: BSD-3-Clause */
/* What the TPM's state allows Windows to do: who owns it, its lockout, its
 * clock, its PCRs at a start, and how much it still holds. */
#include <string.h>

#include "vtpm/tpm-command.h"
#include "vtpm/tpm-public.h"
#include "vtpm/windows-ask.h"
#include "vtpm/windows-internal.h"

/* TPM 2.0 Part 2, 6.13 */
#define TPM_PT_HR_TRANSIENT_MIN 0x10eu
#define TPM_PT_HR_LOADED_MIN 0x110u
#define TPM_PT_CLOCK_UPDATE 0x119u
#define TPM_PT_MAX_OBJECT_CONTEXT 0x121u
#define TPM_PT_STARTUP_CLEAR 0x201u
#define TPM_PT_HR_PERSISTENT_AVAIL 0x209u
#define TPM_PT_LOCKOUT_COUNTER 0x20eu
#define TPM_PT_MAX_AUTH_FAIL 0x20fu
#define TPM_PT_LOCKOUT_INTERVAL 0x210u
#define TPM_PT_LOCKOUT_RECOVERY 0x211u

/* TPMA_STARTUP_CLEAR, Part 2, 8.7 */
#define SH_ENABLE 0x00000002u
#define EH_ENABLE 0x00000004u

/* What Windows sets: 32 tries, one forgotten every ten minutes, and before
 * Windows 10 1809 every two hours. */
#define WINDOWS_TRIES 32u
#define WINDOWS_INTERVAL 600u
#define WINDOWS_INTERVAL_OLD 7200u

#define CLOCK_UPDATE_MAX 15000u	/* ms, Device...TPM20.Features */
#define PERSISTENT_FREE 2u	/* an SRK and an EK of Windows' own */
#define NV_FREE 2048u		/* one certificate; our own bar */
#define TRIAL_INDEX 0x01c0fffeu	/* a platform's, and not in the registry */

#define CLEAR_IT "clear the TPM: in the guest, by Clear-Tpm or the " \
	"firmware's setup (keys in it are lost); or make a new vTPM"

struct lockout {
	uint32_t counter, tries, interval, recovery;
};

static int
read_lockout(struct lockout *l, struct err *err)
{
	int rc;

	if ((rc = tpm2_get_property(TPM_PT_LOCKOUT_COUNTER, &l->counter,
		err)) < 0 ||
	    (rc = tpm2_get_property(TPM_PT_MAX_AUTH_FAIL, &l->tries,
		err)) < 0 ||
	    (rc = tpm2_get_property(TPM_PT_LOCKOUT_INTERVAL, &l->interval,
		err)) < 0)
		return rc;
	return tpm2_get_property(TPM_PT_LOCKOUT_RECOVERY, &l->recovery, err);
}

static bool
windows_set_it(const struct lockout *l)
{
	return l->tries == WINDOWS_TRIES &&
	    (l->interval == WINDOWS_INTERVAL ||
	    l->interval == WINDOWS_INTERVAL_OLD);
}

/* Windows takes a TPM that nobody owns, and knows one that it has taken. The
 * values themselves cannot be read; that the lockout is as Windows sets it,
 * which takes the lockout authorisation, is what can be told. */
static void
check_owner(struct windows_report *r, uint32_t permanent,
    const struct lockout *l)
{
	const uint32_t any = OWNER_AUTH_SET | ENDORSEMENT_AUTH_SET |
	    LOCKOUT_AUTH_SET;
	bool windows = (permanent & LOCKOUT_AUTH_SET) && windows_set_it(l);

	if (!(permanent & any))
		windows_add(r, WINDOWS_OK, "owner", SOURCE_READY, NULL,
		    "owner, endorsement and lockout authorisation are empty: "
		    "Windows can take it");
	else
		windows_add(r, windows ? WINDOWS_OK : WINDOWS_SHORT, "owner",
		    SOURCE_READY, "somebody has taken this TPM, and not as "
		    "Windows does, which then cannot provision it: " CLEAR_IT,
		    "authorisation is set for:%s%s%s%s",
		    permanent & OWNER_AUTH_SET ? " owner" : "",
		    permanent & ENDORSEMENT_AUTH_SET ? " endorsement" : "",
		    permanent & LOCKOUT_AUTH_SET ? " lockout" : "",
		    windows ? "; with Windows' lockout parameters" : "");
}

static void
check_lockout(struct windows_report *r, uint32_t permanent,
    const struct lockout *l)
{
	enum windows_verdict verdict = WINDOWS_OK;
	const char *remedy = NULL;

	if (permanent & IN_LOCKOUT) {
		verdict = WINDOWS_SHORT;
		remedy = "the TPM is locked out: it forgets one failure each "
		    "interval, or reset it (tpm2_dictionarylockout "
		    "--clear-lockout)";
	} else if (l->tries == 0 || l->interval == 0) {
		/* Part 3, 25.3: 0 tries is locked out for ever, 0 seconds
		 * protects from nothing. */
		verdict = WINDOWS_SHORT;
		remedy = "no PIN can be protected by this: set it anew "
		    "(tpm2_dictionarylockout --setup-parameters), or clear "
		    "the TPM";
	} else if ((permanent & LOCKOUT_AUTH_SET) && !windows_set_it(l)) {
		verdict = WINDOWS_SHORT;
		remedy = "Windows sets 32 tries and 600 seconds, and cannot "
		    "here, where another holds the lockout authorisation: "
		    CLEAR_IT;
	}
	windows_add(r, verdict, "lockout", SOURCE_FUNDAMENTALS, remedy,
	    "%u tries, one forgotten every %u s, lockout recovery %u s, %u "
	    "failures now%s", l->tries, l->interval, l->recovery, l->counter,
	    permanent & IN_LOCKOUT ? ", LOCKED OUT" : "");
}

static int
check_hierarchies(struct windows_report *r, uint32_t permanent,
    struct err *err)
{
	uint32_t startup;
	bool enabled;
	int rc;

	if ((rc = tpm2_get_property(TPM_PT_STARTUP_CLEAR, &startup, err)) < 0)
		return rc;
	enabled = (startup & SH_ENABLE) && (startup & EH_ENABLE);
	windows_add(r, enabled ? WINDOWS_OK : WINDOWS_SHORT, "hierarchies",
	    SOURCE_PROFILE, "the TPM is not active after a start: this is no "
	    "state that libtpms writes, restore the file",
	    "storage hierarchy %s, endorsement hierarchy %s after a start; "
	    "TPM2_Clear by the owner is %s",
	    startup & SH_ENABLE ? "on" : "OFF",
	    startup & EH_ENABLE ? "on" : "OFF",
	    permanent & DISABLE_CLEAR ? "disabled, the firmware's goes on" :
	    "possible");
	return 0;
}

static int
check_clock(struct windows_report *r, struct err *err)
{
	struct ask_clock c;
	uint32_t update;
	int rc;

	if ((rc = ask_clock(&c, err)) < 0 ||
	    (rc = tpm2_get_property(TPM_PT_CLOCK_UPDATE, &update, err)) < 0)
		return rc;
	windows_add(r, update <= CLOCK_UPDATE_MAX ? WINDOWS_OK :
	    WINDOWS_SHORT, "clock", SOURCE_DEVICE, "the clock would be "
	    "unsafe for more than 15 seconds after a start: use another "
	    "libtpms", "%llu.%03llu s, reset count %u, restart count %u, %s; "
	    "safe within %u ms of a start",
	    (unsigned long long)c.clock / 1000,
	    (unsigned long long)c.clock % 1000, c.resets, c.restarts,
	    c.safe ? "safe" : "not safe after a power cut", update);
	return 0;
}

/* PTP, table of PCR initial values: 0 to 16 and 23 start at zero (0 as from
 * locality 0), 17 to 22 at all ones. */
static bool
pcr_starts_right(unsigned int pcr, const uint8_t *digest, size_t size)
{
	uint8_t wanted = pcr >= 17 && pcr <= 22 ? 0xff : 0;

	for (size_t i = 0; i < size; i++)
		if (digest[i] != wanted)
			return false;
	return size == 32;
}

static int
check_pcrs(struct windows_report *r, struct err *err)
{
	uint8_t digest[ASK_DIGEST_MAX];
	uint32_t pcrs, wrong = 0;
	size_t size;
	int rc;

	if ((rc = ask_bank(TPM_ALG_SHA256_ID, &pcrs, err)) < 0 || pcrs == 0)
		return rc;
	for (unsigned int i = 0; i < ASK_PCRS; i++) {
		if (!(pcrs & 1u << i))
			continue;
		if ((rc = ask_pcr(TPM_ALG_SHA256_ID, i, digest, &size,
			err)) < 0)
			return rc;
		if (!pcr_starts_right(i, digest, size))
			wrong |= 1u << i;
	}
	windows_add(r, wrong == 0 ? WINDOWS_OK : WINDOWS_SHORT, "pcr-values",
	    SOURCE_PTP, "the event log of a boot could not agree with such "
	    "PCRs: use another libtpms", wrong == 0 ? "after a start all are "
	    "as an event log's replay begins" : "after a start these are not "
	    "as an event log's replay begins (bits): 0x%06x", wrong);
	return 0;
}

int
windows_state(struct windows_report *r, uint32_t permanent, struct err *err)
{
	struct lockout l;
	int rc;

	if ((rc = read_lockout(&l, err)) < 0)
		return rc;
	check_owner(r, permanent, &l);
	check_lockout(r, permanent, &l);
	if ((rc = check_hierarchies(r, permanent, err)) < 0 ||
	    (rc = check_clock(r, err)) < 0)
		return rc;
	return check_pcrs(r, err);
}

/* Windows pads what it loads to TPM_PT_MAX_OBJECT_CONTEXT. */
static int
check_context(struct windows_report *r, struct err *err)
{
	const struct tpm_template *t = tpm_template_srk("p256");
	uint8_t template[TPM_PUBLIC_MAX];
	size_t size = sizeof(template);
	struct tpm_primary key;
	struct err why = { 0 };
	uint32_t max;
	int rc;

	if ((rc = tpm2_get_property(TPM_PT_MAX_OBJECT_CONTEXT, &max,
		err)) < 0 ||
	    (rc = tpm_template_write(t, template, &size, err)) < 0 ||
	    (rc = tpm2_create_primary(TPM_RH_PLATFORM, template, size, &key,
		err)) < 0)
		return rc;
	rc = ask_context(key.handle, 0, &why);
	if (rc == 0)
		rc = ask_context(key.handle, max, &why);
	windows_add(r, rc == 0 ? WINDOWS_OK : WINDOWS_SHORT, "context-load",
	    SOURCE_LIBTPMS, "use libtpms 0.8.3 or later", rc == 0 ? "a saved "
	    "key loads again, also padded to %u bytes" : "a key saved and "
	    "padded to %u bytes does not load: %s", max, why.text);
	return tpm2_flush_context(key.handle, err);
}

static int
check_slots(struct windows_report *r, struct err *err)
{
	uint32_t transient, sessions, persistent;
	bool enough;
	int rc;

	if ((rc = tpm2_get_property(TPM_PT_HR_TRANSIENT_MIN, &transient,
		err)) < 0 ||
	    (rc = tpm2_get_property(TPM_PT_HR_LOADED_MIN, &sessions,
		err)) < 0 ||
	    (rc = tpm2_get_property(TPM_PT_HR_PERSISTENT_AVAIL, &persistent,
		err)) < 0)
		return rc;
	enough = transient >= 3 && sessions >= 3 &&
	    persistent >= PERSISTENT_FREE;
	windows_add(r, enough ? WINDOWS_OK : WINDOWS_SHORT, "slots",
	    SOURCE_PTP, "evict persistent keys that nobody uses "
	    "(tpm2_evictcontrol)", "%u transient keys, %u sessions, room for "
	    "%u more persistent keys", transient, sessions, persistent);
	return 0;
}

/* Whether an index of that size can still be defined: tried, on the copy. */
static int
check_nv(struct windows_report *r, struct err *err)
{
	struct err why = { 0 };
	uint32_t max;
	bool room;
	int rc;

	if ((rc = tpm2_get_property(TPM_PT_NV_INDEX_MAX, &max, err)) < 0)
		return rc;
	room = max >= NV_FREE && tpm2_nv_define_space(TRIAL_INDEX,
	    TPMA_NV_PLATFORMCREATE | TPMA_NV_PPREAD | TPMA_NV_PPWRITE,
	    NV_FREE, &why) == 0;
	windows_add(r, room ? WINDOWS_OK : WINDOWS_SHORT, "nv-space",
	    SOURCE_PTP, "undefine NV indices that nobody uses "
	    "(tpm2_nvundefine)", room ? "an index holds up to %u bytes, and "
	    "one of %u fits besides what there is" : "an index holds up to "
	    "%u bytes, but one of %u does not fit: %s", max, NV_FREE,
	    why.text);
	return 0;
}

int
windows_room(struct windows_report *r, struct err *err)
{
	int rc;

	if ((rc = check_context(r, err)) < 0 ||
	    (rc = check_slots(r, err)) < 0)
		return rc;
	return check_nv(r, err);
}
