/* What stands before every call of the API: whose name it came by, where from, who it is. Memory only, on the loop.
 *
 * A browser sends its cookie along with whatever any page makes it send. So a call that changes something has to name
 * the session's X-CSRF-Token, carry JSON (which no form can), and come from the console's own origin; and the host must
 * be one of ours, or a page of somebody else's could become "the same origin" by its DNS. Tokens are exempt from all of
 * that: no browser sends them by itself.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "frontends/admin/site.h"

/* ---- host ---- */

/* The name of an authority, without port and brackets, into out. */
static bool name_of(const char *authority, char *out, size_t room)
{
	const char *end;
	size_t len;

	if (*authority == '[') {
		end = strchr(++authority, ']');
		if (!end)
			return false;
		len = (size_t)(end - authority);
	} else {
		len = strcspn(authority, ":");
	}
	if (!len || len >= room)
		return false;
	memcpy(out, authority, len);
	out[len] = '\0';
	return true;
}

static bool is_listed(const char *names, const char *name)
{
	for (const char *p = names; *p;) {
		size_t len;

		p += strspn(p, ", ");
		len = strcspn(p, ", ");
		if (len && len == strlen(name) && !strncasecmp(p, name, len))
			return true;
		p += len;
	}
	return false;
}

bool site_host_ok(const struct http_ex *ex)
{
	char name[256];
	struct in6_addr a;

	if (!name_of(ex->host, name, sizeof(name)))
		return false;
	return inet_pton(AF_INET, name, &a) == 1 || inet_pton(AF_INET6, name, &a) == 1 ||
	       !strcasecmp(name, "localhost") || is_listed(site_of(ex)->cfg.host_names, name);
}

/* ---- origin ---- */

/* The authority of an origin (RFC 6454 section 7), or NULL: "null", or no such thing. */
static const char *authority_of(const char *origin)
{
	if (!strncmp(origin, "http://", 7))
		return origin + 7;
	return strncmp(origin, "https://", 8) ? NULL : origin + 8;
}

bool site_origin_ok(const struct http_ex *ex)
{
	const char *origin = http_header(ex, "Origin"), *site = http_header(ex, "Sec-Fetch-Site"), *authority;

	if (site && strcmp(site, "same-origin") && strcmp(site, "none"))
		return false;
	if (!origin)
		return true;
	authority = authority_of(origin);
	return authority && !strcasecmp(authority, ex->host);
}

bool site_origin_https(const struct http_ex *ex)
{
	const char *origin = http_header(ex, "Origin");

	return origin && !strncmp(origin, "https://", 8);
}

bool site_is_json(const struct http_ex *ex)
{
	const char *type = http_header(ex, "Content-Type");
	size_t len = type ? strcspn(type, "; \t") : 0;

	return len == 16 && !strncasecmp(type, "application/json", len);
}

/* ---- who ---- */

const char *site_cookie(struct http_ex *ex)
{
	const char *p = http_header(ex, "Cookie");
	const size_t name = sizeof(SITE_COOKIE) - 1;

	while (p && *p) {
		size_t len = strcspn(p, ";");

		if (len > name && !memcmp(p, SITE_COOKIE, name) && p[name] == '=')
			return gh_strndup(ex->arena, p + name + 1, len - name - 1);
		p += len;
		p += strspn(p, "; ");
	}
	return NULL;
}

static enum gh_status by_token(struct http_ex *ex, const char *authorization, struct site_who *ret)
{
	if (strncasecmp(authorization, "Bearer ", 7))
		return GH_UNAUTH;
	authorization += 7;
	authorization += strspn(authorization, " ");
	ret->csrf[0] = '\0';
	return operator_token(ex->core, authorization, &ret->who) ? GH_OK : GH_UNAUTH;
}

static bool csrf_named(const struct http_ex *ex, const struct site_who *who)
{
	const char *given = http_header(ex, "X-CSRF-Token");

	return given && strlen(given) == SITE_SECRET_HEX - 1 && gh_ct_equal(given, who->csrf, SITE_SECRET_HEX - 1);
}

enum gh_status site_authenticate(struct http_ex *ex, struct site_who *ret)
{
	const char *authorization = http_header(ex, "Authorization"), *cookie;

	if (authorization)
		return by_token(ex, authorization, ret);
	if (!site_host_ok(ex))
		return GH_UNAUTH;
	cookie = site_cookie(ex);
	if (!cookie || !site_session_find(site_of(ex)->sessions, ex->core, cookie, gh_mono_ns(), true, ret))
		return GH_UNAUTH;
	if (ex->method == HTTP_POST && (!csrf_named(ex, ret) || !site_origin_ok(ex)))
		return GH_DENIED;
	return GH_OK;
}
