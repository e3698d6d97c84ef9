/* URIs that name resources of this server: the Destination header and the tags of If (RFC 4918 sections 10.3, 10.4.2:
 * Simple-ref = absolute-URI | path-absolute). Called by copymove.c and ifheader.c. Pure.
 *
 * Clients behind a proxy that ends TLS send another scheme, port or user name than this server sees, so of the
 * authority only the host name is compared; it may also be one of the tenant's. Decoding stays with the core: the rest
 * of the path is handed on as sent.
 */
#include "frontends/webdav/dav.h"

#include <string.h>
#include <strings.h>

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_scheme_char(char c)
{
	return is_alpha(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

/* The host within "[user@]host[:port]", brackets of an IPv6 literal included. */
static void host_of(const char *authority, size_t len, const char **ret, size_t *ret_len)
{
	const char *end = authority + len, *at = memrchr(authority, '@', len), *colon;

	if (at)
		authority = at + 1;
	len = (size_t)(end - authority);
	if (len > 0 && authority[0] == '[') {
		const char *close = memchr(authority, ']', len);

		len = close ? (size_t)(close - authority) + 1 : len;
	} else {
		colon = memchr(authority, ':', len);
		len = colon ? (size_t)(colon - authority) : len;
	}
	if (len > 0 && authority[len - 1] == '.') /* a fully qualified name */
		len--;
	*ret = authority;
	*ret_len = len;
}

static bool is_ours(const struct dav_here *here, const char *authority, size_t len)
{
	const char *a, *b;
	size_t a_len, b_len;
	char name[256];

	host_of(authority, len, &a, &a_len);
	if (a_len == 0 || a_len >= sizeof(name))
		return false;
	host_of(here->host, strlen(here->host), &b, &b_len);
	if (a_len == b_len && !strncasecmp(a, b, a_len))
		return true;
	memcpy(name, a, a_len);
	name[a_len] = '\0';
	return here->session && vfs_session_host(here->core, here->session, name);
}

/* Skips "scheme://authority": where the path begins, DAV_INSIDE when the authority is ours. */
static enum dav_where skip_authority(const struct dav_here *here, const char **uri, size_t *len)
{
	const char *p = *uri, *end = p + *len, *authority;

	if (p == end || !is_alpha(*p))
		return DAV_MALFORMED;
	while (p < end && is_scheme_char(*p))
		p++;
	if (end - p < 3 || memcmp(p, "://", 3) != 0)
		return DAV_MALFORMED;
	if (!(p - *uri == 4 && !strncasecmp(*uri, "http", 4)) && !(p - *uri == 5 && !strncasecmp(*uri, "https", 5)))
		return DAV_FOREIGN;
	authority = p += 3;
	while (p < end && *p != '/' && *p != '?' && *p != '#')
		p++;
	if (p == authority)
		return DAV_MALFORMED;
	*uri = p;
	*len = (size_t)(end - p);
	if (!is_ours(here, authority, (size_t)(p - authority)))
		return DAV_FOREIGN;
	return p == end || *p != '/' ? DAV_MALFORMED : DAV_INSIDE; /* no path: nothing is named */
}

enum dav_where dav_uri(const struct dav_here *here, const char *uri, size_t len, const char **ret_path, size_t *ret_len)
{
	const size_t prefix = sizeof(DAV_PREFIX) - 1;

	while (len > 0 && (*uri == ' ' || *uri == '\t')) {
		uri++;
		len--;
	}
	while (len > 0 && (uri[len - 1] == ' ' || uri[len - 1] == '\t'))
		len--;
	/* A query or fragment names no file; dropping it would name another one than the client may have meant. */
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)uri[i] <= ' ' || uri[i] == 0x7F || uri[i] == '?' || uri[i] == '#')
			return DAV_MALFORMED;
	}
	if (len == 0)
		return DAV_MALFORMED;
	if (uri[0] != '/') {
		enum dav_where where = skip_authority(here, &uri, &len);

		if (where != DAV_INSIDE)
			return where;
	} else if (len > 1 && uri[1] == '/') {
		return DAV_MALFORMED; /* "//host/path" is neither form */
	}
	if (len < prefix || memcmp(uri, DAV_PREFIX, prefix) != 0 || (len > prefix && uri[prefix] != '/'))
		return DAV_OUTSIDE;
	*ret_path = uri + prefix;
	*ret_len = len - prefix;
	return DAV_INSIDE;
}
