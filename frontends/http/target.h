/* The request target as sent (RFC 9112 section 3.2), taken apart without decoding anything. Used by the guard. Pure. */
#ifndef GH_FRONTENDS_HTTP_TARGET_H
#define GH_FRONTENDS_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

enum http_target_form { HTTP_TARGET_ORIGIN, HTTP_TARGET_ABSOLUTE, HTTP_TARGET_ASTERISK };

/* Pointers into the raw target. */
struct http_target {
	enum http_target_form form;
	const char *host; /* authority of an absolute-form target, else NULL */
	size_t host_len;
	const char *path; /* begins with "/", or is "*" */
	size_t path_len;
	const char *query; /* after "?", or NULL */
	size_t query_len;
};

/* false: not a target we answer (no path, other scheme, userinfo, fragment, space or control characters). */
bool http_target_parse(const char *raw, size_t len, struct http_target *ret);
/* host, host:port, [v6], [v6]:port; RFC 3986 section 3.2.2. Empty is false. */
bool http_host_valid(const char *host, size_t len);
/* Length of the host part without its port. host is valid. */
size_t http_host_name_len(const char *host, size_t len);

#endif
