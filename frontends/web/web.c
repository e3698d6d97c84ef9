/* The pages for browsers: every path that no other service takes. A folder is a listing, a file is its bytes (for
 * download with ?download), refusals are pages. Works without script. On the exchange's loop.
 */
#include "frontends/web/web.h"

#include <string.h>

static void web_begin(struct http_ex *ex)
{
	http_serve(ex, http_query(ex, "download") ? "attachment" : "inline", web_listing);
}

static void web_end(struct http_ex *ex)
{
	/* Everything here was answered from its headers. */
}

static void web_refuse(struct http_ex *ex, enum gh_status st, const struct vfs_req *req)
{
	const char *text = gh_status_text(st);
	char nonce[WEB_NONCE_LEN];
	struct gh_buf b;

	web_page_headers(ex, nonce);
	gh_buf_init(&b, 64 << 10);
	web_page_head(&b, text, nonce);
	gh_buf_str(&b, "<main>\n<h1>");
	gh_buf_xml(&b, text, strlen(text));
	gh_buf_str(&b, "</h1>\n");
	if (req && req->message) {
		gh_buf_str(&b, "<p>");
		gh_buf_xml(&b, req->message, strlen(req->message));
		gh_buf_str(&b, "</p>\n");
	}
	gh_buf_printf(&b, "<p class=\"dim\">Request %s</p>\n<p><a href=\"/\">All files</a></p>\n</main>\n",
		      ex->request_id);
	web_page_foot(&b);
	if (b.failed)
		http_reply(ex, http_code_of(st), NULL, 0);
	else
		http_reply(ex, http_code_of(st), b.data, b.len);
	gh_buf_fini(&b);
}

const struct http_service http_service_web = {
	.name = "web",
	.proto = VFS_WEB,
	.prefix = "/",
	.methods = 1 << HTTP_GET | 1 << HTTP_HEAD,
	.begin = web_begin,
	.end = web_end,
	.refuse = web_refuse,
};
