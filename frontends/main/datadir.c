/* The data directory. See datadir.h. Main thread. */
#include "frontends/main/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/hash.h"

static enum gh_status failed(char *err, const char *path)
{
	int why = errno;

	snprintf(err, DATADIR_ERR_MAX, "%.300s: %s", path, strerror(why));
	return gh_status_of_errno(why);
}

char *datadir_join(const struct datadir *d, const char *name)
{
	char *out;

	return asprintf(&out, "%s/%s", d->path, name) < 0 ? NULL : out;
}

/* A folder, private to its owner. */
static enum gh_status folder_make(const char *path, uid_t uid, gid_t gid, char *err)
{
	struct stat sb;

	if (!mkdir(path, 0700)) {
		if (uid != (uid_t)-1 && chown(path, uid, gid))
			return failed(err, path);
		return GH_OK;
	}
	if (errno != EEXIST)
		return failed(err, path);
	if (stat(path, &sb))
		return failed(err, path);
	if (!S_ISDIR(sb.st_mode)) {
		errno = ENOTDIR;
		return failed(err, path);
	}
	return GH_OK;
}

/* The pid that the holder wrote, for the message only: the lock decides. */
static long pid_read(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = 0;
	return strtol(text, NULL, 10);
}

static enum gh_status lock_take(struct datadir *d, const char *path, uid_t uid, gid_t gid, char *err)
{
	char pid[32];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return failed(err, path);
	if (uid != (uid_t)-1 && fchown(fd, uid, gid)) {
		enum gh_status st = failed(err, path);

		close(fd);
		return st;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		long holder = pid_read(fd);
		int why = errno;

		close(fd);
		if (why != EWOULDBLOCK) {
			errno = why;
			return failed(err, path);
		}
		if (holder > 0)
			snprintf(err, DATADIR_ERR_MAX, "%.300s is in use by the gatehouse with pid %ld", d->path, holder);
		else
			snprintf(err, DATADIR_ERR_MAX, "%.300s is in use by another gatehouse", d->path);
		return GH_BUSY;
	}
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, pid, strlen(pid), 0) != (ssize_t)strlen(pid)) {
		enum gh_status st = failed(err, path);

		/* A full disk does not keep it from being served: the pid is only for people. */
		if (st != GH_NOSPACE) {
			close(fd);
			return st;
		}
	}
	d->lock_fd = fd;
	return GH_OK;
}

enum gh_status datadir_open(const char *path, bool only_existing, uid_t uid, gid_t gid, struct datadir *ret, char *err)
{
	struct datadir d = { .lock_fd = -1 };
	char *run = NULL, *lock = NULL;
	enum gh_status st = GH_OK;

	if (!only_existing)
		st = folder_make(path, uid, gid, err);
	if (st)
		return st;
	d.path = realpath(path, NULL);
	if (!d.path)
		return failed(err, path);
	run = datadir_join(&d, "run");
	lock = datadir_join(&d, "run/lock");
	if (!run || !lock) {
		snprintf(err, DATADIR_ERR_MAX, "out of memory");
		st = GH_NOMEM;
	}
	if (!st)
		st = folder_make(run, uid, gid, err);
	if (!st)
		st = lock_take(&d, lock, uid, gid, err);
	free(run);
	free(lock);
	if (st) {
		free(d.path);
		return st;
	}
	*ret = d;
	return GH_OK;
}

void datadir_close(struct datadir *d)
{
	char *addresses = d->path ? datadir_join(d, "run/addresses.json") : NULL;

	if (addresses)
		unlink(addresses);
	free(addresses);
	free(d->path);
	d->path = NULL;
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	d->lock_fd = -1;
}

static bool write_whole(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

enum gh_status datadir_publish(const struct datadir *d, const char *name, const char *text, char *err)
{
	char *final = datadir_join(d, name), *temporary = NULL;
	enum gh_status st = GH_OK;
	int fd = -1;

	if (!final || asprintf(&temporary, "%s.new", final) < 0) {
		free(final);
		snprintf(err, DATADIR_ERR_MAX, "out of memory");
		return GH_NOMEM;
	}
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || !write_whole(fd, text) || fsync(fd) || rename(temporary, final)) {
		st = failed(err, final);
		unlink(temporary);
	}
	if (fd >= 0)
		close(fd);
	free(temporary);
	free(final);
	return st;
}

enum gh_status datadir_gateway_name(const struct datadir *d, const char *configured, char *ret, char *err)
{
	unsigned char random[4];
	char *path, hex[9];
	FILE *f;

	if (*configured) {
		snprintf(ret, 64, "%s", configured);
		return GH_OK;
	}
	path = datadir_join(d, "gateway-name");
	f = path ? fopen(path, "re") : NULL;
	free(path);
	if (f) {
		bool got = fgets(ret, 64, f);

		fclose(f);
		if (got)
			ret[strcspn(ret, "\r\n")] = 0;
		if (got && *ret)
			return GH_OK;
	}
	gh_random(random, sizeof(random));
	gh_hex(hex, random, sizeof(random));
	snprintf(ret, 64, "gateway-%s", hex);
	return datadir_publish(d, "gateway-name", ret, err);
}

#define TOKEN_FILE "run/gateway-token"

uint64_t datadir_token(const struct datadir *d)
{
	char *path = datadir_join(d, TOKEN_FILE), text[32] = "";
	FILE *f = path ? fopen(path, "re") : NULL;

	free(path);
	if (!f)
		return 0;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	return strtoull(text, NULL, 10);
}

enum gh_status datadir_token_keep(const struct datadir *d, uint64_t token, char *err)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)token);
	return datadir_publish(d, TOKEN_FILE, text, err);
}
