/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "qemu-glue/swtpm-store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/uuid.h"
#include "qemu-glue/argv.h"
#include "qemu-glue/suboptions.h"
#include "qemu-glue/vtpmctl-run.h"
#include "vtpm/config.h"

/* swtpm's names, src/swtpm/swtpm_nvstore_dir.c. */
#define SWTPM_PERMANENT "tpm2-00.permall"
static const char *const swtpm_names[] = { SWTPM_PERMANENT,
	"tpm2-00.volatilestate", ".lock" };

/* Our own begins with this (doc/nvram-format.md). */
#define NVRAM_MAGIC "VTPM"

/* Whoever daemonises stands in / later. */
static int
make_absolute(char out[PATH_MAX], const char *path, struct err *err)
{
	char here[PATH_MAX];
	int n;

	if (*path == '\0')
		return err_set(err, ERR_USAGE, "the TPM's state has an empty "
		    "path");
	if (*path != '/' && getcwd(here, sizeof(here)) == NULL)
		return err_sys(err, errno, "cannot find the current "
		    "directory");
	n = *path == '/' ? snprintf(out, PATH_MAX, "%s", path) :
	    snprintf(out, PATH_MAX, "%s/%s", here, path);
	if (n < 0 || n >= PATH_MAX)
		return err_set(err, ERR_USAGE, "the path of the TPM's state "
		    "is too long");
	return 0;
}

static int
join(char out[PATH_MAX], const char *directory, const char *name,
    struct err *err)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", directory, name);

	if (n < 0 || n >= PATH_MAX)
		return err_set(err, ERR_USAGE, "the path of the TPM's state "
		    "is too long");
	return 0;
}

int
swtpm_store_take(struct swtpm_store *s, const char *uri, struct err *err)
{
	int rc;

	s->is_file = strncmp(uri, "file://", 7) == 0;
	if (s->is_file)
		uri += 7;
	else if (strncmp(uri, "dir://", 6) == 0)
		uri += 6;
	else if (strstr(uri, "://") != NULL)
		return err_set(err, ERR_USAGE, "Unsupported backend '%s': "
		    "there are dir:// and file://", uri);
	if ((rc = make_absolute(s->place, uri, err)) < 0)
		return rc;
	if (!s->is_file)
		return join(s->nvram, s->place, SWTPM_STORE_NAME, err);
	memcpy(s->nvram, s->place, sizeof(s->nvram));
	return 0;
}

int
swtpm_store_parse(struct swtpm_store *s, const char *text, struct err *err)
{
	/* fsync is always done; a second copy is in the file itself. */
	static const char *const known[] = { "dir=", "backend-uri=", "mode=",
		"lock?", "fsync?", "backup?", NULL };
	struct suboptions o;
	unsigned long mode = 0640;
	const char *uri;
	bool flag;
	int rc;

	if ((rc = suboptions_parse(&o, "tpmstate", text, known, err)) < 0)
		return rc;
	if ((rc = suboptions_number(&o, "mode", 8, 0777, &mode, err)) < 0 ||
	    (rc = suboptions_flag(&o, "lock", &flag, err)) < 0)
		goto out;
	s->mode = (mode_t)mode;
	s->mode_given = suboptions_has(&o, "mode");
	if ((uri = suboptions_get(&o, "backend-uri")) != NULL &&
	    strstr(uri, "://") == NULL)
		rc = err_set(err, ERR_USAGE, "Unsupported backend '%s': there "
		    "are dir:// and file://", uri);
	else if (uri == NULL && (uri = suboptions_get(&o, "dir")) == NULL)
		rc = err_set(err, ERR_USAGE, "The backend-uri or dir parameter "
		    "is required for the tpmstate option.");
	else
		rc = swtpm_store_take(s, uri, err);
out:
	suboptions_free(&o);
	return rc;
}

static int
look_at_file(const char *path, enum swtpm_store_state *state, struct err *err)
{
	char start[sizeof(NVRAM_MAGIC) - 1] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	ssize_t n;

	*state = SWTPM_STORE_EMPTY;
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno,
		    "cannot open %s", path);
	if ((n = read(fd, start, sizeof(start))) < 0)
		rc = err_sys(err, errno, "cannot read %s", path);
	/* An empty one is as good as none to swtpm. */
	else if (n > 0)
		*state = (size_t)n == sizeof(start) && memcmp(start,
		    NVRAM_MAGIC, sizeof(start)) == 0 ? SWTPM_STORE_NVRAM :
		    SWTPM_STORE_SWTPM;
	close(fd);
	return rc;
}

int
swtpm_store_look(const struct swtpm_store *s, enum swtpm_store_state *state,
    struct err *err)
{
	char path[PATH_MAX];
	struct stat st;
	int rc;

	if (s->is_file)
		return look_at_file(s->nvram, state, err);
	if (stat(s->place, &st) < 0)
		return err_sys(err, errno, "cannot look into %s", s->place);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_USAGE, "%s is not a directory",
		    s->place);
	*state = SWTPM_STORE_NVRAM;
	/* vtpmd looks at what is in it, and says more about it. */
	if (lstat(s->nvram, &st) == 0)
		return 0;
	if (errno != ENOENT)
		return err_sys(err, errno, "cannot look at %s", s->nvram);
	if ((rc = join(path, s->place, SWTPM_PERMANENT, err)) < 0)
		return rc;
	*state = lstat(path, &st) == 0 ? SWTPM_STORE_SWTPM :
	    SWTPM_STORE_EMPTY;
	return 0;
}

/* libvirt keeps a VM's state in a directory of the VM's UUID; so does who
 * names it so by hand. */
static bool
uuid_of_place(const struct swtpm_store *s, char text[UUID_TEXT_SIZE])
{
	char copy[PATH_MAX], *rest = copy, *word;
	uint8_t uuid[UUID_SIZE];
	bool found = false;

	memcpy(copy, s->place, sizeof(copy));
	while ((word = strsep(&rest, "/")) != NULL)
		if (uuid_parse(word, uuid) == 0) {
			uuid_format(uuid, text);
			found = true;
		}
	return found;
}

static void
add_pair(struct argv *a, const char *name, const char *value)
{
	if (value == NULL)
		return;
	argv_add(a, name);
	argv_add(a, value);
}

/* Who is to open a new file. */
static void
add_protector(struct argv *a, const struct config *c,
    const struct secret *passphrase)
{
	if (passphrase != NULL)
		add_pair(a, "--protector", "passphrase:fd=PASSPHRASE");
	else
		add_pair(a, "--protector", c->swtpm_protector[0] != '\0' ?
		    c->swtpm_protector : "native");
}

static int
finish(const struct swtpm_store *s, struct err *err)
{
	if (s->mode_given && chmod(s->nvram, s->mode) < 0)
		return err_sys(err, errno, "cannot change the mode of %s",
		    s->nvram);
	return 0;
}

int
swtpm_store_make(const struct swtpm_store *s, const struct swtpm_make *m,
    const struct secret *passphrase, struct err *err)
{
	char uuid[UUID_TEXT_SIZE];
	struct argv a = { 0 };
	struct config c;
	struct stat st;
	int rc;

	if ((rc = config_load(&c, s->config, NULL, err)) < 0)
		return rc;
	/* To swtpm an empty file is none. */
	if (s->is_file && lstat(s->nvram, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size == 0 && unlink(s->nvram) < 0)
		return err_sys(err, errno, "cannot replace %s", s->nvram);
	add_pair(&a, "--config", s->config);
	argv_add(&a, "create");
	add_protector(&a, &c, passphrase);
	add_pair(&a, "--pcr-banks", m->banks);
	add_pair(&a, "--ek", m->eks);
	add_pair(&a, "--srk", m->srk);
	add_pair(&a, "--name", m->name);
	add_pair(&a, "--uuid", m->uuid != NULL ? m->uuid :
	    uuid_of_place(s, uuid) ? uuid : NULL);
	argv_add(&a, s->nvram);
	rc = vtpmctl_run(&a, passphrase, -1, err);
	argv_free(&a);
	return rc < 0 ? rc : finish(s, err);
}

/* What swtpm wrote is now in the nvram file, and must not be used again; in
 * clear it must not even stay. */
static int
remove_swtpms(const struct swtpm_store *s, struct err *err)
{
	char path[PATH_MAX];
	int rc;

	for (size_t i = 0; i < sizeof(swtpm_names) / sizeof(swtpm_names[0]);
	    i++) {
		if ((rc = join(path, s->place, swtpm_names[i], err)) < 0)
			return rc;
		if (unlink(path) < 0 && errno != ENOENT)
			return err_sys(err, errno, "cannot remove %s", path);
	}
	return 0;
}

static int
import(const struct swtpm_store *s, const struct config *c,
    const struct secret *passphrase, struct err *err)
{
	char uuid[UUID_TEXT_SIZE], fresh[PATH_MAX];
	struct argv a = { 0 };
	int n, rc;

	n = snprintf(fresh, sizeof(fresh), "%s%s", s->nvram,
	    s->is_file ? ".import" : "");
	if (n < 0 || (size_t)n >= sizeof(fresh))
		return err_set(err, ERR_USAGE, "%s is too long a name",
		    s->nvram);
	add_pair(&a, "--config", s->config);
	argv_add(&a, "import");
	add_pair(&a, "--from-swtpm", s->place);
	add_protector(&a, c, passphrase);
	add_pair(&a, "--uuid", uuid_of_place(s, uuid) ? uuid : NULL);
	argv_add(&a, fresh);
	rc = vtpmctl_run(&a, passphrase, -1, err);
	argv_free(&a);
	if (rc < 0)
		return err_prefix(err, "taking in the state that swtpm left in "
		    "%s", s->place);
	if (!s->is_file)
		rc = remove_swtpms(s, err);
	else if (rename(fresh, s->nvram) < 0)
		rc = err_sys(err, errno, "cannot put %s in the place of "
		    "swtpm's state", fresh);
	return rc < 0 ? rc : finish(s, err);
}

static int
refuse(const struct swtpm_store *s, struct err *err)
{
	return err_set(err, ERR_REFUSED, "%s holds state that swtpm wrote, "
	    "which is not encrypted as this one's is. Take it in with: "
	    "vtpmctl import --from-swtpm %s %s%s; then remove swtpm's. Or set "
	    "import = yes in section [swtpm] of " SYSCONFDIR
	    "/vtpmd/vtpmd.conf", s->place, s->place, s->nvram,
	    s->is_file ? ".nvram" : "");
}

int
swtpm_store_need(const struct swtpm_store *s, const struct secret *passphrase,
    struct err *err)
{
	static const struct swtpm_make bare = {
		.banks = "sha1,sha256,sha384,sha512", .eks = "none",
		.srk = "none" };
	enum swtpm_store_state state;
	struct config c;
	int rc;

	if ((rc = swtpm_store_look(s, &state, err)) < 0 ||
	    state == SWTPM_STORE_NVRAM)
		return rc;
	if (state == SWTPM_STORE_EMPTY)
		return swtpm_store_make(s, &bare, passphrase, err);
	if ((rc = config_load(&c, s->config, NULL, err)) < 0)
		return rc;
	return c.swtpm_import ? import(s, &c, passphrase, err) :
	    refuse(s, err);
}

/* Of a VM that the trust authority knows only the file goes: it may be running
 * elsewhere, about to come here. */
static int
clear_nvram(const struct swtpm_store *s, struct err *err)
{
	struct argv list = { 0 }, destroy = { 0 };
	char text[8192] = "";
	int fd = memfd_create("protectors", MFD_CLOEXEC), rc;
	ssize_t n;

	if (fd < 0)
		return err_sys(err, errno, "cannot make a memory file");
	argv_add(&list, "--json");
	argv_add(&list, "protector");
	argv_add(&list, "list");
	argv_add(&list, s->nvram);
	add_pair(&destroy, "--config", s->config);
	argv_add(&destroy, "destroy");
	argv_add(&destroy, "--yes");
	argv_add(&destroy, s->nvram);
	rc = vtpmctl_run(&list, NULL, fd, err);
	if (rc == 0 && (n = pread(fd, text, sizeof(text) - 1, 0)) < 0)
		rc = err_sys(err, errno, "cannot read what vtpmctl said");
	if (rc == 0 && strstr(text, "\"kind\": \"authority\"") == NULL)
		rc = vtpmctl_run(&destroy, NULL, -1, err);
	else if (rc == 0 && unlink(s->nvram) < 0)
		rc = err_sys(err, errno, "cannot remove %s", s->nvram);
	argv_free(&list);
	argv_free(&destroy);
	close(fd);
	return rc;
}

int
swtpm_store_clear(const struct swtpm_store *s, struct err *err)
{
	enum swtpm_store_state state;
	int rc;

	if ((rc = swtpm_store_look(s, &state, err)) < 0 ||
	    (state == SWTPM_STORE_NVRAM && (rc = clear_nvram(s, err)) < 0))
		return rc;
	if (!s->is_file)
		return remove_swtpms(s, err);
	if (state == SWTPM_STORE_SWTPM && unlink(s->nvram) < 0)
		return err_sys(err, errno, "cannot remove %s", s->nvram);
	return 0;
}
