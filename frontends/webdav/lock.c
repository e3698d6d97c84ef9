/* LOCK, its refresh, and UNLOCK (RFC 4918 sections 9.10, 9.11). Which lock stands in whose way is the core's to know.
 * Loop thread of the exchange.
 */
#include "frontends/webdav/dav.h"

#include <string.h>

static void put_lockdiscovery(struct gh_buf *b, const struct vfs_lock *l, bool folder)
{
	DAV_LIT(b, DAV_XML_HEAD "<D:prop xmlns:D=\"DAV:\"><D:lockdiscovery>");
	dav_activelock(b, l, folder, l->timeout_s);
	DAV_LIT(b, "</D:lockdiscovery></D:prop>");
}

/* Something below is locked: it is named with 423, the tree itself failed because of it (section 9.10.9). */
static void reply_member_locked(struct http_ex *ex, struct vfs_req *req)
{
	struct gh_buf b;

	gh_buf_init(&b, 65536);
	DAV_LIT(&b, DAV_XML_HEAD "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>");
	dav_href(&b, req->blocker_path, false);
	DAV_LIT(&b, "</D:href><D:status>HTTP/1.1 423 Locked</D:status><D:error><D:no-conflicting-lock/></D:error>"
		    "</D:response><D:response><D:href>");
	dav_href(&b, req->path->text, true);
	DAV_LIT(&b, "</D:href><D:status>HTTP/1.1 424 Failed Dependency</D:status></D:response></D:multistatus>");
	dav_reply_xml(ex, 207, &b, req);
}

static bool blocked_below(const struct vfs_req *req)
{
	size_t len = req->path->depth ? req->path->text_len : 0;
	const char *blocker = req->blocker_path;

	return blocker && strlen(blocker) > len + 1 && !memcmp(blocker, req->path->text, len) && blocker[len] == '/';
}

static void locked(struct http_ex *ex, struct vfs_req *req)
{
	struct gh_buf b;

	if (req->status == GH_LOCKED && blocked_below(req)) {
		reply_member_locked(ex, req);
	} else if (req->status != GH_OK) {
		http_refuse(ex, req->status, req);
	} else {
		gh_buf_init(&b, 65536);
		gh_buf_printf(&b, "<%s>", req->lock.token);
		http_reply_header(ex, "Lock-Token", b.failed ? "" : b.data);
		gh_buf_clear(&b);
		put_lockdiscovery(&b, &req->lock, req->node.type == VFS_FOLDER);
		dav_reply_xml(ex, req->created ? 201 : 200, &b, req);
	}
	vfs_req_free(&req);
}

static void refreshed(struct http_ex *ex, struct vfs_req *req)
{
	const struct vfs_lock *l = &req->lock;
	struct gh_buf b;

	if (req->status != GH_OK) {
		http_refuse(ex, req->status, req);
	} else {
		gh_buf_init(&b, 65536);
		/* Refreshed through a member, or deep: its root is a folder. */
		put_lockdiscovery(&b, l, l->deep || strcmp(l->path, req->path->text) != 0 || req->path->trailing_slash);
		dav_reply_xml(ex, 200, &b, req);
	}
	vfs_req_free(&req);
}

/* A lock request without a body: exactly one token in If; Depth means nothing (section 9.10.2). */
static enum gh_status fill_refresh(struct vfs_req *req)
{
	if (!req->cond || req->cond->token_count != 1)
		return GH_INVALID;
	req->lock_token = req->cond->tokens[0];
	return GH_OK;
}

static enum gh_status fill_lock(const struct http_ex *ex, struct vfs_req *req, const struct dav_el *info)
{
	const struct dav_el *scope = dav_child(info, "lockscope"), *type = dav_child(info, "locktype");
	const struct dav_el *owner = dav_child(info, "owner");
	bool noroot;
	enum dav_depth depth = dav_depth(http_header(ex, "Depth"), &noroot);
	enum gh_status st = GH_OK;
	struct gh_buf b;

	if (!dav_is(info, "lockinfo") || !scope || !type || !dav_child(type, "write"))
		return GH_INVALID;
	if (!dav_child(scope, "exclusive") == !dav_child(scope, "shared"))
		return GH_INVALID;
	if (depth == DAV_DEPTH_1 || depth == DAV_DEPTH_BAD)
		return GH_INVALID;
	req->lock_exclusive = dav_child(scope, "exclusive") != NULL;
	req->lock_deep = depth != DAV_DEPTH_0;
	if (!owner)
		return GH_OK;
	gh_buf_init(&b, DAV_OWNER_MAX);
	dav_xml_inner(&b, owner);
	if (b.failed)
		st = GH_TOOLARGE;
	else if (b.len)
		req->lock_owner_xml = gh_strndup(req->arena, b.data, b.len);
	gh_buf_fini(&b);
	return st;
}

void dav_lock(struct http_ex *ex)
{
	struct dav_el *info;
	struct vfs_req *req;
	enum gh_status st;

	if (!dav_body(ex, &info))
		return;
	st = http_req(ex, info ? VFS_LOCK : VFS_REFRESH, &req);
	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	req->lock_timeout_s = dav_timeout_parse(http_header(ex, "Timeout"));
	st = dav_cond(ex, req);
	if (st == GH_OK)
		st = info ? fill_lock(ex, req, info) : fill_refresh(req);
	if (st != GH_OK) {
		vfs_req_free(&req);
		http_refuse(ex, st, NULL);
		return;
	}
	http_submit(ex, req, info ? locked : refreshed);
}

static void unlocked(struct http_ex *ex, struct vfs_req *req)
{
	if (req->status != GH_OK)
		http_refuse(ex, req->status, req);
	else
		dav_reply_empty(ex, 204, req);
	vfs_req_free(&req);
}

void dav_unlock(struct http_ex *ex)
{
	const char *header = http_header(ex, "Lock-Token");
	struct vfs_req *req;
	enum gh_status st;

	st = header ? http_req(ex, VFS_UNLOCK, &req) : GH_INVALID;
	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	req->lock_token = dav_token_parse(req->arena, header);
	st = req->lock_token ? dav_cond(ex, req) : GH_INVALID;
	if (st != GH_OK) {
		vfs_req_free(&req);
		http_refuse(ex, st, NULL);
		return;
	}
	http_submit(ex, req, unlocked);
}
