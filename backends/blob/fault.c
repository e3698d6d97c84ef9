/* The failing backend (fault.h). Called by tests through core/blob.h, and told what to do through fault.h; any thread.
 *
 * State, under the lock: one fault per op with the calls still to go, call counts, and an era that blob_fault_clear
 * raises to wake those who hang. The wrapped backend is called outside the lock.
 */
#include "backends/blob/fault.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct blob_backend {
	const struct blob_ops *ops;
	struct blob_backend *inner;
	pthread_mutex_t lock;
	pthread_cond_t cleared;
	struct blob_fault fault[BLOB_FAULT_OPS];
	unsigned calls[BLOB_FAULT_OPS];
	unsigned hanging;
	uint64_t era;
};

struct blob_stage {
	struct blob_backend *be;
	uint64_t tenant;
	struct blob_stage *inner;
};

struct blob_reader {
	struct blob_backend *be;
	uint64_t tenant;
	struct blob_reader *inner;
};

static enum gh_status fault_open(const struct blob_config *cfg, struct blob_backend **ret_be, char *err)
{
	struct blob_backend *be = calloc(1, sizeof(*be));
	enum gh_status st;

	if (!be)
		return GH_NOMEM;
	be->ops = blob_backend_find(cfg->path ? "local" : "memory");
	st = be->ops->open(cfg, &be->inner, err);
	if (st != GH_OK) {
		free(be);
		return st;
	}
	pthread_mutex_init(&be->lock, NULL);
	pthread_cond_init(&be->cleared, NULL);
	*ret_be = be;
	return GH_OK;
}

static void fault_close(struct blob_backend **bep)
{
	struct blob_backend *be = *bep;

	*bep = NULL;
	if (!be)
		return;
	be->ops->close(&be->inner);
	pthread_cond_destroy(&be->cleared);
	pthread_mutex_destroy(&be->lock);
	free(be);
}

void blob_fault_set(struct blob_backend *be, const struct blob_fault *f)
{
	pthread_mutex_lock(&be->lock);
	be->fault[f->op] = *f;
	pthread_mutex_unlock(&be->lock);
}

void blob_fault_clear(struct blob_backend *be)
{
	pthread_mutex_lock(&be->lock);
	for (int op = 0; op < BLOB_FAULT_OPS; op++)
		be->fault[op] = (struct blob_fault){ .how = BLOB_FAULT_NONE };
	be->era++;
	pthread_cond_broadcast(&be->cleared);
	pthread_mutex_unlock(&be->lock);
}

unsigned blob_fault_calls(struct blob_backend *be, enum blob_fault_op op)
{
	unsigned n;

	pthread_mutex_lock(&be->lock);
	n = be->calls[op];
	pthread_mutex_unlock(&be->lock);
	return n;
}

unsigned blob_fault_hanging(struct blob_backend *be)
{
	unsigned n;

	pthread_mutex_lock(&be->lock);
	n = be->hanging;
	pthread_mutex_unlock(&be->lock);
	return n;
}

const struct blob_ops *blob_fault_inner(struct blob_backend *be, struct blob_backend **ret_inner)
{
	*ret_inner = be->inner;
	return be->ops;
}

static blob_fault_fn *asked; /* set before a backend is opened */

void blob_fault_ask(blob_fault_fn *fn)
{
	asked = fn;
}

/* What is to happen to this call; waits where that is the fault. Only FAIL and LOSE are left to the caller. */
static struct blob_fault fate(struct blob_backend *be, enum blob_fault_op op)
{
	struct blob_fault f = { .how = BLOB_FAULT_NONE }, *set = &be->fault[op];

	pthread_mutex_lock(&be->lock);
	be->calls[op]++;
	if (set->how != BLOB_FAULT_NONE && set->nth <= 1)
		f = *set;
	if (set->nth == 1)
		set->how = BLOB_FAULT_NONE;
	if (set->nth)
		set->nth--;
	if (f.how == BLOB_FAULT_HANG) {
		const uint64_t era = be->era;

		be->hanging++;
		while (be->era == era)
			pthread_cond_wait(&be->cleared, &be->lock);
		be->hanging--;
	}
	pthread_mutex_unlock(&be->lock);
	if (f.how == BLOB_FAULT_SLOW)
		nanosleep(&(struct timespec){ f.delay_ms / 1000, f.delay_ms % 1000 * 1000000L }, NULL);
	return f;
}

/* Runs `call` (an expression giving a status) as fate, and whoever is asked, will. */
#define FATED(be, op, tenant, may_block, call) \
	({ \
		const struct blob_fault fate_ = fate(be, op); \
		enum gh_status status_ = fate_.how == BLOB_FAULT_FAIL ? fate_.status : \
					 asked			      ? asked(op, tenant, may_block) : \
									GH_OK; \
		if (status_ == GH_OK) \
			status_ = (call); \
		if (fate_.how == BLOB_FAULT_LOSE) \
			status_ = fate_.status; \
		status_; \
	})

static enum gh_status fault_put(struct blob_backend *be, uint64_t tenant, uint64_t id, const void *data, size_t len,
				struct blob_loc *ret_loc)
{
	return FATED(be, BLOB_FAULT_PUT, tenant, true, be->ops->put(be->inner, tenant, id, data, len, ret_loc));
}

/* Where the wrapped one has no such thing it is a put; it fails as one in any case. */
static enum gh_status fault_put_ahead(struct blob_backend *be, uint64_t tenant, uint64_t id, const void *data, size_t len,
				      struct blob_loc *ret_loc, struct blob_ticket *ret_ticket)
{
	*ret_ticket = (struct blob_ticket){ .at = NULL };
	if (!be->ops->put_ahead)
		return fault_put(be, tenant, id, data, len, ret_loc);
	return FATED(be, BLOB_FAULT_PUT, tenant, true,
		     be->ops->put_ahead(be->inner, tenant, id, data, len, ret_loc, ret_ticket));
}

/* What is outstanding is settled in any case: the wrapped backend counts on it. */
static enum gh_status fault_settle(struct blob_backend *be, struct blob_ticket *t)
{
	enum gh_status st, real;

	if (!t->at)
		return t->failed;
	st = FATED(be, BLOB_FAULT_SETTLE, 0, true, GH_OK);
	real = be->ops->settle(be->inner, t);
	if (real == GH_OK && st != GH_OK)
		t->failed = st;
	return real != GH_OK ? real : st;
}

static size_t fault_put_max(struct blob_backend *be)
{
	return be->ops->put_max(be->inner);
}

static enum gh_status fault_stage_begin(struct blob_backend *be, uint64_t tenant, uint64_t id, uint64_t expect_bytes,
					struct blob_stage **ret_stage)
{
	struct blob_stage *st = calloc(1, sizeof(*st));
	enum gh_status status;

	if (!st)
		return GH_NOMEM;
	st->be = be;
	st->tenant = tenant;
	status = FATED(be, BLOB_FAULT_STAGE_BEGIN, tenant, true,
		       be->ops->stage_begin(be->inner, tenant, id, expect_bytes, &st->inner));
	if (status != GH_OK) {
		be->ops->stage_abort(&st->inner);
		free(st);
		return status;
	}
	*ret_stage = st;
	return GH_OK;
}

static enum gh_status fault_stage_write(struct blob_stage *st, const void *data, size_t len)
{
	return FATED(st->be, BLOB_FAULT_STAGE_WRITE, st->tenant, false, st->be->ops->stage_write(st->inner, data, len));
}

static enum gh_status fault_stage_flush(struct blob_stage *st)
{
	return FATED(st->be, BLOB_FAULT_STAGE_FLUSH, st->tenant, true, st->be->ops->stage_flush(st->inner));
}

static void fault_stage_abort(struct blob_stage **stp)
{
	struct blob_stage *st = *stp;

	*stp = NULL;
	if (!st)
		return;
	st->be->ops->stage_abort(&st->inner);
	free(st);
}

static enum gh_status fault_stage_commit(struct blob_stage **stp, struct blob_loc *ret_loc, uint32_t *ret_crc)
{
	struct blob_stage *st = *stp;
	enum gh_status status = FATED(st->be, BLOB_FAULT_STAGE_COMMIT, st->tenant, true,
				      st->be->ops->stage_commit(&st->inner, ret_loc, ret_crc));

	fault_stage_abort(stp); /* what FAIL has left */
	return status;
}

static enum gh_status fault_reader_open(struct blob_backend *be, uint64_t tenant, uint64_t id,
					const struct blob_loc *loc, uint64_t size, bool may_block,
				        struct blob_reader **ret_reader)
{
	struct blob_reader *r = calloc(1, sizeof(*r));
	enum gh_status st;

	if (!r)
		return GH_NOMEM;
	r->be = be;
	r->tenant = tenant;
	st = FATED(be, BLOB_FAULT_READER_OPEN, tenant, may_block,
		   be->ops->reader_open(be->inner, tenant, id, loc, size, may_block, &r->inner));
	if (st != GH_OK) {
		be->ops->reader_close(&r->inner);
		free(r);
		return st;
	}
	*ret_reader = r;
	return GH_OK;
}

static enum gh_status fault_reader_read(struct blob_reader *r, uint64_t offset, void *buf, size_t len, bool may_block,
					size_t *ret_n)
{
	return FATED(r->be, BLOB_FAULT_READER_READ, r->tenant, may_block,
		     r->be->ops->reader_read(r->inner, offset, buf, len, may_block, ret_n));
}

static enum gh_status fault_reader_fd(struct blob_reader *r, int *ret_fd, off_t *ret_base)
{
	(void)r;
	(void)ret_fd;
	(void)ret_base;
	return GH_UNSUPPORTED; /* see the table */
}

static void fault_reader_close(struct blob_reader **rp)
{
	struct blob_reader *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	r->be->ops->reader_close(&r->inner);
	free(r);
}

static enum gh_status fault_remove(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
				   uint64_t size)
{
	return FATED(be, BLOB_FAULT_REMOVE, tenant, true, be->ops->remove(be->inner, tenant, id, loc, size));
}

static enum gh_status fault_iterate(struct blob_backend *be, blob_object_fn *fn, void *arg)
{
	return FATED(be, BLOB_FAULT_ITERATE, 0, true, be->ops->iterate(be->inner, fn, arg));
}

static enum gh_status fault_verify(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
				   uint64_t size, char *msg)
{
	msg[0] = '\0';
	return FATED(be, BLOB_FAULT_VERIFY, tenant, true, be->ops->verify(be->inner, tenant, id, loc, size, msg));
}

static enum gh_status fault_space(struct blob_backend *be, struct blob_space *ret)
{
	return FATED(be, BLOB_FAULT_SPACE, 0, false, be->ops->space(be->inner, ret));
}

/* No BLOB_CAP_FD: what passes by sendfile could not be made to fail. */
const struct blob_ops blob_ops_fault = {
	.abi = BLOB_ABI,
	.size = sizeof(struct blob_ops),
	.name = "fault",
	.caps = BLOB_CAP_ITERATE | BLOB_CAP_VERIFY,
	.open = fault_open,
	.close = fault_close,
	.put = fault_put,
	.put_ahead = fault_put_ahead,
	.settle = fault_settle,
	.put_max = fault_put_max,
	.stage_begin = fault_stage_begin,
	.stage_write = fault_stage_write,
	.stage_flush = fault_stage_flush,
	.stage_commit = fault_stage_commit,
	.stage_abort = fault_stage_abort,
	.reader_open = fault_reader_open,
	.reader_read = fault_reader_read,
	.reader_fd = fault_reader_fd,
	.reader_close = fault_reader_close,
	.remove = fault_remove,
	.iterate = fault_iterate,
	.verify = fault_verify,
	.space = fault_space,
};
