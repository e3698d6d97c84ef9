/* Parameters of the query string, taken apart here because the library below is kept from decoding anything. Called by
 * services; no state.
 */
#include "frontends/http/exchange.h"

#include <string.h>

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static const char *decode(struct gh_arena *a, const char *p, size_t len)
{
	char *out = gh_alloc(a, len + 1);
	size_t n = 0;

	for (size_t i = 0; out && i < len; i++) {
		int hi, lo;

		if (p[i] != '%') {
			out[n++] = p[i] == '+' ? ' ' : p[i];
			continue;
		}
		hi = len - i > 2 ? hex_of(p[i + 1]) : -1;
		lo = hi < 0 ? -1 : hex_of(p[i + 2]);
		if (lo < 0 || !(hi | lo))
			return NULL;
		out[n++] = (char)(hi << 4 | lo);
		i += 2;
	}
	return out;
}

const char *http_query(struct http_ex *ex, const char *name)
{
	size_t name_len = strlen(name);

	for (const char *p = ex->query; p && *p; p += *p == '&') {
		size_t len = strcspn(p, "&"), key = strcspn(p, "=&");

		if (key == name_len && !memcmp(p, name, key))
			return key == len ? "" : decode(ex->arena, p + key + 1, len - key - 1);
		p += len;
	}
	return NULL;
}
