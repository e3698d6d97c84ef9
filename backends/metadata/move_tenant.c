/* A tenant's row in either shard, while it moves: each function is one job there, which looks at what the row says first. See
 * move.h. Administrators' threads; blocks. */
#include "backends/metadata/move_step.h"

#include <string.h>

#define GATEWAY_MARK_US 60000000 /* no mark holds longer */

static enum gh_status mark_put(struct db_conn *c, uint64_t tenant, const struct tenant_mark *k)
{
	const struct db_value v[] = { V_I64(tenant), V_I64(k->state), V_I64(k->epoch), V_I64(k->mover), V_I64(k->hold_us) };

	return job_statement(c, SQL_TENANT_STATE_PUT, v, 5);
}

enum gh_status move_is_coming_in(struct db_conn *c, const struct move *m)
{
	struct tenant_mark there;
	const enum gh_status st = tenant_mark_in(c, m->tenant, &there);

	if (st == GH_OK && there.state == TENANT_ELSEWHERE && there.epoch == m->epoch && there.mover == m->mover)
		return GH_OK;
	return st == GH_OK || st == GH_NOTFOUND ? GH_STALE : st;
}

/* ---- from one state to the next ---- */

struct turn {
	uint64_t tenant, epoch, mover;
	enum tenant_state from, to;
};

static enum gh_status turn_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct turn *t = arg;
	const struct tenant_mark then = { t->to, t->epoch, 0, t->mover };
	struct tenant_mark now;
	const enum gh_status st = tenant_mark_in(c, t->tenant, &now);

	(void)now_us;
	if (st != GH_OK)
		return st;
	if (now.epoch != t->epoch || (now.state > (int64_t)t->from && now.state != (int64_t)t->to))
		return GH_STALE;
	if (now.state == then.state && now.mover == then.mover && !now.hold_us)
		return GH_OK;
	return mark_put(c, t->tenant, &then);
}

enum gh_status tenant_turn(struct mover *v, struct seat *s, uint64_t epoch, enum tenant_state from, enum tenant_state to)
{
	struct turn t = { v->row->t.id, epoch, to == TENANT_COPIED ? v->number : 0, from, to };

	return mover_fail(v, commit_job(seat_store(s), v->c, turn_run, &t), s->name);
}

struct coming {
	const struct meta_tenant *t;
	uint64_t epoch, mover;
};

static enum gh_status coming_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct coming *k = arg;
	const struct meta_tenant *t = k->t;
	const struct db_value v[] = { V_I64(t->id),	V_BYTES(t->name),     V_TEXT(t->hosts),
				      V_I64(t->disabled), V_I64(t->case_sensitive), V_I64(t->root),
				      V_I64(t->trash),	V_I64(t->tree_gen),   V_I64(t->rights_epoch),
				      V_I64(k->epoch),	V_I64(k->mover) };
	int64_t state;
	enum gh_status st = tenant_state_in(c, t->id, &state);

	(void)now_us;
	if (st == GH_OK && state != TENANT_ELSEWHERE)
		return GH_STALE;
	if (st == GH_OK)
		st = job_statement(c, SQL_TENANT_GONE, v, 1);
	return st == GH_OK || st == GH_NOTFOUND ? job_statement(c, SQL_TENANT_COMING, v, 11) : st;
}

enum gh_status tenant_come(struct mover *v)
{
	struct meta_tenant *t = NULL;
	struct coming k = { .epoch = v->row->t.route_epoch + 1, .mover = v->number };
	enum gh_status st = shard_tenant_by_name(seat_store(v->home), v->c, v->row->t.name, &t);

	k.t = t;
	if (st == GH_OK)
		st = commit_job(seat_store(v->away), v->c, coming_run, &k);
	return mover_fail(v, st, v->away->name);
}

/* ---- held, and sealed ---- */

struct hold {
	const struct mover *v;
	uint32_t ms;
};

/* GH_STALE: it is not ours. */
static enum gh_status ours(struct db_conn *c, const struct mover *v, struct tenant_mark *ret)
{
	const enum gh_status st = tenant_mark_in(c, v->row->t.id, ret);

	if (st != GH_OK)
		return st;
	return ret->state == TENANT_COPIED && ret->epoch == v->row->t.route_epoch && ret->mover == v->number ? GH_OK : GH_STALE;
}

/* A job keeps every other writer out: no batch is under way behind it. */
static enum gh_status hold_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct hold *h = arg;
	struct tenant_mark mark;
	const enum gh_status st = ours(c, h->v, &mark);

	if (st != GH_OK)
		return st;
	mark.hold_us = h->ms ? now_us + (int64_t)h->ms * 1000 : 0;
	return mark_put(c, h->v->row->t.id, &mark);
}

enum gh_status tenant_hold(struct mover *v, uint32_t ms)
{
	struct hold h = { v, ms };

	return mover_fail(v, commit_job(seat_store(v->home), v->c, hold_run, &h), v->home->name);
}

static enum gh_status seal_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct mover *v = arg;
	struct tenant_mark mark;
	enum gh_status st = ours(c, v, &mark);

	(void)now_us;
	if (st == GH_OK)
		st = move_is_all(c, v->row->t.id, &v->trail);
	if (st != GH_OK)
		return st;
	mark.state = TENANT_FROZEN;
	mark.hold_us = 0;
	return mark_put(c, v->row->t.id, &mark);
}

enum gh_status tenant_seal(struct mover *v)
{
	return commit_job(seat_store(v->home), v->c, seal_run, v);
}

/* ---- what comes along, and what is left ---- */

enum gh_status tenant_bring_marks(struct mover *v)
{
	struct shard_store *from = seat_store(v->home), *to = seat_store(v->away);
	const uint64_t tenant = v->row->t.id;
	struct query q;
	enum gh_status st = query_open(&q, from, v->c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_LEASES_OF);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		db_bind_blob(q.stmt, 2, META_LEASE_MAKING, strlen(META_LEASE_MAKING));
	}
	while (st == GH_OK && (st = from->drv->step(q.stmt)) == GH_OK) {
		const int64_t left_us = db_i64(q.stmt, 2) - from->drv->now_us(q.conn);

		if (left_us <= 0)
			continue;
		st = shard_lease_take(to, v->c, META_LEASE_MAKING, tenant, db_u64(q.stmt, 0), db_u64(q.stmt, 1),
				      (uint32_t)(left_us < GATEWAY_MARK_US ? left_us / 1000 + 1 : GATEWAY_MARK_US / 1000));
		if (st == GH_BUSY)
			st = GH_OK;
	}
	query_close(&q);
	return st == GH_END ? GH_OK : mover_fail(v, st, "marks of what is in the making");
}

/* Whoever was to bring it there writes there no more. */
struct take_over {
	uint64_t tenant, epoch, mover;
};

static enum gh_status take_over_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct take_over *k = arg;
	struct tenant_mark mark;
	const enum gh_status st = tenant_mark_in(c, k->tenant, &mark);

	(void)now_us;
	if (st != GH_OK)
		return st;
	if (mark.state != TENANT_ELSEWHERE || mark.epoch != k->epoch)
		return GH_STALE;
	mark.mover = k->mover;
	return mark_put(c, k->tenant, &mark);
}

static enum gh_status gone_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct db_value id = V_I64(*(uint64_t *)arg);

	(void)now_us;
	return job_statement(c, SQL_TENANT_GONE, &id, 1);
}

enum gh_status tenant_clear(struct mover *v, struct seat *s, uint64_t epoch, struct move_tally *ret)
{
	const struct move k = { v->row->t.id, epoch, v->number, NULL, seat_store(s), mover_alive, v };
	struct take_over t = { k.tenant, epoch, v->number };
	enum gh_status st = commit_job(k.to, v->c, take_over_run, &t);

	*ret = (struct move_tally){ 0 };
	if (st == GH_OK)
		st = move_mend(&k, v->c, ret);
	if (st == GH_OK)
		st = commit_job(k.to, v->c, gone_run, &v->row->t.id);
	if (st == GH_OK || st == GH_NOTFOUND) /* there is none left */
		st = move_told_clear(k.to, v->c, k.tenant);
	return mover_fail(v, st, s->name);
}
