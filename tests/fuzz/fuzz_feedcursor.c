/* A client's cursor: whatever is taken must be what we write for it, for that tenant and no other. */
#include <stdlib.h>
#include <string.h>

#include "core/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), back[VFS_CURSOR_LEN + 1];
	struct meta_cursor at, made = { 0 };

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (feed_cursor_read(text, 7, &at)) {
		feed_cursor_write(back, 7, &at);
		if (strcmp(back, text) != 0 || feed_cursor_read(text, 8, &at))
			abort();
	}
	/* And what is made of any numbers is read again. */
	if (size)
		memcpy(&made, data, size < sizeof(made) ? size : sizeof(made));
	feed_cursor_write(back, size, &made);
	if (!feed_cursor_read(back, size, &at) || memcmp(&at, &made, sizeof(at)) != 0)
		abort();
	free(text);
	return 0;
}
