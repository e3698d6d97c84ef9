/* From two shards that are nearly equal to the switch (move.h): what has changed is brought after, round by round, until a round
 * takes a small part of the time that the tenant may be held; then it is held for the last one. A hold that was too short is
 * let go, and there is another round; after a few of those it is given up, for then it is changed faster than it can be brought
 * after, and only an administrator can say that it may be held longer. Administrators' threads; blocks. */
#include "backends/metadata/move_step.h"

#include <stdio.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"

#define NOTICE_MS 1300 /* until every gateway has seen the row, or knows that it has not looked */
#define ROUNDS 12u     /* before a hold */
#define HOLDS 5u
#define PAUSE_MS 250u /* between two: who was refused gets through */

static void pause_ms(unsigned ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	nanosleep(&t, NULL);
}

static enum gh_status too_fast(struct mover *v, uint64_t told)
{
	if (!*v->err)
		snprintf(v->err, DB_ERR_MAX, "tenant %s is changed faster than it can be brought to \"%.64s\" while it is held for"
			 " %u ms (%llu changes were left); it is served where it was; go on when it is quieter, or with a longer"
			 " --hold", v->name, v->away->name, v->hold_ms, (unsigned long long)told);
	return GH_BUSY;
}

static enum gh_status follow_failed(struct mover *v, enum gh_status st)
{
	if (st == GH_CONFLICT && !*v->err)
		snprintf(v->err, DB_ERR_MAX, "tenant %s is changed by a gateway of another release; end the upgrade, and go on",
			 v->name);
	return mover_fail(v, st, "bringing after what has changed");
}

/* Until the next round will take a quarter of the hold at most. */
static enum gh_status catch_up(struct mover *v, struct meta_move *ret)
{
	const struct move k = mover_move(v);
	struct move_tally t = { 0 };

	for (unsigned i = 0; i < ROUNDS; i++) {
		const uint64_t began = gh_mono_ns();
		enum gh_status st;

		t = (struct move_tally){ 0 };
		st = move_follow(&k, v->c, &v->trail, &t);
		ret->rounds++;
		if (st == GH_OK)
			st = mover_alive(v);
		if (st != GH_OK)
			return follow_failed(v, st);
		if (!t.told || gh_mono_ns() - began <= v->hold_ms * GH_MS_NS / 4)
			return GH_OK;
	}
	return too_fast(v, t.told);
}

static bool time_is_over(const struct mover *v)
{
	return gh_mono_ns() - v->held_ns > v->hold_ms * GH_MS_NS;
}

/* The last round, and the seal. GH_AGAIN: the time was too short. */
static enum gh_status under_hold(struct mover *v, struct meta_move *ret, struct move_tally *t)
{
	const struct move k = mover_move(v);
	enum gh_status st = move_follow(&k, v->c, &v->trail, t);

	ret->frozen_rows = t->read;
	if (st != GH_OK)
		return follow_failed(v, st);
	if (time_is_over(v))
		return GH_AGAIN;
	st = tenant_come(v);
	if (st == GH_OK)
		st = tenant_bring_marks(v);
	if (st == GH_OK)
		st = mover_lease(v);
	if (st == GH_OK && time_is_over(v))
		return GH_AGAIN;
	if (st == GH_OK)
		st = tenant_seal(v);
	return st == GH_STALE ? GH_AGAIN : mover_fail(v, st, "sealing it");
}

static enum gh_status hold_once(struct mover *v, struct meta_move *ret, struct move_tally *t)
{
	enum gh_status st = tenant_hold(v, v->hold_ms);

	if (st != GH_OK)
		return st;
	v->held_ns = gh_mono_ns();
	*t = (struct move_tally){ 0 };
	st = under_hold(v, ret, t);
	if (st == GH_OK)
		return GH_OK;
	if (tenant_hold(v, 0) != GH_OK)
		gh_log(GH_LOG_WARN, "meta.move_held", "tenant=%s ms=%u hint=\"it ends by itself\"", v->name, v->hold_ms);
	v->held_ns = 0;
	return st;
}

static enum gh_status hold_and_seal(struct mover *v, struct meta_move *ret)
{
	struct move_tally t = { 0 };

	for (ret->holds = 1;; ret->holds++) {
		enum gh_status st = hold_once(v, ret, &t);

		if (st != GH_AGAIN)
			return st;
		if (ret->holds == HOLDS)
			return too_fast(v, t.told);
		pause_ms(PAUSE_MS);
		st = catch_up(v, ret);
		if (st != GH_OK)
			return st;
	}
}

enum gh_status mover_thaw(struct mover *v, enum tenant_state to)
{
	enum gh_status st = v->row->step == ROUTE_SWITCHING ? mover_row_step(v, *v->row, ROUTE_COPYING) : GH_OK;

	return st == GH_OK ? tenant_turn(v, v->home, v->row->t.route_epoch, TENANT_FROZEN, to) : st;
}

enum gh_status mover_switch(struct mover *v, struct meta_move *ret)
{
	enum gh_status st = catch_up(v, ret);
	struct route_row row;

	if (st == GH_OK && v->row->step == ROUTE_COPYING) {
		st = mover_row_step(v, *v->row, ROUTE_SWITCHING);
		if (st == GH_OK)
			pause_ms(NOTICE_MS);
	}
	if (st == GH_OK)
		st = catch_up(v, ret);
	if (st == GH_OK)
		st = hold_and_seal(v, ret);
	row = *v->row;
	row.shard = v->row->target;
	row.target = v->row->shard;
	row.t.route_epoch++;
	if (st == GH_OK)
		st = mover_row_step(v, row, ROUTE_LANDING);
	if (st == GH_OK)
		st = mover_land(v);
	if (st == GH_OK)
		ret->frozen_us = (gh_mono_ns() - v->held_ns) / 1000;
	return st;
}
