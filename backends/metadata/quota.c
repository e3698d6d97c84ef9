/* Quota leases and what they rest on: the ledger of a tenant, the sums of what users own, a month's transfer. How much
 * is granted is the caller's to decide, from books that the writer reads in the same transaction that writes the
 * answer down. Any worker; leases wait for the writer like every commit. */
#include "backends/metadata/store.h"
#include "backends/metadata/told.h"

#include "core/base/id.h"

#include <stdlib.h>

/* Two sums, or nothing where there is no row. */
static enum gh_status sums(struct db_conn *c, enum sql_id sql, const uint64_t *keys, unsigned count, int64_t ret[2])
{
	struct db_stmt *s;
	enum gh_status st = c->drv->prepare(c, sql, &s);

	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < count; i++)
		db_bind_u64(s, i + 1, keys[i]);
	st = c->drv->step(s);
	if (st == GH_OK) {
		ret[0] += db_i64(s, 0);
		ret[1] += db_i64(s, 1);
	}
	c->drv->reset(s);
	return st;
}

static uint64_t not_below_zero(int64_t v)
{
	return v > 0 ? (uint64_t)v : 0;
}

/* ---- the books ---- */

static enum gh_status used_by_user(struct db_conn *c, uint64_t tenant, uint64_t user, int64_t ret[2])
{
	const uint64_t keys[] = { tenant, user };
	enum gh_status st = sums(c, SQL_USAGE_USER, keys, 2, ret);

	if (st == GH_OK)
		st = sums(c, SQL_USAGE_USER_SINCE, keys, 2, ret);
	return st == GH_END ? GH_NOTFOUND : st;
}

static enum gh_status used_by_tenant(struct db_conn *c, uint64_t tenant, int64_t ret[2])
{
	enum gh_status st = sums(c, SQL_USAGE_FOLDED, &tenant, 1, ret);

	if (st == GH_OK)
		st = sums(c, SQL_USAGE_SINCE, &tenant, 1, ret);
	if (st == GH_OK)
		st = sums(c, SQL_USAGE_LATE, &tenant, 1, ret);
	return st == GH_END ? GH_NOTFOUND : st;
}

static enum gh_status month_used(struct db_conn *c, const struct meta_quota_ask *a, uint64_t *ret)
{
	const uint64_t keys[] = { a->tenant, a->user, (uint64_t)a->month };
	int64_t both[2] = { 0 };
	const enum gh_status st = sums(c, SQL_USAGE_MONTH, keys, 3, both);

	*ret = not_below_zero(both[0]);
	return st == GH_END ? GH_OK : st;
}

/* What others hold, and how many they are. */
static enum gh_status held_by_others(struct db_conn *c, const struct meta_quota_ask *a, int64_t now_us,
				     struct meta_quota_books *ret)
{
	const uint64_t keys[] = { a->tenant, a->user, a->lease, (uint64_t)now_us };
	uint64_t *const of[] = { &ret->leased_bytes, &ret->leased_files, &ret->leased_sessions, &ret->leased_transfers,
				 &ret->holders };
	struct db_stmt *s;
	enum gh_status st = c->drv->prepare(c, SQL_QUOTA_OTHERS, &s);

	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < 4; i++)
		db_bind_u64(s, i + 1, keys[i]);
	st = c->drv->step(s);
	for (unsigned i = 0; st == GH_OK && i < 5; i++)
		*of[i] = not_below_zero(db_i64(s, i));
	c->drv->reset(s);
	return st;
}

static enum gh_status read_books(struct db_conn *c, const struct meta_quota_ask *a, int64_t now_us,
				 struct meta_quota_books *ret)
{
	int64_t used[2] = { 0 };

	*ret = (struct meta_quota_books){ 0 };
	enum gh_status st = a->user ? used_by_user(c, a->tenant, a->user, used) : used_by_tenant(c, a->tenant, used);

	if (st == GH_NOTFOUND && a->user)
		st = GH_OK; /* nobody counts what this user owns: then it has no limit that rests on it */
	if (st == GH_OK)
		st = held_by_others(c, a, now_us, ret);
	if (st == GH_OK)
		st = month_used(c, a, &ret->month);
	ret->used_bytes = not_below_zero(used[0]);
	ret->used_files = not_below_zero(used[1]);
	return st;
}

enum gh_status shard_quota_books(struct shard_store *m, struct meta_call *call, const struct meta_quota_ask *a,
				 struct meta_quota_books *ret)
{
	struct query q;
	enum gh_status st = query_open(&q, m, call);

	if (st == GH_OK)
		st = query_snapshot(&q);
	if (st == GH_OK)
		st = read_books(q.conn, a, m->drv->now_us(q.conn), ret);
	query_close(&q);
	return st;
}

/* ---- a lease ---- */

static enum gh_status run(struct db_conn *c, enum sql_id sql, const int64_t *values, unsigned count)
{
	struct db_stmt *s;
	const enum gh_status st = c->drv->prepare(c, sql, &s);

	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < count; i++)
		db_bind_i64(s, i + 1, values[i]);
	return db_run(s);
}

static enum gh_status write_down(struct db_conn *c, const struct meta_quota_ask *a, const struct meta_quota_grant *g,
				 int64_t now_us)
{
	const int64_t tenant = (int64_t)a->tenant, user = (int64_t)a->user;
	const int64_t old[] = { tenant, user, (int64_t)a->lease, now_us };
	const int64_t lease[] = { tenant,
				  (int64_t)g->lease,
				  user,
				  (int64_t)g->bytes,
				  (int64_t)g->files,
				  now_us + (int64_t)a->life_ms * 1000,
				  (int64_t)g->sessions,
				  (int64_t)g->transfers };
	const int64_t month[] = { tenant, user, a->month, g->month };
	enum gh_status st = run(c, SQL_QUOTA_LEASES_DELETE, old, 4);

	if (st == GH_OK && g->lease)
		st = run(c, SQL_QUOTA_LEASE_PUT, lease, 8);
	if (st == GH_OK && g->month)
		st = run(c, SQL_USAGE_MONTH_ADD, month, 4);
	return st;
}

/* To whoever takes the tenant to another shard. */
static enum gh_status tell(struct db_conn *c, uint64_t tenant)
{
	const struct db_value told = { .type = DB_TEXT, .len = sizeof(TOLD_QUOTA_LEASE) - 1, .p = TOLD_QUOTA_LEASE };
	struct db_stmt *s;
	const enum gh_status st = c->drv->prepare(c, SQL_MOVING_NOTE, &s);

	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, tenant);
	db_bind_u64(s, 2, gh_id_new());
	c->drv->bind(s, 3, &told);
	return db_run(s);
}

static enum gh_status lease_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct meta_quota_ask *a = arg;
	struct meta_quota_books books;
	struct meta_quota_grant grant = { 0 };
	struct tenant_mark mark = { 0 };
	enum gh_status st = tenant_mark_in(c, a->tenant, &mark);

	if (st == GH_OK && (mark.state > 1 || mark.hold_us > now_us)) /* nobody may change it here */
		st = GH_STALE;
	if (st != GH_OK)
		return st;
	st = a->user ? GH_OK : fold_run(c, (void *)&a->tenant, now_us); /* so that the sum is one row */

	if (st == GH_OK)
		st = read_books(c, a, now_us, &books);
	if (st != GH_OK)
		return st;
	a->decide(a->arg, &books, &grant);
	st = write_down(c, a, &grant, now_us);
	return st == GH_OK && mark.state ? tell(c, a->tenant) : st;
}

enum gh_status shard_quota_lease(struct shard_store *m, struct meta_call *call, const struct meta_quota_ask *a)
{
	return commit_job(m, call, lease_run, (void *)a);
}
