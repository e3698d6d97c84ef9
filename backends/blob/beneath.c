/* Opening below a folder without ever following a symbolic link, and reads and writes that finish. Called by the local
 * backend only; any thread.
 *
 * Somebody with access to the blob folder may have put links there, or swap a folder for a link while we work. openat2
 * resolves a path as a whole under that rule; where the kernel (before 5.6) or a sandbox has no openat2, the path is
 * walked name by name with O_NOFOLLOW, each from the descriptor of the one before, which is as good for folders that
 * are only ours.
 */
#include "backends/blob/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ALWAYS = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY };

/* Learned once, from the kernel's answer; racing threads learn the same. */
static atomic_bool no_openat2;

static int walk(int folder, const char *path, int flags, mode_t mode)
{
	const char *slash = strchr(path, '/');
	char name[64];
	int next, fd, err;

	if (!slash)
		return openat(folder, path, flags | ALWAYS, mode);
	if ((size_t)(slash - path) >= sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, path, (size_t)(slash - path));
	name[slash - path] = '\0';
	next = openat(folder, name, O_PATH | O_DIRECTORY | ALWAYS);
	if (next < 0)
		return -1;
	fd = walk(next, slash + 1, flags, mode); /* as deep as the path has names: three at most */
	err = errno;
	close(next);
	errno = err;
	return fd;
}

static int open_how(int folder, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		/* O_PATH goes with few others, and openat2 is strict about it. */
		.flags = (uint64_t)(unsigned)(flags | (flags & O_PATH ? ALWAYS & ~O_NOCTTY : ALWAYS)),
		.mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | resolve,
	};

	return (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

int beneath_open(int folder, const char *path, int flags, mode_t mode)
{
	int fd;

	if (atomic_load_explicit(&no_openat2, memory_order_relaxed))
		return walk(folder, path, flags, mode);
	do
		fd = open_how(folder, path, flags, mode, 0);
	while (fd < 0 && (errno == EAGAIN || errno == EINTR)); /* EAGAIN: something was renamed meanwhile */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) { /* EPERM: a sandbox of before 2020 */
		fd = walk(folder, path, flags, mode);
		if (fd >= 0)
			atomic_store_explicit(&no_openat2, true, memory_order_relaxed);
	}
	return fd;
}

int beneath_open_cached(int folder, const char *path, int flags)
{
	if (atomic_load_explicit(&no_openat2, memory_order_relaxed)) {
		errno = EAGAIN;
		return -1;
	}
	return open_how(folder, path, flags, 0, RESOLVE_CACHED);
}

int beneath_folder(int folder, const char *name, bool *ret_made)
{
	int fd = beneath_open(folder, name, O_RDONLY | O_DIRECTORY, 0);

	*ret_made = false;
	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (mkdirat(folder, name, 0700) == 0)
		*ret_made = true;
	else if (errno != EEXIST)
		return -1;
	return beneath_open(folder, name, O_RDONLY | O_DIRECTORY, 0);
}

DIR *beneath_list(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

/* Drops n bytes from the front. Returns what is left of the vector. */
static int advance(struct iovec **iov, int count, size_t n)
{
	while (count && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		count--;
	}
	if (count) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
	return count;
}

enum gh_status read_whole(int fd, struct iovec *iov, int count, off_t offset, bool may_block)
{
	count = advance(&iov, count, 0);
	while (count) {
		ssize_t n = preadv2(fd, iov, count, offset, may_block ? 0 : RWF_NOWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !may_block && (errno == EAGAIN || errno == EOPNOTSUPP))
			return GH_AGAIN;
		if (n < 0)
			return gh_status_of_errno(errno);
		if (n == 0)
			return may_block ? GH_DAMAGED : GH_AGAIN;
		offset += n;
		count = advance(&iov, count, (size_t)n);
	}
	return GH_OK;
}

enum gh_status write_whole(int fd, struct iovec *iov, int count, off_t offset)
{
	count = advance(&iov, count, 0);
	while (count) {
		ssize_t n = pwritev(fd, iov, count, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? gh_status_of_errno(errno) : GH_IO;
		offset += n;
		count = advance(&iov, count, (size_t)n);
	}
	return GH_OK;
}
