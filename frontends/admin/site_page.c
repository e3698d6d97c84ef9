/* What the admin listener shows without a login: probes, metrics, and the console's files, whose every datum comes from
 * the API. See site.h. On the listener's loop.
 *
 *   GET /healthz   200 while the process lives      GET /metrics   Prometheus text
 *   GET /readyz    200, or 503 with the reason      GET /, /console/...   the console
 *
 * The console needs nothing inline, so its policy allows nothing but its own files.
 */
#include <string.h>

#include "core/base/metrics.h"
#include "frontends/admin/assets.h"
#include "frontends/admin/site.h"

#define METRICS_MAX (4u << 20)
#define CONSOLE_POLICY                                                                                                 \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action "    \
	"'self'; "                                                                                                     \
	"base-uri 'none'; frame-ancestors 'none'"

/* ---- probes, metrics ---- */

/* Short and rare: no connection is kept. */
static void probe_headers(struct http_ex *ex, const char *type)
{
	http_reply_header(ex, "Content-Type", type);
	http_reply_header(ex, "Cache-Control", "no-store");
	http_reply_header(ex, "X-Content-Type-Options", "nosniff");
	http_reply_header(ex, "Connection", "close");
}

static void reply_text(struct http_ex *ex, int code, const char *text)
{
	const char *line = gh_printf(ex->arena, "%s\n", text);

	probe_headers(ex, "text/plain; charset=utf-8");
	http_reply(ex, code, line ? line : "", line ? strlen(line) : 0);
}

static void health(struct http_ex *ex)
{
	reply_text(ex, 200, "ok");
}

static void ready(struct http_ex *ex)
{
	struct admin_listener *l = site_of(ex);
	const char *why = atomic_load(&l->draining) ? "stopping" : l->cfg.not_ready(l->cfg.core);

	reply_text(ex, why ? 503 : 200, why ? why : "ready");
}

static void metrics(struct http_ex *ex)
{
	struct gh_buf b;

	gh_buf_init(&b, METRICS_MAX);
	gh_metrics_render(&b);
	probe_headers(ex, "text/plain; version=0.0.4; charset=utf-8");
	http_reply_buf(ex, 200, &b);
}

/* ---- the console ---- */

static const struct admin_asset *asset_find(const char *path)
{
	for (const struct admin_asset *a = admin_assets; a->path; a++) {
		if (!strcmp(a->path, path))
			return a;
	}
	return NULL;
}

/* RFC 9110 section 13.1.2: a list of tags, or "*"; weak comparison. */
static bool has_it(const struct http_ex *ex, const char *etag)
{
	const char *tags = http_header(ex, "If-None-Match");

	return tags && (!strcmp(tags, "*") || strstr(tags, etag));
}

static void asset(struct http_ex *ex, const struct admin_asset *a)
{
	struct gh_buf b;

	http_reply_header(ex, "Content-Security-Policy", CONSOLE_POLICY);
	http_reply_header(ex, "X-Content-Type-Options", "nosniff");
	http_reply_header(ex, "X-Frame-Options", "DENY");
	http_reply_header(ex, "Referrer-Policy", "no-referrer");
	http_reply_header(ex, "Cross-Origin-Opener-Policy", "same-origin");
	http_reply_header(ex, "Cross-Origin-Resource-Policy", "same-origin");
	/* A new release brings new files under the same names. */
	http_reply_header(ex, "Cache-Control", "no-cache");
	http_reply_header(ex, "ETag", a->etag);
	if (has_it(ex, a->etag)) {
		http_reply(ex, 304, NULL, 0);
		return;
	}
	http_reply_header(ex, "Content-Type", a->type);
	gh_buf_init(&b, a->len + 1);
	gh_buf_add(&b, a->bytes, a->len);
	http_reply_buf(ex, 200, &b);
}

/* ---- the service ---- */

static const struct {
	const char *path;
	void (*answer)(struct http_ex *ex);
} probes[] = { { "/healthz", health }, { "/readyz", ready }, { "/metrics", metrics } };

static void page_begin(struct http_ex *ex)
{
	const struct admin_asset *a = asset_find(ex->target);

	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		if (!strcmp(probes[i].path, ex->target)) {
			probes[i].answer(ex);
			return;
		}
	}
	if (a)
		asset(ex, a);
	else
		reply_text(ex, 404, "here are /, /admin/v1/, /healthz, /readyz and /metrics");
}

static void page_nothing(struct http_ex *ex)
{
	(void)ex;
}

static bool page_open(const struct http_ex *ex)
{
	(void)ex;
	return true;
}

static void page_refuse(struct http_ex *ex, enum gh_status st, const struct vfs_req *req)
{
	(void)req;
	reply_text(ex, http_code_of(st), gh_status_text(st));
}

const struct http_service site_pages = {
	.name = "console",
	.proto = VFS_ADMIN,
	.prefix = "/",
	.methods = 1u << HTTP_GET | 1u << HTTP_HEAD,
	.open_to_all = page_open,
	.begin = page_begin,
	.end = page_nothing,
	.gone = page_nothing,
	.refuse = page_refuse,
};
