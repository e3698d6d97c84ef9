/* See upload.h. */
#include "core/upload.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/crash.h"
#include "core/base/hash.h"
#include "core/base/id.h"
#include "core/base/metrics.h"

#define PUT_OFF_MS 200 /* until a job that the queue had no place for is tried again */
#define PUT_OFFS_MAX 50
#define FLUSH_EVERY_BYTES (8u << 20) /* write-back starts in steps of this, so that the last sync has little to do */

static struct gh_path *path_copy(struct gh_arena *a, const struct gh_path *p)
{
	struct gh_path *c = gh_alloc(a, sizeof(*c) + p->depth * sizeof(c->comp[0]));
	if (!c)
		return NULL;
	memcpy(c, p, sizeof(*c));
	c->text = gh_strndup(a, p->text, p->text_len);
	c->key = gh_strndup(a, p->key, p->key_len);
	for (unsigned i = 0; i < p->depth; i++)
		c->comp[i] = (struct gh_component){
			.name = gh_strndup(a, p->comp[i].name, p->comp[i].name_len),
			.key = gh_strndup(a, p->comp[i].key, p->comp[i].key_len),
			.name_len = p->comp[i].name_len,
			.key_len = p->comp[i].key_len,
		};
	return c;
}

static struct vfs_etags etags_copy(struct gh_arena *a, const struct vfs_etags *e)
{
	struct vfs_etags c = *e;
	c.versions = gh_memdup(a, e->versions, e->count * sizeof(*e->versions));
	return c;
}

static struct vfs_cond *cond_copy(struct gh_arena *a, const struct vfs_cond *from)
{
	struct vfs_cond *c = gh_memdup(a, from, sizeof(*from));
	if (!c)
		return NULL;
	c->if_match = etags_copy(a, &from->if_match);
	c->if_none_match = etags_copy(a, &from->if_none_match);
	c->tokens = gh_alloc_array(a, from->token_count + 1, sizeof(*c->tokens));
	for (unsigned i = 0; c->tokens && i < from->token_count; i++)
		c->tokens[i] = gh_strdup(a, from->tokens[i]);
	c->lists = gh_alloc_array(a, from->list_count + 1, sizeof(*c->lists));
	for (unsigned i = 0; c->lists && i < from->list_count; i++) {
		struct vfs_if_list *l = &c->lists[i];
		*l = from->lists[i];
		if (l->path)
			l->path = path_copy(a, l->path);
		l->conds = gh_memdup(a, from->lists[i].conds, l->count * sizeof(*l->conds));
		for (unsigned k = 0; l->conds && k < l->count; k++)
			if (l->conds[k].token)
				l->conds[k].token = gh_strdup(a, l->conds[k].token);
	}
	return c;
}

struct vfs_upload *upload_new(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct vfs_upload *u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	atomic_store(&u->refs, 1);
	pthread_mutex_init(&u->lock, NULL);
	u->core = r->core;
	u->loop = r->loop;
	u->tenant = w->tenant->id;
	u->whose = w->tenant;
	u->user = w->caller.user;
	u->proto = r->proto;
	u->blob = gh_id_new();
	u->flags = r->flags;
	u->declared = r->declared;
	u->offset = r->offset;
	u->mtime_us = r->mtime_us;
	u->mem_max = r->core->blob_ops->put_max(r->core->blobs);
	u->arena = gh_arena_new(256u * 1024);
	if (u->arena) {
		u->path = path_copy(u->arena, r->path);
		u->cond = r->cond ? cond_copy(u->arena, r->cond) : NULL;
	}
	if (!u->arena || gh_arena_overflowed(u->arena))
		upload_unref(&u);
	return u;
}

void upload_unref(struct vfs_upload **up)
{
	struct vfs_upload *u = *up;
	*up = NULL;
	if (!u || atomic_fetch_sub(&u->refs, 1) != 1)
		return;
	quota_transfer_end(&u->counted);
	quota_hold_end(&u->hold, u->received);
	u->core->blob_ops->stage_abort(&u->stage);
	pthread_mutex_destroy(&u->lock);
	gh_arena_free(&u->arena);
	free(u->mem);
	free(u);
}

void vfs_upload_take(struct vfs_req *r, struct vfs_upload **ret)
{
	*ret = r->upload;
	r->upload = NULL;
}

uint64_t vfs_upload_received(const struct vfs_upload *u)
{
	return u->received;
}

const char *vfs_upload_path(const struct vfs_upload *u)
{
	return u->path->text;
}

uint64_t vfs_upload_declared(const struct vfs_upload *u)
{
	return u->declared;
}

struct vfs_req *vfs_upload_refused(struct vfs_upload *u, enum gh_status st)
{
	if (st != GH_QUOTA || !u->hold.refusal)
		return NULL;
	struct vfs_req *r = vfs_req_new(u->core, u->loop, VFS_WRITE_BEGIN, u->proto, NULL);
	if (!r)
		return NULL;
	r->status = st;
	r->message = gh_strdup(r->arena, u->hold.refusal);
	r->quota_available = u->hold.left;
	return r;
}

void vfs_upload_abort(struct vfs_upload **up)
{
	struct vfs_upload *u = *up;
	if (!u)
		return;
	u->ready = NULL;
	share_transfer_cancel(&u->transfer);
	uint32_t retry_s;
	enum gh_status st;
	if (u->busy && share_withdraw(&u->job, &st, &retry_s)) {
		struct vfs_upload *jobs = u;
		u->busy = false;
		atomic_fetch_sub(&u->core->pending, 1);
		upload_unref(&jobs);
	}
	pthread_mutex_lock(&u->lock); /* at most as long as a job that has just begun to look */
	u->taken = true;
	pthread_mutex_unlock(&u->lock);
	upload_unref(up);
}

/* ---- the job: opens staging, or starts write-back ---- */

static void job_done(struct gh_task *task)
{
	struct vfs_upload *u = (struct vfs_upload *)((char *)task - offsetof(struct vfs_upload, task));
	void (*ready)(void *) = u->ready;
	void *arg = u->ready_arg;
	struct gh_core *c = u->core;
	u->busy = false;
	u->ready = NULL;
	upload_unref(&u);
	atomic_fetch_sub(&c->pending, 1);
	if (ready)
		ready(arg);
}

static enum gh_status open_stage(struct vfs_upload *u)
{
	const struct blob_ops *ops = u->core->blob_ops;
	const uint64_t expect = u->declared == UINT64_MAX ? 0 : u->declared;
	enum gh_status st = ASK(u->core, SERVICE_BLOBS, u->tenant,
				ops->stage_begin(u->core->blobs, u->tenant, u->blob, expect, &u->stage));
	if (st == GH_OK && u->mem_len)
		st = ops->stage_write(u->stage, u->mem, u->mem_len);
	free(u->mem);
	u->mem = NULL;
	u->mem_len = u->mem_cap = 0;
	return st;
}

/* Put out of the queue: a body that has begun to come is not refused for that. Write-back has time; for staging the
 * push waits, and tries again. */
static void put_off(struct gh_task *task)
{
	struct vfs_upload *u = (struct vfs_upload *)((char *)task - offsetof(struct vfs_upload, task));
	struct gh_core *c = u->core;
	u->busy = false;
	if (!u->stage && u->put_offs++ >= PUT_OFFS_MAX)
		u->error = GH_OVERSHARE;
	if (u->ready)
		share_transfer_later(&u->transfer, u->loop, PUT_OFF_MS, u->ready, u->ready_arg);
	u->ready = NULL;
	upload_unref(&u);
	atomic_fetch_sub(&c->pending, 1);
}

static void out_of_queue(struct share_job *job, enum gh_status st, uint32_t retry_after_s)
{
	struct vfs_upload *u = (struct vfs_upload *)((char *)job - offsetof(struct vfs_upload, job));
	(void)retry_after_s;
	if (st == GH_STOPPING)
		u->error = st;
	u->task.fn = put_off;
	gh_loop_post(u->loop, &u->task);
}

/* Write-back has time: while the store rests it is left out. */
static enum gh_status flush_stage(struct vfs_upload *u)
{
	const enum gh_status st = ASK(u->core, SERVICE_BLOBS, u->tenant, u->core->blob_ops->stage_flush(u->stage));
	return st == GH_TRIPPED ? GH_OK : st;
}

static void run_job(struct share_job *job)
{
	struct vfs_upload *u = (struct vfs_upload *)((char *)job - offsetof(struct vfs_upload, job));
	const uint64_t wants = u->wants;
	if (wants)
		u->error = quota_hold_lease(u->core, &u->hold, wants, u->arena);
	pthread_mutex_lock(&u->lock);
	if (!u->taken && !wants)
		u->error = u->stage ? flush_stage(u) : open_stage(u);
	pthread_mutex_unlock(&u->lock);
	share_done(job);
	u->task.fn = job_done;
	gh_loop_post(u->loop, &u->task);
}

static enum gh_status start_job(struct vfs_upload *u)
{
	uint32_t retry_s;
	u->job.run = run_job;
	u->job.out = out_of_queue;
	u->busy = true;
	atomic_fetch_add(&u->refs, 1);
	atomic_fetch_add(&u->core->pending, 1);
	const enum gh_status st = share_submit(u->core, &u->job, u->whose, VFS_C_WRITE, &retry_s);
	if (st != GH_OK) {
		u->busy = false;
		atomic_fetch_sub(&u->refs, 1);
		atomic_fetch_sub(&u->core->pending, 1);
	}
	return st;
}

static enum gh_status gather(struct vfs_upload *u, const void *data, size_t len)
{
	if (u->mem_len + len > u->mem_cap) {
		size_t cap = u->mem_cap ? u->mem_cap : 4096;
		while (cap < u->mem_len + len)
			cap *= 2;
		uint8_t *mem = realloc(u->mem, cap);
		if (!mem)
			return GH_NOMEM;
		u->mem = mem;
		u->mem_cap = cap;
	}
	memcpy(u->mem + u->mem_len, data, len);
	u->mem_len += len;
	return GH_OK;
}

static enum gh_status push_stage(struct vfs_upload *u, const void *data, size_t len)
{
	enum gh_status st = u->core->blob_ops->stage_write(u->stage, data, len);
	if (st != GH_OK) {
		breakers_failed(u->core, SERVICE_BLOBS, u->tenant, st);
		u->error = st;
		return st;
	}
	u->unflushed += len;
	u->wants = 0;
	if (u->unflushed >= FLUSH_EVERY_BYTES && start_job(u) == GH_OK) /* a full queue: next time */
		u->unflushed = 0;
	return GH_OK;
}

/* Opens staging, or gets room; what was offered comes again when that is done. */
static enum gh_status wait_for_job(struct vfs_upload *u, uint64_t wants, void (*ready)(void *arg), void *arg)
{
	u->wants = wants;
	const enum gh_status st = start_job(u);
	if (st == GH_OK) {
		u->ready = ready;
		u->ready_arg = arg;
		return GH_WAIT;
	}
	if ((st == GH_OVERSHARE || st == GH_BUSY) && u->put_offs++ < PUT_OFFS_MAX) {
		share_transfer_later(&u->transfer, u->loop, PUT_OFF_MS, ready, arg);
		return GH_WAIT;
	}
	return st;
}

/* Its user's rate, its turn on the loop, and its tenant's rate. */
static enum gh_status may_move(struct vfs_upload *u, size_t len, void (*ready)(void *arg), void *arg)
{
	struct quota_account *rated = quota_rated(u->whose, u->user);
	unsigned wait_ms;
	uint64_t n;
	if (rated && len && quota_rate_offer(rated, len, true, &wait_ms) == 0) {
		share_transfer_later(&u->transfer, u->loop, wait_ms, ready, arg);
		return GH_WAIT;
	}
	/* What fits in memory came with a request that had its turn already. */
	if (!u->stage && !atomic_load_explicit(&u->whose->seat.bytes_s, memory_order_relaxed))
		return GH_OK;
	const enum gh_status st = share_transfer_ask(&u->transfer, u->core, u->loop, u->whose, len, true, &n, ready, arg);
	if (st != GH_OK)
		quota_rate_return(rated, len);
	return st;
}

enum gh_status vfs_upload_push(struct vfs_upload *u, const void *data, size_t len, void (*ready)(void *arg), void *arg)
{
	enum gh_status st;
	if (u->busy) {
		u->ready = ready;
		u->ready_arg = arg;
		return GH_WAIT;
	}
	if (u->error != GH_OK)
		return u->error;
	if ((u->declared != UINT64_MAX && len > u->declared - u->received) ||
	    len > u->core->cfg.upload_max_bytes - u->received)
		return GH_TOOLARGE;
	if (u->declared == UINT64_MAX && len) {
		st = quota_hold_grow(&u->hold, u->received + len);
		if (st == GH_AGAIN)
			return wait_for_job(u, u->received + len, ready, arg);
		if (st != GH_OK)
			return st;
	}
	st = may_move(u, len, ready, arg);
	if (st != GH_OK)
		return st;
	if (u->stage) {
		st = push_stage(u, data, len);
	} else if (len <= u->mem_max && u->mem_len + len <= u->mem_max &&
		   (u->declared == UINT64_MAX || u->declared <= u->mem_max)) {
		st = gather(u, data, len);
	} else {
		st = wait_for_job(u, 0, ready, arg);
	}
	if (st == GH_OK) {
		u->received += len;
		gh_metric_add(GH_M_BYTES_IN, u->proto, (int64_t)len);
		live_count(u->core, u->whose, LIVE_IN_BYTES, len);
	}
	return st;
}

static enum gh_status store_small(struct vfs_upload *u, struct blob_loc *ret_loc, struct blob_ticket *ret_ticket)
{
	const struct blob_ops *ops = u->core->blob_ops;
	gh_metric_add(GH_M_BLOB_PUTS, 0, 1);
	/* As a probe it is to tell whether bytes become durable. */
	if (!ops->put_ahead || !breakers_closed(u->core, SERVICE_BLOBS, u->tenant))
		return ASK(u->core, SERVICE_BLOBS, u->tenant,
			   ops->put(u->core->blobs, u->tenant, u->blob, u->mem, u->mem_len, ret_loc));
	return ASK(u->core, SERVICE_BLOBS, u->tenant,
		   ops->put_ahead(u->core->blobs, u->tenant, u->blob, u->mem, u->mem_len, ret_loc, ret_ticket));
}

enum gh_status upload_store(struct vfs_upload *u, struct meta_part *ret, uint32_t *ret_crc,
			    struct blob_ticket *ret_ticket)
{
	const struct blob_ops *ops = u->core->blob_ops;
	enum gh_status st = GH_OK;
	memset(ret, 0, sizeof(*ret));
	*ret_crc = 0;
	pthread_mutex_lock(&u->lock);
	u->taken = true;
	gh_crash_point("upload.before_store");
	if (u->error != GH_OK) {
		st = u->error;
	} else if (u->stage) {
		st = ASK(u->core, SERVICE_BLOBS, u->tenant, ops->stage_commit(&u->stage, &ret->loc, ret_crc));
		gh_metric_add(GH_M_BLOB_PUTS, 1, 1);
	} else if (u->mem_len) {
		*ret_crc = gh_crc32c(0, u->mem, u->mem_len);
		st = store_small(u, &ret->loc, ret_ticket);
	}
	pthread_mutex_unlock(&u->lock);
	if (st == GH_OK && u->received) {
		ret->blob = u->blob;
		ret->blob_size = ret->len = u->received;
	}
	gh_crash_point("upload.after_store");
	return st;
}
