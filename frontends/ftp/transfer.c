/* What all transfers share: beginning, the minimum rate, ABOR, and the end with its one reply. The kinds themselves are
 * in retr.c, stor.c and list.c. Loop thread only.
 *
 *   OPENING     the core decides; a refusal is a plain 5xx, nothing was said yet
 *   CONNECTING  150 was said; 425 when nobody connects
 *   MOVING      bytes; 426 when the connection breaks, or stalls, or ABOR comes
 *   COMMITTING  an upload whose bytes are all here; ends by itself
 *
 * A download that fails midway resets its data connection: an orderly end would look like the end of the file. */
#include "frontends/ftp/ftp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/metrics.h"

#define DEADLINE_BODY 1 /* label of GH_M_DEADLINES */

void ftp_transfer_begin(struct ftp_session *s, enum ftp_kind kind)
{
	struct gh_buf page = s->t.page; /* stays initialised */

	s->t = (struct ftp_transfer){
		.kind = kind,
		.stage = FTP_T_OPENING,
		.is_ascii = !s->binary,
		.file_fd = -1,
		.page = page,
	};
	if (kind == FTP_STAT)
		s->t.stage = FTP_T_NONE; /* goes over the control connection; no transfer */
}

void ftp_transfer_drop(struct ftp_session *s, int code, bool reset)
{
	struct ftp_transfer *t = &s->t;

	gh_timer_cancel(&s->delay);
	if (t->stage != FTP_T_NONE)
		ftp_data_close(s, reset);
	t->stage = FTP_T_NONE;
	if (t->file_fd >= 0)
		close(t->file_fd);
	t->file_fd = -1;
	vfs_content_free(&t->content);
	vfs_upload_abort(&t->upload);
	vfs_req_free(&t->refusal);
	if (t->req) {
		vfs_req_log(t->req, s->verb, code, t->bytes);
		vfs_req_free(&t->req);
	}
	ftp_window_put(s->hall, &t->window);
	gh_buf_fini(&t->page);
	free(t->after);
	free(t->prefix);
	free(t->where);
	t->after = t->prefix = t->where = NULL;
	s->drained = NULL;
	*(t->kind == FTP_STOR ? &s->bytes_in : &s->bytes_out) += t->bytes;
	t->bytes = 0;
}

void ftp_transfer_done(struct ftp_session *s, const char *text)
{
	ftp_transfer_drop(s, 226, false);
	ftp_end(s, 226, "%s", text);
}

void ftp_transfer_refuse(struct ftp_session *s, enum gh_status st, const struct vfs_req *req)
{
	/* The switch in the middle of a transfer: 426 for the transfer, then 421 for the session. */
	bool moving = s->t.stage == FTP_T_MOVING || s->t.stage == FTP_T_CONNECTING;
	struct ftp_answer a = ftp_answer_of(st);

	ftp_transfer_drop(s, a.code, true);
	if (moving && a.code == 421)
		ftp_say(s, 426, "The transfer was cut.");
	ftp_end_status(s, st, req);
}

void ftp_transfer_broken(struct ftp_session *s, const char *why)
{
	ftp_transfer_drop(s, 426, true);
	ftp_end(s, 426, "%s", why);
}

void ftp_transfer_unconnected(struct ftp_session *s, const char *why)
{
	ftp_transfer_drop(s, 425, true);
	ftp_end(s, 425, "%s", why);
}

/* ---- the minimum rate ---- */

/* Who neither takes nor gives holds memory, a descriptor and perhaps a staged file. Time in which the store is the slow
 * one does not count. */
static void on_stall(struct gh_timer *t, void *arg)
{
	struct ftp_session *s = arg;
	uint64_t moved = s->t.bytes - s->t.checked;

	if (!s->t.waiting && s->t.stage == FTP_T_MOVING && moved < s->door->min_rate * s->door->stall_ms / 1000) {
		gh_metric_add(GH_M_DEADLINES, DEADLINE_BODY, 1);
		ftp_transfer_broken(s, "The transfer was too slow.");
		ftp_settle(s);
		return;
	}
	s->t.checked = s->t.bytes;
	gh_timer_set(&s->data.timer, s->loop, s->door->stall_ms);
}

/* ---- on its way ---- */

void ftp_transfer_want(struct ftp_session *s, unsigned want)
{
	if (s->data.state == FTP_D_OPEN && gh_io_want(&s->data.io, want) != GH_OK)
		ftp_transfer_refuse(s, GH_NOMEM, NULL);
}

void ftp_transfer_connected(struct ftp_session *s)
{
	s->t.stage = FTP_T_MOVING;
	gh_timer_cancel(&s->data.timer);
	gh_timer_init(&s->data.timer, on_stall, s);
	gh_timer_set(&s->data.timer, s->loop, s->door->stall_ms);
	ftp_transfer_want(s, s->t.kind == FTP_STOR ? GH_IO_READ : GH_IO_WRITE);
}

void ftp_transfer_io(struct ftp_session *s, unsigned ready)
{
	if (s->t.stage != FTP_T_MOVING || s->t.waiting)
		return;
	switch (s->t.kind) {
	case FTP_RETR:
		ftp_retr_move(s);
		return;
	case FTP_STOR:
		ftp_stor_move(s);
		return;
	case FTP_LIST:
	case FTP_NLST:
	case FTP_MLSD:
	case FTP_STAT:
		ftp_list_move(s);
		return;
	}
}

void ftp_transfer_ready(void *arg)
{
	struct ftp_session *s = arg;

	if (s->dead || s->t.stage != FTP_T_MOVING)
		return;
	s->t.waiting = false;
	if (s->t.kind == FTP_STOR)
		ftp_stor_push(s);
	else
		ftp_retr_move(s);
	ftp_settle(s);
}

void ftp_transfer_sent(struct ftp_session *s, size_t n)
{
	s->t.bytes += n;
	if (s->t.kind == FTP_RETR)
		vfs_count_sent(s->door->core, s->who, VFS_FTP, n);
}

bool ftp_transfer_send(struct ftp_session *s, const char *p, size_t *pos, size_t len)
{
	while (*pos < len) {
		ssize_t n = send(s->data.fd, p + *pos, len - *pos, MSG_NOSIGNAL);

		if (n > 0) {
			*pos += (size_t)n;
			ftp_transfer_sent(s, (size_t)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			ftp_transfer_want(s, GH_IO_WRITE);
			return false;
		}
		ftp_transfer_broken(s, "The data connection broke.");
		return false;
	}
	return true;
}

/* ---- ABOR ---- */

void ftp_cmd_abor(struct ftp_session *s, char *arg, size_t len)
{
	if (!s->live) {
		ftp_data_close(s, false); /* a listener that nobody will use */
		ftp_end(s, 225, "No transfer to abort.");
		return;
	}
	/* Two replies, RFC 959 section 4.1.3: 426 ends the transfer's command, 226 is ABOR's own. What was asked of the
	 * core and has no answer yet is let go: it finishes without us. */
	s->live = false;
	vfs_req_free(&s->req);
	s->then = NULL;
	ftp_transfer_broken(s, "Transfer aborted.");
	ftp_say(s, 226, "Abort done.");
}
