/* Destination: the first line is the Host. What is found inside must lie inside the input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/webdav/dav.h"

/* strndup would look for a NUL behind the input. */
static char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = 0;
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
	char *host = line ? fuzz_text(data, (size_t)(line - data)) : fuzz_text((const uint8_t *)"h", 1);
	const char *uri = line ? (const char *)line + 1 : (const char *)data, *path;
	size_t uri_len = (size_t)((const char *)data + size - uri), len;

	if (dav_uri(&(struct dav_here){ .host = host }, uri, uri_len, &path, &len) == DAV_INSIDE) {
		if (path < uri || path + len > uri + uri_len || (len > 0 && path[0] != '/'))
			abort();
		if (path - uri < 4 || memcmp(path - 4, DAV_PREFIX, 4) != 0)
			abort();
	}
	free(host);
	return 0;
}
