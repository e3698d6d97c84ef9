/* The WebDAV service behind the HTTP door: which method is whose, and the bodies on their way to the XML parser. Called
 * by frontends/http on the loop of each exchange; all state is the exchange's.
 */
#include "frontends/webdav/dav.h"

#include <string.h>

#define UNWANTED_BODY_MAX 65536 /* bytes of a body that the method has no use for */

/* end: called when the body is there. xml_max: longest body; 0 = the method has none of its own. */
static const struct method {
	void (*end)(struct http_ex *ex);
	size_t xml_max;
} methods[HTTP_METHOD_COUNT] = {
	[HTTP_OPTIONS] = { dav_options, 0 },
	[HTTP_GET] = { dav_get, 0 },
	[HTTP_HEAD] = { dav_get, 0 },
	[HTTP_PUT] = { http_put_end, 0 },
	[HTTP_DELETE] = { dav_delete, 0 },
	[HTTP_PROPFIND] = { dav_propfind, (size_t)256 << 10 },
	[HTTP_PROPPATCH] = { dav_proppatch, (size_t)1 << 20 },
	[HTTP_MKCOL] = { dav_mkcol, 0 },
	[HTTP_COPY] = { dav_copymove, 0 },
	[HTTP_MOVE] = { dav_copymove, 0 },
	[HTTP_LOCK] = { dav_lock, (size_t)256 << 10 },
	[HTTP_UNLOCK] = { dav_unlock, 0 },
};

static bool open_to_all(const struct http_ex *ex)
{
	return ex->method == HTTP_OPTIONS; /* Office and Windows ask before they log in */
}

static void begin_xml(struct http_ex *ex, size_t max)
{
	struct dav_state *s = ex->state;

	if (ex->body_declared != UINT64_MAX && ex->body_declared > max) {
		http_refuse(ex, GH_TOOLARGE, NULL);
		return;
	}
	s->xml = dav_xml_new(max);
	if (!s->xml)
		http_refuse(ex, GH_NOMEM, NULL);
}

static void begin(struct http_ex *ex)
{
	const char *condition = http_header(ex, "If");

	ex->state = gh_alloc(ex->arena, sizeof(struct dav_state));
	if (!ex->state) {
		http_refuse(ex, GH_NOMEM, NULL);
	} else if (condition && strlen(condition) > DAV_IF_MAX) {
		dav_error(ex, 431, NULL, "the If header is too long");
	} else if (ex->method == HTTP_PUT) {
		http_put_begin(ex, dav_put_cond, dav_put_done);
	} else if (ex->method == HTTP_MKCOL && ex->has_body) {
		dav_error(ex, 415, NULL, "a body of MKCOL means nothing here"); /* RFC 4918 section 9.3 */
	} else if (methods[ex->method].xml_max && ex->has_body) {
		begin_xml(ex, methods[ex->method].xml_max);
	}
}

static enum gh_status body(struct http_ex *ex, const void *data, size_t len)
{
	struct dav_state *s = ex->state;

	if (ex->method == HTTP_PUT)
		return http_put_body(ex, data, len);
	if (s->xml)
		return dav_xml_feed(s->xml, data, len);
	return ex->body_received + len > UNWANTED_BODY_MAX ? GH_TOOLARGE : GH_OK;
}

static void end(struct http_ex *ex)
{
	if (dav_is_ancestor(ex) && ex->method == HTTP_PROPFIND)
		dav_ancestor(ex);
	else
		methods[ex->method].end(ex);
}

static void gone(struct http_ex *ex)
{
	struct dav_state *s = ex->state;

	if (ex->method == HTTP_PUT)
		http_put_gone(ex);
	if (!s)
		return;
	dav_propfind_gone(ex);
	dav_xml_free(&s->xml);
}

bool dav_body(struct http_ex *ex, struct dav_el **ret_root)
{
	struct dav_state *s = ex->state;
	enum gh_status st;

	*ret_root = NULL;
	if (!s->xml)
		return true;
	st = dav_xml_finish(s->xml, ret_root);
	if (st != GH_OK)
		http_refuse(ex, st, NULL);
	return st == GH_OK;
}

#define M(m) (1u << HTTP_##m)
const struct http_service http_service_dav = {
	.name = "webdav",
	.proto = VFS_WEBDAV,
	.prefix = DAV_PREFIX,
	.methods = M(OPTIONS) | M(GET) | M(HEAD) | M(PUT) | M(DELETE) | M(PROPFIND) | M(PROPPATCH) | M(MKCOL) |
		   M(COPY) | M(MOVE) | M(LOCK) | M(UNLOCK),
	.root_methods = M(OPTIONS) | M(PROPFIND),
	.open_to_all = open_to_all,
	.begin = begin,
	.body = body,
	.end = end,
	.gone = gone,
	.refuse = dav_refuse,
};
#undef M
