/* Uploads of large blobs: staging and commit. Called by the local backend's table; any thread, a stage by one thread at
 * a time.
 *
 * A stage is a file without a name (O_TMPFILE), so that nothing is left of it when the process dies; commit writes the
 * checksum table and the footer behind the data, syncs, gives it its name, syncs the folder (and the parents, unless
 * they are known to be durable already). Where the file system has no O_TMPFILE, or /proc is not mounted, it is a file
 * in staging/ with a random name, locked so that another gateway's start leaves it alone.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backends/blob/beneath.h"
#include "backends/blob/local.h"
#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/hash.h"
#include "core/base/log.h"

struct blob_stage {
	struct blob_backend *be;
	uint64_t tenant, id, size;
	int fd;
	char name[LOCAL_NAME_MAX]; /* in staging/; empty: it has none */
	uint32_t *table;           /* one finished crc per block, little-endian as on disk */
	uint64_t table_len, table_cap;
	uint32_t block_crc; /* of the block in the making */
	uint32_t whole_crc; /* of the finished blocks */
	uint64_t pushed, waited; /* stage_flush: write-back was begun, and waited for, up to here */
	enum gh_status error;    /* sticky */
};

/* ---- staging ---- */

static void stage_name(char out[LOCAL_NAME_MAX])
{
	uint64_t r;

	gh_random(&r, sizeof(r));
	snprintf(out, LOCAL_NAME_MAX, "%016" PRIx64 ".stage", r);
}

static int open_named(struct blob_backend *be, char name[LOCAL_NAME_MAX])
{
	struct stat sb;
	int fd;

	for (int attempt = 0; attempt < 10; attempt++) {
		stage_name(name);
		fd = beneath_open(be->staging, name, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return -1;
		/* Between the two calls a starting gateway may have swept it away. */
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &sb) == 0 && sb.st_nlink == 1)
			return fd;
		close(fd);
	}
	errno = EBUSY;
	return -1;
}

static int open_unnamed(struct blob_backend *be)
{
	return beneath_open(be->staging, ".", O_RDWR | O_TMPFILE, 0600);
}

static int link_unnamed(int fd, int folder, const char *name)
{
	char self[32];

	/* AT_EMPTY_PATH would need a capability. The link that is followed is the kernel's own. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, folder, name, AT_SYMLINK_FOLLOW);
}

int stage_probe(struct blob_backend *be)
{
	char name[LOCAL_NAME_MAX];
	int fd = open_unnamed(be);

	be->tmpfile = false;
	if (fd < 0)
		return errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT || /* unknown */
				       errno == ENOSPC || errno == EDQUOT ? /* not the moment to learn it */
			       0 :
			       -1;
	stage_name(name);
	be->tmpfile = link_unnamed(fd, be->staging, name) == 0;
	if (be->tmpfile)
		unlinkat(be->staging, name, 0);
	close(fd);
	return 0;
}

void stage_sweep(struct blob_backend *be)
{
	DIR *d = beneath_list(be->staging);
	struct dirent *e;
	unsigned swept = 0;
	int fd;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		fd = beneath_open(be->staging, e->d_name, O_RDONLY | O_NONBLOCK, 0);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(be->staging, e->d_name, 0) == 0)
			swept++;
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	if (swept)
		gh_log(GH_LOG_INFO, "staging-swept", "files=%u reason=\"left by an earlier run\"", swept);
}

enum gh_status stage_begin(struct blob_backend *be, uint64_t tenant, uint64_t id, uint64_t expect_bytes,
			   struct blob_stage **ret_stage)
{
	struct blob_stage *st;
	struct statvfs space;

	if (be->read_only)
		return GH_READONLY;
	/* Said before the first byte is invited. Nothing is preallocated: the file system reserves at every write, and
	 * a client that declares much and sends nothing must not fill the disk. */
	if (expect_bytes && fstatvfs(be->files, &space) == 0 && expect_bytes / space.f_frsize >= space.f_bavail)
		return GH_NOSPACE;
	st = calloc(1, sizeof(*st));
	if (!st)
		return GH_NOMEM;
	st->be = be;
	st->tenant = tenant;
	st->id = id;
	st->fd = be->tmpfile ? open_unnamed(be) : open_named(be, st->name);
	if (st->fd < 0) {
		const int err = errno;

		gh_log(GH_LOG_ERROR, "stage-open", "error=\"%s\"", strerror(err));
		free(st);
		return gh_status_of_errno(err);
	}
	*ret_stage = st;
	return GH_OK;
}

/* Adds the finished block's crc to the table; len: of the block. */
static enum gh_status block_end(struct blob_stage *st, uint64_t len)
{
	struct crc_shift tail;

	if (st->table_len == st->table_cap) {
		const uint64_t cap = st->table_cap ? 2 * st->table_cap : 64;
		uint32_t *table = realloc(st->table, cap * sizeof(*table));

		if (!table)
			return GH_NOMEM;
		st->table = table;
		st->table_cap = cap;
	}
	st->table[st->table_len++] = htole32(st->block_crc);
	if (len == BLOB_BLOCK) {
		st->whole_crc = crc_join(st->whole_crc, st->block_crc, &st->be->block_shift);
	} else {
		crc_shift_init(&tail, len);
		st->whole_crc = crc_join(st->whole_crc, st->block_crc, &tail);
	}
	st->block_crc = 0;
	return GH_OK;
}

static enum gh_status checksum(struct blob_stage *st, const uint8_t *data, size_t len)
{
	enum gh_status status = GH_OK;

	while (len && status == GH_OK) {
		const size_t room = BLOB_BLOCK - st->size % BLOB_BLOCK;
		const size_t n = len < room ? len : room;

		st->block_crc = gh_crc32c(st->block_crc, data, n);
		st->size += n;
		data += n;
		len -= n;
		if (n == room)
			status = block_end(st, BLOB_BLOCK);
	}
	return status;
}

enum gh_status stage_write(struct blob_stage *st, const void *data, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };

	if (st->error == GH_OK)
		st->error = write_whole(st->fd, &iov, 1, (off_t)st->size);
	if (st->error == GH_OK)
		st->error = checksum(st, data, len);
	return st->error;
}

/* Begins write-back of what is new and waits for what was begun the time before: at most two rounds are dirty, and
 * commit has little left to do. An error stays with the file and shows at commit's sync, too. */
enum gh_status stage_flush(struct blob_stage *st)
{
	const uint64_t before = st->pushed;

	if (st->error != GH_OK)
		return st->error;
	if (st->size > st->pushed &&
	    sync_file_range(st->fd, (off_t)st->pushed, (off_t)(st->size - st->pushed), SYNC_FILE_RANGE_WRITE) < 0)
		st->error = gh_status_of_errno(errno);
	st->pushed = st->size;
	if (st->error == GH_OK && before > st->waited &&
	    sync_file_range(st->fd, (off_t)st->waited, (off_t)(before - st->waited),
			    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) < 0)
		st->error = gh_status_of_errno(errno);
	st->waited = before;
	return st->error;
}

void stage_abort(struct blob_stage **stp)
{
	struct blob_stage *st = *stp;

	*stp = NULL;
	if (!st)
		return;
	if (st->name[0])
		unlinkat(st->be->staging, st->name, 0);
	close(st->fd);
	free(st->table);
	free(st);
}

/* ---- commit ---- */

static enum gh_status write_footer(struct blob_stage *st, struct footer *f)
{
	uint8_t foot[FOOTER_BYTES];
	struct iovec iov[2];

	if (st->size % BLOB_BLOCK) {
		enum gh_status status = block_end(st, st->size % BLOB_BLOCK);

		if (status != GH_OK)
			return status;
	}
	*f = (struct footer){
		.tenant = st->tenant,
		.id = st->id,
		.size = st->size,
		.made_us = gh_real_us(),
		.whole_crc = st->whole_crc,
		.table_crc = gh_crc32c(0, st->table, st->table_len * sizeof(*st->table)),
	};
	footer_encode(f, foot);
	iov[0] = (struct iovec){ st->table, st->table_len * sizeof(*st->table) };
	iov[1] = (struct iovec){ foot, sizeof(foot) };
	return write_whole(st->fd, iov, 2, (off_t)st->size);
}

/* The folder that an id's file goes to, and the one above it; made where missing. */
static int open_folders(struct blob_backend *be, uint64_t id, int *ret_upper)
{
	char upper_name[FOLDER_NAME_MAX], lower_name[FOLDER_NAME_MAX];
	bool made;
	int lower;

	file_folders(upper_name, lower_name, id);
	*ret_upper = beneath_folder(be->files, upper_name, &made);
	if (*ret_upper < 0)
		return -1;
	lower = beneath_folder(*ret_upper, lower_name, &made);
	if (lower < 0) {
		const int err = errno;

		close(*ret_upper);
		errno = err;
	}
	return lower;
}

/* Whoever made the parents, another thread perhaps, may not have come to syncing them yet: so they are synced unless
 * somebody is known to have done it. */
static int sync_folders(struct blob_backend *be, uint64_t id, int lower, int upper)
{
	const unsigned long long key = file_folder_key(id) + 1;
	atomic_ullong *known = &be->folders_durable[key % FOLDERS_KNOWN];

	if (be->sync_folder(lower) < 0)
		return -1;
	if (atomic_load(known) == key)
		return 0;
	if (be->sync_folder(upper) < 0 || be->sync_folder(be->files) < 0)
		return -1;
	atomic_store(known, key);
	return 0;
}

static enum gh_status give_name(struct blob_stage *st)
{
	struct blob_backend *be = st->be;
	char name[FILE_NAME_MAX];
	int upper, lower = open_folders(be, st->id, &upper), err = 0;

	if (lower < 0)
		return errno == ELOOP || errno == ENOTDIR ? GH_IO : gh_status_of_errno(errno);
	file_name(name, st->tenant, st->id);
	if ((st->name[0] ? linkat(be->staging, st->name, lower, name, 0) : link_unnamed(st->fd, lower, name)) < 0)
		err = errno;
	gh_crash_point("blob.stage_linked");
	if (!err && sync_folders(be, st->id, lower, upper) < 0) {
		err = errno;
		unlinkat(lower, name, 0); /* not promised to anyone: an orphan less */
	}
	if (!err)
		gh_crash_point("blob.dir_synced");
	close(lower);
	close(upper);
	if (err == 0)
		return GH_OK;
	return err == ENOENT || err == EEXIST ? GH_IO : gh_status_of_errno(err);
}

enum gh_status stage_commit(struct blob_stage **stp, struct blob_loc *ret_loc, uint32_t *ret_crc)
{
	struct blob_stage *st = *stp;
	struct footer f;
	enum gh_status status = st->error;

	if (status == GH_OK)
		status = write_footer(st, &f);
	if (status == GH_OK && st->be->sync_data(st->fd) < 0)
		status = gh_status_of_errno(errno);
	gh_crash_point("blob.stage_synced");
	if (status == GH_OK)
		status = give_name(st);
	if (status == GH_OK) {
		place_encode(&(struct place){ .kind = PLACE_FILE, .size = f.size, .head_crc = f.foot_crc }, ret_loc);
		*ret_crc = f.whole_crc;
	} else {
		gh_log(GH_LOG_ERROR, "stage-commit", "tenant=%" PRIu64 " blob=%" PRIu64 " bytes=%" PRIu64 " status=%s",
		       st->tenant, st->id, st->size, gh_status_name(status));
	}
	stage_abort(stp); /* a second name in staging goes; the first one stays */
	return status;
}
