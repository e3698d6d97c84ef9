/* Serving a file: conditions, ranges, headers, bytes. One way for every service behind this door, so that a file has
 * the same validators and the same protection everywhere. On the connection's loop.
 *
 * One core request brings everything: the conditions are evaluated there, a small file comes back inside it (a range of
 * it is cut out here), a large one as content of which a window is sent.
 */
#include "frontends/http/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"

enum { INLINE_MAX = 128 << 10 };

/* Types that a browser would run: they get an origin of their own and may do nothing in ours. */
static bool is_active(const char *type)
{
	size_t n = strcspn(type, ";");

	return !strncasecmp(type, "text/html", 9) || !strncasecmp(type, "text/xml", 8) ||
	       !strncasecmp(type, "application/xml", 15) || (n > 4 && !strncasecmp(type + n - 4, "+xml", 4)) ||
	       !strncasecmp(type, "text/javascript", 15) || !strncasecmp(type, "application/javascript", 22);
}

/* RFC 6266: an ASCII spelling for old clients, the real one beside it (RFC 8187). */
static void disposition_header(struct http_ex *ex, const char *disposition, const char *name, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	struct gh_buf b;

	gh_buf_init(&b, 4096);
	gh_buf_printf(&b, "%s; filename=\"", disposition);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		gh_buf_char(&b, c < ' ' || c >= 0x7f || strchr("\"\\%", c) ? '_' : (char)c);
	}
	gh_buf_str(&b, "\"; filename*=UTF-8''");
	for (size_t i = 0; i < len; i++) {
		if (name[i] && strchr(plain, name[i]))
			gh_buf_char(&b, name[i]);
		else
			gh_buf_printf(&b, "%%%02X", (unsigned char)name[i]);
	}
	if (!b.failed)
		http_reply_header(ex, "Content-Disposition", b.data);
	gh_buf_fini(&b);
}

static void etag_header(struct http_ex *ex, uint64_t version)
{
	char etag[20];

	vfs_etag(etag, version);
	http_reply_header(ex, "ETag", etag);
}

/* RFC 9110 section 15.4.5: what a 200 would have said to caches. */
static void validator_headers(struct http_ex *ex, const struct vfs_node *n)
{
	char date[HTTP_DATE_LEN];
	int64_t now_us = gh_real_us();

	if (n->version) {
		etag_header(ex, n->version);
		/* Section 8.8.2.1: never later than the answer's own date. */
		http_date_format(date, n->mtime_us < now_us ? n->mtime_us : now_us);
		http_reply_header(ex, "Last-Modified", date);
	}
	http_reply_header(ex, "Cache-Control", "private, no-cache");
	http_reply_header(ex, "Vary", "Authorization");
}

static void file_headers(struct http_ex *ex, const struct vfs_node *n, const char *disposition)
{
	const char *type = vfs_content_type(n->name);

	validator_headers(ex, n);
	http_reply_header(ex, "Accept-Ranges", "bytes");
	http_reply_header(ex, "Content-Type", type);
	http_reply_header(ex, "X-Content-Type-Options", "nosniff");
	if (is_active(type))
		http_reply_header(ex, "Content-Security-Policy", "sandbox");
	if (disposition)
		disposition_header(ex, disposition, n->name, n->name_len);
}

static void range_header(struct http_ex *ex, int code, uint64_t offset, uint64_t length, uint64_t size)
{
	char text[80];

	if (code == 206)
		snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)offset,
			 (unsigned long long)(offset + length - 1), (unsigned long long)size);
	else
		snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)size);
	http_reply_header(ex, "Content-Range", text);
}

static void not_served(struct http_ex *ex, struct vfs_req *req)
{
	struct http_serve *s = http_call_of(ex)->serve;

	if (req->status == GH_ISDIR && s->on_folder) {
		s->on_folder(ex, req);
		return;
	}
	if (req->status == GH_NOTMODIFIED) {
		validator_headers(ex, &req->node);
		http_call_of(ex)->answer.unsent_length = req->node.size;
		vfs_req_log(req, http_method_name(ex->method), 304, 0);
		http_reply(ex, 304, NULL, 0);
	} else {
		http_refuse(ex, req->status, req);
	}
	vfs_req_free(&req);
}

static void file_opened(struct http_ex *ex, struct vfs_req *req)
{
	const struct vfs_node *n = &req->node;
	uint64_t offset, length, sent;
	struct vfs_content *content = NULL;
	int code;

	if (req->status != GH_OK) {
		not_served(ex, req);
		return;
	}
	code = http_range(ex, n->size, n->version, n->mtime_us, &offset, &length);
	if (code == 416) {
		range_header(ex, code, 0, 0, n->size);
		http_refuse(ex, GH_RANGE, req);
		vfs_req_free(&req);
		return;
	}
	file_headers(ex, n, http_call_of(ex)->serve->disposition);
	if (code == 206)
		range_header(ex, code, offset, length, n->size);
	sent = ex->method == HTTP_HEAD ? 0 : length;
	vfs_req_log(req, http_method_name(ex->method), code, sent);
	http_sending_begin(http_call_of(ex), sent);
	if (req->data || !n->size) {
		http_reply_inline(ex, code, req, req->data ? (const char *)req->data + offset : "", length);
		return;
	}
	vfs_content_take(req, &content);
	vfs_req_free(&req);
	http_reply_content(ex, code, &content, offset, length);
}

void http_serve(struct http_ex *ex, const char *disposition, http_then_fn *on_folder)
{
	struct http_serve *s = gh_alloc(ex->arena, sizeof(*s));
	struct vfs_req *req = NULL;
	enum gh_status st = s ? http_req(ex, VFS_READ, &req) : GH_NOMEM;

	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	s->disposition = disposition;
	s->on_folder = on_folder;
	http_call_of(ex)->serve = s;
	req->length = UINT64_MAX;
	req->may_send = http_range_bound(ex);
	req->inline_max = ex->method == HTTP_HEAD ? 0 : INLINE_MAX;
	req->cond = http_cond(ex, req->arena);
	http_submit(ex, req, file_opened);
}

void http_serve_file(struct http_ex *ex, const char *disposition)
{
	http_serve(ex, disposition, NULL);
}
