/* RETR: bytes from the core to the data connection. Three sources, one at a time: bytes that came with the request
 * (small files), a descriptor for sendfile (large plain files), pull (everything else, and TYPE A). Loop thread only.
 */
#include "frontends/ftp/ftp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>


#define SLICE (512u * 1024)      /* at most this much per turn of the loop */
#define AHEAD (2u * 1024 * 1024) /* asked of the disk before sendfile gets there */

static void finish(struct ftp_session *s)
{
	shutdown(s->data.fd, SHUT_WR);
	ftp_transfer_done(s, "Transfer complete.");
}

static void failed(struct ftp_session *s, enum gh_status st)
{
	ftp_transfer_refuse(s, st, NULL);
}

/* ---- where the bytes come from ---- */

/* The next bytes into the window, converted where TYPE A wants it. OK; END; WAIT: told when to go on; or an error. */
static enum gh_status fetch(struct ftp_session *s)
{
	struct ftp_transfer *t = &s->t;
	size_t room = t->is_ascii ? FTP_WINDOW / 2 : FTP_WINDOW, n = 0;
	char *to = t->window + (t->is_ascii ? FTP_WINDOW / 2 : 0);
	enum gh_status st;

	if (t->offset == t->size)
		return GH_END;
	if (room > t->size - t->offset)
		room = (size_t)(t->size - t->offset);
	if (t->inline_data) {
		memcpy(to, t->inline_data + t->offset, room);
		n = room;
	} else {
		/* Marked before the call: its ready may come as soon as it returns. */
		t->waiting = true;
		st = vfs_content_pull(t->content, t->offset, to, room, &n, ftp_transfer_ready, s);
		if (st == GH_WAIT)
			return st;
		t->waiting = false;
		if (st == GH_END)
			st = GH_IO; /* before the size that was announced: never a short 226 */
		if (st != GH_OK)
			return st;
	}
	t->offset += n;
	t->pos = 0;
	t->len = t->is_ascii ? ftp_ascii_out(&t->ascii, t->window, to, n) : n;
	return GH_OK;
}

static void move_window(struct ftp_session *s)
{
	struct ftp_transfer *t = &s->t;
	enum gh_status st;

	if (!t->window)
		t->window = ftp_window_get(s->hall);
	if (!t->window) {
		failed(s, GH_NOMEM);
		return;
	}
	if (!ftp_transfer_send(s, t->window, &t->pos, t->len))
		return;
	st = fetch(s);
	switch (st) {
	case GH_OK: /* sent now as far as it goes; the next window is another turn's */
		if (ftp_transfer_send(s, t->window, &t->pos, t->len) && t->offset == t->size)
			finish(s);
		return;
	case GH_END:
		finish(s);
		return;
	case GH_WAIT:
		ftp_transfer_want(s, 0);
		return;
	default:
		failed(s, st);
		return;
	}
}

static void move_inline(struct ftp_session *s)
{
	struct ftp_transfer *t = &s->t;
	size_t pos = (size_t)t->offset;
	bool all = ftp_transfer_send(s, t->inline_data, &pos, (size_t)t->size);

	if (s->t.stage != FTP_T_MOVING)
		return;
	t->offset = pos;
	if (all)
		finish(s);
}

static void move_file(struct ftp_session *s)
{
	struct ftp_transfer *t = &s->t;
	off_t at = (off_t)t->file_offset;
	uint64_t want = t->size - t->offset < SLICE ? t->size - t->offset : SLICE;
	ssize_t n;

	if (!want) {
		finish(s);
		return;
	}
	t->waiting = true; /* before the call, as in fetch */
	if (vfs_content_offer(t->content, want, &want, ftp_transfer_ready, s) == GH_WAIT) {
		ftp_transfer_want(s, 0);
		return;
	}
	t->waiting = false;
	n = sendfile(s->data.fd, t->file_fd, &at, (size_t)want);
	vfs_content_moved(t->content, want, n > 0 ? (uint64_t)n : 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n == 0) {
		failed(s, GH_DAMAGED); /* the file is shorter than the store says */
		return;
	}
	if (n < 0) {
		if (errno == EIO)
			failed(s, GH_IO);
		else
			ftp_transfer_broken(s, "The data connection broke.");
		return;
	}
	/* Keep the disk ahead of us: each time a border is crossed, the next stretch is asked for. */
	if (t->file_offset / AHEAD != (t->file_offset + (uint64_t)n) / AHEAD)
		(void)posix_fadvise(t->file_fd, (off_t)(t->file_offset + (uint64_t)n), 2 * AHEAD, POSIX_FADV_WILLNEED);
	t->file_offset += (uint64_t)n;
	t->offset += (uint64_t)n;
	ftp_transfer_sent(s, (size_t)n);
	if (t->offset == t->size)
		finish(s);
}

void ftp_retr_move(struct ftp_session *s)
{
	struct ftp_transfer *t = &s->t;

	if (t->file_fd >= 0)
		move_file(s);
	else if (t->inline_data && !t->is_ascii)
		move_inline(s);
	else
		move_window(s);
	/* Still at it, and not waiting for the store: go on when the socket has room. */
	if (!s->dead && t->stage == FTP_T_MOVING && !t->waiting)
		ftp_transfer_want(s, GH_IO_WRITE);
}

/* ---- beginning ---- */

static void source_choose(struct ftp_session *s, struct vfs_req *req)
{
	struct ftp_transfer *t = &s->t;

	vfs_content_take(req, &t->content);
	t->size = t->content ? vfs_content_size(t->content) : req->data_len;
	if (!t->content || (req->data && req->data_len == t->size)) {
		t->inline_data = req->data ? req->data : "";
		vfs_content_free(&t->content);
		return;
	}
	if (!t->is_ascii && t->offset < t->size &&
	    vfs_content_fd(t->content, t->offset, t->size - t->offset, &t->file_fd, &t->file_offset))
		(void)posix_fadvise(t->file_fd, (off_t)t->file_offset, 2 * AHEAD, POSIX_FADV_WILLNEED);
}

static bool opened(struct ftp_session *s, struct vfs_req *req)
{
	struct ftp_transfer *t = &s->t;

	if (req->status != GH_OK) {
		ftp_transfer_refuse(s, req->status, req);
		return false;
	}
	source_choose(s, req);
	if (t->offset > t->size) {
		ftp_transfer_refuse(s, GH_RANGE, NULL); /* 554, RFC 3659 section 5.3 */
		return false;
	}
	t->req = req;
	t->stage = FTP_T_CONNECTING;
	if (t->is_ascii)
		ftp_say(s, 150, "Opening ASCII mode data connection.");
	else
		ftp_say(s, 150, "Opening BINARY mode data connection (%llu bytes).",
			(unsigned long long)(t->size - t->offset));
	ftp_data_open(s);
	return true;
}

void ftp_cmd_retr(struct ftp_session *s, char *arg, size_t len)
{
	uint64_t rest = s->rest;
	struct vfs_req *req;

	s->rest = 0;
	if (!ftp_data_set(s)) {
		ftp_end(s, 425, "Use PASV or PORT first.");
		return;
	}
	if (rest && !s->binary) {
		ftp_end(s, 554, "REST needs TYPE I.");
		return;
	}
	req = ftp_path_req(s, VFS_READ, arg, len);
	if (!req)
		return;
	ftp_transfer_begin(s, FTP_RETR);
	s->t.offset = rest;
	req->flags = VFS_ONLY_FILE;
	req->inline_max = FTP_INLINE_MAX;
	ftp_submit(s, req, opened);
}
