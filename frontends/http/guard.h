/* The request guard: what stands before every handler, because the library below lets through what a server must not
 * (request smuggling among it). Ten rules:
 *
 *    1  header names are tokens, values hold no control characters
 *    2  exactly one valid Host on HTTP/1.1
 *    3  Transfer-Encoding is absent, or once and exactly "chunked", on 1.1, without Content-Length; at most one
 *       Content-Length of 1 to 19 digits
 *    4  version 1.0 or 1.1; method known
 *    5  a name that only contains a framing, routing or credential header's name is refused (what folding makes)
 *    6  single-valued headers come once
 *    7  the target is taken as sent, parsed here and nowhere else
 *    8  Content-Encoding on a write: identity only; Expect: 100-continue only
 *    9  no body where none belongs
 *   10  what the parser below hides (NUL, lost folds, bare LF) cannot be seen here: at most HTTP_FIELDS_MAX headers,
 *       and whoever puts a proxy in front uses one that is strict about these
 *
 * Pure: a table of fields in, a verdict out. The bytes belong to the caller.
 */
#ifndef GH_FRONTENDS_HTTP_GUARD_H
#define GH_FRONTENDS_HTTP_GUARD_H

#include "frontends/http/exchange.h"
#include "frontends/http/target.h"

#define HTTP_FIELDS_MAX 100
#define HTTP_TARGET_MAX 16384 /* bytes as sent; a path of GH_PATH_MAX, every byte percent-encoded, and a query */

struct http_field {
	const char *name, *value;
	unsigned name_len, value_len;
};

struct http_raw {
	const char *method, *version, *target;
	size_t target_len;
	const struct http_field *fields;
	unsigned field_count;
};

struct http_guarded {
	enum http_method method;
	bool http10, expects_continue, has_body;
	uint64_t declared;    /* UINT64_MAX: chunked; 0: none */
	const char *host;     /* authority as sent, from the target or from Host; "" without one (1.0) */
	size_t host_len;
	struct http_target target;
};

bool http_method_of(const char *name, enum http_method *ret); /* case-sensitive, RFC 9110 section 9.1 */
/* 0 = may pass, and *ret is filled in; else the HTTP status to refuse with, and *ret_why says why (static storage). */
int http_guard(const struct http_raw *raw, struct http_guarded *ret, const char **ret_why);

#endif
