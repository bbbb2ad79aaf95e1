/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests: opens a native provider and writes what it got, the key too.
 * native-show STATE_DIR HELPER TCTI file|tpm|open
 * file and tpm make a key of that kind where there is none.
 */
#include <stdio.h>
#include <string.h>

#include "nvram-crypt/native.h"

static void
hex(const char *name, const uint8_t *data, size_t size)
{
	printf("%s ", name);
	for (size_t i = 0; i < size; i++)
		printf("%02x", data[i]);
	printf("\n");
}

/* The libraries in this process, after all the work is done. */
static void
show_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		if (strstr(line, "/lib") != NULL)
			printf("map %s", strchr(line, '/'));
	if (maps != NULL)
		fclose(maps);
}

int
main(int argc, char **argv)
{
	struct native_config c = { .owner = (uid_t)-1, .group = (gid_t)-1 };
	struct native *n = NULL;
	struct err err = { 0 };

	if (argc != 5)
		return err_exit_status(ERR_USAGE);
	c.state_dir = argv[1];
	c.helper = argv[2];
	c.tcti = argv[3];
	c.seal_to_tpm = strcmp(argv[4], "tpm") == 0;
	if (native_open(&n, &c, strcmp(argv[4], "open") != 0, &err) < 0) {
		fprintf(stderr, "native-show: %s: %s\n", err_name(err.code),
		    err.text);
		return err_exit_status(err.code);
	}
	printf("storage %s\n", native_key_storage(n));
	hex("id", native_key_id(n), NATIVE_KEY_ID_SIZE);
	hex("key", secret_bytes(native_key(n)), secret_size(native_key(n)));
	show_maps();
	native_free(n);
	return 0;
}
