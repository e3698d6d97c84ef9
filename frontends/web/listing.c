/* The listing page of a folder: names, sizes, times, a way up, 500 entries a page. On the exchange's loop.
 */
#include "frontends/web/web.h"

#include <stdio.h>
#include <string.h>

#include "core/base/hash.h"

enum { PAGE = 500, PAGE_MAX_BYTES = 4 << 20, KEY_MAX = GH_NAME_MAX };

static void size_text(char *out, size_t cap, uint64_t size)
{
	static const char units[] = "KMGTPE";
	double v = (double)size / 1024;
	unsigned u = 0;

	if (size < 1024) {
		snprintf(out, cap, "%u B", (unsigned)size);
		return;
	}
	for (; v >= 1023.95 && u + 2 < sizeof(units); u++)
		v /= 1024;
	snprintf(out, cap, "%.1f %ciB", v, units[u]);
}

static void breadcrumb(struct gh_buf *b, const struct gh_path *p)
{
	size_t end = 0;

	gh_buf_str(b, "<nav aria-label=\"Where you are\"><a href=\"/\">Files</a>");
	for (unsigned i = 0; i < p->depth; i++) {
		end += 1 + p->comp[i].name_len;
		gh_buf_str(b, "<span>/</span><a href=\"");
		web_href(b, p->text, end);
		gh_buf_str(b, "/\"");
		gh_buf_str(b, i + 1 == p->depth ? " aria-current=\"page\">" : ">");
		gh_buf_xml(b, p->comp[i].name, p->comp[i].name_len);
		gh_buf_str(b, "</a>");
	}
	gh_buf_str(b, "</nav>\n");
}

static void entry(struct gh_buf *b, struct gh_buf *path, size_t folder_len, const struct vfs_node *n)
{
	char size[32] = "", when[HTTP_DATE_LEN];
	bool folder = n->type == VFS_FOLDER;

	path->len = folder_len;
	gh_buf_char(path, '/');
	gh_buf_add(path, n->name, n->name_len);
	gh_buf_str(b, "<tr><td><a href=\"");
	if (!path->failed)
		web_href(b, path->data, path->len);
	gh_buf_str(b, folder ? "/\">" : "\">");
	gh_buf_xml(b, n->name, n->name_len);
	gh_buf_str(b, folder ? "/</a></td>" : "</a></td>");
	if (!folder)
		size_text(size, sizeof(size), n->size);
	gh_buf_printf(b, "<td class=\"n\">%s</td>", size);
	if (n->navigable) {
		gh_buf_str(b, "<td class=\"n t\"></td></tr>\n");
		return;
	}
	http_rfc3339_format(when, n->mtime_us);
	gh_buf_printf(b, "<td class=\"n t\"><time datetime=\"%s\">%.10s %.5s</time></td></tr>\n", when, when,
		      when + 11);
}

static void next_link(struct gh_buf *b, const struct vfs_req *req)
{
	char hex[2 * KEY_MAX + 1];

	if (!req->next_after || strlen(req->next_after) > KEY_MAX)
		return;
	gh_hex(hex, req->next_after, strlen(req->next_after));
	gh_buf_printf(b, "<p><a rel=\"next\" href=\"?after=%s\">More</a></p>\n", hex);
}

static void render(struct gh_buf *b, const struct vfs_req *req, const char *nonce)
{
	const struct gh_path *p = req->path;
	struct gh_buf path;
	size_t folder_len = p->depth ? p->text_len : 0;

	gh_buf_init(&path, 2 * GH_PATH_MAX);
	gh_buf_add(&path, p->text, folder_len);
	web_page_head(b, p->depth ? p->comp[p->depth - 1].name : "Files", nonce);
	breadcrumb(b, p);
	gh_buf_str(b, "<main>\n");
	if (req->node_count) {
		gh_buf_str(b, "<table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\" class=\"n\">Size</th>"
			      "<th scope=\"col\" class=\"n t\">Changed (UTC)</th></tr></thead>\n<tbody>\n");
		for (unsigned i = 0; i < req->node_count; i++)
			entry(b, &path, folder_len, &req->nodes[i]);
		gh_buf_str(b, "</tbody>\n</table>\n");
	} else {
		gh_buf_str(b, "<p class=\"dim\">Nothing here.</p>\n");
	}
	next_link(b, req);
	gh_buf_str(b, "</main>\n");
	web_page_foot(b);
	gh_buf_fini(&path);
}

static void listed(struct http_ex *ex, struct vfs_req *req)
{
	char nonce[WEB_NONCE_LEN];
	struct gh_buf b;

	if (req->status != GH_OK) {
		http_refuse(ex, req->status, req);
		vfs_req_free(&req);
		return;
	}
	web_page_headers(ex, nonce);
	gh_buf_init(&b, PAGE_MAX_BYTES);
	render(&b, req, nonce);
	vfs_req_log(req, http_method_name(ex->method), 200, b.len);
	vfs_req_free(&req);
	http_reply_buf(ex, 200, &b);
}

static int nibble(char c)
{
	const char *d = c ? strchr("0123456789abcdef", c) : NULL;

	return d ? (int)(d - "0123456789abcdef") : -1;
}

/* The key of ?after=, decoded in place of its hex. NULL: malformed. */
static const char *after_key(struct http_ex *ex, struct gh_arena *a)
{
	const char *hex = http_query(ex, "after");
	size_t len = hex ? strlen(hex) : 0;
	char *key = gh_alloc(a, len / 2 + 1);

	if (len % 2 || len > 2 * KEY_MAX)
		return NULL;
	for (size_t i = 0; key && i < len / 2; i++) {
		int hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);

		if (hi < 0 || lo < 0 || !(hi | lo))
			return NULL;
		key[i] = (char)(hi << 4 | lo);
	}
	return key;
}

void web_listing(struct http_ex *ex, struct vfs_req *req)
{
	enum gh_status st;

	vfs_req_free(&req);
	st = http_req(ex, VFS_LIST, &req);
	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	req->limit = PAGE;
	req->after = after_key(ex, req->arena);
	if (!req->after) {
		vfs_req_free(&req);
		http_refuse(ex, GH_INVALID, NULL);
		return;
	}
	http_submit(ex, req, listed);
}
