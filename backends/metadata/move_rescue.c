/* A tenant whose mover has died between the seal and the landing is served by nobody. Every gateway looks for such, once a second,
 * among the routes that it remembers: one that was not switched is taken back to where it was, one that was is opened where it is
 * (move.h). Its mover's lease has to have ended, and is ours meanwhile. Called by the threads that open shards; blocks. */
#include "backends/metadata/move_step.h"

#include "core/base/hash.h"
#include "core/base/log.h"

#define AT_ONCE 16u
#define ARENA (1u << 20)

static bool may_be_stuck(const struct route *r)
{
	return r->tenant && r->step >= ROUTE_COPYING && r->step <= ROUTE_LANDING;
}

static unsigned stuck_find(struct meta_store *m, uint64_t *tenants)
{
	unsigned n = 0;

	pthread_rwlock_rdlock(&m->lock);
	for (unsigned i = 0; i < m->route_cap && n < AT_ONCE; i++)
		if (may_be_stuck(&m->routes[i]))
			tenants[n++] = m->routes[i].tenant;
	pthread_rwlock_unlock(&m->lock);
	return n;
}

/* Is there anything to be done? A tenant that is copied is served; a move that is under way ends a switch within seconds. */
static enum gh_status is_stuck(struct mover *v, bool *ret)
{
	struct tenant_mark mark = { 0 };
	enum gh_status st = GH_OK;

	*ret = v->row->step == ROUTE_SWITCHING || v->row->step == ROUTE_LANDING;
	if (v->row->step == ROUTE_COPYING) { /* half taken back */
		st = tenant_mark_read(seat_store(v->home), v->c, v->row->t.id, &mark, NULL);
		*ret = st == GH_OK && mark.state == TENANT_FROZEN;
	}
	return st;
}

static bool reached(const struct mover *v)
{
	return v->home && v->away && seat_store(v->home) && seat_store(v->away);
}

static enum gh_status rescue(struct mover *v)
{
	bool stuck = false;
	enum gh_status st = mover_lease(v);

	if (st != GH_OK)
		return st;
	st = mover_read_again(v);
	if (st == GH_OK && reached(v))
		st = is_stuck(v, &stuck);
	if (st == GH_OK && stuck)
		st = v->row->step == ROUTE_LANDING ? mover_land(v) : mover_thaw(v, TENANT_COPIED);
	if (stuck)
		gh_log(GH_LOG_WARN, "meta.move_rescued", "tenant=%s step=%d status=%s hint=\"its mover is gone; go on with the move, or"
		       " abandon it\"", v->name, (int)v->row->step, gh_status_name(st));
	mover_end(v);
	return st;
}

static enum gh_status look_at(struct meta_store *m, struct meta_call *c, uint64_t tenant)
{
	char err[DB_ERR_MAX] = "";
	struct mover v = { .m = m, .c = c, .err = err };
	bool stuck = false;
	enum gh_status st = route_row_get(m, c, tenant, &v.row);

	if (st != GH_OK)
		return st;
	v.name = v.row->t.name;
	gh_random(&v.number, sizeof(v.number));
	v.number = v.number >> 1 | 1;
	st = mover_read_again(&v);
	if (st == GH_OK && reached(&v))
		st = is_stuck(&v, &stuck);
	return st == GH_OK && stuck ? rescue(&v) : st;
}

void moves_rescue(struct meta_store *m)
{
	uint64_t tenants[AT_ONCE];
	const unsigned count = stuck_find(m, tenants);
	struct gh_arena *a = count ? gh_arena_new(ARENA) : NULL;

	for (unsigned i = 0; a && i < count; i++) {
		struct meta_call call = { .arena = a, .op = "rescue" };

		if (look_at(m, &call, tenants[i]) == GH_DATABASE) /* the driver has said why */
			break;
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
}
