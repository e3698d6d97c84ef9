/* Gateways on one database: who lives, by which slot, and what one of them has to itself. Jobs of the writer, so they have the
 * database to themselves while they look and decide. A slot that somebody left without a word is not given to another before
 * SLOT_REST_US: whoever was only asleep must not make ids that are another's by then (meta_fence is its own clock's word for
 * the same).
 */
#include "backends/metadata/store.h"

#include <stdio.h>
#include <string.h>

#define SLOT_REST_US (60ll * 1000000)

static enum gh_status run(struct db_conn *c, enum sql_id sql, const struct db_value *v, unsigned count, uint64_t *ret_changed)
{
	struct db_stmt *s;
	enum gh_status st = c->drv->prepare(c, sql, &s);

	for (unsigned i = 0; st == GH_OK && i < count; i++)
		c->drv->bind(s, i + 1, &v[i]);
	if (st == GH_OK)
		st = db_run(s);
	if (ret_changed)
		*ret_changed = st == GH_OK ? c->drv->changes(c) : 0;
	return st;
}

#define I64(v) { .type = DB_I64, .i = (int64_t)(v) }
#define BYTES(s) { .type = DB_BLOB, .len = (uint32_t)strlen(s), .p = (s) }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- coming ---- */

struct join {
	struct meta_gateway *g;
	uint64_t predecessor;
	uint32_t life_ms;
	bool used[META_GATEWAYS];
	int rested; /* a slot whose holder is long gone; -1 */
	int64_t rested_us;
	int mine; /* of the same name, and over; -1 */
	bool living;
};

static void join_look_at(struct join *j, struct db_stmt *s, int64_t now_us)
{
	const unsigned slot = (unsigned)db_u64(s, 0);
	const uint64_t token = db_u64(s, 2);
	const int64_t expires_us = db_i64(s, 5);
	size_t len;
	const char *name = s->drv->get_bytes(s, 1, &len);

	if (slot >= META_GATEWAYS)
		return;
	j->used[slot] = true;
	if (len == strlen(j->g->name) && !memcmp(name, j->g->name, len)) {
		j->mine = (int)slot;
		j->living = expires_us > now_us && (!j->predecessor || token != j->predecessor);
	} else if (expires_us + SLOT_REST_US <= now_us && (j->rested < 0 || expires_us < j->rested_us)) {
		j->rested = (int)slot;
		j->rested_us = expires_us;
	}
}

static enum gh_status join_look(struct db_conn *c, struct join *j, int64_t now_us)
{
	struct db_stmt *s;
	enum gh_status st = c->drv->prepare(c, SQL_GATEWAYS, &s);

	memset(j->used, 0, sizeof(j->used));
	j->rested = j->mine = -1;
	j->living = false;
	if (st != GH_OK)
		return st;
	while ((st = c->drv->step(s)) == GH_OK)
		join_look_at(j, s, now_us);
	c->drv->reset(s);
	if (st != GH_END)
		return st;
	return j->living ? GH_EXISTS : GH_OK;
}

/* Its last run's slot rests too: what it sent last may be on its way still. */
static enum gh_status put_to_rest(struct db_conn *c, unsigned slot, int64_t now_us)
{
	char name[16];
	const struct db_value v[] = { I64(slot), { .type = DB_BLOB, .len = (uint32_t)snprintf(name, sizeof(name), "~%u", slot),
						   .p = name }, I64(now_us) };

	return run(c, SQL_GATEWAY_RENAME, v, COUNT(v), NULL);
}

static enum gh_status join_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct join *j = arg;
	unsigned slot = 1; /* 0 is that of programs from before there were slots, one of which may be serving here too */
	enum gh_status st = join_look(c, j, now_us);

	if (st == GH_OK && j->mine >= 0)
		st = put_to_rest(c, (unsigned)j->mine, now_us);
	while (slot < META_GATEWAYS && j->used[slot])
		slot++;
	if (st == GH_OK && slot == META_GATEWAYS) {
		const struct db_value v[] = { I64(j->rested), I64(0) };

		if (j->rested < 0)
			return GH_LIMIT;
		slot = (unsigned)j->rested;
		st = put_to_rest(c, slot, now_us);
		if (st == GH_OK)
			st = run(c, SQL_GATEWAY_DELETE, v, COUNT(v), NULL);
	}
	if (st == GH_OK) {
		const struct db_value v[] = { I64(slot), BYTES(j->g->name), I64(j->g->token),
					      { .type = DB_TEXT, .len = (uint32_t)strlen(j->g->version), .p = j->g->version },
					      I64(now_us), I64(now_us + j->life_ms * 1000ll) };

		st = run(c, SQL_GATEWAY_PUT, v, COUNT(v), NULL);
	}
	j->g->slot = slot;
	j->g->started_us = now_us;
	return st;
}

enum gh_status shard_gateway_join(struct shard_store *m, struct meta_call *c, struct meta_gateway *g, uint64_t predecessor,
				  uint32_t life_ms)
{
	struct join j = { .g = g, .predecessor = predecessor, .life_ms = life_ms };

	return commit_job(m, c, join_run, &j);
}

/* ---- living, going ---- */

struct beat {
	unsigned slot;
	uint64_t token;
	uint32_t life_ms;
	uint64_t changed;
};

static enum gh_status beat_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct beat *b = arg;
	const int64_t until_us = now_us + b->life_ms * 1000ll;
	const struct db_value gateway[] = { I64(b->slot), I64(b->token), I64(until_us) };
	const struct db_value leases[] = { I64(b->token), I64(until_us) };
	enum gh_status st = run(c, SQL_GATEWAY_BEAT, gateway, COUNT(gateway), &b->changed);

	return st == GH_OK && b->changed ? run(c, SQL_LEASES_BEAT, leases, COUNT(leases), NULL) : st;
}

enum gh_status shard_gateway_beat(struct shard_store *m, struct meta_call *c, unsigned slot, uint64_t token, uint32_t life_ms)
{
	struct beat b = { slot, token, life_ms, 0 };
	enum gh_status st = commit_job(m, c, beat_run, &b);

	return st == GH_OK && !b.changed ? GH_NOTFOUND : st;
}

static enum gh_status leave_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct beat *b = arg;
	const struct db_value gateway[] = { I64(b->slot), I64(b->token) };
	const struct db_value leases[] = { I64(b->token), I64(now_us) };
	enum gh_status st = run(c, SQL_GATEWAY_DELETE, gateway, COUNT(gateway), NULL);

	return st == GH_OK ? run(c, SQL_LEASES_DROP, leases, COUNT(leases), NULL) : st;
}

enum gh_status shard_gateway_leave(struct shard_store *m, struct meta_call *c, unsigned slot, uint64_t token)
{
	struct beat b = { .slot = slot, .token = token };

	return commit_job(m, c, leave_run, &b);
}

enum gh_status shard_gateways(struct shard_store *m, struct meta_call *c, struct meta_gateway **ret, unsigned *ret_count)
{
	struct meta_gateway *rows = NULL;
	unsigned count = 0, cap = 0;
	int64_t now_us = 0;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		now_us = m->drv->now_us(q.conn);
	if (st == GH_OK)
		st = query_prepare(&q, SQL_GATEWAYS);
	while (st == GH_OK && (st = m->drv->step(q.stmt)) == GH_OK) {
		rows = rows_more(c->arena, rows, count, &cap, sizeof(*rows));
		if (!rows)
			break;
		rows[count++] = (struct meta_gateway){
			.slot = (unsigned)db_u64(q.stmt, 0),
			.name = row_str(c->arena, q.stmt, 1, NULL),
			.token = db_u64(q.stmt, 2),
			.version = row_str(c->arena, q.stmt, 3, NULL),
			.started_us = db_i64(q.stmt, 4),
			.expires_us = db_i64(q.stmt, 5),
			.alive = db_u64(q.stmt, 2) && db_i64(q.stmt, 5) > now_us,
		};
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK) {
		*ret = rows;
		*ret_count = count;
	}
	return st;
}

/* ---- leases ---- */

struct lease {
	const char *kind;
	uint64_t tenant, id, holder;
	uint32_t life_ms;
	uint64_t changed;
};

static enum gh_status take_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct lease *l = arg;
	const struct db_value v[] = { BYTES(l->kind), I64(l->tenant), I64(l->id), I64(l->holder),
				      I64(now_us + l->life_ms * 1000ll), I64(now_us) };

	return run(c, SQL_LEASE_TAKE, v, COUNT(v), &l->changed);
}

enum gh_status shard_lease_take(struct shard_store *m, struct meta_call *c, const char *kind, uint64_t tenant, uint64_t id,
				uint64_t holder, uint32_t life_ms)
{
	struct lease l = { kind, tenant, id, holder, life_ms, 0 };
	enum gh_status st = commit_job(m, c, take_run, &l);

	return st == GH_OK && !l.changed ? GH_BUSY : st;
}

static enum gh_status drop_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct lease *l = arg;
	const struct db_value v[] = { BYTES(l->kind), I64(l->tenant), I64(l->id), I64(l->holder) };

	(void)now_us;
	return run(c, SQL_LEASE_DROP, v, COUNT(v), NULL);
}

enum gh_status shard_lease_drop(struct shard_store *m, struct meta_call *c, const char *kind, uint64_t tenant, uint64_t id,
				uint64_t holder)
{
	struct lease l = { kind, tenant, id, holder, 0, 0 };

	return commit_job(m, c, drop_run, &l);
}
