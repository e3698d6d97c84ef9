/* Request targets, hosts and query strings against anything: every part lies within what was given. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/http/exchange.h"
#include "frontends/http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static bool within(const char *raw, size_t size, const char *part, size_t len)
{
	return part >= raw && part + len <= raw + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_ex ex = { .arena = gh_arena_new(1 << 18) };
	struct http_target t;
	char *raw = malloc(size + 1);

	if (!raw || !ex.arena)
		goto out;
	memcpy(raw, data, size);
	raw[size] = '\0';
	if (http_host_valid(raw, size))
		must(http_host_name_len(raw, size) > 0 && http_host_name_len(raw, size) <= size);
	ex.query = raw;
	(void)http_query(&ex, "a");
	if (http_target_parse(raw, size, &t)) {
		must(within(raw, size, t.path, t.path_len) && t.path_len > 0);
		must(t.path[0] == (t.form == HTTP_TARGET_ASTERISK ? '*' : '/'));
		must(!memchr(t.path, '?', t.path_len) && !memchr(t.path, '#', t.path_len));
		must((t.host != NULL) == (t.form == HTTP_TARGET_ABSOLUTE));
		if (t.host)
			must(within(raw, size, t.host, t.host_len) && http_host_valid(t.host, t.host_len));
		if (t.query)
			must(within(raw, size, t.query, t.query_len) && t.query[-1] == '?');
	}
out:
	gh_arena_free(&ex.arena);
	free(raw);
	return 0;
}
