/* GET /api/v1/list/PATH?after=CURSOR&limit=N: a folder's members in the order of their keys. A cursor is the key of the
 * last one seen, in hex, so that it needs no further encoding; "next" is null when that was all. On the exchange's
 * loop.
 *
 * One page of the core is answered whole; more is streamed, a page in memory at a time. A page that fails after the
 * first cuts the connection, so that half a listing never looks whole.
 */
#include "frontends/rest/rest.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"

enum { PAGE = 1000, LIMIT_MAX = 100000, KEY_MAX = GH_NAME_MAX, FILL_BYTES = 48 << 10, ANSWER_MAX = 4 << 20 };

struct listing {
	struct rest_state state; /* first */
	struct vfs_req *req; /* the page being told */
	unsigned at;         /* next of its nodes */
	unsigned left;       /* that may still be told, this page's included */
	bool headed, any, over;
};

static bool hex_decode(const char *hex, char *out, size_t *ret_len)
{
	size_t len = strlen(hex);

	if (len % 2 || len > 2 * KEY_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		const char *d = strchr("0123456789abcdef", hex[i]);
		int v = d ? (int)(d - "0123456789abcdef") : -1;

		if (v < 0)
			return false;
		out[i / 2] = (char)(i % 2 ? out[i / 2] | v : v << 4);
	}
	out[len / 2] = '\0';
	*ret_len = len / 2;
	return strlen(out) == len / 2;
}

static bool limit_parse(const char *text, unsigned *ret)
{
	char *end;
	unsigned long v;

	if (*text < '0' || *text > '9')
		return false;
	v = strtoul(text, &end, 10);
	if (*end || !v)
		return false;
	*ret = v > LIMIT_MAX ? LIMIT_MAX : (unsigned)v;
	return true;
}

static struct listing *listing_of(struct http_ex *ex)
{
	return ex->state;
}

static enum gh_status page_req(struct http_ex *ex, const char *after, struct vfs_req **ret)
{
	const struct listing *l = listing_of(ex);
	struct vfs_req *req;
	enum gh_status st = http_req(ex, VFS_LIST, &req);

	if (st != GH_OK)
		return st;
	req->after = gh_strdup(req->arena, after);
	req->limit = l->left < PAGE ? l->left : PAGE;
	*ret = req;
	return GH_OK;
}

/* ---- telling ---- */

static void tell_head(struct gh_buf *out, const struct vfs_req *req)
{
	gh_buf_str(out, "{\"path\":\"");
	gh_buf_json(out, req->path->text, req->path->text_len);
	gh_buf_str(out, "\",\"entries\":[");
}

/* Nodes of this page, until the page or max bytes are used up. */
static void tell_nodes(struct gh_buf *out, struct listing *l, size_t max)
{
	while (l->at < l->req->node_count && l->left && out->len < max) {
		if (l->any)
			gh_buf_char(out, ',');
		gh_buf_char(out, '\n');
		rest_node(out, &l->req->nodes[l->at++]);
		l->any = true;
		l->left--;
	}
}

static void tell_tail(struct gh_buf *out, const struct listing *l)
{
	const char *next = l->req->next_after;
	char hex[2 * KEY_MAX + 1];

	gh_buf_str(out, "\n],\"next\":");
	if (next && strlen(next) <= KEY_MAX) {
		gh_hex(hex, next, strlen(next));
		gh_buf_printf(out, "\"%s\"}\n", hex);
	} else {
		gh_buf_str(out, "null}\n");
	}
}

static bool is_last_page(const struct listing *l)
{
	return !l->req->next_after || l->left == 0;
}

static void next_page(struct http_ex *ex, struct vfs_req *req)
{
	struct listing *l = listing_of(ex);

	vfs_req_free(&l->req);
	l->req = req;
	l->at = 0;
}

static enum gh_status fill(struct http_ex *ex, struct gh_buf *out)
{
	struct listing *l = listing_of(ex);
	struct vfs_req *req;
	enum gh_status st;

	if (l->over)
		return GH_END;
	if (l->req->status != GH_OK)
		return l->req->status;
	if (!l->headed)
		tell_head(out, l->req);
	l->headed = true;
	tell_nodes(out, l, FILL_BYTES);
	if (l->at < l->req->node_count && l->left)
		return GH_OK;
	if (is_last_page(l)) {
		tell_tail(out, l);
		l->over = true;
		return GH_OK;
	}
	if (out->len)
		return GH_OK;
	st = page_req(ex, l->req->next_after, &req);
	if (st != GH_OK)
		return st;
	http_submit_in_stream(ex, req, next_page);
	return GH_WAIT;
}

static void first_page(struct http_ex *ex, struct vfs_req *req)
{
	struct listing *l = listing_of(ex);
	struct gh_buf b;

	if (req->status != GH_OK) {
		http_refuse(ex, req->status, req);
		vfs_req_free(&req);
		return;
	}
	l->req = req;
	rest_json_headers(ex, "application/json");
	vfs_req_log(req, http_method_name(ex->method), 200, 0);
	if (req->next_after && l->left > req->node_count && ex->method != HTTP_HEAD) {
		http_reply_stream(ex, 200, fill);
		return;
	}
	gh_buf_init(&b, ANSWER_MAX);
	tell_head(&b, req);
	tell_nodes(&b, l, ANSWER_MAX);
	tell_tail(&b, l);
	http_reply_buf(ex, 200, &b);
}

static void listing_gone(struct http_ex *ex)
{
	vfs_req_free(&listing_of(ex)->req);
}

void rest_list(struct http_ex *ex)
{
	const char *after = http_query(ex, "after"), *limit = http_query(ex, "limit");
	struct listing *l = gh_alloc(ex->arena, sizeof(*l));
	char key[KEY_MAX + 1] = "";
	size_t key_len;
	struct vfs_req *req;
	enum gh_status st = l ? GH_OK : GH_NOMEM;

	ex->state = l;
	if (l) {
		l->state.gone = listing_gone;
		l->left = PAGE;
	}
	if (st == GH_OK && ((after && !hex_decode(after, key, &key_len)) || (limit && !limit_parse(limit, &l->left))))
		st = GH_INVALID;
	if (st == GH_OK)
		st = page_req(ex, key, &req);
	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	http_submit(ex, req, first_page);
}
