/* The PostgreSQL driver: statements that are run one by one (reading, and jobs of the writer), and transactions. Called
 * through db_pgsql.
 *
 * A statement is one round trip: it is sent when it is first stepped, with whatever was put off before it and those that are
 * known to follow (ahead), and all of its rows come back at once; every statement of the store bounds how many there are, or
 * is about what memory holds anyway. Many rows are made in parts (onward), one while the one before is read.
 */
#include "backends/metadata/pgsql.h"

#include "core/base/clock.h"
#include "core/base/crash.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static struct pg_conn *conn_of(struct db_conn *c)
{
	return (struct pg_conn *)c;
}

static struct pg_stmt *stmt_of(struct db_stmt *s)
{
	return (struct pg_stmt *)s;
}

/* ---- statements ---- */

enum gh_status pg_prepare(struct db_conn *base, enum sql_id id, struct db_stmt **ret)
{
	struct pg_conn *c = conn_of(base);
	struct pg_stmt *s = c->stmts[id];

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return GH_NOMEM;
		s->base.drv = &db_pgsql;
		s->conn = c;
		s->id = id;
		c->stmts[id] = s;
	}
	s->count = 0;
	*ret = &s->base;
	return GH_OK;
}

void pg_stmts_free(struct pg_conn *c)
{
	for (unsigned i = 0; i < SQL_COUNT; i++) {
		if (c->stmts[i])
			PQclear(c->stmts[i]->rows);
		free(c->stmts[i]);
	}
}

void pg_stmts_forget(struct pg_conn *c)
{
	for (unsigned i = 0; i < SQL_COUNT; i++)
		if (c->stmts[i])
			memset(c->stmts[i]->prepared, 0, sizeof(c->stmts[i]->prepared));
	c->locks_prepared = false;
}

static void pg_bind(struct db_stmt *base, unsigned index, const struct db_value *v)
{
	struct pg_stmt *s = stmt_of(base);

	GH_ASSERT(index >= 1 && index <= PG_VALUES_MAX);
	s->values[index - 1] = *v;
	if (index > s->count)
		s->count = index;
}

static enum gh_status receive(struct pg_conn *c, struct pg_stmt *s);

static void pg_reset(struct db_stmt *base)
{
	struct pg_stmt *s = stmt_of(base);

	if (s->onward)
		(void)receive(s->conn, s); /* rows that nobody wants any more; or the connection is lost, which the next one sees */
	PQclear(s->rows);
	s->rows = NULL;
}

/* ---- what follows ---- */

static void pg_ahead(struct db_stmt *base)
{
	struct pg_stmt *s = stmt_of(base);
	struct pg_conn *c = s->conn;

	GH_ASSERT(!s->ahead && !s->rows);
	if (c->ahead_count == PG_AHEAD_MAX)
		return; /* it is sent when it is stepped */
	s->ahead = true;
	c->ahead[c->ahead_count++] = s;
}

/* None is waited for any more. */
static void ahead_forget(struct pg_conn *c)
{
	for (unsigned i = 0; i < c->ahead_count; i++) {
		c->ahead[i]->ahead = false;
		pg_reset(&c->ahead[i]->base);
	}
	c->ahead_count = 0;
}

/* What came of some of them is of another moment than what the others will see. */
static void ahead_again(struct pg_conn *c)
{
	for (unsigned i = 0; i < c->ahead_count; i++) {
		pg_reset(&c->ahead[i]->base);
		c->ahead[i]->ahead = true;
	}
}

static bool send_rows(struct pg_conn *c, struct pg_stmt *s)
{
	const struct pg_expected rows = { .kind = PG_EXPECT_ROWS, .how = PG_AS_IS, .cmd = s->id };

	return pg_send(c, s, s->values, s->count, 0, rows);
}

static bool send_ahead(struct pg_conn *c)
{
	bool ok = true;

	for (unsigned i = 0; ok && i < c->ahead_count; i++)
		ok = !c->ahead[i]->ahead || send_rows(c, c->ahead[i]);
	return ok;
}

/* The rows of s, or of one that was sent with it. */
static void take_rows(struct pg_conn *c, const struct pg_expected *e, struct pg_stmt *s, PGresult *r)
{
	struct pg_stmt *of = c->stmts[e->cmd];

	if (of == s)
		c->changed = (uint64_t)strtoull(PQcmdTuples(r), NULL, 10);
	c->changed_total += PQresultStatus(r) == PGRES_COMMAND_OK ? c->changed : 0;
	of->rows = r;
	of->row = -1;
	of->ahead = false;
}

/* All that was sent; the rows of s with it. */
static enum gh_status receive(struct pg_conn *c, struct pg_stmt *s)
{
	enum gh_status first = GH_OK, st;
	struct pg_expected e;
	PGresult *r;

	if (s->onward) { /* those at hand have been read */
		PQclear(s->rows);
		s->rows = NULL;
		s->onward = false;
	}
	while ((st = pg_next(c, &e, &r)) == GH_OK) {
		const ExecStatusType what = PQresultStatus(r);

		if (what == PGRES_FATAL_ERROR && first == GH_OK && e.kind != PG_EXPECT_STALE)
			first = pg_fail(c, r, sql_rows[s->id].name);
		if (e.kind == PG_EXPECT_ROWS && (what == PGRES_TUPLES_OK || what == PGRES_COMMAND_OK)) {
			take_rows(c, &e, s, r);
		} else {
			PQclear(r);
		}
	}
	return st == GH_END ? first : st;
}

static enum gh_status run_once(struct pg_conn *c, struct pg_stmt *s)
{
	(void)(pg_send_deferred(c) && send_ahead(c) && (s->ahead || send_rows(c, s)) && pg_send_sync(c));
	return receive(c, s);
}

static bool in_time(const struct pg_conn *c)
{
	return !c->deadline_ns || gh_mono_ns() < c->deadline_ns;
}

/* The first read on a connection that was lost since it was looked at is sent once more, on another. */
static enum gh_status run(struct pg_conn *c, struct pg_stmt *s)
{
	const unsigned deferred_count = c->deferred_count;
	enum gh_status st = run_once(c, s);

	if (st == GH_DATABASE && c->lost && c->fresh && in_time(c) && pg_redial(c) == GH_OK) {
		c->deferred_count = deferred_count;
		pg_reset(&s->base);
		ahead_again(c);
		st = run_once(c, s);
	}
	c->fresh = false;
	if (st != GH_OK) {
		pg_reset(&s->base);
		ahead_forget(c);
	}
	return st;
}

static enum gh_status pg_run_later(struct db_stmt *base)
{
	struct pg_stmt *s = stmt_of(base);
	const struct pg_expected nothing = { .kind = PG_EXPECT_NOTHING };

	return pg_send_deferred(s->conn) && pg_send(s->conn, s, s->values, s->count, 0, nothing) ? GH_OK : GH_DATABASE;
}

static enum gh_status pg_step(struct db_stmt *base)
{
	struct pg_stmt *s = stmt_of(base);

	if (!s->rows) {
		enum gh_status st = run(s->conn, s);

		if (st != GH_OK)
			return st;
	}
	if (++s->row < PQntuples(s->rows))
		return GH_OK;
	if (!s->onward)
		return GH_END;
	const enum gh_status st = receive(s->conn, s);
	if (st != GH_OK)
		return st;
	return ++s->row < PQntuples(s->rows) ? GH_OK : GH_END;
}

static enum gh_status pg_onward(struct db_stmt *base, unsigned part, unsigned column, unsigned index)
{
	struct pg_stmt *s = stmt_of(base);
	const int last = PQntuples(s->rows) - 1;

	if ((unsigned)last + 1 < part)
		return GH_END;
	pg_bind(base, index,
		&(struct db_value){ .type = DB_BLOB,
				    .len = (uint32_t)PQgetlength(s->rows, last, (int)column),
				    .p = PQgetvalue(s->rows, last, (int)column) });
	if (!send_rows(s->conn, s) || !pg_send_sync(s->conn))
		return GH_DATABASE;
	s->onward = true;
	(void)PQflush(s->conn->h); /* what is wrong shows when it is waited for */
	return GH_OK;
}

static int64_t pg_get_i64(struct db_stmt *base, unsigned column)
{
	struct pg_stmt *s = stmt_of(base);
	const char *p = PQgetvalue(s->rows, s->row, (int)column);
	uint64_t wide;
	uint32_t narrow;

	/* A constant in a statement is an int, a column a bigint. */
	switch (PQgetlength(s->rows, s->row, (int)column)) {
	case 8:
		memcpy(&wide, p, 8);
		return (int64_t)be64toh(wide);
	case 4:
		memcpy(&narrow, p, 4);
		return (int32_t)be32toh(narrow);
	}
	return 0;
}

static const void *pg_get_bytes(struct db_stmt *base, unsigned column, size_t *ret_len)
{
	struct pg_stmt *s = stmt_of(base);

	*ret_len = (size_t)PQgetlength(s->rows, s->row, (int)column);
	return PQgetvalue(s->rows, s->row, (int)column);
}

static bool pg_is_null(struct db_stmt *base, unsigned column)
{
	struct pg_stmt *s = stmt_of(base);

	return PQgetisnull(s->rows, s->row, (int)column);
}

static uint64_t pg_changes(struct db_conn *c)
{
	return conn_of(c)->changed;
}

static uint64_t pg_changes_total(struct db_conn *c)
{
	return conn_of(c)->changed_total;
}

/* ---- transactions ---- */

static enum gh_status put_off(struct pg_conn *c, const char *control)
{
	return pg_defer(c, control) ? GH_OK : GH_DATABASE;
}

static enum gh_status pg_snapshot(struct db_conn *base)
{
	struct pg_conn *c = conn_of(base);
	enum gh_status st = put_off(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");

	c->begun = true;
	if (st == GH_OK && c->patient)
		st = put_off(c, "SET LOCAL statement_timeout = 0");
	return st == GH_OK && c->patient ? put_off(c, "SET LOCAL enable_seqscan = on") : st;
}

/* Nobody waits for a snapshot to end; its answer is taken off when the connection is next used. */
static void pg_snapshot_end(struct db_conn *base)
{
	struct pg_conn *c = conn_of(base);
	bool was_sent = c->begun && !c->deferred_count;

	ahead_forget(c);
	c->begun = c->patient = false;
	c->deferred_count = 0;
	if (was_sent && pg_send_control(c, "COMMIT", PG_EXPECT_STALE) && pg_send_sync(c) && PQflush(c->h) < 0)
		pg_lose(c, "COMMIT", PQerrorMessage(c->h));
}

static enum gh_status pg_begin(struct db_conn *base)
{
	struct pg_conn *c = conn_of(base);

	gh_crash_point("meta.before_begin");
	c->begun = true;
	c->committed = false;
	c->deadline_ns = gh_mono_ns() + (c->db->statement_ms + c->db->lock_ms) * GH_MS_NS;
	return put_off(c, "BEGIN ISOLATION LEVEL READ COMMITTED");
}

/* Did the server say that it committed? In a transaction that has failed, COMMIT is a rollback and says so. */
static enum gh_status commit_answer(struct pg_conn *c)
{
	enum gh_status first = GH_OK, st;
	struct pg_expected e;
	PGresult *r;

	while ((st = pg_next(c, &e, &r)) == GH_OK) {
		if (PQresultStatus(r) == PGRES_FATAL_ERROR && first == GH_OK)
			first = pg_fail(c, r, "COMMIT");
		else if (e.kind == PG_EXPECT_COMMIT && first == GH_OK && strcmp(PQcmdStatus(r), "COMMIT"))
			first = GH_DATABASE;
		PQclear(r);
	}
	return st == GH_END ? first : st;
}

static enum gh_status pg_commit(struct db_conn *base)
{
	struct pg_conn *c = conn_of(base);
	enum gh_status st;

	c->begun = false;
	if (c->committed)
		return GH_OK;
	gh_crash_point("meta.before_commit");
	if (!pg_send_deferred(c) || !pg_send_control(c, "COMMIT", PG_EXPECT_COMMIT) || !pg_send_sync(c))
		return GH_DATABASE; /* it never left */
	st = commit_answer(c);
	if (st == GH_OK)
		gh_crash_point("meta.after_commit");
	return c->lost ? GH_UNKNOWN : st;
}

void pg_rollback(struct db_conn *base)
{
	struct pg_conn *c = conn_of(base);

	c->begun = false;
	c->deferred_count = 0;
	if (c->lost)
		return;
	if (pg_drain(c, "rollback") == GH_OK && PQtransactionStatus(c->h) == PQTRANS_IDLE)
		return;
	if (pg_send_control(c, "ROLLBACK", PG_EXPECT_NOTHING) && pg_send_sync(c))
		(void)pg_drain(c, "rollback"); /* logged; the writer is then thrown away */
}

/* Marks are for jobs, which say not what they touch: they have the house to themselves. */
static enum gh_status pg_mark(struct db_conn *base)
{
	struct pg_conn *c = conn_of(base);

	return pg_lock_house(c) ? put_off(c, "SAVEPOINT job") : GH_DATABASE;
}

static enum gh_status pg_mark_end(struct db_conn *base, bool keep)
{
	struct pg_conn *c = conn_of(base);

	if (!keep && put_off(c, "ROLLBACK TO job") != GH_OK)
		return GH_DATABASE;
	return put_off(c, "RELEASE job");
}

static bool pg_in_transaction(struct db_conn *base)
{
	return conn_of(base)->begun && !conn_of(base)->lost;
}

const struct db_driver db_pgsql = {
	.name = "postgresql",
	.words = pg_words,
	.comes_back = true,
	.jobs_alone = true,
	.bare_is_blind = true,
	.open = pg_open,
	.start = pg_start,
	.close = pg_close,
	.label = pg_label,
	.reader = pg_reader,
	.reader_done = pg_reader_done,
	.writer = pg_writer,
	.writer_reset = pg_writer_reset,
	.writer_idle = pg_writer_idle,
	.prepare = pg_prepare,
	.bind = pg_bind,
	.step = pg_step,
	.run_later = pg_run_later,
	.ahead = pg_ahead,
	.onward = pg_onward,
	.get_i64 = pg_get_i64,
	.get_bytes = pg_get_bytes,
	.is_null = pg_is_null,
	.reset = pg_reset,
	.changes = pg_changes,
	.changes_total = pg_changes_total,
	.looks = pg_looks,
	.snapshot = pg_snapshot,
	.snapshot_end = pg_snapshot_end,
	.begin = pg_begin,
	.commit = pg_commit,
	.rollback = pg_rollback,
	.mark = pg_mark,
	.mark_end = pg_mark_end,
	.in_transaction = pg_in_transaction,
	.batches = pg_batches,
	.now_us = pg_now_us,
	.listen = pg_listen,
	.poke = pg_poke,
	.say = pg_say,
	.lock_schema = pg_lock_schema,
	.exec = pg_exec,
	.has_table = pg_has_table,
	.check = pg_check,
};
