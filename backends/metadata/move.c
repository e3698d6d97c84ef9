/* The steps of a move (move.h): each call takes the next one, from what central's row says. Administrators' threads; blocks. */
#include "backends/metadata/move.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"

#define LEASE "move"
#define LEASE_MS 5000u
#define LEFT "moved" /* a lease nobody holds: it ends when no gateway needs the old rows any more */
#define LEFT_MS 10000u
#define NOTICE_MS 1300 /* until every gateway has seen the row, or knows that it has not looked */
#define FEW 200u /* so many rows may differ, or half of all: another pass would find as many that were changed meanwhile */
#define FROZEN_PASSES 4u
#define GATEWAY_MARK_US 60000000 /* no mark holds longer */

struct mover {
	struct meta_store *m;
	struct meta_call *c;
	const char *name;
	char *err;
	uint64_t holder, renewed_ns;
	struct route_row *row;
	struct seat *home, *away; /* of row->shard and row->target */
};

static enum gh_status fail(struct mover *v, enum gh_status st, const char *what)
{
	if (st != GH_OK && !*v->err)
		snprintf(v->err, DB_ERR_MAX, "tenant %s: %s: %s", v->name, what, gh_status_text(st));
	return st;
}

/* ---- who moves ---- */

static enum gh_status lease(struct mover *v)
{
	const enum gh_status st = shard_lease_take(v->m->central, v->c, LEASE, v->row->t.id, 0, v->holder, LEASE_MS);

	v->renewed_ns = gh_mono_ns();
	if (st == GH_BUSY)
		snprintf(v->err, DB_ERR_MAX, "tenant %s is being moved by another at this moment", v->name);
	return st;
}

static enum gh_status alive(void *arg)
{
	struct mover *v = arg;

	return gh_mono_ns() - v->renewed_ns < LEASE_MS * GH_MS_NS / 4 ? GH_OK : lease(v);
}

/* ---- central's row ---- */

struct change {
	struct route_row row;
	uint64_t was; /* `changed` of the row that this was decided from; 0: there was none */
};

static enum gh_status change_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct change *k = arg;
	struct db_stmt *s;
	uint64_t changed = 0;
	enum gh_status st = c->drv->prepare(c, SQL_ROUTE_GET, &s);

	(void)now_us;
	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, k->row.t.id);
	st = c->drv->step(s);
	if (st == GH_OK)
		changed = db_u64(s, 11);
	c->drv->reset(s);
	if (st != GH_OK && st != GH_END)
		return st;
	return changed == k->was ? route_put_in(c, &k->row) : GH_STALE;
}

static enum gh_status read_again(struct mover *v)
{
	const enum gh_status st = route_row_get(v->m, v->c, v->row->t.id, &v->row);

	v->home = st == GH_OK ? seat_of_id(v->m, v->row->shard) : NULL;
	v->away = st == GH_OK && v->row->target ? seat_of_id(v->m, v->row->target) : NULL;
	return st;
}

static enum gh_status row_step(struct mover *v, struct route_row row, enum route_step step)
{
	struct change k = { .row = row, .was = v->row->changed };
	enum gh_status st;

	k.row.step = step;
	st = commit_job(v->m->central, v->c, change_run, &k);
	if (st == GH_OK)
		st = read_again(v);
	if (st == GH_OK)
		route_learn(v->m, v->row);
	return fail(v, st, "central's route");
}

/* ---- a tenant's row in a shard ---- */

enum gh_status move_is_coming_in(struct db_conn *c, uint64_t tenant, uint64_t epoch)
{
	int64_t state;
	uint64_t there;
	const enum gh_status st = tenant_state_in(c, tenant, &state, &there);

	if (st == GH_OK && state == TENANT_ELSEWHERE && there == epoch)
		return GH_OK;
	return st == GH_OK || st == GH_NOTFOUND ? GH_STALE : st;
}

struct turn {
	uint64_t tenant, epoch;
	enum tenant_state from, to; /* from: this or any before; it may be there already */
};

static enum gh_status turn_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct turn *t = arg;
	const struct db_value v[] = { V_I64(t->tenant), V_I64(t->to), V_I64(t->epoch) };
	int64_t state;
	uint64_t epoch;
	const enum gh_status st = tenant_state_in(c, t->tenant, &state, &epoch);

	(void)now_us;
	if (st != GH_OK)
		return st;
	if (epoch != t->epoch || (state > (int64_t)t->from && state != (int64_t)t->to))
		return GH_STALE;
	return state == (int64_t)t->to ? GH_OK : job_statement(c, SQL_TENANT_STATE_PUT, v, 3);
}

static enum gh_status turn(struct mover *v, struct seat *s, uint64_t epoch, enum tenant_state from, enum tenant_state to)
{
	struct turn t = { v->row->t.id, epoch, from, to };

	return fail(v, commit_job(seat_store(s), v->c, turn_run, &t), s->name);
}

struct coming {
	const struct meta_tenant *t;
	uint64_t epoch;
};

static enum gh_status coming_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct coming *k = arg;
	const struct meta_tenant *t = k->t;
	const struct db_value v[] = { V_I64(t->id),	V_BYTES(t->name),     V_TEXT(t->hosts),
				      V_I64(t->disabled), V_I64(t->case_sensitive), V_I64(t->root),
				      V_I64(t->trash),	V_I64(t->tree_gen),   V_I64(t->rights_epoch),
				      V_I64(k->epoch) };
	int64_t state;
	enum gh_status st = tenant_state_in(c, t->id, &state, NULL);

	(void)now_us;
	if (st == GH_OK && state != TENANT_ELSEWHERE)
		return GH_STALE;
	if (st == GH_OK)
		st = job_statement(c, SQL_TENANT_GONE, v, 1);
	return st == GH_OK || st == GH_NOTFOUND ? job_statement(c, SQL_TENANT_COMING, v, 10) : st;
}

/* The new shard has its row, of how it is now, and serves it to nobody. */
static enum gh_status come(struct mover *v)
{
	struct meta_tenant *t = NULL;
	struct coming k = { .epoch = v->row->t.route_epoch + 1 };
	enum gh_status st = shard_tenant_by_name(seat_store(v->home), v->c, v->row->t.name, &t);

	k.t = t;
	if (st == GH_OK)
		st = commit_job(seat_store(v->away), v->c, coming_run, &k);
	return fail(v, st, v->away->name);
}

/* Marks of what is in the making come along, for as long as they would have held. */
static enum gh_status bring_marks(struct mover *v)
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
	return st == GH_END ? GH_OK : fail(v, st, "marks of what is in the making");
}

/* Nothing of it is left there. */
static enum gh_status remove_from(struct mover *v, struct seat *s, uint64_t epoch, struct move_tally *ret)
{
	const struct move k = { v->row->t.id, epoch, NULL, seat_store(s), alive, v };
	int64_t state;
	uint64_t there;
	enum gh_status st = tenant_state_read(k.to, v->c, k.tenant, &state, &there);

	if (st == GH_NOTFOUND)
		return GH_OK;
	if (st == GH_OK)
		st = move_mend(&k, v->c, ret);
	return fail(v, st, s->name);
}

static enum gh_status gone_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct db_value id = V_I64(*(uint64_t *)arg);

	(void)now_us;
	return job_statement(c, SQL_TENANT_GONE, &id, 1);
}

static enum gh_status clear(struct mover *v, struct seat *s, uint64_t epoch, struct move_tally *ret)
{
	enum gh_status st = remove_from(v, s, epoch, ret);

	return st == GH_OK ? fail(v, commit_job(seat_store(s), v->c, gone_run, &v->row->t.id), s->name) : st;
}

/* ---- the steps ---- */

static enum gh_status begin(struct mover *v, struct seat *to)
{
	struct route_row row = *v->row;

	row.target = to->id;
	return row_step(v, row, ROUTE_COPYING);
}

static enum gh_status copy(struct mover *v, struct move_tally *ret)
{
	const struct move k = { v->row->t.id, v->row->t.route_epoch + 1, seat_store(v->home), seat_store(v->away), alive, v };
	enum gh_status st = turn(v, v->home, v->row->t.route_epoch, TENANT_HOME, TENANT_COPIED);

	if (st == GH_OK)
		st = come(v);
	return st == GH_OK ? fail(v, move_mend(&k, v->c, ret), "copying") : st;
}

static void notice(void)
{
	const struct timespec t = { .tv_sec = NOTICE_MS / 1000, .tv_nsec = NOTICE_MS % 1000 * 1000000l };

	nanosleep(&t, NULL);
}

/* Nobody can change it: bring over what is left, until a pass finds both equal. */
static enum gh_status copy_frozen(struct mover *v, struct move_tally *ret)
{
	const struct move k = { v->row->t.id, v->row->t.route_epoch + 1, seat_store(v->home), seat_store(v->away), alive, v };
	enum gh_status st = turn(v, v->home, v->row->t.route_epoch, TENANT_COPIED, TENANT_FROZEN);

	if (st == GH_OK)
		st = come(v);
	if (st == GH_OK)
		st = bring_marks(v);
	ret->differed = 1;
	for (unsigned i = 0; st == GH_OK && ret->differed && i < FROZEN_PASSES; i++)
		st = fail(v, move_mend(&k, v->c, ret), "copying");
	return st == GH_OK && ret->differed ? fail(v, GH_DAMAGED, "both shards do not become equal") : st;
}

/* Served again where it is. Also what a move that fails here leaves behind. */
static enum gh_status thaw(struct mover *v, enum tenant_state to)
{
	enum gh_status st = v->row->step == ROUTE_SWITCHING ? row_step(v, *v->row, ROUTE_COPYING) : GH_OK;

	return st == GH_OK ? turn(v, v->home, v->row->t.route_epoch, TENANT_FROZEN, to) : st;
}

static enum gh_status switch_over(struct mover *v, struct meta_move *ret, struct move_tally *tally)
{
	enum gh_status st = GH_OK;
	struct route_row row;
	uint64_t began;

	if (v->row->step == ROUTE_COPYING)
		st = row_step(v, *v->row, ROUTE_SWITCHING);
	if (st == GH_OK)
		notice();
	if (st == GH_OK)
		st = copy(v, tally); /* so that little is left for when it is frozen */
	began = gh_mono_ns();
	if (st == GH_OK)
		st = copy_frozen(v, tally);
	row = *v->row;
	row.shard = v->row->target;
	row.target = v->row->shard;
	row.t.route_epoch++;
	if (st == GH_OK)
		st = row_step(v, row, ROUTE_LANDING);
	ret->frozen_us = (gh_mono_ns() - began) / 1000;
	return st;
}

/* It is there. */
static enum gh_status land(struct mover *v)
{
	const uint64_t epoch = v->row->t.route_epoch;
	enum gh_status st = shard_feed_renew(seat_store(v->home), v->c, v->row->t.id);

	if (st == GH_OK)
		st = turn(v, v->home, epoch, TENANT_ELSEWHERE, TENANT_HOME);
	if (st == GH_OK)
		st = turn(v, v->away, epoch - 1, TENANT_FROZEN, TENANT_ELSEWHERE);
	if (st == GH_OK)
		st = shard_lease_take(v->m->central, v->c, LEFT, v->row->t.id, 0, v->row->changed, LEFT_MS);
	if (st == GH_OK || st == GH_BUSY)
		st = row_step(v, *v->row, ROUTE_CLEARING);
	return fail(v, st, "opening it");
}

static enum gh_status clear_step(struct mover *v, struct meta_move *ret, struct move_tally *tally)
{
	struct route_row row = *v->row;
	enum gh_status st = shard_lease_take(v->m->central, v->c, LEFT, row.t.id, 0, v->holder, LEASE_MS);

	if (st == GH_BUSY) {
		ret->step = "waiting";
		return GH_OK;
	}
	if (st == GH_OK)
		st = clear(v, v->away, row.t.route_epoch - 1, tally);
	if (st == GH_OK)
		st = shard_lease_drop(v->m->central, v->c, LEFT, row.t.id, 0, v->holder);
	row.target = 0;
	if (st == GH_OK)
		st = row_step(v, row, ROUTE_SETTLED);
	ret->done = st == GH_OK;
	return fail(v, st, "clearing");
}

static enum gh_status one_step(struct mover *v, struct seat *to, struct meta_move *ret)
{
	struct move_tally tally = { .rows = 0 };
	enum gh_status st = GH_OK;

	if (v->row->step == ROUTE_SETTLED)
		st = begin(v, to);
	ret->step = v->row->step == ROUTE_CLEARING ? "clearing" : "copying";
	if (st == GH_OK && v->row->step == ROUTE_CLEARING)
		st = clear_step(v, ret, &tally);
	else if (st == GH_OK && v->row->step == ROUTE_COPYING)
		st = copy(v, &tally);
	if (st == GH_OK &&
	    (v->row->step == ROUTE_SWITCHING || (v->row->step == ROUTE_COPYING && (tally.differed <= FEW || tally.differed < tally.rows / 2)))) {
		ret->step = "switching";
		st = switch_over(v, ret, &tally);
		if (st != GH_OK && v->row->step < ROUTE_LANDING && thaw(v, TENANT_COPIED) != GH_OK)
			gh_log(GH_LOG_WARN, "meta.move_frozen", "tenant=%s hint=\"go on with the move, or abandon it\"", v->name);
	}
	if (st == GH_OK && v->row->step == ROUTE_LANDING)
		st = land(v);
	ret->rows = tally.rows;
	ret->differed = tally.differed;
	ret->moved = v->row->step >= ROUTE_LANDING || ret->done;
	return st;
}

/* ---- from where to where ---- */

/* One that has always been in central's own database gets its row. */
static enum gh_status row_of(struct mover *v)
{
	const struct db_value name = V_BYTES(v->name);
	struct change k = { .was = 0 };
	struct meta_tenant *t;
	unsigned count = 0;
	enum gh_status st = route_rows(v->m, v->c, SQL_ROUTE_BY_NAME, &name, 1, &v->row, &count);

	if (st != GH_OK)
		return st;
	if (!count) {
		st = shard_tenant_by_name(v->m->central, v->c, v->name, &t);
		if (st != GH_OK)
			return st;
		k.row = (struct route_row){ .t = *t, .shard = MAIN };
		st = commit_job(v->m->central, v->c, change_run, &k);
		if (st != GH_OK && st != GH_STALE)
			return st;
		v->row = &k.row;
	}
	return read_again(v);
}

static enum gh_status look_up(struct mover *v)
{
	enum gh_status st;

	*v->err = '\0';
	if (!v->m->cfg.conninfo || !atomic_load(&v->m->many)) {
		snprintf(v->err, DB_ERR_MAX, "there is no other shard than main: %s",
			 v->m->cfg.conninfo ? "add one first" : "metadata is in a file (gatehouse migrate)");
		return GH_UNSUPPORTED;
	}
	gh_random(&v->holder, sizeof(v->holder));
	v->holder = v->holder >> 1 | 1;
	st = row_of(v);
	if (st == GH_NOTFOUND || (st == GH_OK && v->row->step == ROUTE_MAKING)) {
		snprintf(v->err, DB_ERR_MAX, "there is no tenant \"%.64s\"", v->name);
		return GH_NOTFOUND;
	}
	return fail(v, st, "central's route");
}

static enum gh_status refuse(struct mover *v, enum gh_status st, const char *shard, const char *why)
{
	snprintf(v->err, DB_ERR_MAX, "tenant %s %s \"%.64s\"%s", v->name, "cannot be moved to shard", shard, why);
	return st;
}

static enum gh_status may_go(struct mover *v, const char *shard, struct seat **ret)
{
	struct seat *to = *ret = seat_named(v->m, shard);
	const enum route_step step = v->row->step;

	if (!to)
		return refuse(v, GH_NOTFOUND, shard, ": there is none of that name");
	if (step == ROUTE_SETTLED && to == v->home)
		return refuse(v, GH_EXISTS, shard, ": it is there");
	if (step == ROUTE_SETTLED && to->state != META_SHARD_OPEN)
		return refuse(v, GH_DRAINING, shard, ": it takes no new tenants");
	if (step != ROUTE_SETTLED && to != (step < ROUTE_LANDING ? v->away : v->home))
		return refuse(v, GH_CONFLICT, shard, ": it is on its way to another; end that, or abandon it, first");
	if (!v->home || !seat_store(v->home) || !seat_store(to) || (v->away && !seat_store(v->away)))
		return refuse(v, GH_DATABASE, shard, ": that one, or where it is, is not reached (gatehouse shard list)");
	return GH_OK;
}

enum gh_status meta_tenant_move(struct meta_store *m, struct meta_call *c, const char *tenant, const char *shard,
				struct meta_move *ret, char *err)
{
	struct mover v = { .m = m, .c = c, .name = tenant, .err = err };
	struct seat *to = NULL;
	enum gh_status st = look_up(&v);

	*ret = (struct meta_move){ .step = "settled" };
	if (st == GH_OK)
		st = may_go(&v, shard, &to);
	if (st == GH_OK)
		st = lease(&v);
	if (st != GH_OK)
		return st;
	st = read_again(&v); /* before the lease was ours it may have been another's */
	if (st == GH_OK)
		st = may_go(&v, shard, &to);
	if (st == GH_OK)
		st = one_step(&v, to, ret);
	if (shard_lease_drop(m->central, c, LEASE, v.row->t.id, 0, v.holder) != GH_OK && st == GH_OK)
		return GH_OK; /* it ends by itself */
	return st;
}

enum gh_status meta_tenant_move_abandon(struct meta_store *m, struct meta_call *c, const char *tenant, char *err)
{
	struct mover v = { .m = m, .c = c, .name = tenant, .err = err };
	struct move_tally tally;
	struct route_row row;
	enum gh_status st = look_up(&v);

	if (st == GH_OK)
		st = lease(&v);
	if (st != GH_OK)
		return st;
	st = fail(&v, read_again(&v), "central's route");
	if (st == GH_OK && (v.row->step < ROUTE_COPYING || v.row->step > ROUTE_SWITCHING)) {
		snprintf(err, DB_ERR_MAX, "tenant %s is not on its way%s", tenant,
			 v.row->step > ROUTE_SWITCHING ? " any more; let the move end, and move it back" : "");
		st = GH_CONFLICT;
	}
	if (st == GH_OK && (!v.home || !seat_store(v.home) || !v.away || !seat_store(v.away)))
		st = fail(&v, GH_DATABASE, "one of its shards is not reached");
	if (st == GH_OK)
		st = thaw(&v, TENANT_HOME);
	if (st == GH_OK)
		st = clear(&v, v.away, v.row->t.route_epoch + 1, &tally);
	row = *v.row;
	row.target = 0;
	if (st == GH_OK)
		st = row_step(&v, row, ROUTE_SETTLED);
	if (shard_lease_drop(m->central, c, LEASE, v.row->t.id, 0, v.holder) != GH_OK && st == GH_OK)
		return GH_OK; /* it ends by itself */
	return st;
}
