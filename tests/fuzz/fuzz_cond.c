/* Conditional headers, credentials and dates against anything. Lines: If-Match, If-None-Match, If-Unmodified-Since,
 * If-Modified-Since, Authorization. */
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

/* A date that is read is written and read back as the same. */
static void dates(const char *text)
{
	char out[HTTP_DATE_LEN];
	int64_t us, again;

	if (!http_date_parse(text, &us))
		return;
	http_date_format(out, us);
	must(strlen(out) == 29);
	must(http_date_parse(out, &again) && again == us);
	http_rfc3339_format(out, us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[5] = { "If-Match", "If-None-Match", "If-Unmodified-Since", "If-Modified-Since",
					      "Authorization" };
	struct http_call call = { .ex = { .method = HTTP_GET } };
	struct http_field fields[5];
	char *text = malloc(size + 1), *line;
	const char *user, *password;
	struct vfs_cond *c;

	call.ex.arena = gh_arena_new(1 << 18);
	if (!text || !call.ex.arena)
		goto out;
	memcpy(text, data, size);
	text[size] = '\0';
	call.fields = fields;
	line = text;
	while (line && call.field_count < 5) {
		char *next = strchr(line, '\n');

		if (next)
			*next++ = '\0';
		fields[call.field_count] = (struct http_field){ .name = names[call.field_count],
								.name_len = (unsigned)strlen(names[call.field_count]),
								.value = line };
		call.field_count++;
		dates(line);
		line = next;
	}
	c = http_cond(&call.ex, call.ex.arena);
	if (c)
		for (unsigned i = 0; i < c->if_none_match.count; i++)
			must(c->if_none_match.versions[i] != 0);
	if (call.field_count == 5 && http_basic_parse(call.ex.arena, fields[4].value, &user, &password) == GH_OK) {
		must(strlen(user) <= 256 && strlen(password) <= 1024);
		must(!strpbrk(user, ":\r\n") && !strpbrk(password, "\r\n"));
	}
out:
	gh_arena_free(&call.ex.arena);
	free(text);
	return 0;
}
