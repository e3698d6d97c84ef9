/* The local blob backend: opening, closing, and its row in the table of backends. See local.h for the picture. Called
 * through core/blob.h only; any thread. */
#include "backends/blob/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backends/blob/beneath.h"
#include "core/base/log.h"

enum { ERR_BYTES = 256, PACK_FDS_MAX = 256 };
#define PACK_SIZE_DEFAULT (64ull << 20)
#define PACK_SIZE_MAX (16ull << 30)
#define PUT_MAX_DEFAULT (128ull << 10)

static const char format_text[] = "gatehouse blobs 1\n";

static enum gh_status complain(char *err, const char *path, const char *what, int code)
{
	snprintf(err, ERR_BYTES, "blobs.path %.120s: %s: %s", path, what, strerror(code));
	return code == ENOENT ? GH_IO : gh_status_of_errno(code);
}

static enum gh_status check_sizes(struct blob_backend *be, const struct blob_config *cfg, char *err)
{
	be->pack_size = cfg->pack_size_bytes ? cfg->pack_size_bytes : PACK_SIZE_DEFAULT;
	be->put_max = cfg->pack_max_blob_bytes ? cfg->pack_max_blob_bytes : PUT_MAX_DEFAULT;
	if (be->put_max > RECORD_DATA_MAX) {
		snprintf(err, ERR_BYTES, "the largest blob in a pack may be 1 MiB, not %llu bytes",
			 (unsigned long long)be->put_max);
		return GH_INVALID;
	}
	if (be->pack_size < PACK_START + record_span((uint32_t)be->put_max) || be->pack_size > PACK_SIZE_MAX) {
		snprintf(err, ERR_BYTES, "a pack of %llu bytes: give at least room for the largest blob in a pack "
			 "(%llu bytes and a little), at most 16 GiB", (unsigned long long)be->pack_size,
			 (unsigned long long)be->put_max);
		return GH_INVALID;
	}
	return GH_OK;
}

/* Nothing here but, perhaps, the format file. */
static bool is_fresh(int folder)
{
	DIR *d = beneath_list(folder);
	struct dirent *e;
	bool fresh = true;

	while (d && fresh && (e = readdir(d)))
		fresh = e->d_name[0] == '.' || !strcmp(e->d_name, "format") || !strcmp(e->d_name, "lost+found");
	if (d)
		closedir(d);
	return fresh;
}

/* The file that says how to read the rest. It comes first: a folder that has other things, but not it, is not ours. */
static enum gh_status check_format(struct blob_backend *be, const char *path, char *err)
{
	const bool fresh = !be->read_only && is_fresh(be->root);
	char text[sizeof(format_text)] = "";
	int fd = beneath_open(be->root, "format", (fresh ? O_RDWR | O_CREAT : O_RDONLY) | O_NONBLOCK, 0600);
	ssize_t n;

	if (fd < 0)
		return complain(err, path, fresh ? "cannot make the file `format`" :
				"no file `format` here: is this a blob folder?", errno);
	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n == 0 && fresh) { /* new, or the first start ended here */
		n = pwrite(fd, format_text, strlen(format_text), 0);
		if (n < 0 || be->sync_data(fd) < 0 || be->sync_folder(be->root) < 0) {
			const int code = errno;

			close(fd);
			return complain(err, path, "cannot write the file `format`", code);
		}
		memcpy(text, format_text, sizeof(text));
	}
	close(fd);
	if (n < 0 || strcmp(text, format_text)) {
		snprintf(err, ERR_BYTES,
			 "blobs.path %.120s: the file `format` names a format that this release does not know", path);
		return GH_UNSUPPORTED;
	}
	return GH_OK;
}

static enum gh_status open_root(struct blob_backend *be, const char *path, char *err)
{
	if (!path || !*path) {
		snprintf(err, ERR_BYTES, "blobs.path: name a folder");
		return GH_INVALID;
	}
	if (!be->read_only && mkdir(path, 0700) < 0 && errno != EEXIST)
		return complain(err, path, "cannot make the folder", errno);
	be->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* the operator's own path may lead through links */
	if (be->root < 0)
		return complain(err, path, "cannot open the folder", errno);
	return check_format(be, path, err);
}

static enum gh_status open_folder(struct blob_backend *be, const char *path, const char *name, int *ret_fd, char *err)
{
	char what[64];
	bool made = false;

	*ret_fd = be->read_only ? beneath_open(be->root, name, O_RDONLY | O_DIRECTORY, 0) :
				  beneath_folder(be->root, name, &made);
	if (*ret_fd < 0 || (made && be->sync_folder(be->root) < 0)) {
		const int code = errno;

		snprintf(what, sizeof(what), "cannot open or make %s/%s", name,
			 code == ELOOP || code == ENOTDIR ? " (it must be a folder, not a link)" : "");
		return complain(err, path, what, code);
	}
	return GH_OK;
}

/* What an earlier run left, and what works here. */
static enum gh_status prepare(struct blob_backend *be, const char *path, char *err)
{
	struct stat a, b;
	enum gh_status st;

	if (be->read_only)
		return GH_OK;
	if (fstat(be->staging, &a) < 0 || fstat(be->files, &b) < 0 || a.st_dev != b.st_dev)
		return complain(err, path, "staging/ and files/ must be on one file system", EXDEV);
	if (stage_probe(be) < 0)
		return complain(err, path, "cannot make files in staging/", errno);
	stage_sweep(be);
	st = packs_seal_stale(be);
	return st == GH_OK ? GH_OK : complain(err, path, "cannot read packs/", errno);
}

static void local_close(struct blob_backend **bep)
{
	struct blob_backend *be = *bep;

	*bep = NULL;
	if (!be)
		return;
	pack_writer_fini(be);
	pack_fds_fini(&be->fds);
	if (be->staging >= 0)
		close(be->staging);
	if (be->files >= 0)
		close(be->files);
	if (be->packs >= 0)
		close(be->packs);
	if (be->root >= 0)
		close(be->root);
	free(be);
}

static enum gh_status local_open(const struct blob_config *cfg, struct blob_backend **ret_be, char *err)
{
	struct blob_backend *be = calloc(1, sizeof(*be));
	enum gh_status st;

	err[0] = '\0';
	if (!be) {
		snprintf(err, ERR_BYTES, "out of memory");
		return GH_NOMEM;
	}
	be->root = be->packs = be->files = be->staging = -1;
	be->read_only = cfg->read_only;
	be->sync_data = fdatasync;
	be->sync_folder = fsync;
	crc_shift_init(&be->block_shift, BLOB_BLOCK);
	pack_writer_init(&be->writer);
	pack_fds_init(&be->fds, PACK_FDS_MAX);
	st = check_sizes(be, cfg, err);
	if (st == GH_OK)
		st = open_root(be, cfg->path, err);
	if (st == GH_OK)
		st = open_folder(be, cfg->path, "packs", &be->packs, err);
	if (st == GH_OK)
		st = open_folder(be, cfg->path, "files", &be->files, err);
	if (st == GH_OK)
		st = open_folder(be, cfg->path, "staging", &be->staging, err);
	if (st == GH_OK)
		st = prepare(be, cfg->path, err);
	if (st != GH_OK) {
		local_close(&be);
		return st;
	}
	*ret_be = be;
	return GH_OK;
}

static enum gh_status local_put(struct blob_backend *be, uint64_t tenant, uint64_t id, const void *data, size_t len,
				struct blob_loc *ret_loc)
{
	if (be->read_only)
		return GH_READONLY;
	return len > be->put_max ? GH_TOOLARGE : pack_put(be, tenant, id, data, len, ret_loc, NULL);
}

static enum gh_status local_put_ahead(struct blob_backend *be, uint64_t tenant, uint64_t id, const void *data,
				      size_t len, struct blob_loc *ret_loc, struct blob_ticket *ret_ticket)
{
	if (be->read_only)
		return GH_READONLY;
	return len > be->put_max ? GH_TOOLARGE : pack_put(be, tenant, id, data, len, ret_loc, ret_ticket);
}

static size_t local_put_max(struct blob_backend *be)
{
	return (size_t)be->put_max;
}

static enum gh_status local_remove(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
				   uint64_t size)
{
	struct place at;

	if (be->read_only)
		return GH_READONLY;
	if (!place_decode(loc, &at))
		return GH_OK; /* leads nowhere */
	return at.kind == PLACE_PACK ? pack_remove(be, tenant, id, &at) : file_remove(be, tenant, id);
}

static enum gh_status local_iterate(struct blob_backend *be, blob_object_fn *fn, void *arg)
{
	bool going = true;
	enum gh_status packs = packs_iterate(be, fn, arg, &going);
	enum gh_status files = files_iterate(be, fn, arg, &going);

	return packs != GH_OK ? packs : files;
}

static enum gh_status local_space(struct blob_backend *be, struct blob_space *ret)
{
	struct statvfs v;

	if (fstatvfs(be->root, &v) < 0)
		return gh_status_of_errno(errno);
	ret->total_bytes = (uint64_t)v.f_blocks * v.f_frsize;
	ret->free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
	return GH_OK;
}

static enum gh_status mark_read(struct blob_backend *be, char ret[BLOB_MARK_BYTES])
{
	const int fd = beneath_open(be->root, "installation", O_RDONLY | O_NONBLOCK, 0);
	ssize_t n;

	ret[0] = '\0';
	if (fd < 0)
		return errno == ENOENT ? GH_OK : gh_status_of_errno(errno);
	n = read(fd, ret, BLOB_MARK_BYTES - 1);
	close(fd);
	if (n < 0)
		return gh_status_of_errno(errno);
	ret[n] = '\0';
	ret[strcspn(ret, "\r\n")] = '\0';
	return GH_OK;
}

static enum gh_status mark_write(struct blob_backend *be, const char *want)
{
	const int fd = beneath_open(be->root, "installation", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	enum gh_status st = GH_OK;

	if (fd < 0)
		return gh_status_of_errno(errno);
	if (write(fd, want, strlen(want)) != (ssize_t)strlen(want) || be->sync_data(fd) < 0 || be->sync_folder(be->root) < 0) {
		st = gh_status_of_errno(errno);
		unlinkat(be->root, "installation", 0);
	}
	close(fd);
	return st;
}

/* Whoever marks is alone (core/installation.c), but may have been cut short: a file with nothing in it is no mark. */
static enum gh_status local_mark(struct blob_backend *be, const char *want, char ret[BLOB_MARK_BYTES])
{
	enum gh_status st = mark_read(be, ret);

	if (st || !want || *ret)
		return st;
	st = mark_write(be, want);
	return st ? st : mark_read(be, ret);
}

const struct blob_ops blob_ops_local = {
	.abi = BLOB_ABI,
	.size = sizeof(struct blob_ops),
	.name = "local",
	.caps = BLOB_CAP_FD | BLOB_CAP_ITERATE | BLOB_CAP_VERIFY,
	.open = local_open,
	.close = local_close,
	.put = local_put,
	.put_max = local_put_max,
	.put_ahead = local_put_ahead,
	.settle = pack_settle,
	.stage_begin = stage_begin,
	.stage_write = stage_write,
	.stage_flush = stage_flush,
	.stage_commit = stage_commit,
	.stage_abort = stage_abort,
	.reader_open = reader_open,
	.reader_read = reader_read,
	.reader_fd = reader_fd,
	.reader_close = reader_close,
	.remove = local_remove,
	.iterate = local_iterate,
	.verify = reader_verify,
	.space = local_space,
	.mark = local_mark,
};
