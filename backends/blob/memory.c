/* Blobs in memory, gone with the process: for tests, and the model of how small a backend can be. Called through
 * core/blob.h; any thread.
 *
 * State: a table of blobs by (tenant, id) under one lock. A blob is counted: the table holds one reference, every
 * reader one; its bytes never change once it is in the table. At most MEMORY_MAX bytes, then GH_NOSPACE.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/blob.h"

enum { BUCKETS = 4096, PUT_MAX = 128 * 1024, MSG_BYTES = 256 };
#define MEMORY_MAX (1ull << 30)

struct blob {
	struct blob *next;
	uint64_t tenant, id, serial;
	size_t size, cap;
	uint8_t *data;
	uint32_t crc;
	int64_t made_us;
	unsigned refs;
};

struct blob_backend {
	pthread_mutex_t lock;
	struct blob *bucket[BUCKETS];
	uint64_t bytes, serial;
	bool read_only;
};

struct blob_stage {
	struct blob_backend *be;
	struct blob *blob;
};

struct blob_reader {
	struct blob_backend *be;
	struct blob *blob;
};

static enum gh_status memory_open(const struct blob_config *cfg, struct blob_backend **ret_be, char *err)
{
	struct blob_backend *be = calloc(1, sizeof(*be));

	err[0] = '\0';
	if (!be) {
		snprintf(err, MSG_BYTES, "out of memory");
		return GH_NOMEM;
	}
	pthread_mutex_init(&be->lock, NULL);
	be->read_only = cfg->read_only;
	*ret_be = be;
	return GH_OK;
}

static void blob_free(struct blob *b)
{
	free(b->data);
	free(b);
}

static void memory_close(struct blob_backend **bep)
{
	struct blob_backend *be = *bep;
	struct blob *next;

	*bep = NULL;
	if (!be)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct blob *b = be->bucket[i]; b; b = next) {
			next = b->next;
			blob_free(b);
		}
	}
	pthread_mutex_destroy(&be->lock);
	free(be);
}

/* Under the lock: where the blob hangs, or would. */
static struct blob **find(struct blob_backend *be, uint64_t tenant, uint64_t id)
{
	struct blob **at = &be->bucket[(id * 0x9e3779b97f4a7c15ull ^ tenant) % BUCKETS];

	while (*at && ((*at)->tenant != tenant || (*at)->id != id))
		at = &(*at)->next;
	return at;
}

/* Under the lock. */
static void unref(struct blob_backend *be, struct blob *b)
{
	if (--b->refs)
		return;
	be->bytes -= b->size;
	blob_free(b);
}

static void locate(const struct blob *b, struct blob_loc *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->len = sizeof(b->serial);
	memcpy(ret->bytes, &b->serial, sizeof(b->serial));
}

static bool located(const struct blob *b, const struct blob_loc *loc)
{
	return loc->len == sizeof(b->serial) && memcmp(loc->bytes, &b->serial, sizeof(b->serial)) == 0;
}

static enum gh_status grow(struct blob *b, const void *data, size_t len)
{
	if (len > b->cap - b->size) {
		size_t cap = b->cap ? b->cap : 4096;
		uint8_t *more;

		while (cap < b->size + len)
			cap *= 2;
		if (b->size + len > MEMORY_MAX)
			return GH_NOSPACE;
		more = realloc(b->data, cap);
		if (!more)
			return GH_NOMEM;
		b->data = more;
		b->cap = cap;
	}
	if (len)
		memcpy(b->data + b->size, data, len);
	b->size += len;
	return GH_OK;
}

/* Takes the blob in every case. */
static enum gh_status insert(struct blob_backend *be, struct blob *b, struct blob_loc *ret_loc)
{
	enum gh_status st = GH_OK;
	struct blob **at;

	b->crc = gh_crc32c(0, b->data, b->size);
	b->made_us = gh_real_us();
	b->refs = 1;
	pthread_mutex_lock(&be->lock);
	at = find(be, b->tenant, b->id);
	if (*at)
		st = GH_IO; /* ids are never used twice */
	else if (b->size > MEMORY_MAX - be->bytes)
		st = GH_NOSPACE;
	if (st == GH_OK) {
		be->bytes += b->size;
		b->serial = ++be->serial;
		*at = b;
		locate(b, ret_loc);
	}
	pthread_mutex_unlock(&be->lock);
	if (st != GH_OK)
		blob_free(b);
	return st;
}

static enum gh_status memory_put(struct blob_backend *be, uint64_t tenant, uint64_t id, const void *data, size_t len,
				 struct blob_loc *ret_loc)
{
	struct blob *b;
	enum gh_status st;

	if (be->read_only)
		return GH_READONLY;
	if (len > PUT_MAX)
		return GH_TOOLARGE;
	b = calloc(1, sizeof(*b));
	if (!b)
		return GH_NOMEM;
	b->tenant = tenant;
	b->id = id;
	st = grow(b, data, len);
	if (st != GH_OK) {
		blob_free(b);
		return st;
	}
	return insert(be, b, ret_loc);
}

static size_t memory_put_max(struct blob_backend *be)
{
	(void)be;
	return PUT_MAX;
}

static enum gh_status memory_stage_begin(struct blob_backend *be, uint64_t tenant, uint64_t id, uint64_t expect_bytes,
					 struct blob_stage **ret_stage)
{
	struct blob_stage *st;

	if (be->read_only)
		return GH_READONLY;
	if (expect_bytes > MEMORY_MAX)
		return GH_NOSPACE;
	st = calloc(1, sizeof(*st));
	if (st)
		st->blob = calloc(1, sizeof(*st->blob));
	if (!st || !st->blob) {
		free(st);
		return GH_NOMEM;
	}
	st->be = be;
	st->blob->tenant = tenant;
	st->blob->id = id;
	*ret_stage = st;
	return GH_OK;
}

static enum gh_status memory_stage_write(struct blob_stage *st, const void *data, size_t len)
{
	return grow(st->blob, data, len);
}

static enum gh_status memory_stage_flush(struct blob_stage *st)
{
	(void)st;
	return GH_OK;
}

static enum gh_status memory_stage_commit(struct blob_stage **stp, struct blob_loc *ret_loc, uint32_t *ret_crc)
{
	struct blob_stage *st = *stp;
	const uint32_t crc = gh_crc32c(0, st->blob->data, st->blob->size);
	enum gh_status status = insert(st->be, st->blob, ret_loc);

	*stp = NULL;
	free(st);
	if (status == GH_OK)
		*ret_crc = crc;
	return status;
}

static void memory_stage_abort(struct blob_stage **stp)
{
	struct blob_stage *st = *stp;

	*stp = NULL;
	if (!st)
		return;
	blob_free(st->blob);
	free(st);
}

static enum gh_status memory_reader_open(struct blob_backend *be, uint64_t tenant, uint64_t id,
					 const struct blob_loc *loc, uint64_t size, bool may_block,
					 struct blob_reader **ret_reader)
{
	struct blob_reader *r = calloc(1, sizeof(*r));
	enum gh_status st = GH_OK;
	struct blob *b;

	(void)may_block;
	if (!r)
		return GH_NOMEM;
	pthread_mutex_lock(&be->lock);
	b = *find(be, tenant, id);
	if (!b || !located(b, loc))
		st = GH_NOTFOUND;
	else if (b->size != size)
		st = GH_DAMAGED;
	else
		b->refs++;
	pthread_mutex_unlock(&be->lock);
	if (st != GH_OK) {
		free(r);
		return st;
	}
	r->be = be;
	r->blob = b;
	*ret_reader = r;
	return GH_OK;
}

static enum gh_status memory_reader_read(struct blob_reader *r, uint64_t offset, void *buf, size_t len, bool may_block,
					 size_t *ret_n)
{
	(void)may_block;
	if (offset >= r->blob->size)
		len = 0;
	else if (len > r->blob->size - offset)
		len = r->blob->size - (size_t)offset;
	if (len)
		memcpy(buf, r->blob->data + offset, len);
	*ret_n = len;
	return GH_OK;
}

static enum gh_status memory_reader_fd(struct blob_reader *r, int *ret_fd, off_t *ret_base)
{
	(void)r;
	(void)ret_fd;
	(void)ret_base;
	return GH_UNSUPPORTED;
}

static void memory_reader_close(struct blob_reader **rp)
{
	struct blob_reader *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	pthread_mutex_lock(&r->be->lock);
	unref(r->be, r->blob);
	pthread_mutex_unlock(&r->be->lock);
	free(r);
}

static enum gh_status memory_remove(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
				    uint64_t size)
{
	struct blob **at, *b;

	(void)size;
	if (be->read_only)
		return GH_READONLY;
	pthread_mutex_lock(&be->lock);
	at = find(be, tenant, id);
	b = *at;
	if (b && located(b, loc)) {
		*at = b->next;
		unref(be, b);
	}
	pthread_mutex_unlock(&be->lock);
	return GH_OK;
}

/* Goes by a copy, so that fn may call back in here. */
static enum gh_status memory_iterate(struct blob_backend *be, blob_object_fn *fn, void *arg)
{
	struct blob_object *all = NULL;
	size_t count = 0, cap = 0;
	enum gh_status st = GH_OK;

	pthread_mutex_lock(&be->lock);
	for (size_t i = 0; i < BUCKETS && st == GH_OK; i++) {
		for (struct blob *b = be->bucket[i]; b && st == GH_OK; b = b->next) {
			if (count == cap) {
				struct blob_object *more = realloc(all, (cap = cap ? 2 * cap : 64) * sizeof(*all));

				if (!more) {
					st = GH_NOMEM;
					break;
				}
				all = more;
			}
			all[count] = (struct blob_object){ b->tenant, b->id, b->size, .made_us = b->made_us };
			locate(b, &all[count++].loc);
		}
	}
	pthread_mutex_unlock(&be->lock);
	for (size_t i = 0; i < count && st == GH_OK; i++) {
		if (!fn(arg, &all[i]))
			break;
	}
	free(all);
	return st;
}

static enum gh_status memory_verify(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
				    uint64_t size, char *msg)
{
	struct blob_reader *r;
	enum gh_status st = memory_reader_open(be, tenant, id, loc, size, true, &r);

	if (st != GH_OK) {
		snprintf(msg, MSG_BYTES, "memory: %s", gh_status_text(st));
		return st;
	}
	if (gh_crc32c(0, r->blob->data, r->blob->size) != r->blob->crc) {
		snprintf(msg, MSG_BYTES, "memory: wrong checksum");
		st = GH_DAMAGED;
	}
	memory_reader_close(&r);
	return st;
}

static enum gh_status memory_space(struct blob_backend *be, struct blob_space *ret)
{
	pthread_mutex_lock(&be->lock);
	*ret = (struct blob_space){ MEMORY_MAX, MEMORY_MAX - be->bytes };
	pthread_mutex_unlock(&be->lock);
	return GH_OK;
}

extern const struct blob_ops blob_ops_memory;
const struct blob_ops blob_ops_memory = {
	.abi = BLOB_ABI,
	.size = sizeof(struct blob_ops),
	.name = "memory",
	.caps = BLOB_CAP_ITERATE | BLOB_CAP_VERIFY,
	.open = memory_open,
	.close = memory_close,
	.put = memory_put,
	.put_max = memory_put_max,
	.stage_begin = memory_stage_begin,
	.stage_write = memory_stage_write,
	.stage_flush = memory_stage_flush,
	.stage_commit = memory_stage_commit,
	.stage_abort = memory_stage_abort,
	.reader_open = memory_reader_open,
	.reader_read = memory_reader_read,
	.reader_fd = memory_reader_fd,
	.reader_close = memory_reader_close,
	.remove = memory_remove,
	.iterate = memory_iterate,
	.verify = memory_verify,
	.space = memory_space,
};
