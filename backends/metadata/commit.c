/* The writer's queue: many commits that wait become one transaction.
 *
 * One thread, the committer, takes what waits (commit_queue.c), runs it and whoever comes meanwhile, commits once, and
 * tells everyone in the group. So alone there is no waiting, and under load one sync of the disk carries a group, while
 * the next one gathers. A batch whose guard fails sinks only itself: the group that it has spoiled runs again, each
 * batch under a mark of its own. Nobody is answered GH_OK before COMMIT returned.
 * Batches whose content is not durable yet come here by way of commit_ahead.c.
 *
 * When a commit fails, or an error ended the transaction under the others, the writer is opened anew and each member
 * runs again in a transaction of its own: by its operation id it finds out what was done before, the outcome is never
 * guessed.
 *
 * Invariants: an item is in the queue, or the committer's, or done; only the committer touches the writer; an item is not
 * touched after its owner was told.
 */
#include "backends/metadata/store.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/base/rcu.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

/* How long a database that fell silent between COMMIT and its answer is waited for, before the outcome is called unknown. */
#define AGAIN_MAX_S 10
#define AGAIN_PAUSE_MS 50
/* How many groups run with marks after one that would have needed them: doing one twice is a few per cent of those. */
#define MARKED_GROUPS 64

/* ---- one member ---- */

/* A key that was taken: a name of people's, or a sign that the world has moved. */
static enum gh_status collided(const struct db_batch *b)
{
	return b->failed && b->cmds[b->failed].unique_is_people ? GH_EXISTS : GH_STALE;
}

/* What the driver has found becomes the item's. */
static void settle(struct commit_item *it, int64_t now_us)
{
	const struct db_batch *b = it->batch;

	it->done_before = b->status == GH_OK && b->done_before;
	it->time_us = it->done_before ? b->done_us : now_us;
	it->status = b->status == GH_EXISTS ? collided(b) : b->status;
}

/* A job, under a mark. Whatever its status: GH_OK, the transaction is there still for others. */
static enum gh_status job_run(struct db_conn *c, struct commit_item *it, int64_t now_us)
{
	enum gh_status st = c->drv->mark(c);

	if (st == GH_OK)
		st = it->job(c, it->arg, now_us);
	it->status = st;
	if (!c->drv->in_transaction(c))
		return st == GH_OK ? GH_DATABASE : st;
	return c->drv->mark_end(c, st == GH_OK);
}

/* The batches that lie in a row from *at on; leaves *at behind them. */
static enum gh_status batches_run(struct db_conn *c, struct commit_item **at, int64_t now_us)
{
	struct db_batch *b[GROUP_MAX];
	struct commit_item *first = *at, *it;
	unsigned n = 0;
	enum gh_status st;

	for (it = first; it && it->batch && n < GROUP_MAX; it = it->next) {
		it->batch->status = GH_OK;
		it->batch->done_before = false;
		b[n++] = it->batch;
	}
	*at = it;
	st = c->drv->batches(c, b, n, now_us, !it);
	for (it = first; it != *at; it = it->next)
		settle(it, now_us);
	return st;
}

/* ---- a transaction ---- */

static void all_failed(struct commit_item *items, enum gh_status st)
{
	for (struct commit_item *it = items; it; it = it->next)
		it->status = st;
}

/* Who has come meanwhile goes with the group: appended to it. NULL = nobody. */
static struct commit_item *join(struct shard_store *m, struct commit_item *items)
{
	struct commit_queue *q = &m->queue;
	struct commit_item *more, *last = items;

	if (m->drv->jobs_alone)
		return NULL;
	pthread_mutex_lock(&q->lock);
	more = commit_queue_join(q, items, gh_mono_ns());
	pthread_mutex_unlock(&q->lock);
	while (last->next)
		last = last->next;
	last->next = more;
	return more;
}

/* One transaction. alone: nobody joins. *ret_spoiled: it ran without marks, and one that failed has left something in it. */
static enum gh_status transaction(struct shard_store *m, struct commit_item *items, bool alone, bool bare,
				  bool *ret_spoiled)
{
	struct db_conn *c = NULL;
	enum gh_status st = m->drv->writer(m->db, &c);
	int64_t now_us;

	if (st == GH_OK) {
		c->bare = bare;
		c->spoiled = false;
		st = c->drv->begin(c);
	}
	if (st != GH_OK) {
		all_failed(items, st);
		return st;
	}
	now_us = c->drv->now_us(c);
	for (struct commit_item *it = items; it && st == GH_OK;) {
		if (it->batch) {
			st = batches_run(c, &it, now_us);
		} else {
			st = job_run(c, it, now_us);
			it = it->next;
		}
		if (!it && !alone && st == GH_OK)
			it = join(m, items);
	}
	if (st != GH_OK) {
		*ret_spoiled = c->spoiled;
		c->drv->rollback(c);
		return st;
	}
	st = c->drv->commit(c);
	gh_metric_add(GH_M_COMMIT_GROUPS, 0, 1);
	if (st != GH_OK)
		c->drv->rollback(c);
	return st;
}

/* GH_OK: every member has its own status and what is OK is durable. Else the transaction failed as a whole.
 * alone: nobody joins. One that fails is rare, so a group does without marks until one does, and then with them for a
 * while, lest who makes it fail on purpose has everything done twice. */
static enum gh_status group_run(struct shard_store *m, struct commit_item *items, bool alone)
{
	struct commit_queue *q = &m->queue;
	const bool bare = !q->marked;
	bool spoiled = false;
	enum gh_status st;

	if (!bare)
		q->marked--;
	st = transaction(m, items, alone, bare, &spoiled);
	if (!spoiled)
		return st;
	if (!items->next && !m->drv->bare_is_blind) /* nobody shared it: its status is what it is */
		return GH_OK;
	if (items->next)
		q->marked = MARKED_GROUPS;
	return transaction(m, items, true, false, &spoiled);
}

/* Does the database not answer, so that only waiting helps? Busy: perhaps with the very transaction that was lost. */
static bool out_of_reach(enum gh_status st)
{
	return st == GH_DATABASE || st == GH_UNKNOWN || st == GH_DEADLINE || st == GH_BUSY;
}

void commit_tell(struct commit_item *items)
{
	struct commit_item *next;

	for (struct commit_item *it = items; it; it = next) {
		next = it->next; /* gone once its owner knows */
		if (it->landed)
			it->landed(it);
		else
			sem_post(&it->wake);
	}
}

/* While nothing can be done nobody is kept waiting for it. */
static void refuse_waiting(struct commit_queue *q)
{
	struct commit_item *items;

	pthread_mutex_lock(&q->lock);
	items = q->head;
	q->head = NULL;
	q->tail = &q->head;
	pthread_mutex_unlock(&q->lock);
	all_failed(items, GH_DATABASE);
	commit_tell(items);
}

/* One member by itself, on a fresh connection. What may have been committed is asked for by its operation id, by running
 * it again, until the database answers; if it does not for so long, the outcome stays unknown. */
static enum gh_status item_again(struct shard_store *m, struct commit_item *it, bool unknown, uint64_t until_ns)
{
	const struct timespec pause = { .tv_nsec = AGAIN_PAUSE_MS * 1000000l };
	enum gh_status st;

	for (;;) {
		m->drv->writer_reset(m->db);
		st = group_run(m, it, true);
		unknown |= st == GH_UNKNOWN;
		if (!unknown || !out_of_reach(st))
			return st;
		if (gh_mono_ns() > until_ns || hurry_since(m->hurry))
			return GH_UNKNOWN;
		refuse_waiting(&m->queue);
		nanosleep(&pause, NULL);
	}
}

static void group_again(struct shard_store *m, struct commit_item *items, bool unknown)
{
	const uint64_t until_ns = gh_mono_ns() + AGAIN_MAX_S * GH_S_NS;
	struct commit_item *next;

	for (struct commit_item *it = items; it; it = next) {
		enum gh_status st;

		next = it->next;
		it->next = NULL;
		st = item_again(m, it, unknown, until_ns);
		if (st != GH_OK)
			it->status = st;
		it->next = next;
	}
	m->drv->writer_reset(m->db);
}

static void group_commit(struct shard_store *m, struct commit_item *items)
{
	enum gh_status st;

	if (m->read_only) {
		all_failed(items, GH_READONLY);
		return;
	}
	if (items->batch && gh_mono_ns() > atomic_load(&m->fence_ns)) {
		all_failed(items, GH_TRIPPED); /* core/gateway.c has said why, and it is no new evidence against the database */
		return;
	}
	st = group_run(m, items, false);
	if (st == GH_OK)
		return;
	if (!items->next && st != GH_UNKNOWN && !(st == GH_DATABASE && m->drv->comes_back)) {
		/* alone: it knows what happened, nothing */
		items->status = st;
		m->drv->writer_reset(m->db);
		return;
	}
	gh_log(GH_LOG_WARN, "meta.group_failed", "status=%s again=one_by_one", gh_status_name(st));
	group_again(m, items, st == GH_UNKNOWN);
}

/* ---- the queue ---- */

/* Queue locked. */
static void wait_for_expected(struct commit_queue *q)
{
	uint64_t until_ns;

	while (q->expected && !q->closed && (until_ns = commit_queue_hold_ns(q, gh_mono_ns()))) {
		const struct timespec until = { .tv_sec = (time_t)(until_ns / GH_S_NS), .tv_nsec = (long)(until_ns % GH_S_NS) };

		q->holding = true;
		pthread_cond_clockwait(&q->filled, &q->lock, CLOCK_MONOTONIC, &until);
		q->holding = false;
	}
}

/* Until the queue is closed and empty. Queue locked. */
static struct commit_item *wait_for_some(struct shard_store *m, struct commit_item **ret_late)
{
	struct commit_queue *q = &m->queue;

	while (!q->head && !q->closed) {
		q->idle = true;
		pthread_cond_broadcast(&q->quiet);
		pthread_cond_wait(&q->filled, &q->lock);
	}
	q->idle = false;
	wait_for_expected(q);
	return commit_queue_take(q, m->drv->jobs_alone, gh_mono_ns(), ret_late);
}

void commit_keep_pace(struct shard_store *m, int *policy)
{
	const struct sched_param none = { 0 };
	const int wanted = atomic_load_explicit(&m->queue.company, memory_order_relaxed) ? SCHED_OTHER : SCHED_BATCH;

	if (wanted == *policy)
		return;
	(void)pthread_setschedparam(pthread_self(), wanted, &none);
	*policy = wanted;
}

static void *committer_main(void *arg)
{
	struct shard_store *m = arg;
	struct commit_queue *q = &m->queue;
	struct commit_item *items, *late;
	int policy = SCHED_OTHER;

	pthread_setname_np(pthread_self(), "commit");
	commit_keep_pace(m, &policy);
	gh_rcu_register(); /* who is told reads what is protected so */
	gh_rcu_offline();
	pthread_mutex_lock(&q->lock);
	while ((items = wait_for_some(m, &late)) || late) {
		pthread_mutex_unlock(&q->lock);
		commit_keep_pace(m, &policy);
		commit_tell(late);
		if (items) {
			group_commit(m, items);
			feed_bell_ring(&m->bell, true);
			if (m->drv->poke)
				m->drv->poke(m->db);
			commit_tell(items);
			if (q->rare)
				sched_yield(); /* its answer is sent before the next group takes the processor */
			m->drv->writer_idle(m->db);
		}
		pthread_mutex_lock(&q->lock);
	}
	pthread_mutex_unlock(&q->lock);
	gh_rcu_unregister();
	return NULL;
}

enum gh_status commit_queue_open(struct shard_store *m)
{
	struct commit_queue *q = &m->queue;

	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->filled, NULL);
	pthread_cond_init(&q->quiet, NULL);
	q->tail = &q->head;
	q->runs = pthread_create(&q->committer, NULL, committer_main, m) == 0;
	return q->runs ? GH_OK : GH_NOMEM;
}

void commit_queue_close(struct shard_store *m)
{
	struct commit_queue *q = &m->queue;

	if (!q->runs)
		return;
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_signal(&q->filled);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->committer, NULL);
	GH_ASSERT(!q->head);
	pthread_cond_destroy(&q->filled);
	pthread_cond_destroy(&q->quiet);
	pthread_mutex_destroy(&q->lock);
}

void shard_quiet(struct shard_store *m)
{
	struct commit_queue *q = &m->queue;

	commit_ahead_quiet(m);
	pthread_mutex_lock(&q->lock);
	while (q->head || !q->idle)
		pthread_cond_wait(&q->quiet, &q->lock);
	pthread_mutex_unlock(&q->lock);
	look_quiet(m);
}

void commit_expect(struct shard_store *m, uint64_t tenant)
{
	struct commit_queue *q = &m->queue;

	if (atomic_load_explicit(&q->tenant, memory_order_relaxed) == tenant) /* alone it costs nothing */
		return;
	pthread_mutex_lock(&q->lock);
	commit_queue_expect(q, tenant, gh_mono_ns());
	pthread_mutex_unlock(&q->lock);
}

void commit_put(struct shard_store *m, struct commit_item *items)
{
	struct commit_queue *q = &m->queue;
	const uint64_t now_ns = gh_mono_ns();
	struct commit_item *next;
	bool wake;

	pthread_mutex_lock(&q->lock);
	GH_ASSERT(!q->closed);
	for (struct commit_item *it = items; it; it = next) {
		next = it->next;
		commit_queue_put(q, it, now_ns);
	}
	wake = q->idle || (q->holding && !q->expected);
	q->idle = false;
	pthread_mutex_unlock(&q->lock);
	if (wake)
		pthread_cond_signal(&q->filled);
}

static void send(struct shard_store *m, struct commit_item *it)
{
	if (!it->before) {
		commit_put(m, it);
		return;
	}
	commit_expect(m, it->batch->tenant);
	commit_ahead_put(m, it);
}

static enum gh_status send_and_wait(struct shard_store *m, struct commit_item *it)
{
	sem_init(&it->wake, 0, 0);
	send(m, it);
	while (sem_wait(&it->wake) && errno == EINTR)
		;
	sem_destroy(&it->wake);
	return it->status;
}

/* ---- entrances ---- */

enum gh_status commit_job(struct shard_store *m, struct meta_call *call, db_job_fn *fn, void *arg)
{
	struct commit_item it = { .job = fn, .arg = arg, .deadline_ns = call->deadline_ns };

	return send_and_wait(m, &it);
}

/* A batch on its way. */
struct voyage {
	struct commit_item item; /* first */
	struct db_batch batch;
	struct plan plan;
	struct meta_batch *b;
	meta_landed_fn *landed;
	void *arg;
};

static enum gh_status voyage_begin(struct voyage *v, struct meta_call *c, struct meta_batch *b)
{
	enum gh_status st = plan_make(&v->plan, c->arena, b, &v->batch);

	v->item = (struct commit_item){
		.batch = &v->batch, .deadline_ns = c->deadline_ns, .before = b->before, .before_arg = b->before_arg
	};
	v->b = b;
	if (st != GH_OK)
		gh_log(GH_LOG_ERROR, "meta.batch_refused", "op=%s status=%s", c->op ? c->op : "-", gh_status_name(st));
	return st;
}

static void voyage_end(struct voyage *v)
{
	v->b->done_before = v->item.done_before;
	v->b->time_us = v->item.time_us;
	plan_free(&v->plan);
}

enum gh_status shard_commit(struct shard_store *m, struct meta_call *c, struct meta_batch *b)
{
	struct voyage v;
	enum gh_status st = voyage_begin(&v, c, b);

	if (st == GH_OK)
		st = send_and_wait(m, &v.item);
	voyage_end(&v);
	return st;
}

static void voyage_landed(struct commit_item *it)
{
	struct voyage *v = (struct voyage *)it;

	voyage_end(v);
	v->landed(v->arg, it->status);
}

void shard_commit_later(struct shard_store *m, struct meta_call *c, struct meta_batch *b, meta_landed_fn *landed,
			void *arg)
{
	struct voyage *v = gh_alloc(c->arena, sizeof(*v));
	enum gh_status st = v ? voyage_begin(v, c, b) : GH_NOMEM;

	if (st != GH_OK) {
		if (v)
			voyage_end(v);
		landed(arg, st);
		return;
	}
	v->landed = landed;
	v->arg = arg;
	v->item.landed = voyage_landed;
	send(m, &v->item);
}
