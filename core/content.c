/* See content.h and vfs.h. One reader is open at a time, that of the part being read. A worker that fetches a window
 * writes into the content's own buffer, never into the door's; the loop copies when it is told. Two references: the
 * door's and the fetch's, so that a door may leave in the middle. */
#include "core/content.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/metrics.h"

#define FETCH_BYTES (256u * 1024)
#define SENDFILE_MIN_BYTES (64u * 1024)

struct vfs_content {
	struct gh_core *core;
	struct gh_loop *loop;
	uint64_t tenant, version, size;
	unsigned count;
	struct meta_part *parts;
	uint64_t *starts; /* offset of each part in the content */
	struct blob_reader *reader;
	unsigned reader_part;
	unsigned refs; /* loop thread */
	bool pull_only;
	/* the fetch in flight or done */
	bool fetching;
	struct gh_job job;
	struct gh_task task;
	uint8_t *window;
	uint64_t window_at;
	size_t window_len;
	enum gh_status fetch_status;
	uint64_t fetch_at;
	void (*ready)(void *arg);
	void *ready_arg;
};

struct vfs_content *content_new(struct gh_core *core, struct gh_loop *l, uint64_t tenant, uint64_t version,
				uint64_t size, const struct meta_part *parts, unsigned count)
{
	struct vfs_content *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->core = core;
	c->loop = l;
	c->tenant = tenant;
	c->version = version;
	c->size = size;
	c->count = count;
	c->refs = 1;
	c->parts = calloc(count + 1, sizeof(*c->parts));
	c->starts = calloc(count + 1, sizeof(*c->starts));
	if (!c->parts || !c->starts) {
		vfs_content_free(&c);
		return NULL;
	}
	uint64_t at = 0;
	for (unsigned i = 0; i < count; i++) {
		c->parts[i] = parts[i];
		c->starts[i] = at;
		at += parts[i].len;
	}
	return c;
}

void content_pull_only(struct vfs_content *c)
{
	c->pull_only = true;
}

static void content_unref(struct vfs_content *c)
{
	if (--c->refs)
		return;
	if (c->reader)
		c->core->blob_ops->reader_close(&c->reader);
	free(c->window);
	free(c->parts);
	free(c->starts);
	free(c);
}

void vfs_content_free(struct vfs_content **cp)
{
	struct vfs_content *c = *cp;
	*cp = NULL;
	if (!c)
		return;
	c->ready = NULL;
	content_unref(c);
}

uint64_t vfs_content_size(const struct vfs_content *c)
{
	return c->size;
}

uint64_t vfs_content_version(const struct vfs_content *c)
{
	return c->version;
}

void vfs_content_take(struct vfs_req *r, struct vfs_content **ret)
{
	*ret = r->content;
	r->content = NULL;
}

static unsigned part_at(const struct vfs_content *c, uint64_t offset)
{
	unsigned lo = 0, hi = c->count;
	while (hi - lo > 1) {
		const unsigned mid = lo + (hi - lo) / 2;
		if (c->starts[mid] <= offset)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static enum gh_status use_part(struct vfs_content *c, unsigned i, bool may_block)
{
	const struct blob_ops *ops = c->core->blob_ops;
	if (c->reader && c->reader_part == i)
		return GH_OK;
	if (c->reader)
		ops->reader_close(&c->reader);
	c->reader_part = i;
	const struct meta_part *p = &c->parts[i];
	return ops->reader_open(c->core->blobs, c->tenant, p->blob, &p->loc, p->blob_size, may_block, &c->reader);
}

/* A blob that its row promises and the store does not have is damage, not "no such file". */
static enum gh_status as_damage(const struct vfs_content *c, unsigned part, enum gh_status st)
{
	if (st == GH_NOTFOUND)
		st = GH_DAMAGED;
	if (st == GH_DAMAGED) {
		gh_metric_add(GH_M_DAMAGED, 0, 1);
		gh_log(GH_LOG_ERROR, "damaged-blob", "tenant=%llu blob=%llu version=%llu hint=\"run gatehouse fsck\"",
		       (unsigned long long)c->tenant, (unsigned long long)c->parts[part].blob,
		       (unsigned long long)c->version);
	}
	return st;
}

enum gh_status content_read(struct vfs_content *c, uint64_t offset, void *buf, size_t len, bool may_block, size_t *ret_n)
{
	if (offset >= c->size || c->count == 0)
		return GH_END;
	const unsigned i = part_at(c, offset);
	const struct meta_part *p = &c->parts[i];
	const uint64_t in_part = offset - c->starts[i];
	if (in_part >= p->len)
		return as_damage(c, i, GH_DAMAGED);
	if (len > p->len - in_part)
		len = p->len - in_part;
	enum gh_status st = use_part(c, i, may_block);
	if (st == GH_OK)
		st = c->core->blob_ops->reader_read(c->reader, p->offset + in_part, buf, len, may_block, ret_n);
	if (st == GH_OK && *ret_n == 0)
		st = GH_DAMAGED; /* shorter than its row says */
	return as_damage(c, i, st);
}

bool vfs_content_fd(struct vfs_content *c, uint64_t offset, uint64_t length, int *ret_fd, uint64_t *ret_offset)
{
	const struct blob_ops *ops = c->core->blob_ops;
	if (!(ops->caps & BLOB_CAP_FD) || length < SENDFILE_MIN_BYTES || c->count != 1 || c->fetching ||
	    c->pull_only)
		return false;
	int fd;
	off_t base;
	if (use_part(c, 0, false) != GH_OK || ops->reader_fd(c->reader, &fd, &base) != GH_OK)
		return false;
	*ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	*ret_offset = (uint64_t)base + c->parts[0].offset + offset;
	return *ret_fd >= 0;
}

static void fetched(struct gh_task *task)
{
	struct vfs_content *c = (struct vfs_content *)((char *)task - offsetof(struct vfs_content, task));
	void (*ready)(void *) = c->ready;
	void *arg = c->ready_arg;
	c->fetching = false;
	c->ready = NULL;
	atomic_fetch_sub(&c->core->pending, 1);
	content_unref(c);
	if (ready)
		ready(arg);
}

static void fetch(struct gh_job *job)
{
	struct vfs_content *c = (struct vfs_content *)((char *)job - offsetof(struct vfs_content, job));
	c->window_at = c->fetch_at;
	c->window_len = 0;
	c->fetch_status = content_read(c, c->fetch_at, c->window, FETCH_BYTES, true, &c->window_len);
	c->task.fn = fetched;
	gh_loop_post(c->loop, &c->task);
}

static enum gh_status start_fetch(struct vfs_content *c, uint64_t offset, void (*ready)(void *), void *arg)
{
	if (!c->window && !(c->window = malloc(FETCH_BYTES)))
		return GH_NOMEM;
	c->fetch_at = offset;
	c->job.run = fetch;
	c->ready = ready;
	c->ready_arg = arg;
	c->fetching = true;
	c->refs++;
	atomic_fetch_add(&c->core->pending, 1);
	const enum gh_status st = gh_pool_submit(c->core->wait_pool, &c->job);
	if (st == GH_OK)
		return GH_WAIT;
	c->fetching = false;
	c->refs--;
	atomic_fetch_sub(&c->core->pending, 1);
	return st;
}

static bool in_window(const struct vfs_content *c, uint64_t offset)
{
	return c->window_len && offset >= c->window_at && offset < c->window_at + c->window_len;
}

enum gh_status vfs_content_pull(struct vfs_content *c, uint64_t offset, void *buf, size_t cap, size_t *ret_n,
				void (*ready)(void *arg), void *arg)
{
	GH_ASSERT(!c->fetching);
	if (offset >= c->size)
		return GH_END;
	if (in_window(c, offset)) {
		const uint64_t left = c->window_at + c->window_len - offset;
		*ret_n = cap < left ? cap : (size_t)left;
		memcpy(buf, c->window + (offset - c->window_at), *ret_n);
		return GH_OK;
	}
	if (c->fetch_status != GH_OK && c->window_at == offset && c->window)
		return c->fetch_status;
	const enum gh_status st = content_read(c, offset, buf, cap, false, ret_n);
	return st == GH_AGAIN ? start_fetch(c, offset, ready, arg) : st;
}
