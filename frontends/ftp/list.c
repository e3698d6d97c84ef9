/* LIST, NLST, MLSD over a data connection, and STAT PATH over the control connection. A page of the core at a time: the
 * next one is asked for when the client has taken the last, so a folder of a million costs no more memory than one of a
 * hundred. Names are what they are: no globbing. Loop thread only. */
#include "frontends/ftp/ftp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/clock.h"

#define PAGE_ROWS 500
#define STAT_ROWS 200
#define ROW_MAX 400 /* bytes of a row besides its prefix: a name of 255 and what stands before it */

/* ---- rows ---- */

static void row_add(struct ftp_session *s, const struct vfs_node *n, const char *name, int64_t now_us)
{
	struct ftp_transfer *t = &s->t;

	switch (t->kind) {
	case FTP_LIST:
	case FTP_STAT:
		ftp_list_line(&t->page, n, name, now_us);
		return;
	case FTP_MLSD:
		ftp_facts_line(&t->page, n, s->facts, name);
		gh_buf_str(&t->page, "\r\n");
		return;
	case FTP_NLST:
		/* RFC 1123 section 4.1.2.7: what is listed must be usable as the argument of RETR. */
		gh_buf_str(&t->page, t->prefix ? t->prefix : "");
		gh_buf_str(&t->page, name);
		gh_buf_str(&t->page, "\r\n");
		return;
	case FTP_RETR:
	case FTP_STOR:
		return;
	}
}

static enum gh_status page_make(struct ftp_session *s, struct vfs_req *req)
{
	struct ftp_transfer *t = &s->t;
	int64_t now_us = gh_real_us();

	gh_buf_clear(&t->page);
	t->pos = 0;
	for (unsigned i = 0; i < req->node_count; i++)
		row_add(s, &req->nodes[i], req->nodes[i].name, now_us);
	free(t->after);
	t->after = NULL;
	if (t->page.failed || (req->next_after && !ftp_keep(&t->after, req->next_after, strlen(req->next_after))))
		return GH_NOMEM;
	return GH_OK;
}

/* ---- on its way ---- */

/* As many rows as a page's buffer surely holds. */
static unsigned rows_per_page(const struct ftp_transfer *t)
{
	size_t fit = FTP_OUT_MAX / (ROW_MAX + (t->prefix ? strlen(t->prefix) : 0));
	unsigned rows = t->kind == FTP_STAT ? STAT_ROWS : PAGE_ROWS;

	return fit < rows ? (unsigned)fit : rows;
}

static bool page_came(struct ftp_session *s, struct vfs_req *req);

static void page_ask(struct ftp_session *s)
{
	struct ftp_transfer *t = &s->t;
	struct vfs_req *req = vfs_req_new(s->door->core, s->loop, VFS_LIST, VFS_FTP, s->who);
	enum gh_status st = GH_NOMEM;

	if (req) {
		req->peer = s->peer.text;
		req->limit = rows_per_page(t);
		req->after = gh_strdup(req->arena, t->after ? t->after : "");
		st = ftp_path(s, req, t->where, strlen(t->where));
	}
	if (st != GH_OK) {
		vfs_req_free(&req);
		ftp_transfer_refuse(s, st, NULL);
		return;
	}
	ftp_submit(s, req, page_came);
}

void ftp_list_move(struct ftp_session *s)
{
	struct ftp_transfer *t = &s->t;

	if (s->req) /* the next page is on its way */
		return;
	if (!ftp_transfer_send(s, t->page.data, &t->pos, t->page.len))
		return;
	if (t->after) {
		t->waiting = true;
		ftp_transfer_want(s, 0);
		page_ask(s);
		return;
	}
	shutdown(s->data.fd, SHUT_WR);
	ftp_transfer_done(s, "Listing complete.");
}

/* STAT: the page goes out with the replies. */
static void stat_page(struct ftp_session *s);

static void stat_more(struct ftp_session *s)
{
	page_ask(s);
}

static void stat_page(struct ftp_session *s)
{
	struct ftp_transfer *t = &s->t;

	gh_buf_add(&s->out, t->page.data ? t->page.data : "", t->page.len);
	if (t->after) {
		s->drained = stat_more;
		return;
	}
	ftp_transfer_drop(s, 213, false);
	ftp_end(s, 213, "End");
}

static void first_page(struct ftp_session *s)
{
	if (s->t.kind == FTP_STAT) {
		ftp_say_first(s, 213, "Status:");
		stat_page(s);
		return;
	}
	s->t.stage = FTP_T_CONNECTING;
	ftp_say(s, 150, "Here comes the listing.");
	ftp_data_open(s);
}

static void next_page(struct ftp_session *s)
{
	s->t.waiting = false;
	if (s->t.kind == FTP_STAT)
		stat_page(s);
	else
		ftp_transfer_want(s, GH_IO_WRITE);
}

static bool started(const struct ftp_session *s)
{
	return s->t.stage == FTP_T_MOVING || (s->t.kind == FTP_STAT && s->t.listing);
}

/* ---- beginning ---- */

/* LIST and NLST of a file: the file itself. */
static bool single(struct ftp_session *s, struct vfs_req *req)
{
	struct ftp_transfer *t = &s->t;

	if (req->status != GH_OK) {
		ftp_transfer_refuse(s, req->status, req);
		return false;
	}
	gh_buf_clear(&t->page);
	t->pos = 0;
	free(t->prefix);
	t->prefix = NULL;
	row_add(s, &req->node, t->kind == FTP_NLST ? t->where : req->node.name, gh_real_us());
	if (t->page.failed)
		ftp_transfer_refuse(s, GH_NOMEM, NULL);
	else
		first_page(s);
	return false;
}

static void single_ask(struct ftp_session *s)
{
	struct vfs_req *req = ftp_path_req(s, VFS_STAT, s->t.where, strlen(s->t.where));

	if (req)
		ftp_submit(s, req, single);
	else
		ftp_transfer_drop(s, 451, false);
}

static bool page_came(struct ftp_session *s, struct vfs_req *req)
{
	enum gh_status st = req->status;

	if (st == GH_OK)
		st = page_make(s, req);
	if (st == GH_OK && started(s)) {
		next_page(s);
	} else if (st == GH_OK) {
		s->t.listing = true;
		first_page(s);
	} else if (st == GH_NOTDIR && !started(s) && s->t.kind != FTP_MLSD) {
		single_ask(s);
	} else if (st == GH_NOTDIR && !started(s)) {
		ftp_transfer_drop(s, 501, false);
		ftp_end(s, 501, "MLSD lists folders; use MLST."); /* RFC 3659 section 7.2.1 */
	} else {
		ftp_transfer_refuse(s, st, req);
	}
	return false;
}

/* "-la DIR": clients of old pass options of ls; they mean nothing here. */
static void options_skip(char **arg, size_t *len)
{
	while (*len && (*arg)[0] == '-') {
		size_t n = 1;

		while (n < *len && (((*arg)[n] | 32) >= 'a' && ((*arg)[n] | 32) <= 'z'))
			n++;
		if (n == 1)
			n += *len > 1 && (*arg)[1] == '1';
		if (n < *len && (*arg)[n] != ' ')
			return;
		n += n < *len;
		*arg += n;
		*len -= n;
	}
}

static bool prefix_make(struct ftp_transfer *t, const char *arg, size_t len)
{
	if (!len)
		return true;
	if (!ftp_keep(&t->prefix, arg, len + 1)) /* one byte more, for the slash */
		return false;
	t->prefix[len] = arg[len - 1] == '/' ? '\0' : '/';
	return true;
}

static void list(struct ftp_session *s, enum ftp_kind kind, const char *arg, size_t len)
{
	if (kind != FTP_STAT && !ftp_data_set(s)) {
		ftp_end(s, 425, "Use PASV or PORT first.");
		return;
	}
	s->rest = 0;
	ftp_transfer_begin(s, kind);
	if (!ftp_keep(&s->t.where, arg, len) || (kind == FTP_NLST && !prefix_make(&s->t, arg, len))) {
		ftp_transfer_refuse(s, GH_NOMEM, NULL);
		return;
	}
	page_ask(s);
}

void ftp_cmd_list(struct ftp_session *s, char *arg, size_t len)
{
	options_skip(&arg, &len);
	list(s, FTP_LIST, arg, len);
}

void ftp_cmd_nlst(struct ftp_session *s, char *arg, size_t len)
{
	options_skip(&arg, &len);
	list(s, FTP_NLST, arg, len);
}

void ftp_cmd_mlsd(struct ftp_session *s, char *arg, size_t len)
{
	list(s, FTP_MLSD, arg, len);
}

void ftp_list_stat(struct ftp_session *s, const char *arg, size_t len)
{
	char *path = (char *)arg;

	options_skip(&path, &len);
	list(s, FTP_STAT, path, len);
}
