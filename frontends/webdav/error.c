/* Refusals in WebDAV's words: a DAV:error body with the precondition's element where RFC 4918 section 16 (or RFC 4331)
 * names one, and a sentence for people in an element of our own, which clients ignore. Called through service->refuse
 * and by handlers whose refusal has no core status. Loop thread of the exchange.
 */
#include "frontends/webdav/dav.h"

#include <string.h>

static const char allowed[] = "OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK";

static bool reads(enum http_method m)
{
	return m == HTTP_GET || m == HTTP_HEAD || m == HTTP_PROPFIND;
}

int dav_code(const struct http_ex *ex, enum gh_status st)
{
	switch (st) {
	case GH_EXISTS: /* RFC 4918 section 9.3.1 */
		return ex->method == HTTP_MKCOL ? 405 : http_code_of(st);
	case GH_NOTDIR: /* a file stands where a folder should: nothing is below it, nothing can be put there */
		return reads(ex->method) ? 404 : 409;
	case GH_ISDIR: /* DELETE of a collection with a Depth other than infinity: section 9.6.1 */
		return ex->method == HTTP_DELETE ? 400 : http_code_of(st);
	case GH_NOLOCK:
		return 409;
	case GH_OVERSHARE: /* a drive mapped by the system knows 503, and waits; 429 it takes for an error */
	case GH_PACED:
	case GH_CROWDED:
		return 503;
	case GH_OK:
	case GH_PENDING:
	case GH_WAIT:
	case GH_AGAIN:
	case GH_STALE:
	case GH_END:
	case GH_NOTMODIFIED:
	case GH_INVALID:
	case GH_BADNAME:
	case GH_TOOLONG:
	case GH_NOTFOUND:
	case GH_NOPARENT:
	case GH_NOTEMPTY:
	case GH_SAMEFILE:
	case GH_LOOP:
	case GH_UNAUTH:
	case GH_DENIED:
	case GH_PROTECTED:
	case GH_PRECONDITION:
	case GH_LOCKED:
	case GH_RANGE:
	case GH_TOOLARGE:
	case GH_SHORT:
	case GH_DIGEST:
	case GH_LIMIT:
	case GH_CONFLICT:
	case GH_UNSUPPORTED:
	case GH_GONE:
	case GH_THROTTLED:
	case GH_QUOTA:
	case GH_OFF:
	case GH_DRAINING:
	case GH_SUSPENDED:
	case GH_READONLY:
	case GH_FROZEN:
	case GH_BUSY:
	case GH_IO:
	case GH_NOSPACE:
	case GH_DAMAGED:
	case GH_DATABASE:
	case GH_TRIPPED:
	case GH_DEADLINE:
	case GH_UNKNOWN:
	case GH_STOPPING:
	case GH_NOMEM:
	case GH_BUG:
	case GH_STATUS_COUNT:
		break;
	}
	return http_code_of(st);
}

/* Element of DAV:error; *ret_href: it holds the lock's root. */
static const char *precondition_of(const struct http_ex *ex, enum gh_status st, bool *ret_href)
{
	*ret_href = false;
	switch (st) {
	case GH_LOCKED:
		*ret_href = true;
		return ex->method == HTTP_LOCK ? "no-conflicting-lock" : "lock-token-submitted";
	case GH_NOLOCK:
		return "lock-token-matches-request-uri";
	case GH_PRECONDITION: /* of a refresh: section 9.10.2 */
		return ex->method == HTTP_LOCK ? "lock-token-matches-request-uri" : NULL;
	case GH_PROTECTED:
		return "cannot-modify-protected-property";
	case GH_QUOTA: /* RFC 4331 section 6 */
		return "quota-not-exceeded";
	case GH_NOSPACE:
		return "sufficient-disk-space";
	case GH_OK:
	case GH_PENDING:
	case GH_WAIT:
	case GH_AGAIN:
	case GH_STALE:
	case GH_END:
	case GH_NOTMODIFIED:
	case GH_INVALID:
	case GH_BADNAME:
	case GH_TOOLONG:
	case GH_NOTFOUND:
	case GH_NOPARENT:
	case GH_EXISTS:
	case GH_NOTDIR:
	case GH_ISDIR:
	case GH_NOTEMPTY:
	case GH_SAMEFILE:
	case GH_LOOP:
	case GH_UNAUTH:
	case GH_DENIED:
	case GH_RANGE:
	case GH_TOOLARGE:
	case GH_SHORT:
	case GH_DIGEST:
	case GH_LIMIT:
	case GH_CONFLICT:
	case GH_UNSUPPORTED:
	case GH_GONE:
	case GH_THROTTLED:
	case GH_OFF:
	case GH_DRAINING:
	case GH_SUSPENDED:
	case GH_READONLY:
	case GH_FROZEN:
	case GH_PACED:
	case GH_CROWDED:
	case GH_BUSY:
	case GH_OVERSHARE:
	case GH_IO:
	case GH_DAMAGED:
	case GH_DATABASE:
	case GH_TRIPPED:
	case GH_DEADLINE:
	case GH_UNKNOWN:
	case GH_STOPPING:
	case GH_NOMEM:
	case GH_BUG:
	case GH_STATUS_COUNT:
		break;
	}
	return NULL;
}

void dav_reply_empty(struct http_ex *ex, int code, struct vfs_req *req)
{
	if (req)
		vfs_req_log(req, http_method_name(ex->method), code, 0);
	http_reply(ex, code, NULL, 0);
}

void dav_reply_xml(struct http_ex *ex, int code, struct gh_buf *b, struct vfs_req *req)
{
	if (b->failed) {
		gh_buf_fini(b);
		dav_reply_empty(ex, 500, req);
		return;
	}
	if (req)
		vfs_req_log(req, http_method_name(ex->method), code, b->len);
	http_reply_header(ex, "Content-Type", DAV_XML_TYPE);
	http_reply_header(ex, "Cache-Control", "private, no-store");
	http_reply_buf(ex, code, b);
}

static void reply_error(struct http_ex *ex, int code, const char *precondition, const char *href_path, const char *text)
{
	struct gh_buf b;

	gh_buf_init(&b, 65536);
	DAV_LIT(&b, DAV_XML_HEAD "<D:error xmlns:D=\"DAV:\">");
	if (precondition && href_path) {
		gh_buf_printf(&b, "<D:%s><D:href>", precondition);
		dav_href(&b, href_path, false);
		gh_buf_printf(&b, "</D:href></D:%s>", precondition);
	} else if (precondition) {
		gh_buf_printf(&b, "<D:%s/>", precondition);
	}
	DAV_LIT(&b, "<G:message xmlns:G=\"urn:gatehouse\">");
	gh_buf_xml(&b, text, strlen(text));
	DAV_LIT(&b, "</G:message></D:error>");
	if (code == 405)
		http_reply_header(ex, "Allow", allowed);
	dav_reply_xml(ex, code, &b, NULL);
}

void dav_error(struct http_ex *ex, int code, const char *precondition, const char *text)
{
	reply_error(ex, code, precondition, NULL, text);
}

/* Office asks HEAD of folders, people open them in a browser: 200, and nothing of what is inside. */
void dav_folder_page(struct http_ex *ex, struct vfs_req *req)
{
	vfs_req_log(req, http_method_name(ex->method), 200, 0);
	http_reply_header(ex, "Content-Type", "text/html; charset=utf-8");
	http_reply_header(ex, "Cache-Control", "private, no-store");
	http_reply_header(ex, "X-Content-Type-Options", "nosniff");
	http_reply_header(ex, "Content-Security-Policy", "default-src 'none'");
	http_reply_static(ex, 200,
			  "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>Folder</title>"
			  "<p>This is a folder. Open this address as a network drive (WebDAV), or go to the "
			  "<a href=\"/\">browser page</a>.</p></html>\n");
	vfs_req_free(&req);
}

void dav_refuse(struct http_ex *ex, enum gh_status st, const struct vfs_req *req)
{
	const char *text = req && req->message ? req->message : gh_status_text(st);
	const char *precondition;
	int code = dav_code(ex, st);
	bool href;

	if (req) /* as it goes out here; the request is only read otherwise */
		vfs_req_log((struct vfs_req *)req, http_method_name(ex->method), code, 0);
	if (code == 304) {
		http_reply(ex, code, NULL, 0);
		return;
	}
	precondition = precondition_of(ex, st, &href);
	if (href && req && req->blocker_path)
		reply_error(ex, code, precondition, req->blocker_path, text);
	else
		reply_error(ex, code, precondition, NULL, text);
}

void dav_status_line(struct gh_buf *b, int code)
{
	static const struct {
		int code;
		const char *reason;
	} reasons[] = {
		{ 200, "OK" },
		{ 400, "Bad Request" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 409, "Conflict" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 423, "Locked" },
		{ 424, "Failed Dependency" },
		{ 507, "Insufficient Storage" },
	};
	const char *reason = code < 500 ? "Refused" : "Failed";

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].code == code)
			reason = reasons[i].reason;
	}
	gh_buf_printf(b, "HTTP/1.1 %d %s", code, reason);
}

void dav_options(struct http_ex *ex)
{
	http_reply_header(ex, "DAV", "1, 2, 3");
	http_reply_header(ex, "MS-Author-Via", "DAV");
	http_reply_header(ex, "Allow", allowed);
	http_reply_header(ex, "Accept-Ranges", "bytes");
	http_reply(ex, 200, NULL, 0);
}
