/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/windows-cert.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define TCG_MANUFACTURER "2.23.133.2.1"
#define TCG_MODEL "2.23.133.2.2"
#define TCG_VERSION "2.23.133.2.3"
#define TCG_EK_CERTIFICATE "2.23.133.8.1"

void
windows_cert_fault(struct windows_cert *c, const char *fault)
{
	size_t n = strlen(c->faults);

	snprintf(c->faults + n, sizeof(c->faults) - n, "%s%s",
	    n > 0 ? "; " : "", fault);
}

/* The text of an attribute in a directoryName of subjectAltName. */
static bool
find_name(const GENERAL_NAMES *names, const char *oid, char *out, int room)
{
	ASN1_OBJECT *wanted = OBJ_txt2obj(oid, 1);
	bool found = false;

	for (int i = 0; wanted != NULL && i < sk_GENERAL_NAME_num(names);
	    i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type == GEN_DIRNAME && X509_NAME_get_text_by_OBJ(
		    g->d.directoryName, wanted, out, room) > 0)
			found = true;
	}
	ASN1_OBJECT_free(wanted);
	return found;
}

static void
check_names(struct windows_cert *c, const X509 *x, uint32_t maker)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL,
	    NULL);
	char text[128], wanted[16];

	snprintf(wanted, sizeof(wanted), "id:%08X", maker);
	if (!find_name(names, TCG_MANUFACTURER, text, sizeof(text)))
		windows_cert_fault(c, "it does not name the manufacturer");
	else if (strcmp(text, wanted) != 0)
		windows_cert_fault(c, "its manufacturer is not the TPM's");
	if (!find_name(names, TCG_MODEL, text, sizeof(text)) ||
	    !find_name(names, TCG_VERSION, text, sizeof(text)))
		windows_cert_fault(c, "it does not name model and version");
	GENERAL_NAMES_free(names);
}

static bool
has_purpose(const X509 *x)
{
	EXTENDED_KEY_USAGE *uses = X509_get_ext_d2i(x, NID_ext_key_usage,
	    NULL, NULL);
	char oid[64];
	bool found = false;

	for (int i = 0; i < sk_ASN1_OBJECT_num(uses); i++)
		if (OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(uses,
		    i), 1) > 0 && strcmp(oid, TCG_EK_CERTIFICATE) == 0)
			found = true;
	EXTENDED_KEY_USAGE_free(uses);
	return found;
}

static bool
has_issuer_url(const X509 *x)
{
	AUTHORITY_INFO_ACCESS *info = X509_get_ext_d2i(x, NID_info_access,
	    NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(info); i++)
		if (OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(info,
		    i)->method) == NID_ad_ca_issuers)
			found = true;
	AUTHORITY_INFO_ACCESS_free(info);
	return found;
}

static bool
is_weak(const X509 *x)
{
	int digest = NID_undef;

	if (OBJ_find_sigid_algs(X509_get_signature_nid(x), &digest,
	    NULL) != 1)
		return false;
	return digest == NID_sha1 || digest == NID_md5;
}

/* Key usage is that of a decryption key: RSA deciphers, ECC agrees. */
static void
check_extensions(struct windows_cert *c, X509 *x, bool rsa)
{
	uint32_t usage = X509_get_key_usage(x);

	if (X509_get_version(x) != X509_VERSION_3)
		windows_cert_fault(c, "it is not of version 3");
	if (!has_purpose(x))
		windows_cert_fault(c, "its extended key usage lacks "
		    TCG_EK_CERTIFICATE);
	if (X509_check_ca(x) != 0)
		windows_cert_fault(c, "it is a CA's");
	/* All ones stands for no such extension (X509_get_key_usage(3)). */
	if (usage == UINT32_MAX || !(usage & (rsa ?
	    X509v3_KU_KEY_ENCIPHERMENT : X509v3_KU_KEY_AGREEMENT)))
		windows_cert_fault(c, "its key usage is not an EK's");
	if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0 ||
	    X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		windows_cert_fault(c, "it is not valid now");
	if (is_weak(x))
		windows_cert_fault(c, "it is signed with a broken digest");
	c->has_issuer_url = has_issuer_url(x);
}

void
windows_cert_read(struct windows_cert *c, const struct ek_cert *cert,
    bool rsa, uint32_t maker)
{
	const unsigned char *p = cert->der;
	X509 *x = d2i_X509(NULL, &p, (long)cert->size);

	memset(c, 0, sizeof(*c));
	if (x == NULL || p != cert->der + cert->size) {
		windows_cert_fault(c, "it is not an X.509 certificate");
	} else {
		strcpy(c->text, "issuer ");
		X509_NAME_oneline(X509_get_issuer_name(x), c->text +
		    strlen(c->text), (int)(sizeof(c->text) -
		    strlen(c->text)));
		check_extensions(c, x, rsa);
		check_names(c, x, maker);
	}
	X509_free(x);
	ERR_clear_error();
}
