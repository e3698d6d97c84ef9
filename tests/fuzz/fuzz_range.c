/* Range and If-Range against anything: what is honoured lies within the file. Two lines: Range, If-Range. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t sizes[] = { 0, 1, 10, UINT32_MAX, UINT64_MAX / 2, UINT64_MAX };
	struct http_call call = { .ex = { .method = HTTP_GET } };
	struct http_field fields[2] = { { .name = "Range", .name_len = 5 }, { .name = "If-Range", .name_len = 8 } };
	char *text = malloc(size + 1), *second;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	second = strchr(text, '\n');
	if (second)
		*second++ = '\0';
	fields[0].value = text;
	fields[1].value = second;
	call.fields = fields;
	call.field_count = second ? 2 : 1;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint64_t offset, length;
		int code = http_range(&call.ex, sizes[i], 10, 0, &offset, &length);

		must(code == 200 || code == 206 || code == 416);
		if (code == 200)
			must(offset == 0 && length == sizes[i]);
		if (code == 206)
			must(length > 0 && offset < sizes[i] && length <= sizes[i] - offset);
	}
	free(text);
	return 0;
}
