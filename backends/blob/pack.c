/* Writing packs: many threads append records, one sync serves all whose bytes are written. Called by put, remove, open
 * and close of the local backend; any thread.
 *
 * A pack: made (named .open, flocked, preallocated, its folder entry synced) -> records are appended -> retired (full,
 * failed, or shutting down: no new records) -> sealed (tail cut off, renamed to .pack) by the last who uses it.
 *
 * Under writer.lock:
 *   open        the pack that takes records; holds one reference
 *   tail        next free offset; a record's place is reserved by moving it
 *   written     how many records have all their bytes in the page cache. A thread that has just written takes its
 *               number from it: its ticket
 *   synced      tickets up to this one are durable
 *   syncing     one thread, the leader, is in fdatasync outside the lock. It notes `written` before; when it is
 *               through, all tickets up to that are durable. Who finishes writing meanwhile forms the next group, and
 *               whichever of them wakes first leads it.
 *   zeroed      up to here every block has been written, with records or with zeros ahead of them: a sync then changes
 *               bytes alone, not the file's map, which costs about half. The leader writes zeros ahead when few are left
 *   zeroing     it does so now, from `zeroed` on: no record's place reaches past that until it is done
 *   failed      a sync or a write failed: the kernel may have dropped pages and forgotten it, so nothing that was not
 *               durable before can become so; every waiter gets this, the pack is retired, and never synced again.
 * Invariants: synced <= written; at most one leader; a retired pack never becomes `open` again; zeros are written where no
 * place was given out, and no place is given out where zeros are being written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/blob/beneath.h"
#include "backends/blob/local.h"
#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/metrics.h"

struct pack {
	struct pack_fd *file;
	uint64_t number, tail, cap;
	unsigned refs; /* writer.open, and every thread inside pack_put */
	uint64_t written, synced, zeroed;
	bool syncing, zeroing;
	enum gh_status failed; /* GH_OK: healthy */
	pthread_cond_t moved;  /* synced, syncing, zeroing or failed changed */
};

/* Zeros are written so many at a time, when fewer than half of that are left. */
enum { ZEROS = 1 << 20 };

void pack_writer_init(struct pack_writer *w)
{
	memset(w, 0, sizeof(*w));
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->made, NULL);
}

/* ---- sealing ---- */

/* No sync: nothing here needs to be durable; after a crash the pack is found .open and sealed again. */
static void seal_name(struct blob_backend *be, int fd, uint64_t number, bool empty)
{
	char from[LOCAL_NAME_MAX], to[LOCAL_NAME_MAX];

	pack_name(from, number, false);
	pack_name(to, number, true);
	if (empty ? unlinkat(be->packs, from, 0) : renameat(be->packs, from, be->packs, to))
		gh_log(GH_LOG_WARN, "pack-seal", "pack=%s error=\"%s\"", from, strerror(errno));
	flock(fd, LOCK_UN);
}

static void pack_seal(struct blob_backend *be, struct pack *p)
{
	const bool empty = p->tail == PACK_START;

	if (!empty && ftruncate(p->file->fd, (off_t)p->tail) < 0)
		gh_log(GH_LOG_WARN, "pack-seal", "pack=%llx error=\"%s\"", (unsigned long long)p->number,
		       strerror(errno));
	seal_name(be, p->file->fd, p->number, empty);
	atomic_store(&p->file->sealed, true);
	if (empty)
		pack_fds_forget(&be->fds, p->number);
	pack_fds_unref(&be->fds, &p->file);
	pthread_cond_destroy(&p->moved);
	free(p);
}

/* Under writer.lock. Returns the pack when this was the last reference: to be sealed outside the lock. */
GH_MUST_CHECK static struct pack *pack_drop(struct pack *p)
{
	return --p->refs == 0 ? p : NULL;
}

/* Under writer.lock: takes p out of service. The caller holds a reference of its own. */
static void pack_retire(struct pack_writer *w, struct pack *p)
{
	if (w->open != p)
		return;
	w->open = NULL;
	p->refs--;
	GH_ASSERT(p->refs > 0);
}

void pack_writer_fini(struct blob_backend *be)
{
	struct pack_writer *w = &be->writer;

	if (w->open) {
		GH_ASSERT(w->open->refs == 1);
		pack_seal(be, w->open);
	}
	pthread_cond_destroy(&w->made);
	pthread_mutex_destroy(&w->lock);
}

/* ---- making ---- */

static enum gh_status failed_with(const char *step, int err)
{
	gh_log(GH_LOG_ERROR, "pack-make", "step=%s error=\"%s\"", step, strerror(err));
	return gh_status_of_errno(err);
}

/* A new .open file of a number that nobody used, locked. Numbers are times in microseconds, so that those of several
 * gateways and of many years do not meet; the exclusive creation decides where they do. */
static int create_numbered(struct blob_backend *be, uint64_t *number)
{
	char name[LOCAL_NAME_MAX];
	struct stat sb;
	int fd;

	for (int attempt = 0; attempt < 100; attempt++, ++*number) {
		pack_name(name, *number, true);
		if (faccessat(be->packs, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		pack_name(name, *number, false);
		fd = beneath_open(be->packs, name, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return -1;
		/* Another gateway that starts now may have taken it for a dead one's. */
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &sb) == 0 && sb.st_nlink == 1 &&
		    faccessat(be->packs, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return fd;
		close(fd);
	}
	errno = EEXIST;
	return -1;
}

static enum gh_status fill_new(struct blob_backend *be, int fd, uint64_t number)
{
	uint8_t start[PACK_START];
	struct iovec iov = { start, sizeof(start) };
	enum gh_status st;

	if (fallocate(fd, 0, 0, (off_t)be->pack_size) < 0 &&
	    (errno != EOPNOTSUPP || ftruncate(fd, (off_t)be->pack_size) < 0))
		return failed_with("preallocate", errno);
	pack_start_encode(start, number);
	st = write_whole(fd, &iov, 1, 0);
	if (st != GH_OK)
		return st;
	/* The data syncs of its records make the file durable; its name has to be before the first of them. */
	return be->sync_folder(be->packs) < 0 ? failed_with("sync", errno) : GH_OK;
}

/* Only one thread at a time (writer.making). */
static enum gh_status pack_make(struct blob_backend *be, struct pack **ret)
{
	struct pack *p = calloc(1, sizeof(*p));
	char name[LOCAL_NAME_MAX];
	enum gh_status st;
	int fd;

	if (!p)
		return GH_NOMEM;
	p->number = (uint64_t)gh_real_us();
	if (p->number <= be->writer.last)
		p->number = be->writer.last + 1;
	fd = create_numbered(be, &p->number);
	if (fd < 0) {
		st = failed_with("create", errno);
		free(p);
		return st;
	}
	be->writer.last = p->number;
	st = fill_new(be, fd, p->number);
	if (st != GH_OK)
		close(fd);
	else
		st = pack_fds_add(&be->fds, p->number, fd, false, &p->file);
	if (st != GH_OK) {
		pack_name(name, p->number, false);
		unlinkat(be->packs, name, 0);
		free(p);
		return st;
	}
	pthread_cond_init(&p->moved, NULL);
	p->tail = p->zeroed = PACK_START;
	p->cap = be->pack_size;
	p->refs = 1;
	*ret = p;
	return GH_OK;
}

/* Under writer.lock, given up and taken back where the disk is touched: an open pack with room, and a reference. */
static enum gh_status pack_acquire(struct blob_backend *be, uint64_t span, struct pack **ret)
{
	struct pack_writer *w = &be->writer;
	struct pack *p, *full, *last;
	enum gh_status st;

	for (;;) {
		p = w->open;
		if (p && p->zeroing && p->tail + span > p->zeroed) {
			p->refs++;
			pthread_cond_wait(&p->moved, &w->lock);
			last = pack_drop(p);
			if (!last)
				continue;
			pthread_mutex_unlock(&w->lock);
			pack_seal(be, last);
			pthread_mutex_lock(&w->lock);
			continue;
		}
		if (p && p->tail + span <= p->cap) {
			p->refs++;
			*ret = p;
			return GH_OK;
		}
		if (w->making) {
			pthread_cond_wait(&w->made, &w->lock);
			continue;
		}
		w->making = true;
		w->open = NULL;
		full = p ? pack_drop(p) : NULL;
		p = NULL;
		pthread_mutex_unlock(&w->lock);
		if (full)
			pack_seal(be, full);
		st = pack_make(be, &p);
		pthread_mutex_lock(&w->lock);
		w->making = false;
		w->open = p;
		pthread_cond_broadcast(&w->made);
		if (st != GH_OK)
			return st;
	}
}

/* ---- appending ---- */

/* Under writer.lock: is it time for zeros ahead, and where? */
static bool zeros_begin(struct pack *p, uint64_t *ret_from, uint64_t *ret_to)
{
	if (p->zeroed < p->tail)
		p->zeroed = p->tail;
	if (p->zeroed - p->tail >= ZEROS / 2 || p->zeroed >= p->cap)
		return false;
	*ret_from = p->zeroed;
	*ret_to = p->cap - p->zeroed > ZEROS ? p->zeroed + ZEROS : p->cap;
	p->zeroing = true;
	return true;
}

/* Under writer.lock, given up meanwhile. Not durable until the sync that follows, and no harm where it fails: then syncs
 * cost what they cost. */
static void zeros_write(struct pack_writer *w, struct pack *p, uint64_t from, uint64_t to)
{
	static uint8_t zeros[ZEROS / 16];
	enum gh_status st = GH_OK;

	pthread_mutex_unlock(&w->lock);
	for (uint64_t at = from; at < to && st == GH_OK; at += sizeof(zeros)) {
		struct iovec iov = { zeros, to - at < sizeof(zeros) ? to - at : sizeof(zeros) };

		st = write_whole(p->file->fd, &iov, 1, (off_t)at);
	}
	if (st != GH_OK)
		gh_log(GH_LOG_WARN, "pack-zeros", "pack=%llx", (unsigned long long)p->number);
	pthread_mutex_lock(&w->lock);
	p->zeroing = false;
	p->zeroed = to;
	pthread_cond_broadcast(&p->moved);
}

/* Under writer.lock. Returns once records up to that ticket (already written) are durable, or never will be. */
static enum gh_status pack_sync(struct blob_backend *be, struct pack *p, uint64_t ticket)
{
	struct pack_writer *w = &be->writer;
	uint64_t upto, from, to;
	int err;

	while (p->synced < ticket && p->failed == GH_OK) {
		if (p->syncing) {
			pthread_cond_wait(&p->moved, &w->lock);
			continue;
		}
		p->syncing = true;
		if (w->open == p && zeros_begin(p, &from, &to))
			zeros_write(w, p, from, to);
		upto = p->written;
		pthread_mutex_unlock(&w->lock);
		err = be->sync_data(p->file->fd) < 0 ? errno : 0;
		gh_crash_point("blob.pack_synced");
		gh_metric_add(GH_M_PACK_SYNCS, 0, 1);
		if (err)
			gh_log(GH_LOG_ERROR, "pack-sync", "pack=%llx records=%llu error=\"%s\"",
			       (unsigned long long)p->number, (unsigned long long)(upto - p->synced), strerror(err));
		pthread_mutex_lock(&w->lock);
		p->syncing = false;
		if (!err) {
			p->synced = upto;
		} else if (p->failed == GH_OK) {
			p->failed = gh_status_of_errno(err);
			pack_retire(w, p);
		}
		pthread_cond_broadcast(&p->moved);
	}
	return p->synced >= ticket ? GH_OK : p->failed;
}

static enum gh_status append(struct pack *p, uint64_t offset, struct record *r, const void *data)
{
	uint8_t head[RECORD_HEAD_MAX];
	struct iovec iov[2] = { { head, record_head_bytes(r->len) }, { (void *)(uintptr_t)data, r->len } };
	enum gh_status st;

	record_encode(r, p->number, offset, head);
	st = write_whole(p->file->fd, iov, 2, (off_t)offset);
	gh_crash_point("blob.pack_written");
	return st;
}

enum gh_status pack_put(struct blob_backend *be, uint64_t tenant, uint64_t id, const void *data, size_t len,
			struct blob_loc *ret_loc, struct blob_ticket *ticket)
{
	struct pack_writer *w = &be->writer;
	struct record r = { .tenant = tenant, .id = id, .made_us = gh_real_us(), .len = (uint32_t)len };
	struct place at = { .kind = PLACE_PACK, .size = len };
	struct pack *p = NULL, *last;
	enum gh_status st;

	for (size_t i = 0; i * BLOB_BLOCK < len; i++)
		r.crc[i] = gh_crc32c(0, (const uint8_t *)data + i * BLOB_BLOCK,
				     len - i * BLOB_BLOCK < BLOB_BLOCK ? len - i * BLOB_BLOCK : BLOB_BLOCK);
	pthread_mutex_lock(&w->lock);
	st = pack_acquire(be, record_span(r.len), &p);
	if (st != GH_OK) {
		pthread_mutex_unlock(&w->lock);
		return st;
	}
	at.pack = p->number;
	at.offset = p->tail;
	p->tail += record_span(r.len);
	pthread_mutex_unlock(&w->lock);

	st = append(p, at.offset, &r, data);

	pthread_mutex_lock(&w->lock);
	if (st == GH_OK && ticket) {
		*ticket = (struct blob_ticket){ .at = p, .number = ++p->written };
		p->refs++; /* the ticket's */
	} else if (st == GH_OK) {
		st = pack_sync(be, p, ++p->written);
	} else {
		gh_log(GH_LOG_ERROR, "pack-write", "pack=%llx status=%s", (unsigned long long)p->number,
		       gh_status_name(st));
		pack_retire(w, p); /* what others wrote is untouched and may still be synced */
	}
	last = pack_drop(p);
	pthread_mutex_unlock(&w->lock);
	if (last)
		pack_seal(be, last);
	if (st != GH_OK)
		return st;
	at.head_crc = r.head_crc;
	place_encode(&at, ret_loc);
	return GH_OK;
}

enum gh_status pack_settle(struct blob_backend *be, struct blob_ticket *ticket)
{
	struct pack_writer *w = &be->writer;
	struct pack *p = ticket->at, *last;

	if (!p)
		return ticket->failed;
	pthread_mutex_lock(&w->lock);
	ticket->failed = pack_sync(be, p, ticket->number);
	ticket->at = NULL;
	last = pack_drop(p);
	pthread_mutex_unlock(&w->lock);
	if (last)
		pack_seal(be, last);
	return ticket->failed;
}

/* ---- taking out ---- */

static bool zeros_at(int fd, uint64_t from, uint64_t to)
{
	uint8_t bytes[BLOCK_BYTES];
	ssize_t n = to > from ? pread(fd, bytes, to - from, (off_t)from) : 0;

	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i])
			return false;
	}
	return n >= 0;
}

/* A hole frees only the blocks that one punch covers in whole, and most records are no longer than a block. So, where
 * the rest of the first or last block is zeros too (its neighbours are gone), that block goes with it. Not in a pack
 * that takes records: zeros there may be about to become one. Two neighbours removed at once may both miss their common
 * block; iterate gives it back later. */
static enum gh_status punch(struct pack_fd *file, uint64_t offset, const struct record *r)
{
	static const uint8_t zeros[RECORD_HEAD_MAX];
	struct iovec iov = { (void *)(uintptr_t)zeros, record_head_bytes(r->len) };
	uint64_t from = offset, to = offset + record_span(r->len);

	if (atomic_load(&file->sealed)) {
		const uint64_t first = from / BLOCK_BYTES * BLOCK_BYTES;
		const uint64_t end = (to + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;

		if (zeros_at(file->fd, first, from))
			from = first;
		if (zeros_at(file->fd, to, end))
			to = end;
	}
	if (fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) == 0)
		return GH_OK;
	if (errno == EOPNOTSUPP) /* the space stays, but the blob is gone */
		return write_whole(file->fd, &iov, 1, (off_t)offset);
	return gh_status_of_errno(errno);
}

enum gh_status pack_remove(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct place *at)
{
	uint8_t head[RECORD_HEAD_MAX];
	struct iovec iov = { head, record_head_bytes((uint32_t)at->size) };
	struct pack_fd *file;
	struct record r;
	enum gh_status st = pack_fds_get(be, at->pack, true, &file);

	if (st == GH_NOTFOUND)
		return GH_OK;
	if (st != GH_OK)
		return st;
	st = read_whole(file->fd, &iov, 1, (off_t)at->offset, true);
	/* Only bytes that prove to be this very blob are taken out. Zeros: gone already. Anything else is damage, or
	 * another's: it stays for whoever looks into it, and this blob is as gone as it can be. */
	if (st == GH_OK && record_decode(head, record_head_bytes((uint32_t)at->size), at->pack, at->offset, &r) &&
	    r.tenant == tenant && r.id == id && r.head_crc == at->head_crc) {
		st = punch(file, at->offset, &r);
	} else if (st == GH_DAMAGED) {
		st = GH_OK; /* the pack ends before */
	}
	pack_fds_unref(&be->fds, &file);
	return st;
}

/* ---- packs of dead runs ---- */

/* Cuts off what was preallocated and never written; touches no byte of data. False: nothing was ever written. */
static void trim(int fd)
{
	off_t end = 0, data;

	while ((data = lseek(fd, end, SEEK_DATA)) >= 0) {
		const off_t hole = lseek(fd, data, SEEK_HOLE);

		if (hole <= data)
			return;
		end = hole;
	}
	if (errno == ENXIO && ftruncate(fd, end) < 0)
		gh_log(GH_LOG_WARN, "pack-trim", "error=\"%s\"", strerror(errno));
}

enum gh_status packs_seal_stale(struct blob_backend *be)
{
	DIR *d = beneath_list(be->packs);
	struct dirent *e;
	uint64_t number;
	bool sealed;
	int fd;

	if (!d)
		return gh_status_of_errno(errno);
	while ((e = readdir(d))) {
		if (!pack_name_parse(e->d_name, &number, &sealed) || sealed)
			continue;
		fd = beneath_open(be->packs, e->d_name, O_RDWR | O_NONBLOCK, 0);
		if (fd < 0)
			continue; /* a link or other foreign thing */
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			trim(fd);
			seal_name(be, fd, number, false);
			gh_log(GH_LOG_INFO, "pack-sealed", "pack=%s reason=\"left open by an earlier run\"", e->d_name);
		}
		close(fd);
	}
	closedir(d);
	return GH_OK;
}
