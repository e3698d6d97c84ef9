/* STOR, STOU, APPE: bytes from the data connection to the core. Everything that can be decided is decided before 150;
 * the old file stays until the commit, and there is a commit only when the data connection ended in order (mode S: its
 * end is the file's end) while the control connection was still there. Loop thread only. */
#include "frontends/ftp/ftp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/hash.h"

#define DRAIN_BYTES                                                                                                    \
	(64u * 1024) /* after a refusal midway: read so much more, or so long, that the client can hear it */
#define DRAIN_MS 1000

/* ---- the end ---- */

static bool committed(struct ftp_session *s, struct vfs_req *req)
{
	enum gh_status st = req->status;
	uint64_t bytes = s->t.bytes;

	ftp_transfer_drop(s, 226, false);
	if (st == GH_OK)
		ftp_end(s, 226, "Transfer complete.");
	else
		ftp_end_status(s, st, req);
	vfs_req_log(req, s->verb, s->code, bytes);
	vfs_req_free(&req);
	return true;
}

static void commit(struct ftp_session *s)
{
	struct vfs_req *req;

	/* Who was killed, or cut off, closes both connections; the control connection's end got here first. */
	if (ftp_control_gone(s)) {
		ftp_cut(s);
		return;
	}
	s->t.stage = FTP_T_COMMITTING;
	ftp_data_close(s, false);
	req = vfs_req_new(s->door->core, s->loop, VFS_WRITE_COMMIT, VFS_FTP, s->who);
	if (!req) {
		ftp_transfer_refuse(s, GH_NOMEM, NULL);
		return;
	}
	req->peer = s->peer.text;
	req->declared = UINT64_MAX;
	req->mtime_us = INT64_MIN;
	req->upload = s->t.upload;
	s->t.upload = NULL; /* the commit's in every case */
	ftp_submit(s, req, committed);
}

static void drain_over(struct gh_timer *t, void *arg)
{
	struct ftp_session *s = arg;

	ftp_stor_drained(s);
	ftp_settle(s);
}

void ftp_stor_drained(struct ftp_session *s)
{
	struct vfs_req *why = s->t.refusal;

	s->t.refusal = NULL;
	ftp_transfer_refuse(s, s->t.verdict, why);
	vfs_req_free(&why);
}

/* The data has ended in order. A client that was killed has ended it too: the kernel closes its sockets one after the
 * other, so for a moment only this one looks closed. The file waits that moment for the end of the session, which takes
 * it back (ABOR does, too). */
#define WHOLE_AFTER_MS 10

static void moment_over(struct gh_timer *t, void *arg)
{
	struct ftp_session *s = arg;

	commit(s);
	ftp_settle(s);
}

static void data_ended(struct ftp_session *s)
{
	ftp_transfer_want(s, 0);
	gh_timer_init(&s->delay, moment_over, s);
	gh_timer_set(&s->delay, s->loop, WHOLE_AFTER_MS);
}

/* Refused midway (full, too large): the client is told after a little more of it was swallowed, else the reset of the
 * data connection might be all that it notices. */
static void refuse_later(struct ftp_session *s, enum gh_status st)
{
	struct ftp_transfer *t = &s->t;

	t->refusal = vfs_upload_refused(t->upload, st);
	vfs_upload_abort(&t->upload);
	t->verdict = st;
	t->drain_left = DRAIN_BYTES;
	t->len = t->pos = 0;
	gh_timer_init(&s->delay, drain_over, s);
	gh_timer_set(&s->delay, s->loop, DRAIN_MS);
	ftp_transfer_want(s, GH_IO_READ);
}

/* ---- bytes ---- */

/* Offers [pos, len) of the window; goes on to the commit when that was the last. */
void ftp_stor_push(struct ftp_session *s)
{
	struct ftp_transfer *t = &s->t;
	enum gh_status st = GH_OK;

	if (t->len > t->pos) {
		t->waiting = true;
		st = vfs_upload_push(t->upload, t->window + t->pos, t->len - t->pos, ftp_transfer_ready, s);
		if (st == GH_WAIT) {
			ftp_transfer_want(s, 0);
			return;
		}
		t->waiting = false;
	}
	t->pos = t->len = 0;
	ftp_window_put(s->hall, &t->window);
	if (st != GH_OK)
		refuse_later(s, st);
	else if (t->eof)
		data_ended(s);
	else
		ftp_transfer_want(s, GH_IO_READ);
}

/* Reads into the window behind from until it is full, nothing is there, or the end. false: the connection broke. */
static bool window_fill(struct ftp_session *s, size_t from)
{
	struct ftp_transfer *t = &s->t;

	t->pos = t->len = from;
	while (t->len < FTP_WINDOW) {
		ssize_t n = recv(s->data.fd, t->window + t->len, FTP_WINDOW - t->len, 0);

		if (n > 0) {
			t->len += (size_t)n;
			t->bytes += (uint64_t)n;
			continue;
		}
		if (n == 0) {
			t->eof = true;
			return true;
		}
		if (errno == EINTR)
			continue;
		return errno == EAGAIN || errno == EWOULDBLOCK;
	}
	return true;
}

/* TYPE A, in place: the converted bytes begin one before those that came, for a CR held back from the last window. */
static void window_convert(struct ftp_transfer *t)
{
	size_t n = ftp_ascii_in(&t->ascii, t->window, t->window + t->pos, t->len - t->pos);

	if (t->eof)
		n += ftp_ascii_in_end(&t->ascii, t->window + n);
	t->pos = 0;
	t->len = n;
}

static void drain_more(struct ftp_session *s)
{
	struct ftp_transfer *t = &s->t;
	size_t n;

	if (!window_fill(s, 0) || t->eof || t->len >= t->drain_left) {
		ftp_stor_drained(s);
		return;
	}
	n = t->len;
	t->drain_left -= n;
	t->pos = t->len = 0;
	ftp_window_put(s->hall, &t->window);
}

void ftp_stor_move(struct ftp_session *s)
{
	struct ftp_transfer *t = &s->t;

	if (!t->window)
		t->window = ftp_window_get(s->hall);
	if (!t->window) {
		ftp_transfer_refuse(s, GH_NOMEM, NULL);
		return;
	}
	if (t->verdict != GH_OK) {
		drain_more(s);
		return;
	}
	if (!window_fill(s, t->is_ascii ? 1 : 0)) {
		ftp_transfer_broken(s, "The data connection broke; nothing was stored.");
		return;
	}
	if (t->is_ascii)
		window_convert(t);
	ftp_stor_push(s);
}

/* ---- beginning ---- */

static bool opened(struct ftp_session *s, struct vfs_req *req)
{
	if (req->status != GH_OK) {
		ftp_transfer_refuse(s, req->status, req);
		return false;
	}
	vfs_upload_take(req, &s->t.upload);
	s->t.stage = FTP_T_CONNECTING;
	if (s->t.prefix) /* STOU: RFC 1123 section 4.1.2.9 */
		ftp_say(s, 150, "FILE: %s", s->t.prefix);
	else
		ftp_say(s, 150, "Ready for the data.");
	ftp_data_open(s);
	return false;
}

static struct vfs_req *begin(struct ftp_session *s, const char *arg, size_t len, unsigned flags, uint64_t offset)
{
	struct vfs_req *req;

	if (!ftp_data_set(s)) {
		ftp_end(s, 425, "Use PASV or PORT first.");
		return NULL;
	}
	if (offset && !s->binary) {
		ftp_end(s, 554, "REST needs TYPE I.");
		return NULL;
	}
	req = ftp_path_req(s, VFS_WRITE_BEGIN, arg, len);
	if (!req)
		return NULL;
	ftp_transfer_begin(s, FTP_STOR);
	req->flags = flags;
	req->offset = offset;
	return req;
}

void ftp_cmd_stor(struct ftp_session *s, char *arg, size_t len)
{
	uint64_t rest = s->rest;
	struct vfs_req *req;

	s->rest = 0;
	req = begin(s, arg, len, rest ? VFS_KEEP_HEAD : 0, rest);
	if (req)
		ftp_submit(s, req, opened);
}

void ftp_cmd_appe(struct ftp_session *s, char *arg, size_t len)
{
	uint64_t rest = s->rest;
	struct vfs_req *req;

	s->rest = 0;
	if (rest) {
		ftp_end(s, 503, "REST and APPE name two positions.");
		return;
	}
	req = begin(s, arg, len, VFS_APPEND, 0);
	if (req)
		ftp_submit(s, req, opened);
}

/* A name that nobody has: in the current folder, or beginning with the argument. That nobody has it is a condition of
 * the write, not a hope. */
void ftp_cmd_stou(struct ftp_session *s, char *arg, size_t len)
{
	unsigned char random[8];
	char hex[2 * sizeof(random) + 1], name[FTP_PATH_LINE_MAX + 32];
	struct vfs_req *req;
	int n;

	s->rest = 0;
	gh_random(random, sizeof(random));
	gh_hex(hex, random, sizeof(random));
	n = snprintf(name, sizeof(name), "%s%s%s", arg, len ? "." : "ftp-", hex);
	req = begin(s, name, (size_t)n, 0, 0);
	if (!req)
		return;
	req->cond = gh_alloc(req->arena, sizeof(*req->cond));
	if (!req->cond || !ftp_keep(&s->t.prefix, name, (size_t)n)) {
		vfs_req_free(&req);
		ftp_transfer_refuse(s, GH_NOMEM, NULL);
		return;
	}
	req->cond->if_none_match.present = req->cond->if_none_match.any = true;
	ftp_submit(s, req, opened);
}
