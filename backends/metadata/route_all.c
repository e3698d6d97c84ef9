/* The calls that are about no tenant, or about all of them: asked of central, or of every shard that can be reached. A shard
 * that can't is left out and its turn comes later, but where an answer that is not whole would be wrong. Any worker. See
 * route.h.
 */
#include "backends/metadata/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"

static bool is_many(struct meta_store *m)
{
	return atomic_load_explicit(&m->many, memory_order_relaxed);
}

/* One that did well is enough; who did not comes again. */
static void join(enum gh_status *all, enum gh_status one)
{
	if (one == GH_OK || *all != GH_OK)
		*all = one;
}

/* ---- central's alone ---- */

enum gh_status meta_settings(struct meta_store *m, struct meta_call *c, const char *kind, uint64_t after_id, unsigned limit,
			     struct meta_setting **ret, unsigned *ret_count)
{
	return shard_settings(m->central, c, kind, after_id, limit, ret, ret_count);
}

/* ---- streams, one for each shard ---- */

unsigned meta_shards(struct meta_store *m)
{
	return atomic_load(&m->seat_count);
}

enum gh_status meta_stream(struct meta_store *m, struct meta_call *c, unsigned shard, struct meta_stream *s,
			   meta_stream_fn *fn, void *arg)
{
	struct shard_store *store = seat_store(m->seat[shard]);

	return store ? shard_stream(store, c, s, fn, arg) : GH_DATABASE;
}

/* For one that was not reached yet there is nothing to be told. */
static void wait_a_little(struct meta_store *m, uint32_t timeout_ms)
{
	const uint64_t until = gh_mono_ns() + timeout_ms * GH_MS_NS;
	const struct timespec step = { .tv_nsec = 20000000 };

	while (!atomic_load(&m->no_more_waiting) && gh_mono_ns() < until)
		nanosleep(&step, NULL);
}

void meta_wait(struct meta_store *m, unsigned shard, bool others_only, uint64_t *seen, uint32_t timeout_ms)
{
	struct shard_store *store = seat_store(m->seat[shard]);

	if (store)
		feed_bell_wait(&store->bell, others_only, seen, timeout_ms);
	else
		wait_a_little(m, timeout_ms);
}

void meta_wait_end(struct meta_store *m)
{
	atomic_store(&m->no_more_waiting, true);
	EACH_STORE(m, i, s)
		feed_bell_end(&s->bell);
}

/* One that is opened later inherits who wants to know. */
void meta_on_back(struct meta_store *m, void (*fn)(void *arg), void *arg)
{
	pthread_rwlock_wrlock(&m->lock);
	m->back = fn;
	m->back_arg = arg;
	pthread_rwlock_unlock(&m->lock);
	EACH_STORE(m, i, s)
		feed_bell_on_back(&s->bell, fn, arg);
}

void meta_say(struct meta_store *m, const char *word)
{
	if (m->central->drv->say)
		m->central->drv->say(m->central->db, word);
}

void meta_on_word(struct meta_store *m, void (*fn)(void *arg, const char *word), void *arg)
{
	feed_bell_on_word(&m->central->bell, fn, arg);
}

void meta_on_move(struct meta_store *m, void (*fn)(void *arg, unsigned shard), void *arg)
{
	pthread_rwlock_wrlock(&m->lock);
	m->moved = fn;
	m->moved_arg = arg;
	pthread_rwlock_unlock(&m->lock);
}

/* ---- gateways: in central ---- */

bool meta_is_shared(struct meta_store *m)
{
	return m->central->drv->listen != NULL;
}

enum gh_status meta_gateway_join(struct meta_store *m, struct meta_call *c, struct meta_gateway *g, uint64_t predecessor,
				 uint32_t life_ms)
{
	return shard_gateway_join(m->central, c, g, predecessor, life_ms);
}

enum gh_status meta_gateway_beat(struct meta_store *m, struct meta_call *c, unsigned slot, uint64_t token, uint32_t life_ms)
{
	return shard_gateway_beat(m->central, c, slot, token, life_ms);
}

enum gh_status meta_gateway_leave(struct meta_store *m, struct meta_call *c, unsigned slot, uint64_t token)
{
	return shard_gateway_leave(m->central, c, slot, token);
}

enum gh_status meta_gateways(struct meta_store *m, struct meta_call *c, struct meta_gateway **ret, unsigned *ret_count)
{
	return shard_gateways(m->central, c, ret, ret_count);
}

/* In every shard; one that is opened later inherits it. */
void meta_fence(struct meta_store *m, uint64_t until_ns)
{
	atomic_store(&m->fence_ns, until_ns);
	EACH_STORE(m, i, s)
		atomic_store(&s->fence_ns, until_ns);
}

/* ---- tenants ---- */

static const char *shard_name(struct meta_store *m, struct meta_call *c, uint64_t id)
{
	const struct seat *s = seat_of_id(m, id);

	return s ? gh_strdup(c->arena, s->name) : "?";
}

/* Central decides about names and whether it is shut. */
static void overlay(struct meta_store *m, struct meta_call *c, struct meta_tenant *t, const struct route_row *r)
{
	t->hosts = r->t.hosts;
	t->disabled = r->t.disabled;
	t->route_epoch = r->t.route_epoch;
	t->shard = shard_name(m, c, r->shard);
}

enum gh_status meta_tenant_by_name(struct meta_store *m, struct meta_call *c, const char *name, struct meta_tenant **ret)
{
	const struct db_value v = V_BYTES(name);
	struct route_row *row;
	unsigned count = 0;
	struct seat *s;
	enum gh_status st;

	if (!is_many(m))
		return shard_tenant_by_name(m->central, c, name, ret);
	st = route_rows(m, c, SQL_ROUTE_BY_NAME, &v, 1, &row, &count);
	if (st != GH_OK)
		return st;
	if (!count) {
		st = shard_tenant_by_name(m->central, c, name, ret);
		if (st == GH_OK)
			(*ret)->shard = "main";
		return st;
	}
	if (row->step == ROUTE_MAKING)
		return GH_NOTFOUND;
	s = seat_of_id(m, row->shard);
	route_learn(m, row);
	if (!s || !seat_store(s))
		return GH_DATABASE;
	st = shard_tenant_by_name(seat_store(s), c, name, ret);
	if (st == GH_OK)
		overlay(m, c, *ret, row);
	return st == GH_NOTFOUND ? GH_BUSY : st; /* on its way at this moment */
}

/* Generations and epochs of those that live there. */
static void fill_from(struct shard_store *s, uint64_t shard, struct meta_call *c, uint64_t after, unsigned limit,
		      struct meta_tenant *rows, const uint64_t *shards, unsigned count)
{
	struct meta_tenant *there;
	unsigned n = 0, k = 0;

	if (shard_tenants(s, c, after, limit, &there, &n) != GH_OK)
		return;
	for (unsigned i = 0; i < n; i++) {
		while (k < count && rows[k].id < there[i].id)
			k++;
		if (k == count || rows[k].id != there[i].id || shards[k] != shard)
			continue;
		rows[k].tree_gen = there[i].tree_gen;
		rows[k].rights_epoch = there[i].rights_epoch;
	}
}

/* Both are ordered by id; a route goes before the row in central's own database. */
static unsigned merge(struct meta_store *m, struct meta_call *c, const struct meta_tenant *own, unsigned own_count,
		      const struct route_row *routes, unsigned route_count, unsigned limit, struct meta_tenant *rows,
		      uint64_t *shards)
{
	unsigned i = 0, k = 0, n = 0;

	while (n < limit && (i < own_count || k < route_count)) {
		const struct route_row *r = k < route_count ? &routes[k] : NULL;
		const struct meta_tenant *t = i < own_count ? &own[i] : NULL;

		if (r && t && r->t.id == t->id && r->shard == MAIN) {
			rows[n] = *t;
			overlay(m, c, &rows[n], r);
			shards[n++] = MAIN;
			i++;
			k++;
		} else if (r && (!t || r->t.id <= t->id)) {
			i += t && r->t.id == t->id;
			k++;
			if (r->step == ROUTE_MAKING)
				continue;
			rows[n] = r->t;
			rows[n].shard = shard_name(m, c, r->shard);
			shards[n++] = r->shard;
			route_learn(m, r);
		} else {
			rows[n] = *t;
			rows[n].shard = "main";
			shards[n++] = MAIN;
			i++;
		}
	}
	return n;
}

enum gh_status meta_tenants(struct meta_store *m, struct meta_call *c, uint64_t after_id, unsigned limit,
			    struct meta_tenant **ret, unsigned *ret_count)
{
	const struct db_value v[] = { V_I64(after_id), V_I64(limit) };
	struct meta_tenant *own, *rows;
	struct route_row *routes;
	unsigned own_count, route_count, count;
	uint64_t *shards;
	enum gh_status st = shard_tenants(m->central, c, after_id, limit, &own, &own_count);

	if (st != GH_OK || !is_many(m)) {
		if (st == GH_OK) {
			*ret = own;
			*ret_count = own_count;
		}
		return st;
	}
	/* after the other: what moves in between is met twice rather than not at all */
	st = route_rows(m, c, SQL_ROUTES, v, 2, &routes, &route_count);
	rows = gh_alloc_array(c->arena, limit + 1u, sizeof(*rows));
	shards = gh_alloc_array(c->arena, limit + 1u, sizeof(*shards));
	if (st == GH_OK && (!rows || !shards))
		st = GH_NOMEM;
	if (st != GH_OK)
		return st;
	count = merge(m, c, own, own_count, routes, route_count, limit, rows, shards);
	for (unsigned i = 1; i < atomic_load(&m->seat_count); i++)
		if (seat_store(m->seat[i]))
			fill_from(seat_store(m->seat[i]), m->seat[i]->id, c, after_id, limit, rows, shards, count);
	*ret = rows;
	*ret_count = count;
	return GH_OK;
}

/* ---- the log of all ---- */

static int by_op(const void *a, const void *b)
{
	const struct meta_event *x = a, *y = b;

	if (x->op != y->op)
		return x->op < y->op ? -1 : 1;
	return x->tenant < y->tenant ? -1 : x->tenant > y->tenant;
}

static enum gh_status events_of_all(struct meta_store *m, struct meta_call *c, uint64_t after_op, unsigned limit,
				    struct meta_event **ret, unsigned *ret_count)
{
	struct meta_event *all = gh_alloc_array(c->arena, 2u * limit + 1, sizeof(*all));
	enum gh_status st = GH_DATABASE;
	unsigned n = 0;

	if (!all)
		return GH_NOMEM;
	EACH_STORE(m, i, s) {
		struct meta_event *rows;
		unsigned count = 0;
		const enum gh_status one = shard_events(s, c, 0, after_op, limit, &rows, &count);

		if (one == GH_OK && count) {
			memcpy(all + n, rows, count * sizeof(*rows));
			n += count;
			qsort(all, n, sizeof(*all), by_op);
			n = n < limit ? n : limit;
		}
		join(&st, one);
	}
	*ret = all;
	*ret_count = n;
	return st;
}

enum gh_status meta_events(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t after_op, unsigned limit,
			   struct meta_event **ret, unsigned *ret_count)
{
	struct shard_store *s;
	struct route r;
	enum gh_status st;

	if (!tenant && is_many(m))
		return events_of_all(m, c, after_op, limit, ret, ret_count);
	st = route_home(m, c, tenant, &r, &s);
	return st == GH_OK ? shard_events(s, c, tenant, after_op, limit, ret, ret_count) : st;
}

/* ---- blobs ---- */

static int by_blob(const void *a, const void *b)
{
	const struct meta_blob_row *x = a, *y = b;

	if (x->tenant != y->tenant)
		return x->tenant < y->tenant ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* fsck compares them with what is stored: all shards, or none. */
enum gh_status meta_blobs(struct meta_store *m, struct meta_call *c, uint64_t after_tenant, uint64_t after_id, unsigned limit,
			  struct meta_blob_row **ret, unsigned *ret_count)
{
	struct meta_blob_row *all;
	unsigned n = 0;
	enum gh_status st = GH_OK;

	if (!is_many(m))
		return shard_blobs(m->central, c, after_tenant, after_id, limit, ret, ret_count);
	all = gh_alloc_array(c->arena, 2u * limit + 1, sizeof(*all));
	if (!all)
		return GH_NOMEM;
	for (unsigned i = 0; st == GH_OK && i < atomic_load(&m->seat_count); i++) {
		struct shard_store *s = seat_store(m->seat[i]);
		struct meta_blob_row *rows;
		unsigned count = 0;

		st = s ? shard_blobs(s, c, after_tenant, after_id, limit, &rows, &count) : GH_DATABASE;
		if (st != GH_OK || !count)
			continue;
		memcpy(all + n, rows, count * sizeof(*rows));
		n += count;
		qsort(all, n, sizeof(*all), by_blob);
		n = n < limit ? n : limit;
	}
	*ret = all;
	*ret_count = n;
	return st;
}

enum gh_status meta_blobs_dead(struct meta_store *m, struct meta_call *c, int64_t dead_before_us, unsigned limit,
			       struct meta_blob_row **ret, unsigned *ret_count)
{
	struct meta_blob_row *all;
	unsigned n = 0;
	enum gh_status st = GH_DATABASE;

	if (!is_many(m))
		return shard_blobs_dead(m->central, c, dead_before_us, limit, ret, ret_count);
	all = gh_alloc_array(c->arena, limit + 1u, sizeof(*all));
	if (!all)
		return GH_NOMEM;
	EACH_STORE(m, i, s) {
		struct meta_blob_row *rows;
		unsigned count = 0;
		const enum gh_status one =
			n < limit ? shard_blobs_dead(s, c, dead_before_us, limit - n, &rows, &count) : GH_OK;

		if (one == GH_OK && count)
			memcpy(all + n, rows, count * sizeof(*rows));
		n += count;
		join(&st, one);
	}
	*ret = all;
	*ret_count = n;
	return st;
}

/* ---- upkeep ---- */

enum gh_status meta_trash_step(struct meta_store *m, struct meta_call *c, unsigned limit, bool *ret_left)
{
	enum gh_status st = GH_DATABASE;

	*ret_left = false;
	EACH_STORE(m, i, s) {
		bool left = false;
		const enum gh_status one = shard_trash_step(s, c, limit, &left);

		*ret_left |= one == GH_OK && left;
		join(&st, one);
	}
	return st;
}

enum gh_status meta_locks_expire(struct meta_store *m, struct meta_call *c)
{
	enum gh_status st = GH_DATABASE;

	EACH_STORE(m, i, s)
		join(&st, shard_locks_expire(s, c));
	return st;
}

enum gh_status meta_events_fold(struct meta_store *m, struct meta_call *c, int64_t drop_before_us)
{
	enum gh_status st = GH_DATABASE;

	bool late = false;

	EACH_STORE(m, i, s) {
		const enum gh_status one = shard_events_fold(s, c, drop_before_us);

		late |= one == GH_DEADLINE;
		join(&st, one);
	}
	return late ? GH_DEADLINE : st;
}

void meta_quiet(struct meta_store *m)
{
	EACH_STORE(m, i, s)
		shard_quiet(s);
}

enum gh_status meta_check(struct meta_store *m, struct meta_call *c, meta_finding_fn *fn, void *arg)
{
	enum gh_status st = GH_OK;

	for (unsigned i = 0; st == GH_OK && i < atomic_load(&m->seat_count); i++) {
		struct seat *s = m->seat[i];
		char text[DB_ERR_MAX + 32];

		if (seat_store(s)) {
			st = shard_check(seat_store(s), c, fn, arg);
			continue;
		}
		pthread_rwlock_rdlock(&m->lock);
		snprintf(text, sizeof(text), "not checked: %s", *s->trouble ? s->trouble : s->name);
		pthread_rwlock_unlock(&m->lock);
		fn(arg, false, text);
	}
	return st;
}

enum gh_status meta_id_floor(struct meta_store *m, struct meta_call *c, uint64_t *ret)
{
	enum gh_status st = GH_OK;

	*ret = 0;
	EACH_STORE(m, i, s) {
		uint64_t one = 0;

		st = shard_id_floor(s, c, &one);
		if (st != GH_OK && s == m->central)
			return st;
		*ret = st == GH_OK && one > *ret ? one : *ret;
	}
	return GH_OK;
}
