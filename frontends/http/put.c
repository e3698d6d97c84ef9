/* PUT of a file, for every service alike: decided before the first byte is invited, pushed as it comes, committed when
 * all of it is there. Whatever ends it earlier drops the upload, and the file stays what it was. On the connection's
 * loop.
 */
#include "frontends/http/http.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"

/* A client sends as much as this without looking for an answer first. */
#define UNASKED_MAX 65536u

struct http_put {
	struct vfs_upload *upload;
	http_then_fn *done;
	bool mtime_taken;
};

/* X-OC-Mtime: seconds since 1970, as ownCloud's, Nextcloud's and rclone's clients send them; fractions are dropped.
 * What is no such number is no reason to refuse the file. */
static bool mtime_parse(const char *text, int64_t *ret_us)
{
	char *end;
	long long s;

	if (!text || ((*text < '0' || *text > '9') && *text != '-'))
		return false;
	s = strtoll(text, &end, 10);
	if (end == text || (*end && *end != '.' && *end != ' ') || s < -62135596800ll || s > 253402300799ll)
		return false;
	*ret_us = s * GH_S_US;
	return true;
}

static void put_opened(struct http_ex *ex, struct vfs_req *req)
{
	struct http_put *p = http_call_of(ex)->put;

	if (req->status == GH_OK)
		vfs_upload_take(req, &p->upload);
	else
		http_refuse(ex, req->status, req);
	vfs_req_free(&req);
}

static enum gh_status put_request(struct http_ex *ex, struct http_put *p, http_cond_fn *cond, struct vfs_req **ret)
{
	struct vfs_req *req = NULL;
	enum gh_status st;

	/* RFC 9110 section 14.4: taken for a whole file, a part of one would destroy it. */
	if (http_header(ex, "Content-Range"))
		return GH_INVALID;
	st = http_req(ex, VFS_WRITE_BEGIN, &req);
	if (st != GH_OK)
		return st;
	req->declared = ex->body_declared;
	if (ex->body_declared <= UNASKED_MAX && !http_call_of(ex)->expects_continue)
		req->flags |= VFS_UNASKED;
	p->mtime_taken = mtime_parse(http_header(ex, "X-OC-Mtime"), &req->mtime_us);
	req->cond = cond ? cond(ex, req, &st) : http_cond(ex, req->arena);
	if (st != GH_OK) {
		vfs_req_free(&req);
		return st;
	}
	*ret = req;
	return GH_OK;
}

void http_put_begin(struct http_ex *ex, http_cond_fn *cond, http_then_fn *done)
{
	struct http_put *p = gh_alloc(ex->arena, sizeof(*p));
	struct vfs_req *req = NULL;
	enum gh_status st = p ? put_request(ex, p, cond, &req) : GH_NOMEM;

	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	p->done = done;
	http_call_of(ex)->put = p;
	http_submit(ex, req, put_opened);
}

enum gh_status http_put_body(struct http_ex *ex, const void *data, size_t len)
{
	struct http_put *p = http_call_of(ex)->put;
	enum gh_status st;

	if (!p || !p->upload)
		return GH_BUG;
	st = vfs_upload_push(p->upload, data, len, http_ready, ex);
	if (st != GH_OK && st != GH_WAIT) {
		struct vfs_req *why = vfs_upload_refused(p->upload, st);

		http_refuse(ex, st, why);
		vfs_req_free(&why);
		vfs_upload_abort(&p->upload);
	}
	return st;
}

static void put_done(struct http_ex *ex, struct vfs_req *req)
{
	struct http_put *p = http_call_of(ex)->put;
	char etag[20];

	if (req->status != GH_OK) {
		http_refuse(ex, req->status, req);
		vfs_req_free(&req);
		return;
	}
	vfs_etag(etag, req->node.version);
	http_reply_header(ex, "ETag", etag);
	if (p->mtime_taken)
		http_reply_header(ex, "X-OC-MTime", "accepted");
	vfs_req_log(req, http_method_name(ex->method), req->created ? 201 : 204, ex->body_received);
	p->done(ex, req);
}

void http_put_end(struct http_ex *ex)
{
	struct http_put *p = http_call_of(ex)->put;
	struct vfs_req *req = NULL;
	enum gh_status st = p && p->upload ? http_req(ex, VFS_WRITE_COMMIT, &req) : GH_BUG;

	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	/* The begin's path, conditions and time hold. */
	req->upload = p->upload;
	p->upload = NULL;
	http_submit(ex, req, put_done);
}

void http_put_gone(struct http_ex *ex)
{
	http_put_fini(http_call_of(ex));
}

void http_put_fini(struct http_call *k)
{
	if (k->put)
		vfs_upload_abort(&k->put->upload);
}
