/* The writer's queue: many commits that wait become one transaction.
 *
 * A caller puts itself into the queue. If nobody leads, it leads: takes what waits (at most GROUP_MAX, itself
 * included), runs each under a mark of its own, commits once, wakes the others, and hands the lead to the first that
 * came meanwhile. So alone there is no waiting, and under load one sync of the disk carries a group, while the next one
 * gathers. A batch whose guard fails sinks only itself. Nobody is answered GH_OK before COMMIT returned.
 *
 * When a commit fails, or an error ended the transaction under the others, the writer is opened anew and each member
 * runs again in a transaction of its own: by its operation id it finds out what was done before, the outcome is never
 * guessed.
 *
 * Invariants: an item is in the queue, or the leader's, or done; only the leader touches the writer; items are on their
 * owners' stacks and not touched after their wake was posted.
 */
#include "backends/metadata/store.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metrics.h"

#include <errno.h>
#include <string.h>

void commit_queue_init(struct commit_queue *q)
{
	pthread_mutex_init(&q->lock, NULL);
	q->tail = &q->head;
}

void commit_queue_fini(struct commit_queue *q)
{
	GH_ASSERT(!q->head && !q->led);
	pthread_mutex_destroy(&q->lock);
}

/* ---- one member ---- */

/* A key that was taken: a name of people's, or a sign that the world has moved. */
static enum gh_status collided(const struct db_batch *b)
{
	return b->failed && b->cmds[b->failed].unique_is_people ? GH_EXISTS : GH_STALE;
}

static enum gh_status batch_run(struct db_conn *c, struct commit_item *it, int64_t now_us)
{
	enum gh_status st = c->drv->batch(c, it->batch, now_us);

	it->done_before = st == GH_EXISTS && it->batch->done_before;
	it->time_us = it->done_before ? it->batch->done_us : now_us;
	if (it->done_before)
		return GH_OK;
	if (st == GH_OK && it->before)
		st = it->before(it->before_arg);
	return st == GH_EXISTS ? collided(it->batch) : st;
}

/* Runs under a mark. Whatever the item's status: is the transaction still there for others? */
static bool item_run(struct db_conn *c, struct commit_item *it, int64_t now_us)
{
	enum gh_status st = c->drv->mark(c);

	if (st == GH_OK)
		st = it->batch ? batch_run(c, it, now_us) : it->job(c, it->arg, now_us);
	it->status = st;
	if (!c->drv->in_transaction(c))
		return false;
	return c->drv->mark_end(c, st == GH_OK) == GH_OK;
}

/* ---- a transaction ---- */

static void all_failed(struct commit_item *items, enum gh_status st)
{
	for (struct commit_item *it = items; it; it = it->next)
		it->status = st;
}

/* GH_OK: every member has its own status and what is OK is durable. Else the transaction failed as a whole. */
static enum gh_status group_run(struct meta_store *m, struct commit_item *items)
{
	struct db_conn *c = NULL;
	enum gh_status st = m->drv->writer(m->db, &c);
	bool whole = true;
	int64_t now_us;

	if (st == GH_OK)
		st = c->drv->begin(c);
	if (st != GH_OK) {
		all_failed(items, st);
		return st;
	}
	now_us = c->drv->now_us(c);
	for (struct commit_item *it = items; it && whole; it = it->next) {
		whole = item_run(c, it, now_us);
		st = it->status;
	}
	if (!whole) {
		c->drv->rollback(c);
		return st == GH_OK ? GH_DATABASE : st;
	}
	st = c->drv->commit(c);
	gh_metric_add(GH_M_COMMIT_GROUPS, 0, 1);
	if (st != GH_OK)
		c->drv->rollback(c);
	return st;
}

/* Each by itself, on a fresh connection. */
static void group_again(struct meta_store *m, struct commit_item *items)
{
	struct commit_item *next;

	for (struct commit_item *it = items; it; it = next) {
		enum gh_status st;

		next = it->next;
		it->next = NULL;
		m->drv->writer_reset(m->db);
		st = group_run(m, it);
		if (st != GH_OK)
			it->status = st;
		it->next = next;
	}
	m->drv->writer_reset(m->db);
}

static void group_lead(struct meta_store *m, struct commit_item *items)
{
	enum gh_status st;

	if (m->read_only) {
		all_failed(items, GH_READONLY);
		return;
	}
	st = group_run(m, items);
	if (st == GH_OK)
		return;
	if (!items->next && st != GH_UNKNOWN) { /* alone: it knows what happened, nothing */
		items->status = st;
		m->drv->writer_reset(m->db);
		return;
	}
	gh_log(GH_LOG_WARN, "meta.group_failed", "status=%s again=one_by_one", gh_status_name(st));
	group_again(m, items);
}

/* ---- the queue ---- */

/* Takes the leader's group off the queue. Those whose deadline has passed are told so. Queue locked. */
static struct commit_item *take(struct commit_queue *q, struct commit_item **ret_late)
{
	struct commit_item *items = NULL, **end = &items;
	uint64_t now = gh_mono_ns();

	*ret_late = NULL;
	for (unsigned n = 0; q->head && n < GROUP_MAX;) {
		struct commit_item *it = q->head;

		q->head = it->next;
		q->waiting--;
		it->next = NULL;
		if (it->deadline_ns && it->deadline_ns < now) {
			it->status = GH_DEADLINE;
			it->next = *ret_late;
			*ret_late = it;
			continue;
		}
		*end = it;
		end = &it->next;
		n++;
	}
	if (!q->head)
		q->tail = &q->head;
	return items;
}

static void wake_all(struct commit_item *items, const struct commit_item *self)
{
	struct commit_item *next;

	for (struct commit_item *it = items; it; it = next) {
		next = it->next; /* gone once it is woken */
		if (it != self)
			sem_post(&it->wake);
	}
}

/* Hands the lead to the first that waits. */
static void lead_over(struct commit_queue *q)
{
	struct commit_item *first;

	pthread_mutex_lock(&q->lock);
	first = q->head;
	q->led = first != NULL;
	if (first)
		first->lead = true;
	pthread_mutex_unlock(&q->lock);
	if (first)
		sem_post(&first->wake);
}

static void lead(struct meta_store *m, struct commit_item *self)
{
	struct commit_queue *q = &m->queue;
	struct commit_item *items, *late;

	pthread_mutex_lock(&q->lock);
	items = take(q, &late);
	pthread_mutex_unlock(&q->lock);
	wake_all(late, self);
	if (items) {
		group_lead(m, items);
		wake_all(items, self);
		m->drv->writer_idle(m->db);
	}
	lead_over(q);
}

static void wait_woken(struct commit_item *it)
{
	while (sem_wait(&it->wake) && errno == EINTR)
		;
}

static enum gh_status submit(struct meta_store *m, struct commit_item *it)
{
	struct commit_queue *q = &m->queue;
	bool leads;

	sem_init(&it->wake, 0, 0);
	pthread_mutex_lock(&q->lock);
	it->next = NULL;
	*q->tail = it;
	q->tail = &it->next;
	q->waiting++;
	leads = !q->led;
	q->led = true;
	pthread_mutex_unlock(&q->lock);
	if (!leads) {
		wait_woken(it);
		leads = it->lead;
	}
	if (leads)
		lead(m, it);
	sem_destroy(&it->wake);
	return it->status;
}

/* ---- entrances ---- */

enum gh_status commit_job(struct meta_store *m, struct meta_call *call, db_job_fn *fn, void *arg)
{
	struct commit_item it = { .job = fn, .arg = arg, .deadline_ns = call->deadline_ns };

	return submit(m, &it);
}

enum gh_status meta_commit(struct meta_store *m, struct meta_call *c, struct meta_batch *b)
{
	struct db_batch batch;
	struct commit_item it = { .batch = &batch, .deadline_ns = c->deadline_ns, .before = b->before,
				  .before_arg = b->before_arg };
	struct plan plan;
	enum gh_status st = plan_make(&plan, c->arena, b, &batch);

	if (st == GH_OK) {
		st = submit(m, &it);
		b->done_before = it.done_before;
		b->time_us = it.time_us;
	} else {
		gh_log(GH_LOG_ERROR, "meta.batch_refused", "op=%s status=%s", c->op ? c->op : "-", gh_status_name(st));
	}
	plan_free(&plan);
	return st;
}
