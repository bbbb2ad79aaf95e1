/* SPDX-License-Identifier: BSD-3-Clause */
/* swtpm_setup's command line on vtpmctl: makes the nvram file of a TPM 2.0. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/uuid.h"
#include "qemu-glue/argv.h"
#include "qemu-glue/swtpm-key.h"
#include "qemu-glue/swtpm-setup.h"
#include "qemu-glue/swtpm-version.h"
#include "qemu-glue/vtpmctl-run.h"

#define ALL_BANKS "sha1,sha256,sha384,sha512"

static const char usage[] =
"Usage: swtpm_setup [options]\n"
"Make a TPM 2.0, by vtpmctl in swtpm_setup's place.\n"
"\n"
"--tpm-state <dir>, --tpmstate <dir>\n"
"                 : where its nvram file is made: <dir>, dir://<dir> or\n"
"                   file://<file>\n"
"--tpm2           : a TPM 2.0; there is no other\n"
"--createek       : make endorsement keys, with certificates\n"
"--create-ek-cert, --create-platform-cert\n"
"                 : imply --createek; certificates are always made\n"
"--create-spk     : make a storage root key; --ecc: of NIST P-256\n"
"--lock-nvram     : accepted; certificates are always locked\n"
"--rsa-keysize <2048|3072|max>\n"
"                 : of the RSA endorsement key\n"
"--pcr-banks <banks>\n"
"                 : active PCR banks, '-' for all; default: sha256\n"
"--reconfigure    : change the PCR banks of a TPM that is there\n"
"--vmid <id>      : the VM's NAME:UUID, NAME or UUID\n"
"--keyfile <file>, --keyfile-fd <fd>, --pwdfile <file>, --pwdfile-fd <fd>\n"
"                 : a passphrase that opens the file\n"
"--cipher <aes-128-cbc|aes-256-cbc>\n"
"                 : how long the key of --keyfile is\n"
"--overwrite      : replace a TPM that is there\n"
"--not-overwrite  : leave it as it is, and succeed\n"
"--write-ek-cert-files <dir>\n"
"                 : write the certificates to files as well\n"
"--logfile <file> : messages go there\n"
"--runas <user>   : become this user\n"
"--display        : describe the file at the end\n"
"--vtpmd-config <file>\n"
"                 : instead of vtpmd.conf(5)\n"
"--decryption, --config <file>, --tpm <program>, --swtpm_ioctl <program>,\n"
"--tcsd-system-ps-file <file>, --create-config-files[=...]\n"
"                 : accepted\n"
"--print-capabilities, --version, --help\n"
"\n"
"See vtpmd-swtpm(8).\n";

struct setup {
	struct swtpm_store store;
	bool has_store, tpm2, createek, create_spk, ecc, overwrite,
	    not_overwrite, reconfigure, display;
	const char *banks, *cipher, *vmid, *log, *user, *cert_dir, *config;
	const char *key_option;		/* of swtpm's --key: "pwdfd" */
	const char *key_value;
	const char *rsa_size;
	struct secret *passphrase;
};

enum { OPT_STATE = 256, OPT_TPM2, OPT_EK, OPT_SPK, OPT_ECC, OPT_RSA,
	OPT_BANKS, OPT_RECONFIGURE, OPT_VMID, OPT_KEYFILE, OPT_KEYFILE_FD,
	OPT_PWDFILE, OPT_PWDFILE_FD, OPT_CIPHER, OPT_OVERWRITE,
	OPT_NOT_OVERWRITE, OPT_CERT_FILES, OPT_LOG, OPT_RUNAS, OPT_DISPLAY,
	OPT_CONFIG, OPT_IGNORED, OPT_CREATE_CONFIG, OPT_CAPABILITIES,
	OPT_VERSION, OPT_SIGNING, OPT_TPM12 };

static const struct option long_options[] = {
	{ "tpm-state", required_argument, NULL, OPT_STATE },
	{ "tpmstate", required_argument, NULL, OPT_STATE },
	{ "tpm2", no_argument, NULL, OPT_TPM2 },
	{ "createek", no_argument, NULL, OPT_EK },
	{ "create-ek-cert", no_argument, NULL, OPT_EK },
	{ "create-platform-cert", no_argument, NULL, OPT_EK },
	{ "create-spk", no_argument, NULL, OPT_SPK },
	{ "ecc", no_argument, NULL, OPT_ECC },
	{ "rsa-keysize", required_argument, NULL, OPT_RSA },
	{ "pcr-banks", required_argument, NULL, OPT_BANKS },
	{ "reconfigure", no_argument, NULL, OPT_RECONFIGURE },
	{ "vmid", required_argument, NULL, OPT_VMID },
	{ "keyfile", required_argument, NULL, OPT_KEYFILE },
	{ "keyfile-fd", required_argument, NULL, OPT_KEYFILE_FD },
	{ "pwdfile", required_argument, NULL, OPT_PWDFILE },
	{ "pwdfile-fd", required_argument, NULL, OPT_PWDFILE_FD },
	{ "cipher", required_argument, NULL, OPT_CIPHER },
	{ "overwrite", no_argument, NULL, OPT_OVERWRITE },
	{ "not-overwrite", no_argument, NULL, OPT_NOT_OVERWRITE },
	{ "write-ek-cert-files", required_argument, NULL, OPT_CERT_FILES },
	{ "logfile", required_argument, NULL, OPT_LOG },
	{ "runas", required_argument, NULL, OPT_RUNAS },
	{ "display", no_argument, NULL, OPT_DISPLAY },
	{ "vtpmd-config", required_argument, NULL, OPT_CONFIG },
	{ "lock-nvram", no_argument, NULL, OPT_IGNORED },
	{ "decryption", no_argument, NULL, OPT_IGNORED },
	{ "config", required_argument, NULL, OPT_IGNORED },
	{ "tpm", required_argument, NULL, OPT_IGNORED },
	{ "swtpm_ioctl", required_argument, NULL, OPT_IGNORED },
	{ "tcsd-system-ps-file", required_argument, NULL, OPT_IGNORED },
	{ "create-config-files", optional_argument, NULL, OPT_CREATE_CONFIG },
	{ "print-capabilities", no_argument, NULL, OPT_CAPABILITIES },
	{ "allow-signing", no_argument, NULL, OPT_SIGNING },
	{ "take-ownership", no_argument, NULL, OPT_TPM12 },
	{ "ownerpass", required_argument, NULL, OPT_TPM12 },
	{ "owner-well-known", no_argument, NULL, OPT_TPM12 },
	{ "srkpass", required_argument, NULL, OPT_TPM12 },
	{ "srk-well-known", no_argument, NULL, OPT_TPM12 },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void
print_capabilities(void)
{
	printf("{ \"type\": \"swtpm_setup\", \"features\": [ \"tpm-2.0\", "
	    "\"cmdarg-keyfile-fd\", \"cmdarg-pwdfile-fd\", "
	    "\"tpm12-not-need-root\", \"cmdarg-write-ek-cert-files\", "
	    "\"cmdarg-create-config-files\", "
	    "\"cmdarg-reconfigure-pcr-banks\", \"tpm2-rsa-keysize-2048\", "
	    "\"tpm2-rsa-keysize-3072\" ], \"version\": \"" SWTPM_INTERFACE
	    "\" }\n");
}

static void
set_key(struct setup *s, const char *option)
{
	s->key_option = option;
	s->key_value = optarg;
}

/* Those of them that are a word. */
static int
take_flag(struct setup *s, int c)
{
	switch (c) {
	case OPT_TPM2: s->tpm2 = true; break;
	case OPT_EK: s->createek = true; break;
	case OPT_SPK: s->create_spk = true; break;
	case OPT_ECC: s->ecc = true; break;
	case OPT_RECONFIGURE: s->reconfigure = true; break;
	case OPT_OVERWRITE: s->overwrite = true; break;
	case OPT_NOT_OVERWRITE: s->not_overwrite = true; break;
	case OPT_DISPLAY: s->display = true; break;
	case OPT_IGNORED: break;
	default: return 0;
	}
	return 1;
}

/* 1: the program is done. */
static int
take(struct setup *s, int c, struct err *err)
{
	if (take_flag(s, c))
		return 0;
	switch (c) {
	case OPT_STATE:
		s->has_store = true;
		return swtpm_store_take(&s->store, optarg, err);
	case OPT_RSA: s->rsa_size = optarg; break;
	case OPT_BANKS: s->banks = optarg; break;
	case OPT_VMID: s->vmid = optarg; break;
	case OPT_KEYFILE: set_key(s, "file"); break;
	case OPT_KEYFILE_FD: set_key(s, "fd"); break;
	case OPT_PWDFILE: set_key(s, "pwdfile"); break;
	case OPT_PWDFILE_FD: set_key(s, "pwdfd"); break;
	case OPT_CIPHER: s->cipher = optarg; break;
	case OPT_CERT_FILES: s->cert_dir = optarg; break;
	case OPT_LOG: s->log = optarg; break;
	case OPT_RUNAS: s->user = optarg; break;
	case OPT_CONFIG: s->config = optarg; break;
	case OPT_SIGNING:
		return err_set(err, ERR_UNSUPPORTED, "--allow-signing is not "
		    "available: an EK that signs is not a TCG EK");
	case OPT_TPM12:
		return err_set(err, ERR_UNSUPPORTED, "Taking ownership is not "
		    "supported for TPM 2.");
	case OPT_CREATE_CONFIG:
		/* There are none: the host's CA is made when it is needed. */
		return 1;
	case OPT_CAPABILITIES:
		print_capabilities();
		return 1;
	case OPT_VERSION:
		printf("TPM emulator setup tool version " SWTPM_INTERFACE
		    ", of vtpmd " PACKAGE_VERSION "\n");
		return 1;
	case 'h':
		fputs(usage, stdout);
		return 1;
	default:
		return err_set(err, ERR_USAGE, "see swtpm_setup --help for "
		    "the options");
	}
	return 0;
}

static int
check(const struct setup *s, struct err *err)
{
	const char *c = s->cipher;

	if (!s->has_store)
		return err_set(err, ERR_USAGE, "--tpm-state must be provided");
	if (!s->tpm2)
		return err_set(err, ERR_UNSUPPORTED, "TPM 1.2 is not "
		    "available: give --tpm2 for a TPM 2.0");
	if (c != NULL && strcmp(c, "aes-cbc") != 0 &&
	    strcmp(c, "aes-128-cbc") != 0 && strcmp(c, "aes-256-cbc") != 0)
		return err_set(err, ERR_USAGE, "Unsupported cipher %s.", c);
	if (s->rsa_size != NULL && strcmp(s->rsa_size, "2048") != 0 &&
	    strcmp(s->rsa_size, "3072") != 0 &&
	    strcmp(s->rsa_size, "max") != 0)
		return err_set(err, ERR_USAGE, "Unsupported RSA key size %s.",
		    s->rsa_size);
	return 0;
}

static int
parse(struct setup *s, int argc, char **argv, struct err *err)
{
	int c, rc;

	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		if ((rc = take(s, c, err)) != 0)
			return rc;
	if (optind < argc)
		return err_set(err, ERR_USAGE, "Unknown parameter '%s'",
		    argv[optind]);
	s->store.config = s->config;
	return check(s, err);
}

static int
become(const char *name, struct err *err)
{
	const struct passwd *pw = getpwnam(name);

	if (pw == NULL)
		return err_set(err, ERR_USAGE, "Error: User '%s' does not "
		    "exist.", name);
	if (geteuid() == pw->pw_uid)
		return 0;
	if (initgroups(name, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 ||
	    setuid(pw->pw_uid) < 0)
		return err_sys(err, errno, "cannot become user %s", name);
	return 0;
}

static int
open_log(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
	    O_NOFOLLOW, 0640);

	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
	    dup2(fd, STDERR_FILENO) < 0)
		return err_sys(err, errno, "cannot open the log file %s",
		    path);
	close(fd);
	return 0;
}

static int
read_key(struct setup *s, struct err *err)
{
	char *spec = NULL;

	if (s->key_option == NULL)
		return 0;
	if (asprintf(&spec, "%s=%s,mode=%s", s->key_option, s->key_value,
	    s->cipher != NULL ? s->cipher : "aes-128-cbc") < 0)
		return err_set(err, ERR_INTERNAL, "out of memory");
	s->passphrase = swtpm_key_passphrase("key", spec, err);
	free(spec);
	return s->passphrase == NULL ? err->code : 0;
}

/* "NAME:UUID", as libvirt has it. */
static void
split_vmid(const struct setup *s, struct swtpm_make *m, char *copy,
    size_t room)
{
	uint8_t uuid[UUID_SIZE];
	char *colon;

	if (s->vmid == NULL)
		return;
	snprintf(copy, room, "%s", s->vmid);
	colon = strrchr(copy, ':');
	if (uuid_parse(colon != NULL ? colon + 1 : copy, uuid) < 0) {
		m->name = copy;
		return;
	}
	m->uuid = colon != NULL ? colon + 1 : copy;
	if (colon != NULL && colon != copy) {
		*colon = '\0';
		m->name = copy;
	}
}

static const char *
ek_list(const struct setup *s)
{
	if (!s->createek)
		return "none";
	return s->rsa_size == NULL || strcmp(s->rsa_size, "2048") == 0 ?
	    "rsa2048,p384" : "rsa3072,p384";
}

static int
make(const struct setup *s, struct err *err)
{
	struct swtpm_make m = { .eks = ek_list(s), .srk = "none",
		.banks = s->banks != NULL ? s->banks : "sha256" };
	char vmid[256];
	int rc;

	if (strcmp(m.banks, "-") == 0)
		m.banks = ALL_BANKS;
	if (s->create_spk)
		m.srk = s->ecc ? "p256" : "rsa2048";
	split_vmid(s, &m, vmid, sizeof(vmid));
	if ((rc = swtpm_store_make(&s->store, &m, s->passphrase, err)) < 0)
		return rc;
	printf("Successfully created %s with EKs %s, SRK %s and active PCR "
	    "banks %s.\n", s->store.nvram, m.eks, m.srk, m.banks);
	return 0;
}

/* vtpmctl WORDS FILE, to a file or to our own output. */
static int
show(const struct setup *s, const char *const *words, const char *to,
    struct err *err)
{
	struct argv a = { 0 };
	int out = STDOUT_FILENO, rc;

	if (to != NULL && (out = open(to, O_WRONLY | O_CREAT | O_TRUNC |
	    O_CLOEXEC, 0640)) < 0)
		return err_sys(err, errno, "cannot write %s", to);
	if (s->config != NULL) {
		argv_add(&a, "--config");
		argv_add(&a, s->config);
	}
	if (s->passphrase != NULL)
		argv_add(&a, "--passphrase-fd=PASSPHRASE");
	for (; *words != NULL; words++)
		argv_add(&a, *words);
	argv_add(&a, s->store.nvram);
	rc = vtpmctl_run(&a, s->passphrase, out, err);
	argv_free(&a);
	if (to != NULL)
		close(out);
	return rc;
}

static int
write_certs(const struct setup *s, struct err *err)
{
	bool large = s->rsa_size != NULL && strcmp(s->rsa_size, "2048") != 0;
	const char *rsa[] = { "cert", "export", "--der", "--ek",
		large ? "rsa3072" : "rsa2048", NULL };
	const char *ecc[] = { "cert", "export", "--der", "--ek", "p384",
		NULL };
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/ek-rsa%s.crt", s->cert_dir,
	    large ? "3072" : "2048");
	if ((rc = show(s, rsa, path, err)) < 0)
		return rc;
	snprintf(path, sizeof(path), "%s/ek-secp384r1.crt", s->cert_dir);
	return show(s, ecc, path, err);
}

static void
say_when(const char *what)
{
	time_t now = time(NULL);
	struct tm tm;
	char text[64];

	localtime_r(&now, &tm);
	strftime(text, sizeof(text), "%c %Z", &tm);
	printf("%s @ %s\n", what, text);
}

/* 1: there is nothing to do. */
static int
prepare(const struct setup *s, struct err *err)
{
	enum swtpm_store_state state;
	int rc;

	if ((rc = swtpm_store_look(&s->store, &state, err)) < 0)
		return rc;
	if (s->reconfigure)
		return state == SWTPM_STORE_NVRAM ? 0 : swtpm_store_need(
		    &s->store, s->passphrase, err);
	if (state == SWTPM_STORE_EMPTY)
		return 0;
	if (s->overwrite)
		return swtpm_store_clear(&s->store, err);
	if (s->not_overwrite) {
		printf("Not overwriting existing state file.\n");
		return 1;
	}
	return err_set(err, ERR_EXISTS, "Found existing TPM state '%s'.",
	    s->store.nvram);
}

static int
setup(const struct setup *s, struct err *err)
{
	static const char *const info[] = { "info", NULL };
	int rc;

	if ((rc = prepare(s, err)) != 0)
		return rc;
	/* The words of others come between. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	say_when(s->reconfigure ? "Starting vTPM reconfiguration" :
	    "Starting vTPM manufacturing");
	rc = s->reconfigure ? setup_reconfigure(&s->store,
	    s->banks != NULL ? s->banks : "sha256", s->passphrase, err) :
	    make(s, err);
	if (rc == 0 && s->cert_dir != NULL && s->createek && !s->reconfigure)
		rc = write_certs(s, err);
	if (rc == 0 && s->display)
		rc = show(s, info, NULL, err);
	say_when("Ending vTPM manufacturing");
	return rc;
}

int
main(int argc, char **argv)
{
	static struct setup s;
	struct err err = { 0 };
	int rc = parse(&s, argc, argv, &err);

	/* A vtpmd that cannot open the file is gone before it is asked. */
	signal(SIGPIPE, SIG_IGN);
	if (rc == 0 && s.user != NULL)
		rc = become(s.user, &err);
	if (rc == 0 && s.log != NULL)
		rc = open_log(s.log, &err);
	if (rc == 0)
		rc = read_key(&s, &err);
	if (rc == 0)
		rc = setup(&s, &err);
	secret_free(s.passphrase);
	fflush(stdout);
	if (rc >= 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "swtpm_setup: %s\n", err.text);
	return EXIT_FAILURE;
}
