/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for libFuzzer's main where the compiler has none: runs the files
 * that are named, so that gcc's make check replays the corpora too. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (1u << 20)

int
main(int argc, char **argv)
{
	static uint8_t room[INPUT_MAX];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		uint8_t *input;
		size_t size;

		if (f == NULL) {
			perror(argv[i]);
			return 1;
		}
		size = fread(room, 1, sizeof(room), f);
		fclose(f);
		/* Its own memory, so that a read past its end is seen. */
		if ((input = malloc(size + 1)) == NULL)
			return 1;
		for (size_t j = 0; j < size; j++)
			input[j + 1] = room[j];
		fprintf(stderr, "%s\n", argv[i]);
		LLVMFuzzerTestOneInput(input + 1, size);
		free(input);
	}
	return 0;
}
