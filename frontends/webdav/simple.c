/* GET, MKCOL, DELETE, the answer to PUT, and PROPFIND above the tree. Loop thread of the exchange. */
#include "frontends/webdav/dav.h"

#include <string.h>

static void reply_empty(struct http_ex *ex, struct vfs_req *req, int code)
{
	if (req->status != GH_OK)
		http_refuse(ex, req->status, req);
	else
		dav_reply_empty(ex, code, req);
	vfs_req_free(&req);
}

static void created(struct http_ex *ex, struct vfs_req *req)
{
	reply_empty(ex, req, 201);
}

static void removed(struct http_ex *ex, struct vfs_req *req)
{
	reply_empty(ex, req, 204);
}

static void submit(struct http_ex *ex, enum vfs_op op, unsigned flags, http_then_fn *then)
{
	struct vfs_req *req;
	enum gh_status st = http_req(ex, op, &req);

	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	req->flags = flags;
	st = dav_cond(ex, req);
	if (st != GH_OK) {
		vfs_req_free(&req);
		http_refuse(ex, st, NULL);
		return;
	}
	http_submit(ex, req, then);
}

static void serve(struct http_ex *ex)
{
	http_serve(ex, NULL, dav_folder_page);
}

static void condition_held(struct http_ex *ex, struct vfs_req *req)
{
	if (req->status != GH_OK)
		http_refuse(ex, req->status, req);
	else
		serve(ex);
	vfs_req_free(&req);
}

/* If is for every method; nobody sends it with GET, so it costs a request of its own there. */
void dav_get(struct http_ex *ex)
{
	if (http_header(ex, "If"))
		submit(ex, VFS_STAT, VFS_CERTAIN, condition_held);
	else
		serve(ex);
}

void dav_mkcol(struct http_ex *ex)
{
	submit(ex, VFS_MKDIR, 0, created);
}

/* RFC 4918 section 9.6.1: of a collection only as a whole. On a file Depth says nothing. */
void dav_delete(struct http_ex *ex)
{
	bool noroot;

	switch (dav_depth(http_header(ex, "Depth"), &noroot)) {
	case DAV_DEPTH_ABSENT:
	case DAV_DEPTH_INFINITY:
		submit(ex, VFS_REMOVE, 0, removed);
		return;
	case DAV_DEPTH_0:
	case DAV_DEPTH_1:
		submit(ex, VFS_REMOVE, VFS_ONLY_FILE, removed);
		return;
	case DAV_DEPTH_BAD:
		http_refuse(ex, GH_INVALID, NULL);
		return;
	}
}

void dav_put_done(struct http_ex *ex, struct vfs_req *req)
{
	dav_reply_empty(ex, req->created ? 201 : 204, req);
	vfs_req_free(&req);
}

bool dav_is_ancestor(const struct http_ex *ex)
{
	return !strcmp(ex->target, "/");
}

/* "/" is a collection that holds the tree's, and nothing else; read-only. */
void dav_ancestor(struct http_ex *ex)
{
	const int64_t age = 1577836800000000; /* 2020: it has no history, but clients want a date */
	struct vfs_node root = { .type = VFS_FOLDER, .name = "", .made_us = age, .mtime_us = age };
	struct vfs_node tree = { .type = VFS_FOLDER,
				 .name = &DAV_PREFIX[1],
				 .name_len = sizeof(DAV_PREFIX) - 2,
				 .made_us = age,
				 .mtime_us = age };
	enum gh_status st;
	struct dav_ask ask;
	struct dav_el *body;
	struct gh_buf b;
	bool noroot;
	enum dav_depth depth = dav_depth(http_header(ex, "Depth"), &noroot);

	if (!dav_body(ex, &body))
		return;
	st = depth == DAV_DEPTH_BAD ? GH_INVALID : dav_ask_parse(ex->arena, body, &ask);
	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	if (depth == DAV_DEPTH_ABSENT || depth == DAV_DEPTH_INFINITY) {
		dav_error(ex, 403, "propfind-finite-depth", "ask with Depth 0 or 1");
		return;
	}
	gh_buf_init(&b, (size_t)1 << 20);
	DAV_LIT(&b, DAV_XML_HEAD "<D:multistatus xmlns:D=\"DAV:\">");
	if (!noroot)
		dav_entry(&b, &ask, "/", 1, NULL, &root);
	if (depth == DAV_DEPTH_1)
		dav_entry(&b, &ask, DAV_PREFIX "/", sizeof(DAV_PREFIX), NULL, &tree);
	DAV_LIT(&b, "</D:multistatus>");
	dav_reply_xml(ex, 207, &b, NULL);
}
