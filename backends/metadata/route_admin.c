/* Shards come, are looked at and are drained. Administrators' threads; blocks for as long as a database takes. See route.h. */
#include "backends/metadata/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/hash.h"

/* Until every gateway has noticed that there are several shards. */
#define NOTICE_MS 1300

/* ---- list ---- */

static void counts_read(struct meta_store *m, struct meta_call *c, struct meta_shard *rows, unsigned count)
{
	struct query q;
	enum gh_status st = query_open(&q, m->central, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_SHARD_TENANTS);
	while (st == GH_OK && (st = m->central->drv->step(q.stmt)) == GH_OK)
		for (unsigned i = 0; i < count; i++)
			if (rows[i].id == db_u64(q.stmt, 0))
				rows[i].tenants = db_u64(q.stmt, 1);
	query_close(&q);
}

/* A conninfo without what is secret in it. */
static const char *without_password(struct meta_call *c, const char *conninfo)
{
	char *text = gh_strdup(c->arena, conninfo), *at = text ? strstr(text, "password") : NULL;

	if (at)
		snprintf(at, strlen(at) + 1, "%s", "");
	return text;
}

enum gh_status meta_shard_list(struct meta_store *m, struct meta_call *c, struct meta_shard **ret, unsigned *ret_count)
{
	const unsigned count = atomic_load(&m->seat_count);
	struct meta_shard *rows = gh_alloc_array(c->arena, count + 1u, sizeof(*rows));

	if (!rows)
		return GH_NOMEM;
	for (unsigned i = 0; i < count; i++) {
		struct seat *s = m->seat[i];

		pthread_rwlock_rdlock(&m->lock);
		rows[i] = (struct meta_shard){ .id = s->id, .name = gh_strdup(c->arena, s->name), .state = s->state,
					       .conninfo = without_password(c, s->conninfo), .open = seat_store(s) != NULL,
					       .trouble = gh_strdup(c->arena, s->trouble) };
		pthread_rwlock_unlock(&m->lock);
		if (!rows[i].name || !rows[i].trouble || !rows[i].conninfo)
			return GH_NOMEM;
	}
	counts_read(m, c, rows, count);
	*ret = rows;
	*ret_count = count;
	return GH_OK;
}

/* ---- add ---- */

static enum gh_status shard_put(struct db_conn *c, const struct seat *s)
{
	const struct db_value v[] = { V_I64(s->id), V_BYTES(s->name), V_TEXT(s->conninfo), V_I64(s->state),
				      V_TEXT(s->identity) };

	return job_statement(c, SQL_SHARD_PUT, v, 5);
}

static enum gh_status self_put(struct db_conn *c, const struct seat *s)
{
	const struct db_value v[] = { V_I64(s->id), V_BYTES(s->name), V_TEXT(s->identity) };

	return job_statement(c, SQL_SHARD_SELF_PUT, v, 3);
}

static enum gh_status self_run(struct db_conn *c, void *arg, int64_t now_us)
{
	(void)now_us;
	return self_put(c, arg);
}

/* Central says that there are others, and itself that it is central. */
static enum gh_status add_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct seat main_seat = { .id = MAIN, .name = "main", .conninfo = (char *)"" }, *s = arg;
	int64_t last = MAIN;
	bool has_main = false, taken = false;
	struct db_stmt *q;
	enum gh_status st = c->drv->prepare(c, SQL_SHARDS, &q);

	(void)now_us;
	if (st != GH_OK)
		return st;
	while ((st = c->drv->step(q)) == GH_OK) {
		size_t len;
		const char *name = c->drv->get_bytes(q, 1, &len);

		taken |= len == strlen(s->name) && !memcmp(name, s->name, len);
		has_main |= db_i64(q, 0) == MAIN;
		last = db_i64(q, 0) > last ? db_i64(q, 0) : last;
	}
	c->drv->reset(q);
	st = st == GH_END ? (taken ? GH_EXISTS : GH_OK) : st;
	snprintf(main_seat.identity, sizeof(main_seat.identity), "main-%.32s", s->identity);
	if (st == GH_OK && !has_main)
		st = shard_put(c, &main_seat);
	if (st == GH_OK && !has_main)
		st = self_put(c, &main_seat);
	s->id = (uint64_t)last + 1;
	if (st == GH_OK)
		st = shard_put(c, s);
	return st == GH_OK ? job_statement(c, SQL_ROUTE_TICK, NULL, 0) : st;
}

static void identity_make(char *identity, size_t size)
{
	unsigned char bytes[16];

	gh_random(bytes, sizeof(bytes));
	for (unsigned i = 0; i < sizeof(bytes) && 2 * i + 2 < size; i++)
		snprintf(identity + 2 * i, 3, "%02x", bytes[i]);
}

/* Nobody's yet: no shard, and without tenants of its own. */
static enum gh_status is_empty(struct shard_store *s, struct meta_call *c, char *err)
{
	struct query q;
	const char *other = NULL;
	bool tenants = false;
	enum gh_status st = query_open(&q, s, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_SHARD_SELF);
	if (st == GH_OK && (st = s->drv->step(q.stmt)) == GH_OK)
		other = row_str(c->arena, q.stmt, 1, NULL);
	if (st == GH_OK || st == GH_END)
		st = query_prepare(&q, SQL_TENANTS_ANY);
	if (st == GH_OK && (st = s->drv->step(q.stmt)) == GH_OK)
		tenants = db_i64(q.stmt, 0) > 0;
	query_close(&q);
	if (st != GH_OK) {
		snprintf(err, DB_ERR_MAX, "database %s can't be asked what it is: %s", s->drv->label(s->db), gh_status_text(st));
		return st;
	}
	if (other)
		snprintf(err, DB_ERR_MAX, "database %s is shard \"%s\" already, of this or another gatehouse; give an empty one",
			 s->drv->label(s->db), other);
	else if (tenants)
		snprintf(err, DB_ERR_MAX, "database %s has tenants of its own; give an empty one", s->drv->label(s->db));
	return other || tenants ? GH_EXISTS : GH_OK;
}

static enum gh_status added(struct meta_store *m, char *err)
{
	const struct timespec notice = { .tv_sec = NOTICE_MS / 1000, .tv_nsec = NOTICE_MS % 1000 * 1000000l };
	enum gh_status st = routes_look(m);

	if (st != GH_OK) {
		snprintf(err, DB_ERR_MAX, "%s", gh_status_text(st));
		return st;
	}
	nanosleep(&notice, NULL);
	return GH_OK;
}

enum gh_status meta_shard_add(struct meta_store *m, struct meta_call *c, const char *name, const char *conninfo, char *err)
{
	struct seat s = { .conninfo = (char *)conninfo };
	struct meta_config cfg = m->cfg;
	struct shard_store *store = NULL;
	char why[DB_ERR_MAX] = "";
	enum gh_status st;

	if (!m->cfg.conninfo) {
		snprintf(err, DB_ERR_MAX, "metadata is in a file; shards need it in PostgreSQL (gatehouse migrate)");
		return GH_UNSUPPORTED;
	}
	if (seat_named(m, name)) {
		snprintf(err, DB_ERR_MAX, "shard %s exists already", name);
		return GH_EXISTS;
	}
	st = meta_conninfo_check(conninfo, why);
	cfg.conninfo = conninfo;
	if (st == GH_OK)
		st = shard_open(&cfg, &store, why);
	if (st == GH_OK)
		st = is_empty(store, c, why);
	snprintf(s.name, sizeof(s.name), "%s", name);
	identity_make(s.identity, sizeof(s.identity));
	/* central first: a database that says what it is, and nobody knows, could be given to nobody any more */
	if (st == GH_OK)
		st = commit_job(m->central, c, add_run, &s);
	if (st == GH_OK)
		st = commit_job(store, c, self_run, &s);
	shard_close(&store);
	if (st != GH_OK) {
		snprintf(err, DB_ERR_MAX, "shard %s: %.450s", name, *why ? why : gh_status_text(st));
		return st;
	}
	return added(m, err);
}

/* ---- drain ---- */

static enum gh_status state_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct seat *s = arg;
	enum gh_status st = shard_put(c, s);

	(void)now_us;
	return st == GH_OK ? job_statement(c, SQL_ROUTE_TICK, NULL, 0) : st;
}

enum gh_status meta_shard_set(struct meta_store *m, struct meta_call *c, const char *name, enum meta_shard_state state)
{
	struct seat *there = seat_named(m, name), s;
	enum gh_status st;

	if (!there || atomic_load(&m->seat_count) < 2)
		return GH_NOTFOUND;
	pthread_rwlock_rdlock(&m->lock);
	s = *there;
	pthread_rwlock_unlock(&m->lock);
	s.state = state;
	st = commit_job(m->central, c, state_run, &s);
	return st == GH_OK ? routes_look(m) : st;
}
