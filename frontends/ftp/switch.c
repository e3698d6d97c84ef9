/* What the switchboard says to a session that is open, and what an administrator sees of it. Called by the core's
 * register on the session's loop, never inside a callback of the session.
 *
 *   off        426 for a transfer that moves, then 421 with the administrator's text, and the session ends. An upload
 *              whose bytes are all here is let go to its end first: nothing can stop it any more.
 *   drain      421 as soon as nothing runs
 *   of what runs alone: off cuts the transfer (426), read-only refuses an upload (450, 550); the session stays
 */
#include "frontends/ftp/ftp.h"

#include <stdlib.h>
#include <string.h>

const char *ftp_verdict_text(const struct vfs_verdict *v)
{
	return v->message && *v->message ? v->message : ftp_answer_of(v->status).text;
}

const char *ftp_shut_text(const struct vfs_req *refused)
{
	return refused->message ? refused->message : ftp_answer_of(refused->status).text;
}

static bool transferring(const struct ftp_session *s)
{
	return s->t.stage != FTP_T_NONE && s->t.stage != FTP_T_OPENING;
}

/* What was asked of the core finishes without us. */
static void let_go(struct ftp_session *s)
{
	vfs_req_free(&s->req);
	s->then = NULL;
	s->live = false;
}

/* An upload that is cut has no request of its own to leave a line in the access log; a download has. */
static void tell_cut_upload(struct ftp_session *s, const struct vfs_verdict *v, int code)
{
	struct vfs_req *req;
	const char *path;

	if (s->t.kind != FTP_STOR || !s->t.upload)
		return;
	req = vfs_req_refused(s->door->core, s->loop, VFS_FTP, s->who, v);
	if (!req)
		return;
	path = vfs_upload_path(s->t.upload);
	req->op = VFS_WRITE_COMMIT;
	req->peer = gh_strdup(req->arena, s->peer.text);
	if (vfs_req_path(req, path, strlen(path), 0) != GH_OK)
		req->path = NULL;
	vfs_req_log(req, s->verb, code, s->t.bytes);
	vfs_req_free(&req);
}

static void drain(struct ftp_session *s, const char *text)
{
	/* Without memory for the text the session goes at once: it must not stay. */
	if (!ftp_keep(&s->shut, text, strlen(text)))
		ftp_cut(s);
}

static void shut(struct ftp_session *s, const struct vfs_verdict *v)
{
	bool moving = transferring(s);

	let_go(s);
	tell_cut_upload(s, v, 426);
	ftp_transfer_drop(s, moving ? 426 : 421, true);
	if (moving)
		ftp_say(s, 426, "The transfer was cut.");
	ftp_bye(s, 421, "%.1000s", ftp_verdict_text(v));
}

static void told_whole(struct ftp_session *s, const struct vfs_verdict *v)
{
	s->doomed |= v->by_name;
	if (v->status == GH_OK) {
		if (s->doomed)
			return;
		free(s->shut);
		s->shut = NULL;
	} else if (v->drains || s->t.stage == FTP_T_COMMITTING) {
		drain(s, ftp_verdict_text(v));
	} else {
		shut(s, v);
	}
}

/* ---- the transfer alone ---- */

static enum vfs_class class_of(const struct ftp_session *s)
{
	switch (s->t.kind) {
	case FTP_RETR:
		return VFS_C_READ;
	case FTP_STOR:
		return VFS_C_WRITE;
	case FTP_LIST:
	case FTP_NLST:
	case FTP_MLSD:
	case FTP_STAT:
		return VFS_C_LIST;
	}
	return VFS_C_LOOKUP;
}

static void told_transfer(struct ftp_session *s)
{
	struct vfs_verdict v = vfs_live_stand(s->door->core, &s->reg, class_of(s));
	int code;

	if (v.status == GH_OK || v.drains || s->t.stage == FTP_T_COMMITTING)
		return;
	code = v.status == GH_READONLY || v.status == GH_FROZEN ? ftp_answer_of(v.status).code : 426;
	let_go(s);
	tell_cut_upload(s, &v, code);
	ftp_transfer_drop(s, code, true);
	ftp_end(s, code, "%.1000s", ftp_verdict_text(&v));
}

static void told(struct vfs_live *l, const struct vfs_verdict *v)
{
	struct ftp_session *s = (struct ftp_session *)((char *)l - offsetof(struct ftp_session, reg));

	if (s->dead || s->leaving)
		return;
	told_whole(s, v);
	if (!s->dead && !s->leaving && transferring(s))
		told_transfer(s);
	ftp_settle(s);
}

/* ---- being looked at ---- */

static void look_transfer(const struct ftp_session *s, struct vfs_live_look *ret)
{
	const struct ftp_transfer *t = &s->t;

	ret->doing = t->kind == FTP_STOR ? "write" : t->kind == FTP_RETR ? "read" : "list";
	ret->up = t->kind == FTP_STOR;
	ret->down = !ret->up;
	ret->moved = t->bytes;
	ret->size = t->kind == FTP_RETR ? t->size : UINT64_MAX;
	if (t->upload)
		ret->path = vfs_upload_path(t->upload);
	else if (t->req && t->req->path)
		ret->path = t->req->path->text;
	else
		ret->path = t->where;
}

static void look(struct vfs_live *l, struct vfs_live_look *ret)
{
	const struct ftp_session *s = (struct ftp_session *)((char *)l - offsetof(struct ftp_session, reg));

	ret->doing = "idle";
	ret->bytes_in = s->bytes_in + (s->t.kind == FTP_STOR ? s->t.bytes : 0);
	ret->bytes_out = s->bytes_out + (s->t.kind == FTP_STOR ? 0 : s->t.bytes);
	if (transferring(s)) {
		look_transfer(s, ret);
	} else if (s->req) {
		ret->doing = vfs_ops[s->req->op].name;
		ret->path = s->req->path ? s->req->path->text : NULL;
	}
}

const struct vfs_live_ops ftp_live_ops = { .told = told, .look = look };
