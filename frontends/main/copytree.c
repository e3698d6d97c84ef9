/* See copytree.h. File systems that can share blocks between files do (copy_file_range). */
#include "frontends/main/copytree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ERR_MAX 512
#define PIECE (1u << 20)

static enum gh_status fail(const char *path, char *err)
{
	const int why = errno;

	snprintf(err, ERR_MAX, "%.400s: %s", path, strerror(why));
	return why == ENOSPC || why == EDQUOT || why == EFBIG ? GH_NOSPACE : why == EEXIST ? GH_EXISTS : GH_IO;
}

static char *join(const char *folder, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* Where blocks cannot be shared or the kernel will not copy between these two. */
static ssize_t copy_piece(int from, int to, size_t len)
{
	static char piece[PIECE];
	ssize_t n = copy_file_range(from, NULL, to, NULL, len, 0), done = 0;

	if (n >= 0 || (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP))
		return n;
	n = read(from, piece, len < PIECE ? len : PIECE);
	while (n > 0 && done < n) {
		ssize_t w = write(to, piece + done, (size_t)(n - done));

		if (w < 0)
			return -1;
		done += w;
	}
	return n;
}

static bool same_owner(int fd, const struct stat *sb)
{
	return !fchmod(fd, sb->st_mode & 07777) && (geteuid() || !fchown(fd, sb->st_uid, sb->st_gid));
}

static enum gh_status file_fill(int from, int to, const struct stat *sb, const char *path, struct copytree_count *count,
				char *err)
{
	for (off_t left = sb->st_size; left > 0;) {
		ssize_t n = copy_piece(from, to, (size_t)left);

		if (n < 0)
			return fail(path, err);
		if (!n)
			break; /* it has become shorter */
		left -= n;
		count->bytes += (uint64_t)n;
	}
	count->files++;
	return same_owner(to, sb) && !fsync(to) ? GH_OK : fail(path, err);
}

static enum gh_status file_copy(int from, const struct stat *sb, const char *path, struct copytree_count *count, char *err)
{
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	enum gh_status st;

	if (to < 0)
		return fail(path, err);
	st = file_fill(from, to, sb, path, count, err);
	close(to);
	return st;
}

static enum gh_status entry_copy(const char *from, const char *to, struct copytree_count *count, char *err)
{
	int fd = open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	enum gh_status st = GH_OK;
	struct stat sb;

	if (fd < 0)
		return errno == ENOENT ? GH_OK : fail(from, err);
	if (fstat(fd, &sb))
		st = fail(from, err);
	else if (S_ISDIR(sb.st_mode))
		st = copytree(from, to, count, err);
	else if (S_ISREG(sb.st_mode))
		st = file_copy(fd, &sb, to, count, err);
	close(fd);
	return st;
}

static enum gh_status entries_copy(DIR *d, const char *from, const char *to, struct copytree_count *count, char *err)
{
	enum gh_status st = GH_OK;
	struct dirent *e;

	while (st == GH_OK && (e = readdir(d))) {
		char *a, *b;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		a = join(from, e->d_name);
		b = join(to, e->d_name);
		snprintf(err, ERR_MAX, "out of memory");
		st = a && b ? entry_copy(a, b, count, err) : GH_NOMEM;
		free(a);
		free(b);
	}
	return st;
}

enum gh_status copytree(const char *from, const char *to, struct copytree_count *count, char *err)
{
	DIR *d = opendir(from);
	enum gh_status st = GH_OK;
	struct stat sb;
	int fd;

	if (!d || fstat(dirfd(d), &sb) || mkdir(to, 0700)) {
		st = fail(d ? to : from, err);
		if (d)
			closedir(d);
		return st;
	}
	st = entries_copy(d, from, to, count, err);
	closedir(d);
	fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st == GH_OK && (fd < 0 || !same_owner(fd, &sb) || fsync(fd)))
		st = fail(to, err);
	if (fd >= 0)
		close(fd);
	return st;
}

enum gh_status copyfile(const char *from, const char *to, char *err)
{
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	struct copytree_count count = { 0 };
	enum gh_status st;
	struct stat sb;

	if (fd < 0)
		return fail(from, err);
	st = fstat(fd, &sb) ? fail(from, err) : file_copy(fd, &sb, to, &count, err);
	close(fd);
	return st;
}
