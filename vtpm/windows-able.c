/* SPDX-License-Identifier: BSD-3-Clause */
/* What the TPM is, and what it can do. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "vtpm/tpm-command.h"
#include "vtpm/tpm-public.h"
#include "vtpm/windows-ask.h"
#include "vtpm/windows-internal.h"

/* TPM 2.0 Part 2, 6.13 */
#define TPM_PT_VENDOR_STRING_1 0x106u
#define TPM_PT_FIRMWARE_VERSION_2 0x10cu
#define FAMILY_2_0 0x322e3000u		/* "2.0" and a NUL */
#define REVISION_MIN 116u
#define REVISION_2018 138u

#define OTHER_LIBTPMS "use a libtpms that was built with all of TPM 2.0: " \
	"what falls short is compiled in there"

/* An identifier and its name in Part 2. */
struct wanted {
	uint32_t id;
	const char *name;
};

/* Device.TrustedPlatformModule.TPM20.Features and System.Fundamentals.TPM20,
 * and what a storage key and a quote of the PC Client profile need besides
 * (RSASSA, KEYEDHASH, SYMCIPHER, CFB, KDF1_SP800_108). */
static const struct wanted algorithms[] = {
	{ 0x01, "RSA" }, { 0x04, "SHA1" }, { 0x05, "HMAC" }, { 0x06, "AES" },
	{ 0x08, "KEYEDHASH" }, { 0x0b, "SHA256" }, { 0x14, "RSASSA" },
	{ 0x15, "RSAES" }, { 0x16, "RSAPSS" }, { 0x17, "OAEP" },
	{ 0x18, "ECDSA" }, { 0x19, "ECDH" }, { 0x22, "KDF1_SP800_108" },
	{ 0x23, "ECC" }, { 0x25, "SYMCIPHER" }, { 0x43, "CFB" },
};

/* "Included" in the HLK profile, and what Features and TPM20.TPM20 add to it:
 * the last seven. */
static const struct wanted commands[] = {
	{ 0x144, "Startup" }, { 0x145, "Shutdown" }, { 0x143, "SelfTest" },
	{ 0x17c, "GetTestResult" }, { 0x176, "StartAuthSession" },
	{ 0x180, "PolicyRestart" }, { 0x153, "Create" }, { 0x157, "Load" },
	{ 0x173, "ReadPublic" }, { 0x147, "ActivateCredential" },
	{ 0x15e, "Unseal" }, { 0x150, "ObjectChangeAuth" },
	{ 0x14b, "Duplicate" }, { 0x156, "Import" }, { 0x159, "RSA_Decrypt" },
	{ 0x17d, "Hash" }, { 0x17b, "GetRandom" }, { 0x146, "StirRandom" },
	{ 0x148, "Certify" }, { 0x14a, "CertifyCreation" }, { 0x158, "Quote" },
	{ 0x15d, "Sign" }, { 0x182, "PCR_Extend" }, { 0x13c, "PCR_Event" },
	{ 0x17e, "PCR_Read" }, { 0x13d, "PCR_Reset" },
	{ 0x151, "PolicySecret" }, { 0x171, "PolicyOR" },
	{ 0x17f, "PolicyPCR" }, { 0x149, "PolicyNV" },
	{ 0x16c, "PolicyCommandCode" }, { 0x16b, "PolicyAuthValue" },
	{ 0x189, "PolicyGetDigest" }, { 0x131, "CreatePrimary" },
	{ 0x121, "HierarchyControl" }, { 0x126, "Clear" },
	{ 0x127, "ClearControl" }, { 0x129, "HierarchyChangeAuth" },
	{ 0x139, "DictionaryAttackLockReset" },
	{ 0x13a, "DictionaryAttackParameters" }, { 0x162, "ContextSave" },
	{ 0x161, "ContextLoad" }, { 0x165, "FlushContext" },
	{ 0x120, "EvictControl" }, { 0x181, "ReadClock" },
	{ 0x128, "ClockSet" }, { 0x17a, "GetCapability" },
	{ 0x12a, "NV_DefineSpace" }, { 0x122, "NV_UndefineSpace" },
	{ 0x169, "NV_ReadPublic" }, { 0x137, "NV_Write" },
	{ 0x134, "NV_Increment" }, { 0x14e, "NV_Read" },
	{ 0x13b, "NV_ChangeAuth" },
	{ 0x155, "HMAC" }, { 0x160, "PolicySigned" },
	{ 0x172, "PolicyTicket" }, { 0x163, "ECDH_KeyGen" },
	{ 0x154, "ECDH_ZGen" }, { 0x178, "ECC_Parameters" },
	{ 0x18b, "Commit" },
};

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void
add_list(struct windows_report *r, const char *name, const char *source,
    const struct ask_list *have, const struct wanted *wanted, size_t n)
{
	char missing[256] = "";
	size_t used;

	for (size_t i = 0; i < n; i++) {
		if (ask_list_has(have, wanted[i].id))
			continue;
		used = strlen(missing);
		snprintf(missing + used, sizeof(missing) - used, " %s",
		    wanted[i].name);
	}
	if (missing[0] == '\0')
		windows_add(r, WINDOWS_OK, name, source, NULL,
		    "all %zu that are asked for, of %zu", n, have->n);
	else
		windows_add(r, WINDOWS_SHORT, name, source, OTHER_LIBTPMS,
		    "missing:%s", missing);
}

static int
check_version(struct windows_report *r, struct err *err)
{
	uint32_t family, level, revision;
	bool meets;
	int rc;

	if ((rc = tpm2_get_property(TPM_PT_FAMILY_INDICATOR, &family,
		err)) < 0 ||
	    (rc = tpm2_get_property(TPM_PT_LEVEL, &level, err)) < 0 ||
	    (rc = tpm2_get_property(TPM_PT_REVISION, &revision, err)) < 0)
		return rc;
	meets = family == FAMILY_2_0 && level == 0 && revision >= REVISION_MIN;
	windows_add(r, !meets ? WINDOWS_SHORT : revision < REVISION_2018 ?
	    WINDOWS_ADVICE : WINDOWS_OK, "version", SOURCE_DEVICE,
	    "use a later libtpms: revision 1.16 is the least, 1.38 what "
	    "hardware is certified with since 2018",
	    "family %s, level %u, revision %u.%02u", family == FAMILY_2_0 ?
	    "2.0" : "other than 2.0", level, revision / 100, revision % 100);
	return 0;
}

/* Four characters of a property; true if there is one that can be read. */
static bool
put_text(char out[5], uint32_t value)
{
	bool text = false;

	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)(value >> (24 - 8 * i));

		out[i] = c == 0 || !isprint(c) ? '\0' : (char)c;
		text |= isgraph(c) != 0;
		if (out[i] == '\0')
			break;
	}
	out[4] = '\0';
	return text;
}

/* "The TPM Manufacturer Identity, Model Number and Firmware Version must be
 * available on every device". */
static int
check_maker(struct windows_report *r, struct err *err)
{
	uint32_t maker, vendor, firmware[2];
	char maker_text[5] = "", vendor_text[17] = "";
	bool told;
	int rc;

	if ((rc = tpm2_get_property(TPM_PT_MANUFACTURER, &maker, err)) < 0 ||
	    (rc = tpm2_get_property(TPM_PT_FIRMWARE_VERSION_1, &firmware[0],
		err)) < 0 ||
	    (rc = tpm2_get_property(TPM_PT_FIRMWARE_VERSION_2, &firmware[1],
		err)) < 0)
		return rc;
	told = put_text(maker_text, maker);
	for (unsigned int i = 0; i < 4; i++) {
		rc = tpm2_get_property(TPM_PT_VENDOR_STRING_1 + i, &vendor,
		    err);
		if (rc < 0)
			return rc;
		(void)put_text(vendor_text + strlen(vendor_text), vendor);
	}
	told = told && vendor_text[0] != '\0' &&
	    (firmware[0] | firmware[1]) != 0;
	windows_add(r, told ? WINDOWS_OK : WINDOWS_SHORT, "manufacturer",
	    SOURCE_DEVICE, OTHER_LIBTPMS, "manufacturer \"%s\" (0x%08X), "
	    "vendor \"%s\", firmware %u.%u.%u.%u", maker_text, maker,
	    vendor_text, firmware[0] >> 16, firmware[0] & 0xffff,
	    firmware[1] >> 16, firmware[1] & 0xffff);
	return 0;
}

static void
add_parameters(struct windows_report *r, const char *name, const char *what,
    int rc, enum windows_verdict without, const struct err *why)
{
	windows_add(r, rc == 0 ? WINDOWS_OK : without, name, SOURCE_DEVICE,
	    OTHER_LIBTPMS, rc == 0 ? "%s can be made" : "no %s: %s", what,
	    why->text);
}

static void
check_key_sizes(struct windows_report *r)
{
	struct err why[3] = { 0 };

	add_parameters(r, "rsa-2048", "RSA keys of 2048 bits",
	    ask_rsa(2048, &why[0]), WINDOWS_SHORT, &why[0]);
	add_parameters(r, "aes-128", "AES keys of 128 bits, CFB,",
	    ask_aes_cfb(128, &why[1]), WINDOWS_SHORT, &why[1]);
	/* Asked of hardware since July 2020. */
	add_parameters(r, "aes-256", "AES keys of 256 bits, CFB,",
	    ask_aes_cfb(256, &why[2]), WINDOWS_ADVICE, &why[2]);
}

static int
check_lists(struct windows_report *r, struct err *err)
{
	static const struct wanted p256[] = { { 0x0003, "NIST_P256" } },
	    p384[] = { { 0x0004, "NIST_P384" } };
	struct ask_list have;
	bool sha384;
	int rc;

	if ((rc = ask_capability(TPM_CAP_ALGS, &have, err)) < 0)
		return rc;
	add_list(r, "algorithms", SOURCE_DEVICE, &have, algorithms,
	    N(algorithms));
	sha384 = ask_list_has(&have, 0x0c);
	check_key_sizes(r);
	if ((rc = ask_capability(TPM_CAP_ECC_CURVES, &have, err)) < 0)
		return rc;
	add_list(r, "curves", SOURCE_DEVICE, &have, p256, N(p256));
	windows_add(r, sha384 && ask_list_has(&have, p384[0].id) ?
	    WINDOWS_OK : WINDOWS_ADVICE, "384-bit", SOURCE_DEVICE,
	    OTHER_LIBTPMS, "SHA-384 and the curve P-384 are%s there",
	    sha384 && ask_list_has(&have, p384[0].id) ? "" : " not both");
	if ((rc = ask_capability(TPM_CAP_COMMANDS, &have, err)) < 0)
		return rc;
	add_list(r, "commands", SOURCE_PROFILE, &have, commands, N(commands));
	return 0;
}

static int
check_banks(struct windows_report *r, struct err *err)
{
	const uint32_t all = (1u << ASK_PCRS) - 1;
	uint32_t pcrs;
	int rc;

	if ((rc = ask_bank(TPM_ALG_SHA256_ID, &pcrs, err)) < 0)
		return rc;
	windows_add(r, (pcrs & all) == all ? WINDOWS_OK : WINDOWS_SHORT,
	    "pcr-bank", SOURCE_SYSTEM,
	    "allocate it: vtpmctl create --pcr-banks sha256 makes a new vTPM "
	    "so; one in use changes in the firmware's setup, or by libvirt's "
	    "<active_pcr_banks>", (pcrs & all) == all ? "SHA-256, with all "
	    "%u PCRs" : pcrs != 0 ? "SHA-256, but not all %u PCRs" :
	    "the SHA-256 bank is not allocated: none of %u PCRs", ASK_PCRS);
	return 0;
}

int
windows_able(struct windows_report *r, struct err *err)
{
	int rc;

	if ((rc = check_version(r, err)) < 0 ||
	    (rc = check_maker(r, err)) < 0 ||
	    (rc = check_lists(r, err)) < 0)
		return rc;
	return check_banks(r, err);
}
