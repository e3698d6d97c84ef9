/* A word of another gateway's about a guess: whatever is taken is written again as the same. */
#include <stdlib.h>
#include <string.h>

#include "core/people/guess.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *word = malloc(size + 1), back[META_WORD_MAX + 1];
	struct guess g;

	if (!word)
		return 0;
	if (size)
		memcpy(word, data, size);
	word[size] = '\0';
	if (guess_read(word, &g) && (!guess_write(back, &g) || strcmp(back, word) != 0))
		abort();
	free(word);
	return 0;
}
