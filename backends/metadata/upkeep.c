/* Upkeep: dead blobs, orphans, expired locks, the fold of the ledger. Called by the core's background thread; what
 * writes waits for the writer like every commit and joins its groups.
 */
#include "backends/metadata/store.h"

#include "core/base/clock.h"
#include "core/base/id.h"

/* One statement as a job. */
struct simple {
	enum sql_id sql;
	struct db_value values[6];
	unsigned count;
	uint64_t changed; /* result */
};

static enum gh_status simple_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct simple *s = arg;
	struct db_stmt *stmt;
	enum gh_status st = c->drv->prepare(c, s->sql, &stmt);

	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < s->count; i++) {
		if (s->values[i].type == DB_NOW)
			db_bind_i64(stmt, i + 1, now_us);
		else
			c->drv->bind(stmt, i + 1, &s->values[i]);
	}
	st = db_run(stmt);
	s->changed = st == GH_OK ? c->drv->changes(c) : 0;
	return st;
}

#define I64(v) { .type = DB_I64, .i = (int64_t)(v) }

/* ---- blobs ---- */

static void row_blob(struct db_stmt *s, struct meta_blob_row *b)
{
	b->tenant = db_u64(s, 0);
	b->id = db_u64(s, 1);
	b->size = db_u64(s, 2);
	b->refs = db_u64(s, 3);
	b->crc = (uint32_t)db_i64(s, 4);
	b->dead = b->refs == 0;
	b->dead_us = db_i64(s, 5);
	b->damaged = db_i64(s, 6) != 0;
	row_loc(s, 7, &b->loc);
}

static enum gh_status blobs_collect(struct query *q, enum gh_status st, struct meta_blob_row **ret, unsigned *ret_count)
{
	struct meta_blob_row *rows = NULL;
	unsigned count = 0, cap = 0;

	while (st == GH_OK && (st = q->m->drv->step(q->stmt)) == GH_OK) {
		rows = rows_more(q->call->arena, rows, count, &cap, sizeof(*rows));
		if (!rows)
			break;
		row_blob(q->stmt, &rows[count++]);
	}
	query_close(q);
	st = query_result(q, st);
	if (st == GH_OK) {
		*ret = rows;
		*ret_count = count;
	}
	return st;
}

enum gh_status shard_blobs_dead(struct shard_store *m, struct meta_call *c, int64_t dead_before_us, unsigned limit,
				struct meta_blob_row **ret, unsigned *ret_count)
{
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_BLOBS_DEAD);
	if (st == GH_OK) {
		db_bind_i64(q.stmt, 1, dead_before_us);
		db_bind_u64(q.stmt, 2, limit);
	}
	return blobs_collect(&q, st, ret, ret_count);
}

enum gh_status shard_blobs(struct shard_store *m, struct meta_call *c, uint64_t after_tenant, uint64_t after_id,
			   unsigned limit, struct meta_blob_row **ret, unsigned *ret_count)
{
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_BLOBS_LIST);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, after_tenant);
		db_bind_u64(q.stmt, 2, after_id);
		db_bind_u64(q.stmt, 3, limit);
	}
	return blobs_collect(&q, st, ret, ret_count);
}

enum gh_status shard_blob_forget(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t id)
{
	struct simple s = { SQL_BLOB_FORGET, { I64(tenant), I64(id) }, 2, 0 };
	enum gh_status st = commit_job(m, c, simple_run, &s);

	return st == GH_OK && !s.changed ? GH_NOTFOUND : st;
}

enum gh_status shard_blob_claim(struct shard_store *m, struct meta_call *c, const struct blob_object *o)
{
	struct simple s = {
		SQL_BLOB_CLAIM,
		{ I64(o->tenant), I64(o->id), { .type = DB_BLOB, .len = o->loc.len, .p = o->loc.bytes }, I64(o->size),
		  { .type = DB_NOW } },
		5, 0
	};
	enum gh_status st = commit_job(m, c, simple_run, &s);

	return st == GH_OK && !s.changed ? GH_BUSY : st; /* its tenant is on its way: it can wait */
}

enum gh_status shard_blob_mark_damaged(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t id)
{
	struct simple s = { SQL_BLOB_MARK_DAMAGED, { I64(tenant), I64(id) }, 2, 0 };

	return commit_job(m, c, simple_run, &s);
}

/* ---- locks ---- */

enum gh_status shard_locks_expire(struct shard_store *m, struct meta_call *c)
{
	struct simple s = { SQL_LOCKS_EXPIRE, { { .type = DB_NOW } }, 1, 0 };

	return commit_job(m, c, simple_run, &s);
}

/* ---- the ledger ---- */

#define HOUSE 0 /* the tenant of events that are no tenant's */

/* What users own: sums and changes since. */
static enum gh_status fold_owned(struct db_conn *c, uint64_t tenant)
{
	static const enum sql_id both[] = { SQL_USAGE_USER_FOLD, SQL_USAGE_CHANGES_DONE };
	enum gh_status st = GH_OK;

	for (unsigned i = 0; st == GH_OK && i < 2; i++) {
		struct db_stmt *s;

		st = c->drv->prepare(c, both[i], &s);
		if (st != GH_OK)
			return st;
		db_bind_u64(s, 1, tenant);
		st = db_run(s);
	}
	return st;
}

static enum gh_status state_row(struct db_stmt *s, struct tenant_mark *ret)
{
	const enum gh_status st = s->drv->step(s);

	if (st == GH_OK)
		*ret = (struct tenant_mark){ db_i64(s, 0), db_u64(s, 1), db_i64(s, 2), db_u64(s, 3) };
	return st == GH_END ? GH_NOTFOUND : st;
}

enum gh_status tenant_mark_in(struct db_conn *c, uint64_t tenant, struct tenant_mark *ret)
{
	struct db_stmt *s;
	enum gh_status st = c->drv->prepare(c, SQL_TENANT_STATE, &s);

	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, tenant);
	st = state_row(s, ret);
	c->drv->reset(s);
	return st;
}

enum gh_status tenant_mark_read(struct shard_store *s, struct meta_call *c, uint64_t tenant, struct tenant_mark *ret,
				int64_t *ret_now_us)
{
	struct query q;
	enum gh_status st = query_open(&q, s, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_TENANT_STATE);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		st = state_row(q.stmt, ret);
		if (ret_now_us)
			*ret_now_us = s->drv->now_us(q.conn);
	}
	query_close(&q);
	return st;
}

enum gh_status tenant_state_in(struct db_conn *c, uint64_t tenant, int64_t *ret)
{
	struct tenant_mark m;
	const enum gh_status st = tenant_mark_in(c, tenant, &m);

	if (st == GH_OK)
		*ret = m.state;
	return st;
}

/* The total, its place and the marks of late events move together, with no commit in between: the fold has the writer.
 * An event that commits later with an older operation id marks itself as late (EVENT_n), so none is counted twice and
 * none is missed. */
enum gh_status fold_run(struct db_conn *c, void *arg, int64_t now_us)
{
	uint64_t tenant = *(const uint64_t *)arg, last;
	struct db_stmt *s;
	int64_t state = 0;
	enum gh_status st = tenant == HOUSE ? GH_OK : tenant_state_in(c, tenant, &state);

	(void)now_us;
	if (st == GH_NOTFOUND || state != 0) /* gone, or being copied as it is */
		return GH_OK;
	if (st == GH_OK)
		st = c->drv->prepare(c, SQL_EVENT_LAST, &s);
	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, tenant);
	st = c->drv->step(s);
	last = st == GH_OK ? db_u64(s, 0) : 0;
	c->drv->reset(s);
	if (st != GH_OK)
		return st == GH_END ? GH_OK : st; /* nothing has happened yet */
	st = c->drv->prepare(c, SQL_USAGE_FOLD, &s);
	if (st == GH_OK) {
		db_bind_u64(s, 1, tenant);
		db_bind_u64(s, 2, last);
		st = db_run(s);
	}
	if (st == GH_OK)
		st = c->drv->prepare(c, SQL_EVENTS_LATE_DONE, &s);
	if (st == GH_OK) {
		db_bind_u64(s, 1, tenant);
		st = db_run(s);
	}
	return st == GH_OK ? fold_owned(c, tenant) : st;
}

/* The first id of that moment: events of younger operations need not be looked at. */
static uint64_t id_at_us(int64_t us)
{
	int64_t since = us - gh_id_time_us(0);

	return since > 0 ? (uint64_t)(since / 1000) << 21 : 0;
}

struct drop {
	uint64_t tenant;
	int64_t before_us;
	uint64_t changed; /* result */
};

static enum gh_status drop_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct drop *d = arg;
	const uint64_t then = id_at_us(d->before_us);
	struct simple del = { SQL_EVENTS_DROP, { I64(d->tenant), I64(d->before_us), I64(then) }, 3, 0 };
	int64_t state = 0;
	enum gh_status st = d->tenant == HOUSE ? GH_OK : tenant_state_in(c, d->tenant, &state);

	d->changed = 0;
	if (st == GH_NOTFOUND || state != 0) /* gone, or being copied as it is */
		return GH_OK;
	if (st == GH_OK)
		st = feed_cut(c, d->tenant, d->before_us, then);
	if (st == GH_OK)
		st = simple_run(c, &del, now_us);
	d->changed = del.changed;
	return st;
}

/* Is there a row? A job has every other writer wait, and of thousands of tenants few have done anything since the last one. */
static enum gh_status is_due(struct shard_store *m, struct meta_call *c, enum sql_id sql, const uint64_t *values,
			     unsigned count, bool *ret)
{
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, sql);
	for (unsigned i = 0; st == GH_OK && i < count; i++)
		db_bind_u64(q.stmt, i + 1, values[i]);
	if (st == GH_OK)
		st = m->drv->step(q.stmt);
	*ret = st == GH_OK;
	query_close(&q);
	return st == GH_END ? GH_OK : st;
}

static enum gh_status fold_tenant(struct shard_store *m, struct meta_call *c, uint64_t tenant, int64_t drop_before_us)
{
	struct drop drop = { tenant, drop_before_us, 0 };
	const uint64_t old[] = { tenant, (uint64_t)drop_before_us, id_at_us(drop_before_us) };
	bool due = true;
	enum gh_status st = tenant == HOUSE ? GH_OK : is_due(m, c, SQL_USAGE_FOLD_DUE, &tenant, 1, &due);

	if (st == GH_OK && due)
		st = commit_job(m, c, fold_run, &tenant);
	if (st == GH_OK)
		st = is_due(m, c, SQL_FEED_LAST_DROP, old, 3, &due);
	while (st == GH_OK && due) {
		st = commit_job(m, c, drop_run, &drop);
		due = drop.changed;
	}
	return st;
}

enum gh_status shard_events_fold(struct shard_store *m, struct meta_call *c, int64_t drop_before_us)
{
	struct meta_tenant *t = NULL;
	unsigned count = 1;
	enum gh_status st = m->fold_after ? GH_OK : fold_tenant(m, c, HOUSE, drop_before_us);

	while (st == GH_OK && count) {
		st = shard_tenants(m, c, m->fold_after, 100, &t, &count);
		for (unsigned i = 0; st == GH_OK && i < count; i++) {
			st = c->deadline_ns && gh_mono_ns() > c->deadline_ns ? GH_DEADLINE :
									       fold_tenant(m, c, t[i].id, drop_before_us);
			if (st == GH_OK)
				m->fold_after = t[i].id;
		}
	}
	if (st != GH_DEADLINE)
		m->fold_after = 0;
	return st;
}

enum gh_status shard_id_floor(struct shard_store *m, struct meta_call *c, uint64_t *ret)
{
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_ID_FLOOR);
	if (st == GH_OK)
		st = m->drv->step(q.stmt);
	if (st == GH_OK)
		*ret = db_u64(q.stmt, 0);
	query_close(&q);
	return st;
}
