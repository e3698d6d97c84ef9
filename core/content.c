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

#define PUT_OFF_MS 200 /* until a fetch that the queue had no place for is tried again */
#define PUT_OFFS_MAX 50
#define FETCH_BYTES (256u * 1024)
#define SENDFILE_MIN_BYTES (64u * 1024)

struct vfs_content {
	struct gh_core *core;
	struct gh_loop *loop;
	struct tenant *whose;
	uint64_t user;             /* whose rate binds it; 0 = nobody's */
	struct vfs_session *payer; /* NULL: nobody paid ahead */
	struct quota_slot counted;
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
	struct share_job job;           /* on a worker */
	struct share_transfer transfer; /* on the loop */
	unsigned put_offs;              /* in a row: the queue in front of the workers had no place */
	struct gh_task task;
	uint8_t *window;
	uint64_t window_at;
	size_t window_len;
	enum gh_status fetch_status;
	uint64_t fetch_at;
	void (*ready)(void *arg);
	void *ready_arg;
};

struct vfs_content *content_new(struct gh_core *core, struct gh_loop *l, struct tenant *t, uint64_t version,
				uint64_t size, const struct meta_part *parts, unsigned count)
{
	struct vfs_content *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->core = core;
	c->loop = l;
	c->whose = t;
	c->tenant = t->id;
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

void content_counted(struct vfs_content *c, struct vfs_session *s, uint64_t user, struct quota_slot *slot)
{
	c->payer = vfs_session_ref(s);
	c->user = user;
	c->counted = *slot;
	*slot = (struct quota_slot){ { NULL } };
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
	quota_transfer_end(&c->counted);
	if (c->payer)
		quota_download_end(c->payer);
	vfs_session_unref(&c->payer);
	share_transfer_cancel(&c->transfer);
	uint32_t retry_s;
	enum gh_status st;
	if (c->fetching && share_withdraw(&c->job, &st, &retry_s)) {
		c->fetching = false;
		c->refs--;
		atomic_fetch_sub(&c->core->pending, 1);
	}
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
	if (!may_block)
		return ops->reader_open(c->core->blobs, c->tenant, p->blob, &p->loc, p->blob_size, false, &c->reader);
	return ASK(c->core, SERVICE_BLOBS, c->tenant,
		   ops->reader_open(c->core->blobs, c->tenant, p->blob, &p->loc, p->blob_size, true, &c->reader));
}

static enum gh_status read_part(struct vfs_content *c, uint64_t offset, void *buf, size_t len, bool may_block,
				size_t *ret_n)
{
	const struct blob_ops *ops = c->core->blob_ops;
	if (!may_block)
		return ops->reader_read(c->reader, offset, buf, len, false, ret_n);
	return ASK(c->core, SERVICE_BLOBS, c->tenant, ops->reader_read(c->reader, offset, buf, len, true, ret_n));
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
		st = read_part(c, p->offset + in_part, buf, len, may_block, ret_n);
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
	if (atomic_load_explicit(&c->whose->seat.bytes_s, memory_order_relaxed) || quota_rated(c->whose, c->user))
		return false; /* bound by a rate: window by window */
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

/* Put out of the queue: an answer that was begun is not cut for that, it tries again. */
static void put_off(struct gh_task *task)
{
	struct vfs_content *c = (struct vfs_content *)((char *)task - offsetof(struct vfs_content, task));
	void (*ready)(void *) = c->ready;
	c->fetching = false;
	c->ready = NULL;
	atomic_fetch_sub(&c->core->pending, 1);
	if (ready)
		share_transfer_later(&c->transfer, c->loop, PUT_OFF_MS, ready, c->ready_arg);
	content_unref(c);
}

static void out_of_queue(struct share_job *job, enum gh_status st, uint32_t retry_after_s)
{
	struct vfs_content *c = (struct vfs_content *)((char *)job - offsetof(struct vfs_content, job));
	(void)retry_after_s;
	c->window_at = c->fetch_at;
	c->window_len = 0;
	c->fetch_status = st == GH_STOPPING || c->put_offs++ >= PUT_OFFS_MAX ? st : GH_OK;
	c->task.fn = put_off;
	gh_loop_post(c->loop, &c->task);
}

static void fetch(struct share_job *job)
{
	struct vfs_content *c = (struct vfs_content *)((char *)job - offsetof(struct vfs_content, job));
	c->window_at = c->fetch_at;
	c->window_len = 0;
	c->fetch_status = content_read(c, c->fetch_at, c->window, FETCH_BYTES, true, &c->window_len);
	share_done(job);
	c->task.fn = fetched;
	if (c->fetch_status == GH_TRIPPED && c->put_offs++ < PUT_OFFS_MAX) {
		c->fetch_status = GH_OK; /* an answer that was begun outlasts a short rest of the store */
		c->task.fn = put_off;
	}
	gh_loop_post(c->loop, &c->task);
}

/* Is it worth a worker? */
static enum gh_status store_shut(struct vfs_content *c)
{
	uint32_t retry_s;
	return breakers_shut(c->core, 1u << SERVICE_BLOBS, c->tenant, &retry_s, NULL);
}

enum gh_status content_available(struct vfs_content *c, uint64_t offset, uint32_t *ret_retry_s)
{
	uint8_t first;
	size_t n;
	enum gh_status st = breakers_shut(c->core, 1u << SERVICE_BLOBS, c->tenant, ret_retry_s, NULL);
	if (st == GH_OK || offset >= c->size)
		return GH_OK;
	return content_read(c, offset, &first, 1, false, &n) == GH_OK ? GH_OK : st;
}

static enum gh_status start_fetch(struct vfs_content *c, uint64_t offset, void (*ready)(void *), void *arg)
{
	if (!c->window && !(c->window = malloc(FETCH_BYTES)))
		return GH_NOMEM;
	c->fetch_at = offset;
	c->job.run = fetch;
	c->job.out = out_of_queue;
	c->ready = ready;
	c->ready_arg = arg;
	c->fetching = true;
	c->refs++;
	atomic_fetch_add(&c->core->pending, 1);
	uint32_t retry_s;
	enum gh_status st = store_shut(c);
	if (st == GH_OK)
		st = share_submit(c->core, &c->job, c->whose, VFS_C_READ, &retry_s);
	if (st == GH_OK)
		return GH_WAIT;
	c->fetching = false;
	c->refs--;
	atomic_fetch_sub(&c->core->pending, 1);
	if ((st != GH_OVERSHARE && st != GH_BUSY && st != GH_TRIPPED) || c->put_offs++ >= PUT_OFFS_MAX)
		return st;
	share_transfer_later(&c->transfer, c->loop, PUT_OFF_MS, ready, arg);
	return GH_WAIT;
}

static bool in_window(const struct vfs_content *c, uint64_t offset)
{
	return c->window_len && offset >= c->window_at && offset < c->window_at + c->window_len;
}

static enum gh_status pull(struct vfs_content *c, uint64_t offset, void *buf, size_t cap, size_t *ret_n,
			   void (*ready)(void *arg), void *arg)
{
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

enum gh_status vfs_content_pull(struct vfs_content *c, uint64_t offset, void *buf, size_t cap, size_t *ret_n,
				void (*ready)(void *arg), void *arg)
{
	uint64_t offered;
	GH_ASSERT(!c->fetching);
	if (offset >= c->size)
		return GH_END;
	enum gh_status st = vfs_content_offer(c, cap < c->size - offset ? cap : c->size - offset, &offered, ready, arg);
	if (st != GH_OK)
		return st;
	st = pull(c, offset, buf, (size_t)offered, ret_n, ready, arg);
	vfs_content_moved(c, offered, st == GH_OK ? *ret_n : 0);
	if (st == GH_OK)
		c->put_offs = 0;
	else if (st == GH_WAIT) /* it had its turn */
		c->transfer.turn.granted = true;
	return st;
}

enum gh_status vfs_content_offer(struct vfs_content *c, uint64_t want, uint64_t *ret_n, void (*ready)(void *arg), void *arg)
{
	struct quota_account *rated = c->user ? quota_rated(c->whose, c->user) : NULL;
	unsigned wait_ms;
	const uint64_t may = quota_rate_offer(rated, want, false, &wait_ms);
	if (!may) {
		share_transfer_later(&c->transfer, c->loop, wait_ms, ready, arg);
		return GH_WAIT;
	}
	const enum gh_status st =
		share_transfer_ask(&c->transfer, c->core, c->loop, c->whose, may, false, ret_n, ready, arg);
	quota_rate_return(rated, st == GH_OK ? may - *ret_n : may);
	return st;
}

void vfs_content_moved(struct vfs_content *c, uint64_t offered, uint64_t moved)
{
	share_rate_return(c->whose, offered - moved);
	if (c->user)
		quota_rate_return(quota_rated(c->whose, c->user), offered - moved);
}
