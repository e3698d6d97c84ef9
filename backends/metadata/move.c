/* The steps of a move (move.h): each call takes the next one, from what central's row says. Administrators' threads; blocks. */
#include "backends/metadata/move_step.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"

#define LEASE "move"
#define LEASE_MS 5000u
#define LEFT "moved" /* a lease nobody holds: it ends when no gateway needs the old rows any more */
#define LEFT_MS 10000u
#define FEW 200u /* so many rows may differ, or half of all: another pass would find as many that were changed meanwhile */
#define HOLD_MS 1000u
#define HOLD_MS_MAX 600000u

enum gh_status mover_fail(struct mover *v, enum gh_status st, const char *what)
{
	if (st != GH_OK && !*v->err)
		snprintf(v->err, DB_ERR_MAX, "tenant %s: %s: %s", v->name, what, gh_status_text(st));
	return st;
}

/* ---- who moves ---- */

enum gh_status mover_lease(struct mover *v)
{
	const enum gh_status st = shard_lease_take(v->m->central, v->c, LEASE, v->row->t.id, 0, v->number, LEASE_MS);

	v->renewed_ns = gh_mono_ns();
	if (st == GH_BUSY)
		snprintf(v->err, DB_ERR_MAX, "tenant %s is being moved by another at this moment", v->name);
	return st;
}

enum gh_status mover_alive(void *arg)
{
	struct mover *v = arg;

	return gh_mono_ns() - v->renewed_ns < LEASE_MS * GH_MS_NS / 4 ? GH_OK : mover_lease(v);
}

void mover_end(struct mover *v)
{
	if (shard_lease_drop(v->m->central, v->c, LEASE, v->row->t.id, 0, v->number) != GH_OK)
		gh_log(GH_LOG_DEBUG, "meta.move_lease", "tenant=%s hint=\"it ends by itself\"", v->name);
}

/* ---- central's row ---- */

enum gh_status mover_read_again(struct mover *v)
{
	const enum gh_status st = route_row_get(v->m, v->c, v->row->t.id, &v->row);

	v->home = st == GH_OK ? seat_of_id(v->m, v->row->shard) : NULL;
	v->away = st == GH_OK && v->row->target ? seat_of_id(v->m, v->row->target) : NULL;
	return st;
}

enum gh_status mover_row_step(struct mover *v, struct route_row row, enum route_step step)
{
	enum gh_status st;

	row.changed = v->row->changed;
	row.step = step;
	st = route_replace(v->m, v->c, &row);
	if (st == GH_OK)
		st = mover_read_again(v);
	return mover_fail(v, st, "central's route");
}

/* ---- the steps ---- */

static enum gh_status begin(struct mover *v, struct seat *to)
{
	struct route_row row = *v->row;

	row.target = to->id;
	return mover_row_step(v, row, ROUTE_COPYING);
}

struct move mover_move(struct mover *v)
{
	return (struct move){ v->row->t.id, v->row->t.route_epoch + 1, v->number, seat_store(v->home), seat_store(v->away),
			      mover_alive, v };
}

/* What is changed is told, then all is compared: that pass, and what is told from before it, is all there is. */
static enum gh_status copy(struct mover *v, struct move_tally *ret)
{
	const struct move k = mover_move(v);
	enum gh_status st = tenant_turn(v, v->home, v->row->t.route_epoch, TENANT_HOME, TENANT_COPIED);

	if (st == GH_OK)
		st = tenant_come(v);
	if (st == GH_OK)
		st = mover_fail(v, move_trail_begin(&k, v->c, &v->trail), v->home->name);
	return st == GH_OK ? mover_fail(v, move_mend(&k, v->c, ret), "copying") : st;
}

enum gh_status mover_land(struct mover *v)
{
	const uint64_t epoch = v->row->t.route_epoch;
	enum gh_status st = shard_feed_renew(seat_store(v->home), v->c, v->row->t.id);

	if (st == GH_OK)
		st = tenant_turn(v, v->home, epoch, TENANT_ELSEWHERE, TENANT_HOME);
	if (st == GH_OK)
		st = tenant_turn(v, v->away, epoch - 1, TENANT_FROZEN, TENANT_ELSEWHERE);
	if (st == GH_OK)
		st = shard_lease_take(v->m->central, v->c, LEFT, v->row->t.id, 0, v->row->changed, LEFT_MS);
	if (st == GH_OK || st == GH_BUSY)
		st = mover_row_step(v, *v->row, ROUTE_CLEARING);
	return mover_fail(v, st, "opening it");
}

static enum gh_status clear_step(struct mover *v, struct meta_move *ret, struct move_tally *tally)
{
	struct route_row row = *v->row;
	enum gh_status st = shard_lease_take(v->m->central, v->c, LEFT, row.t.id, 0, v->number, LEASE_MS);

	if (st == GH_BUSY) {
		ret->step = "waiting";
		return GH_OK;
	}
	if (st == GH_OK)
		st = tenant_clear(v, v->away, row.t.route_epoch - 1, tally);
	if (st == GH_OK)
		st = shard_lease_drop(v->m->central, v->c, LEFT, row.t.id, 0, v->number);
	row.target = 0;
	if (st == GH_OK)
		st = mover_row_step(v, row, ROUTE_SETTLED);
	ret->done = st == GH_OK;
	return mover_fail(v, st, "clearing");
}

/* Little has changed since the pass before, or all the time. */
static bool is_near(const struct move_tally *t)
{
	return t->differed <= FEW || t->differed < t->rows / 2;
}

static enum gh_status copy_step(struct mover *v, struct meta_move *ret, struct move_tally *tally)
{
	enum gh_status st = copy(v, tally);

	if (st == GH_OK && !is_near(tally))
		return GH_OK;
	ret->step = "switching";
	if (st == GH_OK)
		st = mover_switch(v, ret);
	if (st != GH_OK && v->row->step < ROUTE_LANDING && mover_thaw(v, TENANT_COPIED) != GH_OK)
		gh_log(GH_LOG_WARN, "meta.move_frozen", "tenant=%s hint=\"go on with the move, or abandon it\"", v->name);
	return st;
}

static enum gh_status one_step(struct mover *v, struct seat *to, struct meta_move *ret)
{
	struct move_tally tally = { .rows = 0 };
	enum gh_status st = GH_OK;

	if (v->row->step == ROUTE_SETTLED)
		st = begin(v, to);
	ret->step = v->row->step == ROUTE_CLEARING ? "clearing" : v->row->step == ROUTE_LANDING ? "switching" : "copying";
	if (st == GH_OK && v->row->step == ROUTE_CLEARING)
		st = clear_step(v, ret, &tally);
	else if (st == GH_OK && v->row->step == ROUTE_LANDING)
		st = mover_land(v);
	else if (st == GH_OK)
		st = copy_step(v, ret, &tally);
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
	struct route_row row;
	struct meta_tenant *t;
	unsigned count = 0;
	enum gh_status st = route_rows(v->m, v->c, SQL_ROUTE_BY_NAME, &name, 1, &v->row, &count);

	if (st != GH_OK)
		return st;
	if (!count) {
		st = shard_tenant_by_name(v->m->central, v->c, v->name, &t);
		if (st != GH_OK)
			return st;
		row = (struct route_row){ .t = *t, .shard = MAIN };
		st = route_replace(v->m, v->c, &row);
		if (st != GH_OK && st != GH_STALE)
			return st;
		v->row = &row;
	}
	return mover_read_again(v);
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
	gh_random(&v->number, sizeof(v->number));
	v->number = v->number >> 1 | 1;
	st = row_of(v);
	if (st == GH_NOTFOUND || (st == GH_OK && v->row->step == ROUTE_MAKING)) {
		snprintf(v->err, DB_ERR_MAX, "there is no tenant \"%.64s\"", v->name);
		return GH_NOTFOUND;
	}
	return mover_fail(v, st, "central's route");
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
				uint32_t hold_ms, struct meta_move *ret, char *err)
{
	struct mover v = { .m = m, .c = c, .name = tenant, .err = err };
	struct seat *to = NULL;
	enum gh_status st = look_up(&v);

	v.hold_ms = !hold_ms ? HOLD_MS : hold_ms < HOLD_MS_MAX ? hold_ms : HOLD_MS_MAX;
	*ret = (struct meta_move){ .step = "settled" };
	if (st == GH_OK)
		st = may_go(&v, shard, &to);
	if (st == GH_OK)
		st = mover_lease(&v);
	if (st != GH_OK)
		return st;
	st = mover_read_again(&v); /* before the lease was ours it may have been another's */
	if (st == GH_OK)
		st = may_go(&v, shard, &to);
	if (st == GH_OK)
		st = one_step(&v, to, ret);
	mover_end(&v);
	return st;
}

enum gh_status meta_tenant_move_abandon(struct meta_store *m, struct meta_call *c, const char *tenant, char *err)
{
	struct mover v = { .m = m, .c = c, .name = tenant, .err = err };
	struct move_tally tally;
	struct route_row row;
	enum gh_status st = look_up(&v);

	if (st == GH_OK)
		st = mover_lease(&v);
	if (st != GH_OK)
		return st;
	st = mover_fail(&v, mover_read_again(&v), "central's route");
	if (st == GH_OK && (v.row->step < ROUTE_COPYING || v.row->step > ROUTE_SWITCHING)) {
		snprintf(err, DB_ERR_MAX, "tenant %s is not on its way%s", tenant,
			 v.row->step > ROUTE_SWITCHING ? " any more; let the move end, and move it back" : "");
		st = GH_CONFLICT;
	}
	if (st == GH_OK && (!v.home || !seat_store(v.home) || !v.away || !seat_store(v.away)))
		st = mover_fail(&v, GH_DATABASE, "one of its shards is not reached");
	if (st == GH_OK)
		st = mover_thaw(&v, TENANT_HOME);
	if (st == GH_OK)
		st = tenant_clear(&v, v.away, v.row->t.route_epoch + 1, &tally);
	if (st == GH_OK)
		st = move_told_clear(seat_store(v.home), c, v.row->t.id);
	row = *v.row;
	row.target = 0;
	if (st == GH_OK)
		st = mover_row_step(&v, row, ROUTE_SETTLED);
	mover_end(&v);
	return st;
}
