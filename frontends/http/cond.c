/* Conditional requests (RFC 9110 section 13): the headers into the core's form; the core evaluates. Called from
 * http_serve_file, http_put_* and services that change things. No state.
 */
#include "frontends/http/exchange.h"
#include "frontends/http/etag.h"

#include <string.h>

enum { ETAG_DIGITS = 16, ETAGS_MAX = 256 };

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* The quoted part of an entity tag; ours are exactly 16 lower-case hex digits. 0 = not ours. */
static uint64_t version_of(const char *opaque, size_t len)
{
	uint64_t v = 0;

	if (len != ETAG_DIGITS)
		return 0;
	for (size_t i = 0; i < len; i++) {
		int d = hex_of(opaque[i]);

		if (d < 0)
			return 0;
		v = v << 4 | (uint64_t)d;
	}
	return v;
}

const char *http_etag_next(const char *p, struct http_etag *ret)
{
	const char *open, *close;

	while (*p == ' ' || *p == '\t' || *p == ',')
		p++;
	if (!*p)
		return NULL;
	*ret = (struct http_etag){ .weak = p[0] == 'W' && p[1] == '/' };
	open = ret->weak ? p + 2 : p;
	close = *open == '"' ? strchr(open + 1, '"') : NULL;
	if (!close) {
		/* Not an entity tag: on to the next comma; it matches nothing. */
		return p + strcspn(p, ",");
	}
	ret->version = version_of(open + 1, (size_t)(close - open) - 1);
	return close + 1;
}

static void etags_parse(struct gh_arena *a, const char *value, bool strong_only, struct vfs_etags *ret)
{
	struct http_etag tag;
	unsigned room = 1;

	ret->present = true;
	while (*value == ' ' || *value == '\t')
		value++;
	if (value[0] == '*' && !value[1 + strspn(value + 1, " \t")]) {
		ret->any = true;
		return;
	}
	for (const char *p = value; *p; p++)
		room += *p == ',';
	if (room > ETAGS_MAX)
		room = ETAGS_MAX;
	ret->versions = gh_alloc_array(a, room, sizeof(*ret->versions));
	for (const char *p = value; ret->versions && ret->count < room && (p = http_etag_next(p, &tag));)
		if (tag.version && !(tag.weak && strong_only))
			ret->versions[ret->count++] = tag.version;
}

/* Whole seconds; 0 stays free for "absent". */
static int64_t date_of(const char *value)
{
	int64_t us;

	if (!value || !http_date_parse(value, &us))
		return 0;
	return us ? us : 1;
}

struct vfs_cond *http_cond(struct http_ex *ex, struct gh_arena *a)
{
	const char *match = http_header(ex, "If-Match"), *none = http_header(ex, "If-None-Match");
	const char *unmodified = http_header(ex, "If-Unmodified-Since");
	const char *modified = http_header(ex, "If-Modified-Since");
	struct vfs_cond *c;

	if (!match && !none && !unmodified && !modified)
		return NULL;
	c = gh_alloc(a, sizeof(*c));
	if (!c)
		return NULL; /* the arena says so when the request is submitted */
	if (match)
		etags_parse(a, match, true, &c->if_match);
	if (none)
		etags_parse(a, none, false, &c->if_none_match);
	/* Each date gives way to its tags; If-Modified-Since is for GET and HEAD alone. */
	if (!match)
		c->unmodified_since_us = date_of(unmodified);
	if (!none && (ex->method == HTTP_GET || ex->method == HTTP_HEAD))
		c->modified_since_us = date_of(modified);
	return c;
}
