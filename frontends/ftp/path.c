/* An FTP argument becomes the path of a request. The door joins it to the working directory and lets the core spell it;
 * ".." climbs lexically and stops at the root. What the core refuses (controls, backslash, broken UTF-8), stays
 * refused. */
#include "frontends/ftp/ftp.h"

#include <stdlib.h>
#include <string.h>

bool ftp_keep(char **to, const char *from, size_t len)
{
	char *copy = malloc(len + 1);

	if (!copy)
		return false;
	memcpy(copy, from, len);
	copy[len] = '\0';
	free(*to);
	*to = copy;
	return true;
}

static enum gh_status joined(struct ftp_session *s, struct vfs_req *req, const char *arg, size_t len,
			     enum gh_status (*parse)(struct vfs_req *, const char *, size_t, unsigned))
{
	char path[GH_PATH_MAX + FTP_PATH_LINE_MAX + 2];
	size_t n = 0;

	if (len > FTP_PATH_LINE_MAX)
		return GH_TOOLONG;
	if (!len || arg[0] != '/') {
		n = strlen(s->cwd);
		memcpy(path, s->cwd, n);
		path[n++] = '/';
	}
	memcpy(path + n, arg, len);
	return parse(req, path, n + len, GH_PATH_CLIMB);
}

enum gh_status ftp_path(struct ftp_session *s, struct vfs_req *req, const char *arg, size_t len)
{
	return joined(s, req, arg, len, vfs_req_path);
}

enum gh_status ftp_dest(struct ftp_session *s, struct vfs_req *req, const char *arg, size_t len)
{
	return joined(s, req, arg, len, vfs_req_dest);
}

struct vfs_req *ftp_path_req(struct ftp_session *s, enum vfs_op op, const char *arg, size_t len)
{
	struct vfs_req *req = ftp_req(s, op);
	enum gh_status st;

	if (!req)
		return NULL;
	st = ftp_path(s, req, arg, len);
	if (st == GH_OK)
		return req;
	ftp_end_status(s, st, NULL);
	vfs_req_free(&req);
	return NULL;
}
