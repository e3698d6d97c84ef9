/* The REST door: /api/v1 on the HTTP door. Routes a request to content, stat or list; refusals are problem+json. On the
 * exchange's loop.
 *
 *   /api/v1/content/PATH  GET HEAD PUT DELETE: the bytes of a file; DELETE takes folders with all below
 *   /api/v1/stat/PATH     GET HEAD: one node
 *   /api/v1/list/PATH     GET HEAD: a folder's members
 *   /api/v1/events        GET: what has happened, and what happens (events.c)
 */
#include "frontends/rest/rest.h"

#include <string.h>

enum { GET_HEAD = 1 << HTTP_GET | 1 << HTTP_HEAD };

static void content_begin(struct http_ex *ex);
static void stat_begin(struct http_ex *ex);

static const struct route {
	const char *prefix;
	unsigned methods;
	void (*begin)(struct http_ex *ex);
} routes[] = {
	{ "/content", GET_HEAD | 1 << HTTP_PUT | 1 << HTTP_DELETE, content_begin },
	{ "/stat", GET_HEAD, stat_begin },
	{ "/list", GET_HEAD, rest_list },
	{ "/events", 1 << HTTP_GET, rest_events },
};

static const struct route *route_of(const struct http_ex *ex)
{
	for (unsigned i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		size_t n = strlen(routes[i].prefix);

		if (ex->path_len >= n && !memcmp(ex->path, routes[i].prefix, n) &&
		    (ex->path_len == n || ex->path[n] == '/'))
			return &routes[i];
	}
	return NULL;
}

/* ---- content ---- */

static void put_done(struct http_ex *ex, struct vfs_req *req)
{
	int code = req->created ? 201 : 204;

	if (req->created)
		http_reply_header(ex, "Location", ex->target);
	vfs_req_free(&req);
	http_reply(ex, code, NULL, 0);
}

static void removed(struct http_ex *ex, struct vfs_req *req)
{
	if (req->status == GH_OK) {
		vfs_req_log(req, http_method_name(ex->method), 204, 0);
		http_reply(ex, 204, NULL, 0);
	} else {
		http_refuse(ex, req->status, req);
	}
	vfs_req_free(&req);
}

static void content_remove(struct http_ex *ex)
{
	struct vfs_req *req;
	enum gh_status st = http_req(ex, VFS_REMOVE, &req);

	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	req->cond = http_cond(ex, req->arena);
	http_submit(ex, req, removed);
}

static void content_begin(struct http_ex *ex)
{
	if (ex->method == HTTP_PUT)
		http_put_begin(ex, NULL, put_done);
	else if (ex->method == HTTP_DELETE)
		content_remove(ex);
	else
		http_serve_file(ex, NULL);
}

/* ---- stat ---- */

/* A second question, of folders: how much room is there? Always where there are limits, elsewhere when it is asked for
 * (?quota): it goes to the store. */
static bool wants_quota(struct http_ex *ex, const struct vfs_node *n)
{
	return n->type == VFS_FOLDER && !n->navigable && (vfs_session_limited(ex->session) || http_query(ex, "quota"));
}

static void stat_tell(struct http_ex *ex, struct vfs_req *req)
{
	struct gh_buf b;

	gh_buf_init(&b, 64 << 10);
	rest_node(&b, &req->node);
	if (req->op == VFS_QUOTA)
		rest_quota(&b, req);
	gh_buf_char(&b, '\n');
	vfs_req_log(req, http_method_name(ex->method), 200, b.len);
	vfs_req_free(&req);
	rest_json_headers(ex, "application/json");
	http_reply_buf(ex, 200, &b);
}

static void quota_done(struct http_ex *ex, struct vfs_req *req)
{
	if (req->status == GH_OK) {
		stat_tell(ex, req);
		return;
	}
	http_refuse(ex, req->status, req);
	vfs_req_free(&req);
}

static void stat_done(struct http_ex *ex, struct vfs_req *req)
{
	struct vfs_req *quota = NULL;

	if (req->status != GH_OK) {
		http_refuse(ex, req->status, req);
		vfs_req_free(&req);
	} else if (wants_quota(ex, &req->node) && http_req(ex, VFS_QUOTA, &quota) == GH_OK) {
		vfs_req_free(&req);
		http_submit(ex, quota, quota_done);
	} else {
		stat_tell(ex, req);
	}
}

static void stat_begin(struct http_ex *ex)
{
	struct vfs_req *req;
	enum gh_status st = http_req(ex, VFS_STAT, &req);

	if (st != GH_OK)
		http_refuse(ex, st, NULL);
	else
		http_submit(ex, req, stat_done);
}

/* ---- the service ---- */

static void not_allowed(struct http_ex *ex, unsigned methods)
{
	struct gh_buf b;

	gh_buf_init(&b, 256);
	gh_buf_str(&b, "OPTIONS");
	for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++)
		if (methods & 1u << m)
			gh_buf_printf(&b, ", %s", http_method_name((enum http_method)m));
	http_reply_header(ex, "Allow", b.data);
	gh_buf_fini(&b);
	http_reply(ex, 405, NULL, 0);
}

static void rest_begin(struct http_ex *ex)
{
	const struct route *r = route_of(ex);

	if (!r) {
		http_refuse(ex, GH_NOTFOUND, NULL);
		return;
	}
	if (!(r->methods & 1u << ex->method)) {
		not_allowed(ex, r->methods);
		return;
	}
	ex->path += strlen(r->prefix);
	ex->path_len -= strlen(r->prefix);
	r->begin(ex);
}

static void rest_end(struct http_ex *ex)
{
	/* Everything but PUT was answered from its headers. */
	if (ex->method == HTTP_PUT)
		http_put_end(ex);
}

static void rest_gone(struct http_ex *ex)
{
	http_put_gone(ex);
	if (ex->state)
		((struct rest_state *)ex->state)->gone(ex);
}

const struct http_service http_service_rest = {
	.name = "rest",
	.proto = VFS_REST,
	.prefix = "/api/v1",
	.methods = GET_HEAD | 1 << HTTP_PUT | 1 << HTTP_DELETE,
	.begin = rest_begin,
	.body = http_put_body,
	.end = rest_end,
	.gone = rest_gone,
	.last_words = rest_events_last_words,
	.refuse = rest_problem,
};
