/* Commands that look at or change one place: CWD, MKD, RMD, DELE, RNFR and RNTO, SIZE, MDTM, MFMT, MLST, AVBL. */
#include "frontends/ftp/ftp.h"

#include <stdlib.h>
#include <string.h>

#define TRIES_MAX 3 /* when others keep changing the target of a rename */

/* ---- the working directory ---- */

static bool entered(struct ftp_session *s, struct vfs_req *req)
{
	if (req->status != GH_OK)
		ftp_end_status(s, req->status, req);
	else if (req->node.type != VFS_FOLDER)
		ftp_end_status(s, GH_NOTDIR, NULL);
	else if (!ftp_keep(&s->cwd, req->path->text, req->path->text_len))
		ftp_end_status(s, GH_NOMEM, NULL);
	else
		ftp_end(s, 250, "Folder changed.");
	return false;
}

void ftp_cmd_cwd(struct ftp_session *s, char *arg, size_t len)
{
	struct vfs_req *req = ftp_path_req(s, VFS_STAT, arg, len);

	if (!req)
		return;
	req->flags = VFS_ONLY_FOLDER;
	ftp_submit(s, req, entered);
}

void ftp_cmd_cdup(struct ftp_session *s, char *arg, size_t len)
{
	char up[] = "..";

	ftp_cmd_cwd(s, up, 2);
}

/* ---- AVBL ---- */

static bool room_told(struct ftp_session *s, struct vfs_req *req)
{
	if (req->status != GH_OK)
		ftp_end_status(s, req->status, req);
	else if (req->quota_available == UINT64_MAX)
		ftp_end(s, 550, "Nobody knows how much room there is.");
	else
		ftp_end(s, 213, "%llu", (unsigned long long)req->quota_available);
	return false;
}

/* Bytes that may be added, by the quota and the disk (draft-peterson-streamlined-ftp-command-extensions section 4). */
void ftp_cmd_avbl(struct ftp_session *s, char *arg, size_t len)
{
	struct vfs_req *req = ftp_path_req(s, VFS_QUOTA, arg, len);

	if (req)
		ftp_submit(s, req, room_told);
}

/* ---- making and removing ---- */

static bool made(struct ftp_session *s, struct vfs_req *req)
{
	char quoted[2 * GH_PATH_MAX + 1];
	size_t n = 0;

	if (req->status != GH_OK) {
		ftp_end_status(s, req->status, req);
		return false;
	}
	for (const char *p = req->path->text; *p && n < sizeof(quoted) - 2; p++) {
		if (*p == '"') /* RFC 959 appendix II */
			quoted[n++] = '"';
		quoted[n++] = *p;
	}
	quoted[n] = '\0';
	ftp_end(s, 257, "\"%s\" was made.", quoted);
	return false;
}

void ftp_cmd_mkd(struct ftp_session *s, char *arg, size_t len)
{
	struct vfs_req *req = ftp_path_req(s, VFS_MKDIR, arg, len);

	if (req)
		ftp_submit(s, req, made);
}

static bool changed(struct ftp_session *s, struct vfs_req *req)
{
	ftp_end_status(s, req->status, req); /* 250 where it went well */
	return false;
}

static void remove_it(struct ftp_session *s, const char *arg, size_t len, unsigned flags)
{
	struct vfs_req *req = ftp_path_req(s, VFS_REMOVE, arg, len);

	if (!req)
		return;
	req->flags = flags;
	ftp_submit(s, req, changed);
}

void ftp_cmd_dele(struct ftp_session *s, char *arg, size_t len)
{
	remove_it(s, arg, len, VFS_ONLY_FILE);
}

void ftp_cmd_rmd(struct ftp_session *s, char *arg, size_t len)
{
	remove_it(s, arg, len, VFS_ONLY_FOLDER | VFS_MUST_BE_EMPTY);
}

/* ---- renaming ----
 * RNTO onto a file replaces it where the user may: scanners and sync programs upload under another name and rename onto
 * the old one. Onto a folder it is refused: the core's MOVE would replace the whole tree. What the target is, is asked
 * first and made a condition of the move, so that nothing that appears in between is replaced unseen. */

static bool found_source(struct ftp_session *s, struct vfs_req *req)
{
	if (req->status != GH_OK) {
		ftp_end_status(s, req->status, req);
	} else if (!ftp_keep(&s->rename_from, req->path->text, req->path->text_len)) {
		ftp_end_status(s, GH_NOMEM, NULL);
	} else {
		s->rename_id = req->node.id;
		ftp_end(s, 350, "And the new name?");
	}
	return false;
}

void ftp_cmd_rnfr(struct ftp_session *s, char *arg, size_t len)
{
	struct vfs_req *req = ftp_path_req(s, VFS_STAT, arg, len);

	free(s->rename_from);
	s->rename_from = NULL;
	if (req)
		ftp_submit(s, req, found_source);
}

static void rename_look(struct ftp_session *s, const char *to);

static void rename_end(struct ftp_session *s)
{
	free(s->rename_from);
	s->rename_from = NULL;
}

static bool renamed(struct ftp_session *s, struct vfs_req *req)
{
	if (req->status == GH_PRECONDITION && ++s->rename_tries < TRIES_MAX) {
		rename_look(s, req->dest->text);
		return false;
	}
	rename_end(s);
	ftp_end_status(s, req->status == GH_PRECONDITION ? GH_CONFLICT : req->status, req);
	return false;
}

/* The move holds only while the file at dest is the one that was seen. */
static struct vfs_cond *only_while(struct vfs_req *req, uint64_t version)
{
	struct vfs_cond *cond = gh_alloc(req->arena, sizeof(*cond));
	struct vfs_if_list *list = gh_alloc(req->arena, sizeof(*list));
	struct vfs_if_cond *c = gh_alloc(req->arena, sizeof(*c));

	if (!c || !list || !cond)
		return NULL;
	*c = (struct vfs_if_cond){ .version = version };
	*list = (struct vfs_if_list){ .path = req->dest, .count = 1, .conds = c };
	*cond = (struct vfs_cond){ .list_count = 1, .lists = list };
	return cond;
}

static void rename_move(struct ftp_session *s, const struct vfs_req *seen)
{
	struct vfs_req *req = ftp_path_req(s, VFS_MOVE, s->rename_from, strlen(s->rename_from));
	enum gh_status st;

	if (!req)
		return;
	st = vfs_req_dest(req, seen->path->text, seen->path->text_len, 0);
	if (st == GH_OK && seen->status != GH_OK) {
		req->flags = VFS_NO_OVERWRITE;
	} else if (st == GH_OK && seen->node.id != s->rename_id) {
		/* (The same node: only the spelling of its name changes.) */
		req->cond = only_while(req, seen->node.version);
		if (!req->cond)
			st = GH_NOMEM;
	}
	if (st != GH_OK) {
		vfs_req_free(&req);
		rename_end(s);
		ftp_end_status(s, st, NULL);
		return;
	}
	ftp_submit(s, req, renamed);
}

static bool found_target(struct ftp_session *s, struct vfs_req *req)
{
	enum gh_status st = req->status;

	if (st == GH_OK && req->node.type == VFS_FOLDER && req->node.id != s->rename_id)
		st = GH_EXISTS;
	if (st == GH_OK || st == GH_NOTFOUND) {
		rename_move(s, req);
		return false;
	}
	rename_end(s);
	ftp_end_status(s, st, req);
	return false;
}

static void rename_look(struct ftp_session *s, const char *to)
{
	struct vfs_req *req = ftp_path_req(s, VFS_STAT, to, strlen(to));

	if (!req) {
		rename_end(s);
		return;
	}
	req->flags |= VFS_CERTAIN;
	ftp_submit(s, req, found_target);
}

void ftp_cmd_rnto(struct ftp_session *s, char *arg, size_t len)
{
	if (!s->rename_from) {
		ftp_end(s, 503, "RNFR comes first.");
		return;
	}
	s->rename_tries = 0;
	rename_look(s, arg);
}

/* ---- size and times ---- */

static bool measured(struct ftp_session *s, struct vfs_req *req)
{
	if (req->status != GH_OK)
		ftp_end_status(s, req->status, req);
	else if (req->node.type != VFS_FILE)
		ftp_end_status(s, GH_ISDIR, NULL);
	else
		ftp_end(s, 213, "%llu", (unsigned long long)req->node.size);
	return false;
}

void ftp_cmd_size(struct ftp_session *s, char *arg, size_t len)
{
	struct vfs_req *req;

	/* RFC 3659 section 4: the size as it would be sent; in TYPE A that means reading it all. */
	if (!s->binary) {
		ftp_end(s, 550, "SIZE needs TYPE I.");
		return;
	}
	req = ftp_path_req(s, VFS_STAT, arg, len);
	if (req)
		ftp_submit(s, req, measured);
}

static bool timed(struct ftp_session *s, struct vfs_req *req)
{
	char when[FTP_TIME_MAX];

	if (req->status != GH_OK) {
		ftp_end_status(s, req->status, req);
	} else {
		ftp_time_format(when, req->node.mtime_us);
		ftp_end(s, 213, "%s", when);
	}
	return false;
}

static bool time_set(struct ftp_session *s, struct vfs_req *req)
{
	char when[FTP_TIME_MAX];

	if (req->status != GH_OK) {
		ftp_end_status(s, req->status, req);
	} else {
		ftp_time_format(when, req->mtime_us);
		ftp_end(s, 213, "Modify=%s; %s", when, req->path->text);
	}
	return false;
}

/* "TIME PATH": where the path begins; NULL when it is not of that form. */
static const char *time_and_path(const char *arg, size_t len, int64_t *ret_us)
{
	const char *space = memchr(arg, ' ', len);

	if (!space || space == arg + len - 1 || ftp_time_parse(arg, (size_t)(space - arg), ret_us) != GH_OK)
		return NULL;
	return space + 1;
}

static void set_time(struct ftp_session *s, const char *path, size_t len, int64_t us)
{
	struct vfs_req *req = ftp_path_req(s, VFS_SET_TIMES, path, len);

	if (!req)
		return;
	req->mtime_us = us;
	ftp_submit(s, req, time_set);
}

/* MDTM of a name that is also a time and a path: a file of that name wins, else the time is set. */
static bool timed_or_set(struct ftp_session *s, struct vfs_req *req)
{
	const char *arg = s->later, *path;
	int64_t us;

	if (req->status != GH_NOTFOUND && req->status != GH_NOPARENT && req->status != GH_NOTDIR)
		return timed(s, req);
	path = time_and_path(arg, strlen(arg), &us);
	GH_ASSERT(path);
	set_time(s, path, strlen(path), us);
	return false;
}

void ftp_cmd_mdtm(struct ftp_session *s, char *arg, size_t len)
{
	struct vfs_req *req = ftp_path_req(s, VFS_STAT, arg, len);
	int64_t us;

	if (!req)
		return;
	if (!time_and_path(arg, len, &us)) {
		ftp_submit(s, req, timed);
	} else if (ftp_keep(&s->later, arg, len)) {
		ftp_submit(s, req, timed_or_set);
	} else {
		vfs_req_free(&req);
		ftp_end_status(s, GH_NOMEM, NULL);
	}
}

void ftp_cmd_mfmt(struct ftp_session *s, char *arg, size_t len)
{
	int64_t us;
	const char *path = time_and_path(arg, len, &us);

	if (!path)
		ftp_end(s, 501, "MFMT takes YYYYMMDDhhmmss and a path.");
	else
		set_time(s, path, len - (size_t)(path - arg), us);
}

static bool described(struct ftp_session *s, struct vfs_req *req)
{
	struct gh_buf line;

	if (req->status != GH_OK) {
		ftp_end_status(s, req->status, req);
		return false;
	}
	gh_buf_init(&line, GH_PATH_MAX + 512);
	ftp_facts_line(&line, &req->node, s->facts, req->path->text);
	ftp_say_first(s, 250, "Listing");
	ftp_say_line(s, "%s", line.data ? line.data : "");
	ftp_end(s, 250, "End");
	gh_buf_fini(&line);
	return false;
}

void ftp_cmd_mlst(struct ftp_session *s, char *arg, size_t len)
{
	struct vfs_req *req = ftp_path_req(s, VFS_STAT, arg, len);

	if (req)
		ftp_submit(s, req, described);
}
