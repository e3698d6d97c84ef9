/* Reading the event log and the ledger in it. Any worker; each call holds one reader. */
#include "backends/metadata/store.h"

#include <stdlib.h>
#include <string.h>

/* ---- usage ---- */

static enum gh_status add_sums(struct query *q, enum sql_id sql, uint64_t tenant, int64_t *bytes, int64_t *files)
{
	enum gh_status st = query_prepare(q, sql);

	if (st != GH_OK)
		return st;
	db_bind_u64(q->stmt, 1, tenant);
	st = q->m->drv->step(q->stmt);
	if (st == GH_OK) {
		*bytes += db_i64(q->stmt, 0);
		*files += db_i64(q->stmt, 1);
	}
	return st;
}

enum gh_status shard_usage(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t *ret_bytes,
			   uint64_t *ret_files)
{
	static const enum sql_id all[] = { SQL_USAGE_FOLDED, SQL_USAGE_SINCE, SQL_USAGE_LATE };
	int64_t bytes = 0, files = 0;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_snapshot(&q);
	if (st == GH_OK)
		st = query_ahead(&q, tenant, all, sizeof(all) / sizeof(all[0]));
	for (unsigned i = 0; st == GH_OK && i < sizeof(all) / sizeof(all[0]); i++)
		st = add_sums(&q, all[i], tenant, &bytes, &files);
	if (st == GH_END)
		st = GH_NOTFOUND; /* no such tenant */
	query_close(&q);
	if (st == GH_OK) {
		*ret_bytes = bytes > 0 ? (uint64_t)bytes : 0;
		*ret_files = files > 0 ? (uint64_t)files : 0;
	}
	return st;
}

/* ---- the log ---- */

struct events {
	struct meta_event *rows;
	unsigned count, cap;
};

static enum gh_status events_of(struct query *q, uint64_t tenant, uint64_t after_op, unsigned limit, struct events *ev)
{
	enum gh_status st = query_prepare(q, SQL_EVENTS_GET);

	if (st != GH_OK)
		return st;
	db_bind_u64(q->stmt, 1, tenant);
	db_bind_u64(q->stmt, 2, after_op);
	db_bind_u64(q->stmt, 3, limit);
	while ((st = q->m->drv->step(q->stmt)) == GH_OK) {
		ev->rows = rows_more(q->call->arena, ev->rows, ev->count, &ev->cap, sizeof(*ev->rows));
		if (!ev->rows)
			return GH_NOMEM;
		row_event(q->call->arena, q->stmt, &ev->rows[ev->count++]);
	}
	return st == GH_END ? GH_OK : st;
}

/* ---- the log of all tenants: first which operations, then their rows ---- */

struct op_ref {
	uint64_t op, tenant;
};

static int by_op(const void *a, const void *b)
{
	const struct op_ref *x = a, *y = b;

	if (x->op != y->op)
		return x->op < y->op ? -1 : 1;
	return x->tenant < y->tenant ? -1 : x->tenant > y->tenant;
}

/* The `limit` first operations after after_op among ops[0..count) and those of one more tenant. ops has room for twice
 * the limit. */
static enum gh_status merge_ops(struct query *q, uint64_t tenant, uint64_t after_op, unsigned limit, struct op_ref *ops,
				unsigned *count)
{
	uint64_t before = *count == limit ? ops[limit - 1].op : INT64_MAX;
	unsigned n = *count;
	enum gh_status st = query_prepare(q, SQL_EVENT_OPS);

	if (st != GH_OK)
		return st;
	db_bind_u64(q->stmt, 1, tenant);
	db_bind_u64(q->stmt, 2, after_op);
	db_bind_u64(q->stmt, 3, before);
	db_bind_u64(q->stmt, 4, limit);
	while ((st = q->m->drv->step(q->stmt)) == GH_OK)
		ops[n++] = (struct op_ref){ db_u64(q->stmt, 0), tenant };
	qsort(ops, n, sizeof(*ops), by_op);
	*count = n < limit ? n : limit;
	return st == GH_END ? GH_OK : st;
}

static enum gh_status tenant_ids(struct query *q, uint64_t **ret, unsigned *ret_count)
{
	unsigned cap = 0;
	enum gh_status st = query_prepare(q, SQL_TENANTS);

	*ret = NULL;
	*ret_count = 0;
	if (st != GH_OK)
		return st;
	*ret = rows_more(q->call->arena, *ret, 0, &cap, sizeof(**ret));
	if (!*ret)
		return GH_NOMEM;
	(*ret)[(*ret_count)++] = 0; /* the house's own */
	db_bind_u64(q->stmt, 1, 0);
	db_bind_u64(q->stmt, 2, INT64_MAX);
	while ((st = q->m->drv->step(q->stmt)) == GH_OK) {
		*ret = rows_more(q->call->arena, *ret, *ret_count, &cap, sizeof(**ret));
		if (!*ret)
			return GH_NOMEM;
		(*ret)[(*ret_count)++] = db_u64(q->stmt, 0);
	}
	return st == GH_END ? GH_OK : st;
}

static enum gh_status events_of_all(struct query *q, uint64_t after_op, unsigned limit, struct events *ev)
{
	struct op_ref *ops = calloc((size_t)limit * 2 + 1, sizeof(*ops));
	unsigned tenants = 0, count = 0;
	uint64_t *ids;
	enum gh_status st = ops ? tenant_ids(q, &ids, &tenants) : GH_NOMEM;

	for (unsigned i = 0; st == GH_OK && i < tenants; i++)
		st = merge_ops(q, ids[i], after_op, limit, ops, &count);
	for (unsigned i = 0; st == GH_OK && i < count; i++)
		st = events_of(q, ops[i].tenant, ops[i].op - 1, 1, ev);
	free(ops);
	return st;
}

enum gh_status shard_events(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t after_op,
			    unsigned limit, struct meta_event **ret, unsigned *ret_count)
{
	struct events ev = { 0 };
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_snapshot(&q);
	if (st == GH_OK)
		st = tenant ? events_of(&q, tenant, after_op, limit, &ev) : events_of_all(&q, after_op, limit, &ev);
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK) {
		*ret = ev.rows;
		*ret_count = ev.count;
	}
	return st;
}
