/* Byte ranges (RFC 9110 section 14) and If-Range (section 13.1.5). Called by http_serve_file and by services that serve
 * content of their own. No state.
 *
 * One range is honoured; a set of several is declined and the whole file sent, which section 14.2 allows.
 */
#include "frontends/http/exchange.h"
#include "frontends/http/etag.h"

#include <string.h>
#include <strings.h>

#include "core/base/clock.h"

/* A run of digits, saturating. false: there is none. */
static bool digits(const char **p, uint64_t *ret)
{
	uint64_t v = 0;

	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		uint64_t d = (uint64_t)(**p - '0');

		v = v > (UINT64_MAX - d) / 10 ? UINT64_MAX : v * 10 + d;
	}
	*ret = v;
	return true;
}

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t");
}

enum range_kind { RANGE_NONE, RANGE_FROM, RANGE_SUFFIX };

/* One range-spec and nothing else; RANGE_NONE for everything that we do not honour. */
static enum range_kind spec_parse(const char *p, uint64_t *first, uint64_t *last)
{
	enum range_kind kind = RANGE_FROM;

	if (strncasecmp(p, "bytes=", 6))
		return RANGE_NONE;
	p = skip_space(p + 6);
	if (*p == '-') {
		kind = RANGE_SUFFIX;
		p++;
		if (!digits(&p, last))
			return RANGE_NONE;
	} else {
		*last = UINT64_MAX;
		if (!digits(&p, first) || *p++ != '-')
			return RANGE_NONE;
		if (digits(&p, last) && *last < *first)
			return RANGE_NONE;
	}
	return *skip_space(p) ? RANGE_NONE : kind;
}

/* Does the validator of If-Range still describe what we have? Strong comparison, exact date. */
static bool if_range_holds(const char *value, uint64_t version, int64_t mtime_us)
{
	struct http_etag tag;
	int64_t us;

	if (*value == '"' || !strncmp(value, "W/", 2))
		return http_etag_next(value, &tag) && !tag.weak && tag.version && tag.version == version;
	/* A time that is still running does not tell two versions apart (section 8.8.2.2). */
	return http_date_parse(value, &us) && us == mtime_us - mtime_us % GH_S_US &&
	       us + 60 * GH_S_US < gh_real_us();
}

int http_range(const struct http_ex *ex, uint64_t size, uint64_t version, int64_t mtime_us, uint64_t *ret_offset,
	       uint64_t *ret_length)
{
	const char *range = ex->method == HTTP_GET ? http_header(ex, "Range") : NULL;
	const char *validator = range ? http_header(ex, "If-Range") : NULL;
	uint64_t first = 0, last = 0;
	enum range_kind kind;

	*ret_offset = 0;
	*ret_length = size;
	if (!range || (validator && !if_range_holds(validator, version, mtime_us)))
		return 200;
	kind = spec_parse(range, &first, &last);
	if (kind == RANGE_NONE)
		return 200;
	if (kind == RANGE_SUFFIX) {
		if (!last)
			return 416;
		if (!size)
			return 200; /* satisfiable, and nothing to say a Content-Range about */
		*ret_length = last < size ? last : size;
		*ret_offset = size - *ret_length;
		return 206;
	}
	if (first >= size)
		return 416;
	*ret_offset = first;
	*ret_length = (last < size - 1 ? last : size - 1) - first + 1;
	return 206;
}

uint64_t http_range_bound(const struct http_ex *ex)
{
	const char *range = ex->method == HTTP_GET ? http_header(ex, "Range") : NULL;
	uint64_t first = 0, last = 0;

	if (ex->method == HTTP_HEAD)
		return 0;
	if (!range || http_header(ex, "If-Range"))
		return UINT64_MAX;
	switch (spec_parse(range, &first, &last)) {
	case RANGE_NONE:
		return UINT64_MAX;
	case RANGE_SUFFIX:
		return last;
	case RANGE_FROM:
		break;
	}
	return last == UINT64_MAX ? last : last - first + 1;
}
