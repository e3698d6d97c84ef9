/* COPY and MOVE (RFC 4918 sections 9.8, 9.9). Trees go whole or not at all. Loop thread of the exchange. */
#include "frontends/webdav/dav.h"

#include <string.h>

static void done(struct http_ex *ex, struct vfs_req *req)
{
	if (req->status != GH_OK)
		http_refuse(ex, req->status, req);
	else
		dav_reply_empty(ex, req->created ? 201 : 204, req);
	vfs_req_free(&req);
}

/* Flags of the request, from Depth and Overwrite. */
static bool flags_of(const struct http_ex *ex, unsigned *ret_flags)
{
	const char *overwrite = http_header(ex, "Overwrite");
	bool noroot;
	enum dav_depth depth = dav_depth(http_header(ex, "Depth"), &noroot);

	*ret_flags = 0;
	if (overwrite && !strcmp(overwrite, "F"))
		*ret_flags |= VFS_NO_OVERWRITE;
	else if (overwrite && strcmp(overwrite, "T") != 0)
		return false;
	if (depth == DAV_DEPTH_0 && ex->method == HTTP_COPY)
		*ret_flags |= VFS_SHALLOW;
	else if (depth != DAV_DEPTH_ABSENT && depth != DAV_DEPTH_INFINITY)
		return false;
	return true;
}

void dav_copymove(struct http_ex *ex)
{
	const char *destination = http_header(ex, "Destination"), *path;
	struct dav_here here = dav_here(ex);
	struct vfs_req *req;
	enum gh_status st;
	unsigned flags;
	size_t len;

	if (!destination || !flags_of(ex, &flags)) {
		http_refuse(ex, GH_INVALID, NULL);
		return;
	}
	switch (dav_uri(&here, destination, strlen(destination), &path, &len)) {
	case DAV_MALFORMED:
		dav_error(ex, 400, NULL, "the Destination is malformed");
		return;
	case DAV_OUTSIDE:
		dav_error(ex, 403, NULL, "the Destination lies outside " DAV_PREFIX "/");
		return;
	case DAV_FOREIGN:
		dav_error(ex, 502, NULL, "the Destination is on another server");
		return;
	case DAV_INSIDE:
		break;
	}
	st = http_req(ex, ex->method == HTTP_COPY ? VFS_COPY : VFS_MOVE, &req);
	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	req->flags = flags;
	st = vfs_req_dest(req, path, len, GH_PATH_PERCENT);
	if (st == GH_OK)
		st = dav_cond(ex, req);
	if (st != GH_OK) {
		vfs_req_free(&req);
		http_refuse(ex, st, NULL);
		return;
	}
	http_submit(ex, req, done);
}
