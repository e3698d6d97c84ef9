/* See look.h. */
#include "backends/metadata/store.h"

#include "core/base/clock.h"

#include <sched.h>

/* ---- the way in ---- */

static bool takes_any(const struct look_queue *q, uint64_t now_ns)
{
	return !q->closed && q->waiting < LOOK_WAITING_MAX && now_ns >= q->rest_until_ns &&
	       (!q->since_ns || now_ns - q->since_ns < LOOK_PATIENCE_NS);
}

bool shard_look(struct shard_store *m, struct meta_look *l)
{
	struct look_queue *q = &m->looks;
	bool takes, idle;

	if (!q->runs || l->n < 1 || l->n > META_LOOK_MAX)
		return false;
	pthread_mutex_lock(&q->lock);
	takes = takes_any(q, gh_mono_ns());
	idle = q->idle;
	if (takes) {
		l->next = NULL;
		*q->tail = l;
		q->tail = &l->next;
		q->waiting++;
		q->idle = false;
	}
	pthread_mutex_unlock(&q->lock);
	if (takes && idle)
		pthread_cond_signal(&q->filled);
	return takes;
}

/* ---- a group ---- */

struct asked { /* one of a group, as the driver sees it */
	struct db_look look; /* first */
	struct meta_look *of;
};

static void take(struct db_look *look, struct db_stmt *row)
{
	struct meta_look *l = ((struct asked *)look)->of;

	row_chain(l->arena, row, l->n, l->nodes, &l->found);
}

static void bind(struct asked *a, struct meta_look *l)
{
	*a = (struct asked){ .look = { .sql = SQL_RESOLVE_1 + l->n - 1, .count = l->n + 2, .take = take }, .of = l };
	a->look.values[0] = (struct db_value){ .type = DB_I64, .i = (int64_t)l->tenant };
	a->look.values[1] = (struct db_value){ .type = DB_I64, .i = (int64_t)l->from };
	for (unsigned i = 0; i < l->n; i++)
		a->look.values[i + 2] = (struct db_value){ .type = DB_BLOB, .len = l->comp[i].key_len, .p = l->comp[i].key };
}

static enum gh_status ask_in_turn(struct query *q, struct db_look **looks, unsigned count)
{
	enum gh_status st = GH_OK;

	for (unsigned i = 0; st == GH_OK && i < count; i++) {
		struct db_look *l = looks[i];

		st = query_prepare(q, l->sql);
		for (unsigned k = 0; st == GH_OK && k < l->count; k++)
			q->stmt->drv->bind(q->stmt, k + 1, &l->values[k]);
		if (st == GH_OK && (st = q->stmt->drv->step(q->stmt)) == GH_OK)
			l->take(l, q->stmt);
		st = st == GH_END ? GH_OK : st;
	}
	return st;
}

/* Rows go into their callers' arenas. */
static enum gh_status ask(struct shard_store *m, struct db_look **looks, unsigned count)
{
	struct meta_call call = { .op = "look", .deadline_ns = gh_mono_ns() + LOOK_DEADLINE_NS };
	struct query q;
	enum gh_status st = query_open(&q, m, &call);

	if (st == GH_OK)
		st = m->drv->looks ? m->drv->looks(q.conn, looks, count) : ask_in_turn(&q, looks, count);
	query_close(&q);
	return st;
}

/* The group on its way is back: who comes now waits for nobody. */
static void landed(struct look_queue *q, enum gh_status st)
{
	pthread_mutex_lock(&q->lock);
	q->since_ns = 0;
	if (st != GH_OK)
		q->rest_until_ns = gh_mono_ns() + LOOK_REST_NS;
	pthread_mutex_unlock(&q->lock);
}

static void look_at(struct shard_store *m, struct meta_look *group)
{
	struct asked asked[LOOK_GROUP];
	struct db_look *looks[LOOK_GROUP];
	unsigned count = 0;
	enum gh_status st;

	for (struct meta_look *l = group, *next; l; l = next) {
		l->found = 0;
		l->nodes = gh_alloc_array(l->arena, l->n, sizeof(*l->nodes));
		l->status = l->nodes ? GH_OK : GH_NOMEM;
		next = l->next;
		if (!l->nodes)
			continue;
		bind(&asked[count], l);
		looks[count] = &asked[count].look;
		count++;
	}
	st = count ? ask(m, looks, count) : GH_OK;
	landed(&m->looks, st);
	for (struct meta_look *l = group, *next; l; l = next) {
		next = l->next;
		if (l->status == GH_OK)
			l->status = st == GH_OK && gh_arena_overflowed(l->arena) ? GH_NOMEM : st;
		l->done(l); /* it is not ours any more */
	}
}

/* ---- the thread ---- */

/* NULL: closed, and nobody waits. Locked. */
static struct meta_look *gather(struct look_queue *q)
{
	struct meta_look *group, *last;

	while (!q->head && !q->closed) {
		q->idle = true;
		pthread_cond_broadcast(&q->quiet);
		pthread_cond_wait(&q->filled, &q->lock);
	}
	q->idle = false;
	group = last = q->head;
	if (!group)
		return NULL;
	q->waiting--;
	for (unsigned count = 1; count < LOOK_GROUP && last->next; count++, q->waiting--)
		last = last->next;
	q->head = last->next;
	if (!q->head)
		q->tail = &q->head;
	last->next = NULL;
	return group;
}

static void *look_main(void *arg)
{
	struct shard_store *m = arg;
	struct look_queue *q = &m->looks;
	struct meta_look *group;

	const struct sched_param none = { 0 };

	pthread_setname_np(pthread_self(), "look");
	(void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none); /* who wakes it has more to put in first */
	pthread_mutex_lock(&q->lock);
	while ((group = gather(q))) {
		q->since_ns = gh_mono_ns();
		pthread_mutex_unlock(&q->lock);
		look_at(m, group);
		pthread_mutex_lock(&q->lock);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

enum gh_status look_open(struct shard_store *m)
{
	struct look_queue *q = &m->looks;

	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->filled, NULL);
	pthread_cond_init(&q->quiet, NULL);
	q->tail = &q->head;
	q->runs = pthread_create(&q->thread, NULL, look_main, m) == 0;
	return q->runs ? GH_OK : GH_NOMEM;
}

void look_quiet(struct shard_store *m)
{
	struct look_queue *q = &m->looks;

	if (!q->runs)
		return;
	pthread_mutex_lock(&q->lock);
	while (q->head || !q->idle)
		pthread_cond_wait(&q->quiet, &q->lock);
	pthread_mutex_unlock(&q->lock);
}

void look_close(struct shard_store *m)
{
	struct look_queue *q = &m->looks;

	if (!q->runs)
		return;
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_signal(&q->filled);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->thread, NULL);
	pthread_cond_destroy(&q->filled);
	pthread_cond_destroy(&q->quiet);
	pthread_mutex_destroy(&q->lock);
}
