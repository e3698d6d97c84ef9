/* The frame of every page: markup, style, protective headers. No script, no outside resource: the policy allows nothing
 * but the one style element that carries this answer's nonce. No state.
 */
#include "frontends/web/web.h"

#include <stdio.h>
#include <string.h>

#include "core/base/hash.h"

static const char style[] =
	":root{color-scheme:light dark;--fg:#1d2433;--dim:#5c6678;--bg:#fff;--line:#dfe3ea;--link:#0b57c4}"
	"@media(prefers-color-scheme:dark)"
	"{:root{--fg:#e3e7ee;--dim:#9aa4b5;--bg:#14181f;--line:#2b323d;--link:#8ab8ff}}"
	"*{box-sizing:border-box}"
	"body{margin:0 auto;max-width:64rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;color:var(--fg);"
	"background:var(--bg)}"
	"a{color:var(--link);text-decoration:none}a:hover,a:focus{text-decoration:underline}"
	"nav{font-size:1.15rem;margin:.5rem 0 1rem;overflow-wrap:anywhere}nav span{color:var(--dim);padding:0 .35em}"
	"table{width:100%;border-collapse:collapse}"
	"th{text-align:left;font-weight:600;color:var(--dim);font-size:.85rem}"
	"th,td{padding:.4rem .5rem;border-bottom:1px solid var(--line)}"
	"td:first-child{overflow-wrap:anywhere}"
	".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
	"td.n{color:var(--dim)}p.dim{color:var(--dim)}"
	"@media(max-width:36rem){.t{display:none}}";

void web_page_headers(struct http_ex *ex, char nonce[WEB_NONCE_LEN])
{
	unsigned char random[16];
	char policy[200];

	gh_random(random, sizeof(random));
	gh_hex(nonce, random, sizeof(random));
	snprintf(policy, sizeof(policy),
		 "default-src 'none'; style-src 'nonce-%s'; base-uri 'none'; form-action 'none'; "
		 "frame-ancestors 'none'",
		 nonce);
	http_reply_header(ex, "Content-Type", "text/html; charset=utf-8");
	http_reply_header(ex, "Content-Security-Policy", policy);
	http_reply_header(ex, "X-Content-Type-Options", "nosniff");
	http_reply_header(ex, "Referrer-Policy", "no-referrer");
	http_reply_header(ex, "Cache-Control", "private, no-store");
}

void web_page_head(struct gh_buf *out, const char *title, const char *nonce)
{
	gh_buf_str(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
			"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
	gh_buf_xml(out, title, strlen(title));
	gh_buf_printf(out, "</title>\n<style nonce=\"%s\">", nonce);
	gh_buf_str(out, style);
	gh_buf_str(out, "</style>\n</head>\n<body>\n");
}

void web_page_foot(struct gh_buf *out)
{
	gh_buf_str(out, "</body>\n</html>\n");
}

/* A folder of the root named like a door of the house would lead there. Its first letter percent-encoded is the same
 * name to the core and no prefix to the router. */
static bool is_reserved(const char *path, size_t len)
{
	static const char *const doors[] = { "dav", "api", "s", "healthz", "readyz" };

	for (unsigned i = 0; i < sizeof(doors) / sizeof(*doors); i++) {
		size_t n = strlen(doors[i]);

		if (len > n && !memcmp(path + 1, doors[i], n) && (len == n + 1 || path[n + 1] == '/'))
			return true;
	}
	return false;
}

void web_href(struct gh_buf *out, const char *path, size_t len)
{
	if (is_reserved(path, len)) {
		gh_buf_printf(out, "/%%%02X", (unsigned char)path[1]);
		path += 2;
		len -= 2;
	}
	gh_buf_href(out, path, len);
}
