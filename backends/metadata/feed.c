/* The event log in the order of commits: a tenant's for feeds, a shard's for caches. Any worker; each call holds one reader.
 *
 * Two ways to miss nothing. A feed has a cursor and waits for the horizon: below it no transaction is left that could still
 * commit. Caches do not wait: their place is what could be seen when they last looked (a snapshot), and what could not be
 * seen then and can now is new, wherever it stands.
 */
#include "backends/metadata/store.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_MAX 1000
#define PAGE 200
#define BACK_PAGE 1000u

void row_event(struct gh_arena *a, struct db_stmt *s, struct meta_event *e)
{
	e->op = db_u64(s, 0);
	e->time_us = db_i64(s, 1);
	e->user = db_u64(s, 2);
	e->user_name = row_str(a, s, 3, NULL);
	e->what = row_str(a, s, 4, NULL);
	e->door = row_str(a, s, 5, NULL);
	e->path = row_str(a, s, 6, NULL);
	e->dest = row_str(a, s, 7, NULL);
	e->request_id = row_str(a, s, 8, NULL);
	e->node = db_u64(s, 9);
	e->bytes = db_i64(s, 10);
	e->files = db_i64(s, 11);
	e->at = (struct meta_cursor){ .pos = db_u64(s, 12), .op = e->op };
	e->touched = row_str(a, s, 13, NULL);
	e->tenant = db_u64(s, 14);
}

/* ---- a tenant's log ---- */

struct log_state {
	uint64_t feed, cut_pos, cut_op;
};

static enum gh_status log_state(struct query *q, uint64_t tenant, struct log_state *ret)
{
	enum gh_status st = query_prepare(q, SQL_FEED_ROWS);

	*ret = (struct log_state){ 0 };
	if (st != GH_OK)
		return st;
	db_bind_u64(q->stmt, 1, tenant);
	while ((st = q->m->drv->step(q->stmt)) == GH_OK) {
		ret->feed ^= db_u64(q->stmt, 1);
		if (db_u64(q->stmt, 0) == tenant) {
			ret->cut_pos = db_u64(q->stmt, 2);
			ret->cut_op = db_u64(q->stmt, 3);
		}
	}
	if (!ret->feed)
		ret->feed = 1;
	return st == GH_END ? GH_OK : st;
}

static bool goes_on(const struct log_state *log, const struct meta_cursor *c)
{
	if (!c->feed && !c->pos && !c->op)
		return true;
	return c->feed == log->feed &&
	       (c->pos > log->cut_pos || (c->pos == log->cut_pos && c->op >= log->cut_op));
}

static enum gh_status feed_rows(struct query *q, uint64_t tenant, const struct meta_cursor *after, unsigned limit,
				struct meta_event **ret, unsigned *ret_count)
{
	struct meta_event *rows = NULL;
	unsigned count = 0, cap = 0;
	enum gh_status st = query_prepare(q, SQL_FEED_GET);

	if (st != GH_OK)
		return st;
	db_bind_u64(q->stmt, 1, tenant);
	db_bind_u64(q->stmt, 2, after->pos);
	db_bind_u64(q->stmt, 3, after->op);
	db_bind_u64(q->stmt, 4, limit > LIMIT_MAX ? LIMIT_MAX : limit);
	while ((st = q->m->drv->step(q->stmt)) == GH_OK) {
		rows = rows_more(q->call->arena, rows, count, &cap, sizeof(*rows));
		if (!rows)
			return GH_NOMEM;
		row_event(q->call->arena, q->stmt, &rows[count++]);
	}
	*ret = rows;
	*ret_count = count;
	return st == GH_END ? GH_OK : st;
}

/* The rows first, then what is said of the log: if it is cut or renewed in between, that is seen. */
enum gh_status shard_feed(struct shard_store *m, struct meta_call *c, uint64_t tenant, const struct meta_cursor *after,
			 unsigned limit, struct meta_event **ret, unsigned *ret_count, struct meta_cursor *ret_next)
{
	struct meta_event *rows = NULL;
	struct log_state log = { 0 };
	unsigned count = 0;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = feed_rows(&q, tenant, after, limit, &rows, &count);
	if (st == GH_OK)
		st = log_state(&q, tenant, &log);
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK && !goes_on(&log, after))
		st = GH_NOTFOUND;
	if (st != GH_OK)
		return st;
	*ret_next = (struct meta_cursor){ log.feed, after->pos, after->op };
	if (!after->feed && !count) /* nothing yet behind the oldest */
		*ret_next = (struct meta_cursor){ log.feed, log.cut_pos, log.cut_op };
	for (unsigned i = 0; i < count; i++)
		rows[i].at.feed = log.feed;
	if (count)
		*ret_next = rows[count - 1].at;
	*ret = rows;
	*ret_count = count;
	return GH_OK;
}

enum gh_status shard_feed_ends(struct shard_store *m, struct meta_call *c, uint64_t tenant, struct meta_cursor *ret_oldest,
			      struct meta_cursor *ret_newest)
{
	struct meta_cursor newest = { 0 };
	struct log_state log;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_FEED_NEWEST);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		st = m->drv->step(q.stmt);
	}
	if (st == GH_OK)
		newest = (struct meta_cursor){ .pos = db_u64(q.stmt, 0), .op = db_u64(q.stmt, 1) };
	if (st == GH_OK || st == GH_END)
		st = log_state(&q, tenant, &log);
	query_close(&q);
	if (st != GH_OK)
		return st;
	*ret_oldest = (struct meta_cursor){ log.feed, log.cut_pos, log.cut_op };
	*ret_newest = newest.op ? (struct meta_cursor){ log.feed, newest.pos, newest.op } : *ret_oldest;
	return GH_OK;
}

/* ---- where it begins anew, and is cut ---- */

static enum gh_status run_with(struct db_conn *c, enum sql_id sql, const uint64_t *values, unsigned count)
{
	struct db_stmt *s;
	enum gh_status st = c->drv->prepare(c, sql, &s);

	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < count; i++)
		db_bind_u64(s, i + 1, values[i]);
	return db_run(s);
}

enum gh_status feed_cut(struct db_conn *c, uint64_t tenant, int64_t drop_before_us, uint64_t id_then)
{
	uint64_t values[3] = { tenant };
	struct db_stmt *s;
	enum gh_status st = c->drv->prepare(c, SQL_FEED_LAST_DROP, &s);

	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, tenant);
	db_bind_i64(s, 2, drop_before_us);
	db_bind_u64(s, 3, id_then);
	st = c->drv->step(s);
	if (st == GH_OK) {
		values[1] = db_u64(s, 0);
		values[2] = db_u64(s, 1);
	}
	c->drv->reset(s);
	return st == GH_OK ? run_with(c, SQL_FEED_CUT, values, 3) : st == GH_END ? GH_OK : st;
}

static enum gh_status renew_run(struct db_conn *c, void *arg, int64_t now_us)
{
	uint64_t values[2] = { *(uint64_t *)arg };

	(void)now_us;
	gh_random(&values[1], sizeof(values[1]));
	values[1] = values[1] >> 1 | 1;
	return run_with(c, SQL_FEED_RENEW, values, 2);
}

enum gh_status shard_feed_renew(struct shard_store *m, struct meta_call *c, uint64_t tenant)
{
	return commit_job(m, c, renew_run, &tenant);
}

static enum gh_status level_run(struct db_conn *c, void *arg, int64_t now_us)
{
	enum gh_status st = run_with(c, SQL_FEED_LEVEL, NULL, 0);

	if (st == GH_OK)
		st = run_with(c, SQL_FEED_LEVEL_CUTS, NULL, 0);
	return st == GH_OK ? renew_run(c, arg, now_us) : st;
}

/* A dump that was read into another database server brings places along that this one has not reached yet. Their events
 * would wait for them, and what comes now would stand before them. */
static enum gh_status level(struct shard_store *m, struct meta_call *c)
{
	uint64_t all = 0;

	gh_log(GH_LOG_WARN, "meta.feed_renewed", "database=%s hint=\"events come from another server; cursors of feeds have"
	       " ended\"", m->drv->label(m->db));
	return commit_job(m, c, level_run, &all);
}

static enum gh_status first_of(struct shard_store *m, struct meta_call *c, enum sql_id sql, int64_t *ret)
{
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, sql);
	if (st == GH_OK)
		st = m->drv->step(q.stmt);
	if (st == GH_OK)
		*ret = db_i64(q.stmt, 0);
	query_close(&q);
	return st;
}

enum gh_status feed_open(struct shard_store *m, char *err)
{
	struct gh_arena *a = gh_arena_new(65536);
	struct meta_call call = { .arena = a, .op = "open" };
	int64_t found = 0;
	enum gh_status st = a ? GH_OK : GH_NOMEM;

	if (st == GH_OK && !m->read_only) {
		st = first_of(m, &call, m->drv->pos_from ? SQL_POS_LAST : SQL_FEED_FOREIGN, &found);
		if (st == GH_OK && m->drv->pos_from)
			m->drv->pos_from(m->db, found);
		else if (st == GH_OK)
			st = level(m, &call);
		else if (st == GH_END)
			st = GH_OK;
		if (st == GH_OK && m->drv->listen)
			st = m->drv->listen(m->db, &m->bell);
	}
	gh_arena_free(&a);
	if (st != GH_OK)
		snprintf(err, DB_ERR_MAX, "cannot read the event log of %s: %s", m->drv->label(m->db), gh_status_text(st));
	return st;
}

/* ---- all tenants ---- */

static void snapshot_keep(struct query *q, char seen[META_STREAM_TEXT])
{
	size_t len;
	const char *text = q->m->drv->get_bytes(q->stmt, 0, &len);

	if (len < META_STREAM_TEXT) {
		memcpy(seen, text, len);
		seen[len] = '\0';
	} else { /* what is below the oldest that runs has been seen, no more is said */
		const unsigned long long oldest = strtoull(text, NULL, 10);

		snprintf(seen, META_STREAM_TEXT, "%llu:%llu:", oldest, oldest);
	}
}

enum gh_status query_stream_now(struct query *q, char seen[META_STREAM_TEXT])
{
	enum gh_status st = query_prepare(q, SQL_STREAM_NOW);

	if (st == GH_OK)
		st = q->m->drv->step(q->stmt);
	if (st == GH_OK)
		snapshot_keep(q, seen);
	return st;
}

/* Returns how many. */
static enum gh_status stream_page(struct query *q, const struct meta_stream *from, struct meta_cursor *at, meta_stream_fn *fn,
				  void *arg, unsigned *ret_count)
{
	const struct db_value seen = { .type = DB_TEXT, .len = (uint32_t)strlen(from->seen), .p = from->seen };
	enum gh_status st = query_prepare(q, SQL_STREAM_GET);

	*ret_count = 0;
	if (st != GH_OK)
		return st;
	db_bind_u64(q->stmt, 1, strtoull(from->seen, NULL, 10));
	q->m->drv->bind(q->stmt, 2, &seen);
	db_bind_u64(q->stmt, 3, at->pos);
	db_bind_u64(q->stmt, 4, at->op);
	db_bind_u64(q->stmt, 5, PAGE);
	while ((st = q->m->drv->step(q->stmt)) == GH_OK) {
		struct meta_event e;

		row_event(q->call->arena, q->stmt, &e);
		if (gh_arena_overflowed(q->call->arena))
			return GH_NOMEM;
		fn(arg, &e);
		*at = e.at;
		(*ret_count)++;
	}
	gh_arena_reset(q->call->arena);
	return st == GH_END ? GH_OK : st;
}

/* The same, and which log it is: a number that is alike for whoever asks. */
static enum gh_status stream_log(struct query *q, struct meta_stream *ret)
{
	static const struct gh_sipkey any = { 0, 0 };
	enum gh_status st = query_prepare(q, SQL_STREAM_LOG);
	const char *text;
	size_t len;

	if (st == GH_OK)
		st = q->m->drv->step(q->stmt);
	if (st != GH_OK)
		return st;
	snapshot_keep(q, ret->seen);
	ret->horizon = strtoull(ret->seen, NULL, 10);
	text = q->m->drv->get_bytes(q->stmt, 1, &len);
	ret->log = gh_siphash(&any, text, len) ^ db_u64(q->stmt, 2);
	return GH_OK;
}

/* What stands before *at, newest first. */
static enum gh_status back_page(struct query *q, struct meta_cursor *at, unsigned limit, meta_stream_fn *fn, void *arg,
				unsigned *ret_count)
{
	enum gh_status st = query_prepare(q, SQL_STREAM_BACK);

	*ret_count = 0;
	if (st != GH_OK)
		return st;
	db_bind_u64(q->stmt, 1, at->pos);
	db_bind_u64(q->stmt, 2, at->op);
	db_bind_u64(q->stmt, 3, limit);
	while ((st = q->m->drv->step(q->stmt)) == GH_OK) {
		struct meta_event e = { .tenant = db_u64(q->stmt, 0), .touched = row_str(q->call->arena, q->stmt, 3, NULL) };

		e.op = db_u64(q->stmt, 2);
		e.at = *at = (struct meta_cursor){ .pos = db_u64(q->stmt, 1), .op = db_u64(q->stmt, 2) };
		if (gh_arena_overflowed(q->call->arena))
			return GH_NOMEM;
		fn(arg, &e);
		(*ret_count)++;
	}
	gh_arena_reset(q->call->arena);
	return st == GH_END ? GH_OK : st;
}

/* Behind what upkeep has dropped of anybody's. */
static enum gh_status since_the_cut(struct query *q, uint64_t *ret)
{
	enum gh_status st = query_prepare(q, SQL_FEED_CUTS);

	if (st == GH_OK)
		st = q->m->drv->step(q->stmt);
	if (st == GH_OK)
		*ret = db_u64(q->stmt, 0) + 1;
	return st;
}

/* Where it stops the place may have more events than were given, so `since` is behind it. */
static enum gh_status stream_back(struct query *q, struct meta_stream *s, meta_stream_fn *fn, void *arg)
{
	const uint64_t began_ns = gh_mono_ns(), deadline_ns = q->call->deadline_ns;
	const uint64_t until_ns = deadline_ns > began_ns ? began_ns + (deadline_ns - began_ns) / 4 : UINT64_MAX;
	struct meta_cursor at = { .pos = INT64_MAX, .op = INT64_MAX };
	unsigned count, asked, left = s->back;
	enum gh_status st;

	do {
		asked = left < BACK_PAGE ? left : BACK_PAGE;
		st = back_page(q, &at, asked, fn, arg, &count);
		left -= count;
	} while (st == GH_OK && count == asked && left && gh_mono_ns() < until_ns);
	if (st == GH_OK && count < asked)
		return since_the_cut(q, &s->since);
	s->since = at.pos + 1;
	return st;
}

enum gh_status shard_stream(struct shard_store *m, struct meta_call *c, struct meta_stream *s,
			   meta_stream_fn *fn, void *arg)
{
	struct meta_stream now = { .back = s->back, .since = s->since };
	struct meta_cursor at = { 0 };
	unsigned count = PAGE;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_snapshot(&q);
	if (st == GH_OK)
		st = s->back ? stream_log(&q, &now) : query_stream_now(&q, now.seen);
	if (st == GH_OK && s->back && !s->seen[0])
		st = stream_back(&q, &now, fn, arg);
	while (st == GH_OK && s->seen[0] && count == PAGE)
		st = stream_page(&q, s, &at, fn, arg, &count);
	query_close(&q);
	if (st == GH_OK)
		memcpy(s, &now, sizeof(now));
	return st;
}
