/* A tenant's row is made or changed while there are several shards. Central decides: in one job that keeps every other writer
 * of central out it is looked whether name and host names are free, and where the tenant goes; then its shard makes the rest,
 * and central notes that it is there. What was broken off in between is taken up when the same name is added again.
 */
#include "backends/metadata/route.h"

#include <stdio.h>
#include <string.h>

#define CLAIM "claim"	     /* a lease: a tenant is being made */
#define CLAIM_US 20000000ll /* longer than its parts may take */

struct claim {
	struct route_row row; /* as it shall be */
	uint64_t stale;       /* a tenant of that name that was never finished: its row goes */
	struct gh_arena *arena;
	uint64_t now; /* its row.changed, once it is there */
};

static bool word_in(const char *list, const char *word, size_t len)
{
	for (const char *p = list; *p; p += strspn(p, " ")) {
		const size_t n = strcspn(p, " ");

		if (n == len && !memcmp(p, word, len))
			return true;
		p += n;
	}
	return false;
}

static bool share_a_word(const char *a, const char *b)
{
	for (const char *p = a; *p; p += strspn(p, " ")) {
		const size_t n = strcspn(p, " ");

		if (n && word_in(b, p, n))
			return true;
		p += n;
	}
	return false;
}

/* Nobody else has that name, nor one of those host names. Columns: id, name, hosts first, in both tables. */
static enum gh_status is_free(struct db_conn *c, enum sql_id sql, const struct claim *k)
{
	const size_t name_len = strlen(k->row.t.name);
	struct db_stmt *s;
	enum gh_status st = c->drv->prepare(c, sql, &s);

	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, 0);
	db_bind_u64(s, 2, INT64_MAX);
	while ((st = c->drv->step(s)) == GH_OK) {
		const uint64_t id = db_u64(s, 0);
		size_t len;
		const char *name = c->drv->get_bytes(s, 1, &len);
		const char *hosts;

		if (id == k->row.t.id || id == k->stale)
			continue;
		if (len == name_len && !memcmp(name, k->row.t.name, len))
			break;
		hosts = row_str(k->arena, s, 2, NULL);
		if (!hosts || share_a_word(k->row.t.hosts, hosts))
			break;
	}
	c->drv->reset(s);
	return st == GH_END ? GH_OK : st == GH_OK ? GH_EXISTS : st;
}

/* While a claim's lease lives, whoever made it may still be at it. GH_BUSY: another has it. */
static enum gh_status claim_lease(struct db_conn *c, uint64_t tenant, uint64_t holder, int64_t now_us)
{
	const struct db_value v[] = { V_BYTES(CLAIM), V_I64(tenant), V_I64(0), V_I64(holder), V_I64(now_us + CLAIM_US), V_I64(now_us) };
	const enum gh_status st = job_statement(c, SQL_LEASE_TAKE, v, 6);

	return st == GH_OK && !c->drv->changes(c) ? GH_BUSY : st;
}

static enum gh_status claim_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct claim *k = arg;
	struct route_row row = k->row; /* it may be run again */
	const struct db_value stale = V_I64(k->stale);
	enum gh_status st = is_free(c, SQL_TENANTS, k);

	if (st == GH_OK)
		st = is_free(c, SQL_ROUTES, k);
	if (st == GH_OK && k->stale)
		st = claim_lease(c, k->stale, k->row.t.id, now_us);
	if (st == GH_OK && k->stale)
		st = job_statement(c, SQL_ROUTE_DELETE, &stale, 1);
	if (st == GH_OK && k->row.step == ROUTE_MAKING)
		st = claim_lease(c, k->row.t.id, k->row.t.id, now_us);
	if (st == GH_OK)
		st = route_replace_in(c, &row);
	k->now = row.changed;
	return st;
}

/* ---- where to ---- */

static enum gh_status counts_read(struct meta_store *m, struct meta_call *c, uint64_t counts[SEATS_MAX])
{
	struct query q;
	enum gh_status st = query_open(&q, m->central, c);

	memset(counts, 0, SEATS_MAX * sizeof(*counts));
	if (st == GH_OK)
		st = query_prepare(&q, SQL_SHARD_TENANTS);
	while (st == GH_OK && (st = m->central->drv->step(q.stmt)) == GH_OK)
		for (unsigned i = 0; i < atomic_load(&m->seat_count); i++)
			if (m->seat[i]->id == db_u64(q.stmt, 0))
				counts[i] = db_u64(q.stmt, 1);
	query_close(&q);
	return st == GH_END ? GH_OK : st;
}

/* The open one with the fewest tenants, or the one that is named. */
static enum gh_status seat_for(struct meta_store *m, struct meta_call *c, const char *name, struct seat **ret)
{
	uint64_t counts[SEATS_MAX];
	unsigned best = SEATS_MAX;
	enum gh_status st;

	if (name && *name) {
		*ret = seat_named(m, name);
		if (!*ret)
			return GH_NOTFOUND;
		return (*ret)->state == META_SHARD_OPEN ? GH_OK : GH_DRAINING;
	}
	st = counts_read(m, c, counts);
	for (unsigned i = 0; st == GH_OK && i < atomic_load(&m->seat_count); i++)
		if (m->seat[i]->state == META_SHARD_OPEN && seat_store(m->seat[i]) &&
		    (best == SEATS_MAX || counts[i] < counts[best]))
			best = i;
	if (st == GH_OK && best == SEATS_MAX)
		return GH_DRAINING;
	if (st == GH_OK)
		*ret = m->seat[best];
	return st;
}

/* ---- making ---- */

/* A row of that name: is it a tenant's, or what was left of an attempt? */
static enum gh_status look_at_name(struct meta_store *m, struct meta_call *c, const char *name, uint64_t *ret_stale)
{
	const struct db_value v = V_BYTES(name);
	struct route_row *row;
	unsigned count = 0;
	struct tenant_mark mark;
	struct seat *s;
	enum gh_status st = route_rows(m, c, SQL_ROUTE_BY_NAME, &v, 1, &row, &count);

	*ret_stale = 0;
	if (st != GH_OK || !count)
		return st;
	s = row->step == ROUTE_MAKING ? seat_of_id(m, row->shard) : NULL;
	if (!s)
		return GH_EXISTS;
	if (!seat_store(s))
		return GH_DATABASE;
	st = tenant_mark_read(seat_store(s), c, row->t.id, &mark, NULL);
	if (st == GH_OK) { /* it is there whole; only the last step was missing */
		row->step = ROUTE_SETTLED;
		st = route_replace(m, c, row);
		return st == GH_OK ? GH_EXISTS : st;
	}
	*ret_stale = row->t.id;
	return st == GH_NOTFOUND ? GH_OK : st;
}

static enum gh_status make(struct meta_store *m, struct meta_call *c, struct meta_batch *b, const struct meta_tenant *t)
{
	struct claim k = { .row = { .t = *t, .step = ROUTE_MAKING }, .arena = c->arena };
	struct seat *s = NULL;
	enum gh_status st = look_at_name(m, c, t->name, &k.stale);

	if (st == GH_OK)
		st = seat_for(m, c, t->shard, &s);
	if (st == GH_OK && !seat_store(s))
		st = GH_DATABASE;
	if (st != GH_OK)
		return st;
	k.row.t.hosts = t->hosts ? t->hosts : "";
	k.row.t.route_epoch = 1;
	k.row.shard = s->id;
	st = commit_job(m->central, c, claim_run, &k);
	if (st != GH_OK)
		return st;
	st = shard_commit(seat_store(s), c, b);
	if (st != GH_OK)
		return st; /* whoever adds it again takes it up */
	k.row.step = ROUTE_SETTLED;
	k.row.changed = k.now;
	return route_replace(m, c, &k.row);
}

/* ---- changing ---- */

static enum gh_status change(struct meta_store *m, struct meta_call *c, struct meta_batch *b, const struct meta_tenant *t,
			     const struct route_row *was)
{
	struct claim k = { .row = *was, .arena = c->arena };
	struct route_row back = *was;
	struct shard_store *s;
	struct route r;
	enum gh_status st;

	k.row.t.hosts = t->hosts ? t->hosts : "";
	k.row.t.disabled = t->disabled;
	st = route_home(m, c, b->tenant, &r, &s);
	if (st == GH_OK)
		st = commit_job(m->central, c, claim_run, &k);
	if (st != GH_OK)
		return st == GH_STALE ? GH_BUSY : st; /* changed by another, or a move of it has begun */
	if (r.epoch)
		b->route_epoch = r.epoch;
	st = shard_commit(s, c, b);
	if (st == GH_STALE)
		route_suspect(m, b->tenant);
	back.changed = k.now;
	if (st != GH_OK && st != GH_UNKNOWN && route_replace(m, c, &back) != GH_OK)
		return GH_UNKNOWN; /* central says it, the shard does not */
	return st;
}

enum gh_status route_commit_tenant(struct meta_store *m, struct meta_call *c, struct meta_batch *b, const struct meta_tenant *t)
{
	struct route_row *row;
	struct meta_tenant *own;
	enum gh_status st = route_row_get(m, c, t->id, &row);

	if (st == GH_OK)
		return row->step == ROUTE_SETTLED ? change(m, c, b, t, row) : GH_BUSY;
	if (st != GH_NOTFOUND)
		return st;
	st = shard_tenant_by_name(m->central, c, t->name, &own);
	if (st == GH_OK && own->id != t->id)
		return GH_EXISTS;
	if (st == GH_OK)
		return shard_commit(m->central, c, b);
	return st == GH_NOTFOUND ? make(m, c, b, t) : st;
}
