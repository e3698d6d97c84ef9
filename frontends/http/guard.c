/* The request guard, rule by rule (guard.h). Called once per request, before routing. Pure.
 *
 * One pass over the fields checks names and values and notes what the later rules look at, so that a request costs one
 * walk whatever it carries.
 */
#include "frontends/http/guard.h"

#include <string.h>
#include <strings.h>

/* Fields that a rule names. Anything from F_DEPTH on matters only for coming twice. */
enum known {
	F_HOST, F_CONTENT_LENGTH, F_TRANSFER_ENCODING, F_CONTENT_ENCODING, F_EXPECT,
	F_AUTHORIZATION, F_DESTINATION, F_DEPTH, F_OVERWRITE, F_IF, F_LOCK_TOKEN, F_RANGE, F_CONTENT_TYPE,
	F_CONTENT_RANGE,
	F_COUNT
};

static const struct known_name {
	const char *name;
	unsigned len;
} known_names[F_COUNT] = {
#define N(sym, text) [sym] = { text, sizeof(text) - 1 }
	N(F_HOST, "host"),
	N(F_CONTENT_LENGTH, "content-length"),
	N(F_TRANSFER_ENCODING, "transfer-encoding"),
	N(F_CONTENT_ENCODING, "content-encoding"),
	N(F_EXPECT, "expect"),
	N(F_AUTHORIZATION, "authorization"),
	N(F_DESTINATION, "destination"),
	N(F_DEPTH, "depth"),
	N(F_OVERWRITE, "overwrite"),
	N(F_IF, "if"),
	N(F_LOCK_TOKEN, "lock-token"),
	N(F_RANGE, "range"),
	N(F_CONTENT_TYPE, "content-type"),
	N(F_CONTENT_RANGE, "content-range"),
#undef N
};

struct seen {
	const struct http_field *field[F_COUNT];
	unsigned times[F_COUNT];
};

/* RFC 9110 section 5.6.2: 0 for what may not stand in a token, else the character in lower case. */
static const unsigned char token_lower[256] = {
	['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*', ['+'] = '+',
	['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`', ['|'] = '|', ['~'] = '~',
	['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7',
	['8'] = '8', ['9'] = '9',
#define L(up, low) [up] = low, [low] = low
	L('A', 'a'), L('B', 'b'), L('C', 'c'), L('D', 'd'), L('E', 'e'), L('F', 'f'), L('G', 'g'), L('H', 'h'),
	L('I', 'i'), L('J', 'j'), L('K', 'k'), L('L', 'l'), L('M', 'm'), L('N', 'n'), L('O', 'o'), L('P', 'p'),
	L('Q', 'q'), L('R', 'r'), L('S', 's'), L('T', 't'), L('U', 'u'), L('V', 'v'), L('W', 'w'), L('X', 'x'),
	L('Y', 'y'), L('Z', 'z'),
#undef L
};

/* Rule 5: does the lower-case name hold one of the words, at whatever place? */
static bool holds_reserved_word(const char *low, unsigned len)
{
	for (unsigned i = 0; i < len; i++) {
		const char *p = low + i;
		unsigned left = len - i;

		switch (*p) {
		case 'h':
			if (left >= 4 && !memcmp(p, "host", 4))
				return true;
			break;
		case 'c':
			if (left >= 14 && !memcmp(p, "content-length", 14))
				return true;
			break;
		case 't':
			if (left >= 17 && !memcmp(p, "transfer-encoding", 17))
				return true;
			break;
		case 'a':
			if (left >= 13 && !memcmp(p, "authorization", 13))
				return true;
			break;
		case 'd':
			if (left >= 11 && !memcmp(p, "destination", 11))
				return true;
			break;
		}
	}
	return false;
}

static bool reserved_word_tolerated(const char *low, unsigned len)
{
	static const char *const ok[] = { "x-forwarded-host", "x-original-host", "proxy-authorization" };

	for (unsigned i = 0; i < sizeof(ok) / sizeof(*ok); i++)
		if (strlen(ok[i]) == len && !memcmp(low, ok[i], len))
			return true;
	return false;
}

/* RFC 9110 section 5.5: visible characters, space, tab, obs-text. */
static bool value_valid(const char *v, unsigned len)
{
	for (unsigned i = 0; i < len; i++) {
		unsigned char c = (unsigned char)v[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* Families where every member comes once: If-*, Upload-*, Tus-*. */
static bool in_single_family(const char *low, unsigned len)
{
	return (len > 3 && !memcmp(low, "if-", 3)) || (len > 7 && !memcmp(low, "upload-", 7)) ||
	       (len > 4 && !memcmp(low, "tus-", 4));
}

static bool came_before(const struct http_raw *raw, unsigned at)
{
	const struct http_field *f = &raw->fields[at];

	for (unsigned i = 0; i < at; i++)
		if (raw->fields[i].name_len == f->name_len &&
		    !strncasecmp(raw->fields[i].name, f->name, f->name_len))
			return true;
	return false;
}

/* Rules 1, 5 and 6 for one field; notes it in s. */
static int field_check(const struct http_raw *raw, unsigned at, struct seen *s, const char **why)
{
	const struct http_field *f = &raw->fields[at];
	char low[64];

	*why = "header name is not a token";
	if (!f->name_len)
		return 400;
	for (unsigned i = 0; i < f->name_len; i++) {
		unsigned char c = token_lower[(unsigned char)f->name[i]];

		if (!c)
			return 400;
		if (i < sizeof(low))
			low[i] = (char)c;
	}
	*why = "header value holds a control character";
	if (!value_valid(f->value, f->value_len))
		return 400;
	*why = "header name is too long";
	if (f->name_len > sizeof(low))
		return 431;
	for (unsigned k = 0; k < F_COUNT; k++) {
		if (known_names[k].len == f->name_len && !memcmp(known_names[k].name, low, f->name_len)) {
			s->field[k] = f;
			*why = "a header that stands once came twice";
			return s->times[k]++ ? 400 : 0;
		}
	}
	*why = "header name resembles a reserved one";
	if (holds_reserved_word(low, f->name_len) && !reserved_word_tolerated(low, f->name_len))
		return 400;
	*why = "a header that stands once came twice";
	return in_single_family(low, f->name_len) && came_before(raw, at) ? 400 : 0;
}

static bool value_is(const struct http_field *f, const char *text)
{
	return f->value_len == strlen(text) && !strncasecmp(f->value, text, f->value_len);
}

/* Rule 3. RFC 9112 section 6. */
static int framing_check(const struct seen *s, struct http_guarded *g, const char **why)
{
	const struct http_field *te = s->field[F_TRANSFER_ENCODING], *cl = s->field[F_CONTENT_LENGTH];
	uint64_t v = 0;

	if (te) {
		*why = "Transfer-Encoding beside Content-Length";
		if (cl)
			return 400;
		*why = "Transfer-Encoding on HTTP/1.0";
		if (g->http10)
			return 400;
		*why = "transfer coding other than chunked";
		if (!value_is(te, "chunked"))
			return strchr(te->value, ',') || value_is(te, "identity") || !te->value_len ? 400 : 501;
		g->declared = UINT64_MAX;
		g->has_body = true;
		return 0;
	}
	if (!cl)
		return 0;
	*why = "malformed Content-Length";
	if (cl->value_len < 1 || cl->value_len > 19)
		return 400;
	for (unsigned i = 0; i < cl->value_len; i++) {
		if (cl->value[i] < '0' || cl->value[i] > '9')
			return 400;
		v = v * 10 + (uint64_t)(cl->value[i] - '0');
	}
	g->declared = v;
	g->has_body = v > 0;
	return 0;
}

/* Rules 2 and 7. RFC 9112 section 3.2. */
static int target_check(const struct http_raw *raw, const struct seen *s, struct http_guarded *g, const char **why)
{
	const struct http_field *host = s->field[F_HOST];

	*why = "no Host";
	if (!host && !g->http10)
		return 400;
	*why = "malformed Host";
	if (host && !http_host_valid(host->value, host->value_len))
		return 400;
	*why = "target is too long";
	if (raw->target_len > HTTP_TARGET_MAX)
		return 414;
	*why = "malformed target";
	if (!http_target_parse(raw->target, raw->target_len, &g->target))
		return 400;
	if (g->target.form == HTTP_TARGET_ASTERISK && g->method != HTTP_OPTIONS)
		return 400;
	g->host = g->target.host ? g->target.host : host ? host->value : "";
	g->host_len = g->target.host ? g->target.host_len : host ? host->value_len : 0;
	return 0;
}

/* Rule 9. 415 where a later revision could give the body a meaning (RFC 4918 section 9.3), 400 where none ever has. */
static int body_allowed(enum http_method m)
{
	switch (m) {
	case HTTP_PUT:
	case HTTP_POST:
	case HTTP_PATCH:
	case HTTP_PROPFIND:
	case HTTP_PROPPATCH:
	case HTTP_LOCK:
	case HTTP_REPORT:
		return 0;
	case HTTP_DELETE:
	case HTTP_MKCOL:
	case HTTP_COPY:
	case HTTP_MOVE:
		return 415;
	case HTTP_GET:
	case HTTP_HEAD:
	case HTTP_OPTIONS:
	case HTTP_UNLOCK:
	case HTTP_METHOD_COUNT:
		return 400;
	}
	return 400;
}

int http_guard(const struct http_raw *raw, struct http_guarded *ret, const char **ret_why)
{
	struct http_guarded g = { .http10 = !strcmp(raw->version, "HTTP/1.0") };
	struct seen s = { 0 };
	int code;

	*ret_why = "version other than 1.0 and 1.1";
	if (!g.http10 && strcmp(raw->version, "HTTP/1.1"))
		return 505;
	*ret_why = "too many headers";
	if (raw->field_count > HTTP_FIELDS_MAX)
		return 431;
	for (unsigned i = 0; i < raw->field_count; i++)
		if ((code = field_check(raw, i, &s, ret_why)))
			return code;
	if ((code = framing_check(&s, &g, ret_why)))
		return code;
	*ret_why = "unknown method";
	if (!http_method_of(raw->method, &g.method))
		return 501;
	if ((code = target_check(raw, &s, &g, ret_why)))
		return code;
	*ret_why = "expectation other than 100-continue";
	if (s.field[F_EXPECT] && !value_is(s.field[F_EXPECT], "100-continue"))
		return 417;
	*ret_why = "a body where none belongs";
	if (g.has_body && (code = body_allowed(g.method)))
		return code;
	*ret_why = "content coding other than identity";
	if (g.has_body && s.field[F_CONTENT_ENCODING] && !value_is(s.field[F_CONTENT_ENCODING], "identity"))
		return 415;
	/* RFC 9110 section 10.1.1: a 1.0 client does not know the interim answer. */
	g.expects_continue = s.field[F_EXPECT] && g.has_body && !g.http10;
	*ret = g;
	*ret_why = NULL;
	return 0;
}
