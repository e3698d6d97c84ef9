/* Shards and routes in memory, and the two threads that keep them: one looks at central four times a second for what is new
 * (once, as long as there is but one database), one opens shards that could not be opened yet. See route.h.
 *
 * Threads: any worker; `lock` covers seats' texts and the table of routes. No lock is held over a call to a database.
 */
#include "backends/metadata/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"

#define FIRST_EPOCH 1 /* of a tenant that never moved */
#define LOOK_MS 250
#define LOOK_ALONE_MS 1000
#define FRESH_NS GH_S_NS
#define PAGE 500
#define ARENA (8u << 20)

/* ---- seats ---- */

struct shard_store *seat_store(struct seat *s)
{
	return atomic_load_explicit(&s->store, memory_order_acquire);
}

struct seat *seat_of_id(struct meta_store *m, uint64_t id)
{
	for (unsigned i = 0; i < atomic_load(&m->seat_count); i++)
		if (m->seat[i]->id == id)
			return m->seat[i];
	return NULL;
}

struct seat *seat_named(struct meta_store *m, const char *name)
{
	for (unsigned i = 0; i < atomic_load(&m->seat_count); i++)
		if (!strcmp(m->seat[i]->name, name))
			return m->seat[i];
	return NULL;
}

static unsigned seat_index(struct meta_store *m, uint64_t id)
{
	for (unsigned i = 0; i < atomic_load(&m->seat_count); i++)
		if (m->seat[i]->id == id)
			return i;
	return SEATS_MAX;
}

enum gh_status shard_identity_check(struct shard_store *s, struct meta_call *c, const struct seat *seat, char *err)
{
	struct query q;
	char name[SHARD_NAME_MAX + 1] = "", identity[40] = "";
	enum gh_status st = query_open(&q, s, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_SHARD_SELF);
	if (st == GH_OK && (st = s->drv->step(q.stmt)) == GH_OK) {
		snprintf(name, sizeof(name), "%s", row_str(c->arena, q.stmt, 1, NULL));
		snprintf(identity, sizeof(identity), "%s", row_str(c->arena, q.stmt, 2, NULL));
	}
	query_close(&q);
	if (st != GH_OK && st != GH_END) {
		snprintf(err, DB_ERR_MAX, "does not tell which shard it is: %s", gh_status_text(st));
		return st;
	}
	if (!strcmp(identity, seat->identity) && !strcmp(name, seat->name))
		return GH_OK;
	if (*identity)
		snprintf(err, DB_ERR_MAX, "database %s is not this shard but \"%s\"%s; nothing was changed there; correct its"
			 " conninfo", s->drv->label(s->db), name, strcmp(name, seat->name) ? "" : " of another gatehouse");
	else
		snprintf(err, DB_ERR_MAX, "database %s is not this shard, nor any; nothing was written there but its schema;"
			 " correct its conninfo, or restore the shard", s->drv->label(s->db));
	return GH_DAMAGED;
}

static void seat_free(struct seat **sp)
{
	struct seat *s = *sp;
	struct shard_store *store = s ? seat_store(s) : NULL;

	if (!s)
		return;
	if (s->id != MAIN)
		shard_close(&store);
	free(s->conninfo);
	free(s);
	*sp = NULL;
}

static enum gh_status seat_add(struct meta_store *m, const struct seat *like)
{
	const unsigned n = atomic_load(&m->seat_count);
	struct seat *s = n < SEATS_MAX ? malloc(sizeof(*s)) : NULL;

	if (!s)
		return n < SEATS_MAX ? GH_NOMEM : GH_LIMIT;
	*s = *like;
	s->conninfo = strdup(like->conninfo);
	if (!s->conninfo) {
		free(s);
		return GH_NOMEM;
	}
	m->seat[n] = s;
	atomic_store_explicit(&m->seat_count, n + 1, memory_order_release);
	return GH_OK;
}

/* Takes over what central says of shards. */
static enum gh_status seats_look(struct meta_store *m, struct meta_call *c)
{
	struct query q;
	enum gh_status st = query_open(&q, m->central, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_SHARDS);
	while (st == GH_OK && (st = m->central->drv->step(q.stmt)) == GH_OK) {
		struct seat row = { .id = db_u64(q.stmt, 0), .state = (enum meta_shard_state)db_i64(q.stmt, 3) };
		const char *name = row_str(c->arena, q.stmt, 1, NULL), *identity = row_str(c->arena, q.stmt, 4, NULL);
		struct seat *s = seat_of_id(m, row.id);

		row.conninfo = row_str(c->arena, q.stmt, 2, NULL);
		if (!name || !identity || !row.conninfo)
			st = GH_NOMEM;
		if (st == GH_OK && s) {
			pthread_rwlock_wrlock(&m->lock);
			s->state = row.state;
			pthread_rwlock_unlock(&m->lock);
		} else if (st == GH_OK) {
			snprintf(row.name, sizeof(row.name), "%s", name);
			snprintf(row.identity, sizeof(row.identity), "%s", identity);
			st = seat_add(m, &row);
		}
	}
	query_close(&q);
	return st == GH_END ? GH_OK : st;
}

/* ---- routes ---- */

static struct route *slot_of(struct route *routes, unsigned cap, uint64_t tenant)
{
	unsigned at = (unsigned)((tenant * 0x9e3779b97f4a7c15ull) >> 32) & (cap - 1);

	while (routes[at].tenant && routes[at].tenant != tenant)
		at = (at + 1) & (cap - 1);
	return &routes[at];
}

/* Locked for writing. */
static bool routes_grow(struct meta_store *m)
{
	const unsigned cap = m->route_cap ? m->route_cap * 2 : 64;
	struct route *more;

	if (m->route_cap && m->route_count * 2 < m->route_cap)
		return true;
	more = calloc(cap, sizeof(*more));
	if (!more)
		return false;
	for (unsigned i = 0; i < m->route_cap; i++)
		if (m->routes[i].tenant)
			*slot_of(more, cap, m->routes[i].tenant) = m->routes[i];
	free(m->routes);
	m->routes = more;
	m->route_cap = cap;
	return true;
}

static void learn_locked(struct meta_store *m, uint64_t tenant, uint64_t epoch, unsigned seat, enum route_step step,
			 bool suspect)
{
	struct route *r;

	if (!routes_grow(m))
		return;
	r = slot_of(m->routes, m->route_cap, tenant);
	m->route_count += !r->tenant;
	*r = (struct route){ .tenant = tenant, .epoch = epoch, .seat = seat, .step = step, .suspect = suspect };
}

void route_learn(struct meta_store *m, const struct route_row *row)
{
	const unsigned seat = seat_index(m, row->shard);
	struct route *r;

	if (seat == SEATS_MAX)
		return;
	pthread_rwlock_wrlock(&m->lock);
	r = m->route_cap ? slot_of(m->routes, m->route_cap, row->t.id) : NULL;
	/* an older look at central may come in late */
	if (!r || !r->tenant || r->epoch <= row->t.route_epoch) {
		if (m->moved && row->t.route_epoch > FIRST_EPOCH && (!r || !r->tenant || r->seat != seat))
			m->moved(m->moved_arg, seat);
		learn_locked(m, row->t.id, row->t.route_epoch, seat, row->step, false);
	}
	pthread_rwlock_unlock(&m->lock);
}

void route_suspect(struct meta_store *m, uint64_t tenant)
{
	struct route *r;

	if (!atomic_load(&m->many))
		return;
	pthread_rwlock_wrlock(&m->lock);
	r = m->route_cap ? slot_of(m->routes, m->route_cap, tenant) : NULL;
	if (r && r->tenant)
		r->suspect = true;
	else
		learn_locked(m, tenant, 0, 0, ROUTE_SETTLED, true);
	pthread_rwlock_unlock(&m->lock);
}

static struct route route_now(struct meta_store *m, uint64_t tenant)
{
	struct route r = { .tenant = tenant };

	pthread_rwlock_rdlock(&m->lock);
	if (m->route_cap) {
		const struct route *s = slot_of(m->routes, m->route_cap, tenant);

		if (s->tenant)
			r = *s;
	}
	pthread_rwlock_unlock(&m->lock);
	return r;
}

static void route_clear(struct meta_store *m, const struct route *was)
{
	struct route *r;

	pthread_rwlock_wrlock(&m->lock);
	r = m->route_cap ? slot_of(m->routes, m->route_cap, was->tenant) : NULL;
	if (r && r->tenant && r->epoch == was->epoch)
		r->suspect = false;
	pthread_rwlock_unlock(&m->lock);
}

/* ---- rows of central ---- */

static void row_route(struct gh_arena *a, struct db_stmt *s, struct route_row *r)
{
	*r = (struct route_row){
		.t = { .id = db_u64(s, 0), .name = row_str(a, s, 1, NULL), .hosts = row_str(a, s, 2, NULL),
		       .disabled = db_i64(s, 3) != 0, .case_sensitive = db_i64(s, 4) != 0, .root = db_u64(s, 5),
		       .trash = db_u64(s, 6), .route_epoch = db_u64(s, 8) },
		.shard = db_u64(s, 7),
		.step = (enum route_step)db_i64(s, 9),
		.target = db_u64(s, 10),
		.changed = db_u64(s, 11),
	};
}

enum gh_status route_rows(struct meta_store *m, struct meta_call *c, enum sql_id sql, const struct db_value *values,
			  unsigned count, struct route_row **ret, unsigned *ret_count)
{
	struct route_row *rows = NULL;
	unsigned n = 0, cap = 0;
	struct query q;
	enum gh_status st = query_open(&q, m->central, c);

	if (st == GH_OK)
		st = query_prepare(&q, sql);
	for (unsigned i = 0; st == GH_OK && i < count; i++)
		m->central->drv->bind(q.stmt, i + 1, &values[i]);
	while (st == GH_OK && (st = m->central->drv->step(q.stmt)) == GH_OK) {
		rows = rows_more(c->arena, rows, n, &cap, sizeof(*rows));
		if (!rows)
			break;
		row_route(c->arena, q.stmt, &rows[n++]);
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK) {
		*ret = rows;
		*ret_count = n;
	}
	return st;
}

enum gh_status route_row_get(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct route_row **ret)
{
	const struct db_value v = V_I64(tenant);
	unsigned n = 0;
	enum gh_status st = route_rows(m, c, SQL_ROUTE_GET, &v, 1, ret, &n);

	return st == GH_OK && !n ? GH_NOTFOUND : st;
}

enum gh_status job_statement(struct db_conn *c, enum sql_id sql, const struct db_value *values, unsigned count)
{
	struct db_stmt *s;
	const enum gh_status st = c->drv->prepare(c, sql, &s);

	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < count; i++)
		c->drv->bind(s, i + 1, &values[i]);
	return db_run(s);
}

static enum gh_status route_put_in(struct db_conn *c, const struct route_row *r)
{
	const struct db_value v[] = { V_I64(r->t.id),    V_BYTES(r->t.name),   V_TEXT(r->t.hosts),
				      V_I64(r->t.disabled), V_I64(r->t.case_sensitive), V_I64(r->t.root),
				      V_I64(r->t.trash), V_I64(r->shard),      V_I64(r->t.route_epoch),
				      V_I64(r->step),    V_I64(r->target) };
	const enum gh_status st = job_statement(c, SQL_ROUTE_TICK, NULL, 0);

	return st == GH_OK ? job_statement(c, SQL_ROUTE_PUT, v, 11) : st;
}

static bool is_text(struct db_stmt *s, int column, const char *text)
{
	size_t len;
	const char *is = s->drv->get_bytes(s, column, &len);

	return len == strlen(text) && !memcmp(is, text, len);
}

/* What may change of a row. */
static bool says_the_same(struct db_stmt *s, const struct route_row *r)
{
	return is_text(s, 2, r->t.hosts) && (db_i64(s, 3) != 0) == r->t.disabled && db_u64(s, 7) == r->shard &&
	       db_u64(s, 8) == r->t.route_epoch && db_i64(s, 9) == (int64_t)r->step && db_u64(s, 10) == r->target;
}

static enum gh_status row_look(struct db_conn *c, const struct route_row *r, uint64_t *ret_changed, bool *ret_same)
{
	struct db_stmt *s;
	enum gh_status st = c->drv->prepare(c, SQL_ROUTE_GET, &s);

	*ret_changed = 0;
	*ret_same = false;
	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, r->t.id);
	st = c->drv->step(s);
	if (st == GH_OK) {
		*ret_changed = db_u64(s, 11);
		*ret_same = says_the_same(s, r);
	}
	c->drv->reset(s);
	return st == GH_END ? GH_OK : st;
}

enum gh_status route_replace_in(struct db_conn *c, struct route_row *row)
{
	uint64_t changed;
	bool same;
	enum gh_status st = row_look(c, row, &changed, &same);

	if (st != GH_OK)
		return st;
	if (changed != row->changed && !same)
		return GH_STALE;
	if (changed == row->changed)
		st = route_put_in(c, row);
	return st == GH_OK ? row_look(c, row, &row->changed, &same) : st;
}

static enum gh_status replace_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct route_row row = *(const struct route_row *)arg; /* it may be run again */

	(void)now_us;
	return route_replace_in(c, &row);
}

enum gh_status route_replace(struct meta_store *m, struct meta_call *c, const struct route_row *row)
{
	const enum gh_status st = commit_job(m->central, c, replace_run, (void *)row);

	if (st == GH_OK)
		route_learn(m, row);
	return st;
}

/* ---- looking ---- */

static enum gh_status clock_read(struct meta_store *m, struct meta_call *c, uint64_t *ret)
{
	struct query q;
	enum gh_status st = query_open(&q, m->central, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_ROUTE_CLOCK);
	if (st == GH_OK && (st = m->central->drv->step(q.stmt)) == GH_OK)
		*ret = db_u64(q.stmt, 0);
	query_close(&q);
	return st == GH_END ? GH_DAMAGED : st;
}

static enum gh_status routes_since(struct meta_store *m, struct meta_call *c)
{
	struct route_row *rows;
	unsigned count = PAGE;
	enum gh_status st = GH_OK;

	while (st == GH_OK && count == PAGE) {
		const struct db_value v[] = { V_I64(m->clock), V_I64(PAGE) };

		st = route_rows(m, c, SQL_ROUTES_SINCE, v, 2, &rows, &count);
		for (unsigned i = 0; st == GH_OK && i < count; i++) {
			route_learn(m, &rows[i]);
			m->clock = rows[i].changed;
		}
		gh_arena_reset(c->arena);
	}
	return st;
}

/* One at a time: the looker, and at the start who opens. */
static enum gh_status look(struct meta_store *m, struct gh_arena *a)
{
	const uint64_t now = gh_mono_ns();
	struct meta_call call = { .arena = a, .deadline_ns = now + 5 * GH_S_NS, .op = "routes" };
	uint64_t clock = 0;
	enum gh_status st = clock_read(m, &call, &clock);

	if (st == GH_OK && clock != m->clock) {
		st = seats_look(m, &call);
		if (st == GH_OK)
			st = routes_since(m, &call);
		if (st == GH_OK)
			m->clock = clock > m->clock ? clock : m->clock;
	}
	if (st == GH_OK)
		atomic_store(&m->fresh_ns, now);
	atomic_store(&m->many, atomic_load(&m->seat_count) > 1);
	return st;
}

bool route_nap(struct meta_store *m, unsigned ms)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000l;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000l;
	until.tv_nsec %= 1000000000l;
	pthread_mutex_lock(&m->nap);
	while (!m->stop && pthread_cond_timedwait(&m->wake, &m->nap, &until) != ETIMEDOUT)
		;
	stop = m->stop;
	pthread_mutex_unlock(&m->nap);
	return stop;
}

static void *looker_main(void *arg)
{
	struct meta_store *m = arg;
	struct gh_arena *a = gh_arena_new(ARENA);

	pthread_setname_np(pthread_self(), "routes");
	while (a && !route_nap(m, atomic_load(&m->many) ? LOOK_MS : LOOK_ALONE_MS)) {
		(void)look(m, a); /* the driver has said why */
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
	return NULL;
}

enum gh_status routes_look(struct meta_store *m)
{
	struct gh_arena *a = gh_arena_new(ARENA);
	struct meta_call call = { .arena = a, .op = "routes" };
	enum gh_status st = a ? seats_look(m, &call) : GH_NOMEM;

	if (st == GH_OK)
		atomic_store(&m->many, atomic_load(&m->seat_count) > 1);
	gh_arena_free(&a);
	return st;
}

static enum gh_status threads_start(struct meta_store *m)
{
	if (pthread_create(&m->looker, NULL, looker_main, m))
		return GH_NOMEM;
	m->looks = true;
	return openers_start(m);
}

/* A database that is a shard of others is no place to begin from. */
static enum gh_status central_check(struct meta_store *m, struct meta_call *c, char *err)
{
	struct query q;
	enum gh_status st = query_open(&q, m->central, c);
	bool other = false;

	if (st == GH_OK)
		st = query_prepare(&q, SQL_SHARD_SELF);
	if (st == GH_OK && (st = m->central->drv->step(q.stmt)) == GH_OK && db_u64(q.stmt, 0) != MAIN) {
		other = true;
		snprintf(err, DB_ERR_MAX, "metadata database %s is shard \"%s\" of a gatehouse; the central database has to be"
			 " named here", m->central->drv->label(m->central->db), row_str(c->arena, q.stmt, 1, NULL));
	}
	query_close(&q);
	if (other)
		return GH_INVALID;
	return st == GH_END ? GH_OK : st;
}

enum gh_status routes_open(struct meta_store *m, char *err)
{
	struct seat own = { .id = MAIN, .name = "main", .store = m->central, .conninfo = (char *)"" };
	struct meta_call call = { .op = "routes" };
	pthread_condattr_t attr;
	enum gh_status st;

	pthread_rwlock_init(&m->lock, NULL);
	pthread_mutex_init(&m->nap, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->wake, &attr);
	pthread_condattr_destroy(&attr);
	st = seat_add(m, &own);
	if (st != GH_OK || !m->cfg.conninfo) /* embedded: there are no others */
		return st;
	call.arena = gh_arena_new(ARENA);
	st = call.arena ? central_check(m, &call, err) : GH_NOMEM;
	if (st == GH_OK && (st = look(m, call.arena)) != GH_OK)
		snprintf(err, DB_ERR_MAX, "metadata database %s does not tell where tenants are: %s",
			 m->central->drv->label(m->central->db), gh_status_text(st));
	gh_arena_free(&call.arena);
	return st == GH_OK ? threads_start(m) : st;
}

void routes_close(struct meta_store *m)
{
	pthread_mutex_lock(&m->nap);
	m->stop = true;
	pthread_cond_broadcast(&m->wake);
	pthread_mutex_unlock(&m->nap);
	if (m->looks)
		pthread_join(m->looker, NULL);
	openers_join(m);
	for (unsigned i = 0; i < atomic_load(&m->seat_count); i++)
		seat_free(&m->seat[i]);
	free(m->routes);
	pthread_cond_destroy(&m->wake);
	pthread_mutex_destroy(&m->nap);
	pthread_rwlock_destroy(&m->lock);
}

/* ---- where is it? ---- */

unsigned meta_shard_of(struct meta_store *m, uint64_t tenant)
{
	return meta_is_many(m) && tenant ? route_now(m, tenant).seat : 0;
}

uint64_t meta_stay_of(struct meta_store *m, uint64_t tenant)
{
	return meta_is_many(m) && tenant ? route_now(m, tenant).epoch : 0;
}

bool meta_is_many(const struct meta_store *m)
{
	return atomic_load_explicit(&m->many, memory_order_relaxed);
}

/* It is there, and its mark is that of one which may be worked on. */
static enum gh_status is_home(struct meta_store *m, const struct route *r, bool held, bool writes)
{
	if (!held) /* else who writes asks again, whoever reads meanwhile */
		route_clear(m, r);
	return held && writes ? GH_BUSY : GH_OK;
}

/* Asks the shard, and if it says no, central. GH_AGAIN: the route has changed. */
static enum gh_status verify(struct meta_store *m, struct meta_call *c, const struct route *r, struct shard_store *s, bool writes)
{
	struct route_row *row;
	struct tenant_mark mark = { 0 };
	int64_t now_us = 0;
	enum gh_status st = tenant_mark_read(s, c, r->tenant, &mark, &now_us), of_row;
	const bool tells = route_is_told(r);

	if (st != GH_OK && st != GH_NOTFOUND)
		return st;
	if (st == GH_OK && mark.state < TENANT_FROZEN && (r->epoch ? mark.epoch == r->epoch : mark.state == TENANT_HOME) &&
	    (tells || mark.state == TENANT_HOME))
		return is_home(m, r, mark.hold_us > now_us, writes);
	of_row = route_row_get(m, c, r->tenant, &row);
	if (of_row == GH_NOTFOUND) { /* no tenant, or none that was ever moved */
		route_clear(m, r);
		return GH_OK;
	}
	if (of_row != GH_OK)
		return of_row;
	route_learn(m, row);
	if (row->t.route_epoch != r->epoch || seat_index(m, row->shard) != r->seat || row->step != r->step)
		return GH_AGAIN;
	return GH_BUSY; /* frozen, or just about to be */
}

/* Nobody has to be asked whether it is there. */
static bool is_certain(struct meta_store *m, const struct route *r)
{
	return !r->suspect && r->step < ROUTE_SWITCHING && gh_mono_ns() - atomic_load(&m->fresh_ns) <= FRESH_NS;
}

struct shard_store *route_certain(struct meta_store *m, uint64_t tenant)
{
	struct route r;

	if (!meta_is_many(m) || !tenant)
		return m->central;
	r = route_now(m, tenant);
	return is_certain(m, &r) ? seat_store(m->seat[r.seat]) : NULL;
}

static enum gh_status find(struct meta_store *m, struct meta_call *c, uint64_t tenant, bool writes, struct route *ret,
			   struct shard_store **ret_store)
{
	enum gh_status st = GH_AGAIN;

	*ret = (struct route){ .tenant = tenant };
	*ret_store = m->central;
	if (!meta_is_many(m) || !tenant)
		return GH_OK;
	for (unsigned tries = 0; st == GH_AGAIN && tries < 4; tries++) {
		*ret = route_now(m, tenant);
		*ret_store = seat_store(m->seat[ret->seat]);
		if (!*ret_store)
			return GH_DATABASE;
		st = GH_OK;
		if (!is_certain(m, ret))
			st = verify(m, c, ret, *ret_store, writes);
	}
	return st == GH_AGAIN ? GH_BUSY : st;
}

enum gh_status route_home(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct route *ret,
			  struct shard_store **ret_store)
{
	return find(m, c, tenant, false, ret, ret_store);
}

enum gh_status route_home_to_write(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct route *ret,
				   struct shard_store **ret_store)
{
	return find(m, c, tenant, true, ret, ret_store);
}
