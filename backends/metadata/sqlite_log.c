/* The files of SQLite, with one difference: what is written to the log is put together until it is asked for.
 *
 * SQLite writes a frame of its log by two calls, and a group of commits has dozens of frames, one behind the other, before
 * the one sync that makes them durable. Those calls were a sixth of the committer's processor time, so here they become
 * one. Other connections read frames only after the commit is published in shared memory, which is after the sync
 * (synchronous = FULL); what this connection reads itself, or asks the size of, is written out first. So nobody sees a log
 * that lacks something. An error of the write is that of the sync, or of whatever made it necessary: SQLite takes both for
 * a commit that failed.
 *
 * A file belongs to its connection, and so to one thread at a time, as all of SQLite here (SQLITE_OPEN_NOMUTEX).
 */
#include "backends/metadata/sqlite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_MAX (120 << 10) /* bytes; SQLite's files take less than 128 KiB in one call (os_unix.c) */

struct log_file {
	sqlite3_file base; /* first: what SQLite sees */
	unsigned char *pending; /* PENDING_MAX, or NULL: nothing was written yet */
	sqlite3_int64 start;
	int len;
	/* behind it: the file of the system below */
};

static sqlite3_vfs *system_vfs;
static sqlite3_vfs log_vfs;
static pthread_once_t log_vfs_once = PTHREAD_ONCE_INIT;

static sqlite3_file *below(sqlite3_file *f)
{
	return (sqlite3_file *)((struct log_file *)f + 1);
}

static int write_out(sqlite3_file *f)
{
	struct log_file *l = (struct log_file *)f;
	const int len = l->len;

	l->len = 0; /* failed or not: SQLite writes anew what it does not give up */
	return len ? below(f)->pMethods->xWrite(below(f), l->pending, len, l->start) : SQLITE_OK;
}

static int log_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
	struct log_file *l = (struct log_file *)f;
	int rc = SQLITE_OK;

	if (l->len && (at != l->start + l->len || len > PENDING_MAX - l->len))
		rc = write_out(f);
	if (!l->pending)
		l->pending = malloc(PENDING_MAX);
	if (rc != SQLITE_OK)
		return rc;
	if (!l->pending || len > PENDING_MAX)
		return below(f)->pMethods->xWrite(below(f), data, len, at);
	if (!l->len)
		l->start = at;
	memcpy(l->pending + l->len, data, (size_t)len);
	l->len += len;
	return SQLITE_OK;
}

static int log_read(sqlite3_file *f, void *data, int len, sqlite3_int64 at)
{
	int rc = write_out(f);

	return rc == SQLITE_OK ? below(f)->pMethods->xRead(below(f), data, len, at) : rc;
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = write_out(f);

	return rc == SQLITE_OK ? below(f)->pMethods->xTruncate(below(f), size) : rc;
}

static int log_sync(sqlite3_file *f, int flags)
{
	int rc = write_out(f);

	return rc == SQLITE_OK ? below(f)->pMethods->xSync(below(f), flags) : rc;
}

static int log_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	int rc = write_out(f);

	return rc == SQLITE_OK ? below(f)->pMethods->xFileSize(below(f), ret) : rc;
}

static int log_close(sqlite3_file *f)
{
	struct log_file *l = (struct log_file *)f;
	int rc = write_out(f);
	int closed = below(f)->pMethods->xClose(below(f));

	free(l->pending);
	l->pending = NULL;
	return closed == SQLITE_OK ? rc : closed;
}

static int log_lock(sqlite3_file *f, int level)
{
	return below(f)->pMethods->xLock(below(f), level);
}

static int log_unlock(sqlite3_file *f, int level)
{
	return below(f)->pMethods->xUnlock(below(f), level);
}

static int log_reserved(sqlite3_file *f, int *ret)
{
	return below(f)->pMethods->xCheckReservedLock(below(f), ret);
}

static int log_control(sqlite3_file *f, int op, void *arg)
{
	return below(f)->pMethods->xFileControl(below(f), op, arg);
}

static int log_sector(sqlite3_file *f)
{
	return below(f)->pMethods->xSectorSize(below(f));
}

static int log_traits(sqlite3_file *f)
{
	return below(f)->pMethods->xDeviceCharacteristics(below(f));
}

/* Version 1: shared memory and mapping are of the database's file, which is the system's own. */
static const sqlite3_io_methods log_methods = {
	.iVersion = 1,
	.xClose = log_close,
	.xRead = log_read,
	.xWrite = log_write,
	.xTruncate = log_truncate,
	.xSync = log_sync,
	.xFileSize = log_size,
	.xLock = log_lock,
	.xUnlock = log_unlock,
	.xCheckReservedLock = log_reserved,
	.xFileControl = log_control,
	.xSectorSize = log_sector,
	.xDeviceCharacteristics = log_traits,
};

static int log_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	struct log_file *l = (struct log_file *)f;
	int rc;

	(void)vfs;
	if (!(flags & SQLITE_OPEN_WAL))
		return system_vfs->xOpen(system_vfs, name, f, flags, ret_flags);
	memset(l, 0, sizeof(*l));
	below(f)->pMethods = NULL;
	rc = system_vfs->xOpen(system_vfs, name, below(f), flags, ret_flags);
	if (below(f)->pMethods) /* also of one that failed: SQLite closes it then */
		l->base.pMethods = &log_methods;
	return rc;
}

static void vfs_register(void)
{
	system_vfs = sqlite3_vfs_find(NULL);
	if (!system_vfs)
		return;
	log_vfs = *system_vfs;
	log_vfs.pNext = NULL;
	log_vfs.zName = "gatehouse";
	log_vfs.szOsFile = (int)sizeof(struct log_file) + system_vfs->szOsFile;
	log_vfs.xOpen = log_open;
	if (sqlite3_vfs_register(&log_vfs, 0) != SQLITE_OK)
		system_vfs = NULL;
}

const char *sq_log_vfs(void)
{
	pthread_once(&log_vfs_once, vfs_register);
	return system_vfs ? log_vfs.zName : NULL;
}
