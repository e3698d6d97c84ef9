/* The PostgreSQL driver: what is sent, what comes back, and what a failure means. See pgsql.h for the pipeline.
 *
 * Nothing here blocks but pg_next, pg_drain and pg_simple, which wait until the connection's deadline. libpq's socket is
 * non-blocking: what does not fit into it is kept until one of those sends it, while it takes in what the server has to say,
 * so that neither side waits for the other with a full buffer.
 */
#include "backends/metadata/pgsql.h"

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metrics.h"

#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_TEXT_MAX 65536

/* Types by their numbers in pg_type, which never change. */
#define OID_BYTEA 17
#define OID_INT8 20
#define OID_TEXT 25

/* ---- what went wrong ---- */

void pg_one_line(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; text && *text && n + 3 < size; text++) {
		if (*text != '\n') {
			out[n++] = *text == '\t' ? ' ' : *text;
		} else if (text[1]) {
			out[n++] = ';';
			out[n++] = ' ';
		}
	}
	out[n] = '\0';
}

enum gh_status pg_lose(struct pg_conn *c, const char *what, const char *text)
{
	char line[DB_ERR_MAX], quoted[DB_ERR_MAX];

	if (!c->lost) {
		pg_one_line(line, sizeof(line), text);
		gh_log(GH_LOG_ERROR, "meta.connection_lost", "database=%s statement=%s text=%s", c->db->label, what,
		       gh_log_quote(quoted, sizeof(quoted), line));
	}
	c->lost = true;
	return GH_DATABASE;
}

/* SQLSTATEs (PostgreSQL's appendix A) and what they are here. A prefix of two is a class. */
static const struct {
	const char *state;
	enum gh_status st;
	bool expected; /* not worth a line in the log */
	bool loses;    /* the connection is of no use any more */
	const char *hint; /* what an administrator does about it, or NULL */
} states[] = {
	{ "23505", GH_EXISTS, true, false, NULL },   /* unique key */
	{ "22012", GH_STALE, true, false, NULL },    /* division by zero: a command has not changed what it must (dialect) */
	{ "40001", GH_STALE, true, false, NULL },    /* serialization */
	{ "40P01", GH_STALE, true, false, NULL },    /* deadlock: the batch is made again from what is there now */
	{ "55P03", GH_BUSY, false, false, NULL },    /* lock_timeout */
	{ "22021", GH_INVALID, false, false, NULL }, /* text that is none in UTF-8 */
	{ "53100", GH_NOSPACE, false, false, "make room on the database server's disk; until then writes are refused" },
	{ "53", GH_DATABASE, false, false, "the database server lacks memory or connections" },
	{ "57P01", GH_DATABASE, false, true, NULL }, /* shut down, crashed, starting */
	{ "57P02", GH_DATABASE, false, true, NULL },
	{ "57P03", GH_DATABASE, false, true, NULL },
	/* it was demoted; another one will be found */
	{ "25006", GH_DATABASE, false, true, "the server takes no writes; promote it, or name another in postgresql.conninfo" },
	{ "42501", GH_DATABASE, false, false, "the user of postgresql.conninfo has to own the tables" },
	{ "42P01", GH_DATABASE, false, false, "a table is missing: gatehouse schema check" },
	{ "42703", GH_DATABASE, false, false, "a column is missing: gatehouse schema check" },
	{ "XX001", GH_DAMAGED, false, false, "restore the database from a backup" },
	{ "XX002", GH_DAMAGED, false, false, "an index is damaged: REINDEX" },
	{ "08", GH_DATABASE, false, true, NULL },    /* connection */
};

enum gh_status pg_fail(struct pg_conn *c, const PGresult *r, const char *what)
{
	const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
	char line[DB_ERR_MAX], quoted[DB_ERR_MAX];
	enum gh_status st = GH_DATABASE;
	const char *hint = NULL;

	if (!state || PQstatus(c->h) == CONNECTION_BAD)
		return pg_lose(c, what, r ? PQresultErrorMessage(r) : PQerrorMessage(c->h));
	for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strncmp(state, states[i].state, strlen(states[i].state)))
			continue;
		if (states[i].expected)
			return states[i].st;
		st = states[i].st;
		c->lost |= states[i].loses;
		hint = states[i].hint;
		break;
	}
	pg_one_line(line, sizeof(line), PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
	gh_log(GH_LOG_ERROR, "meta.sql_failed", "status=%s database=%s statement=%s sqlstate=%s text=%s%s%s%s", gh_status_name(st),
	       c->db->label, what, state, gh_log_quote(quoted, sizeof(quoted), line), hint ? " hint=\"" : "", hint ? hint : "",
	       hint ? "\"" : "");
	return st;
}

/* ---- sending ---- */

bool pg_expect_more(struct pg_conn *c, struct pg_expected e)
{
	if (c->expected_count == c->expected_cap) {
		unsigned cap = c->expected_cap ? c->expected_cap * 2 : 64;
		struct pg_expected *more = realloc(c->expected, cap * sizeof(*more));

		if (!more) {
			pg_lose(c, "-", "out of memory");
			return false;
		}
		c->expected = more;
		c->expected_cap = cap;
	}
	c->expected[c->expected_count++] = e;
	c->asked = true;
	return true;
}

/* What libpq said about a message that was to be sent. */
static bool sent(struct pg_conn *c, int ok, const char *what, struct pg_expected e)
{
	if (ok)
		return pg_expect_more(c, e);
	pg_lose(c, what, PQerrorMessage(c->h));
	return false;
}

bool pg_defer(struct pg_conn *c, const char *control)
{
	if (c->deferred_count == PG_DEFERRED_MAX && !pg_send_deferred(c))
		return false;
	snprintf(c->deferred[c->deferred_count++], PG_CONTROL_MAX, "%s", control);
	return !c->lost;
}

bool pg_send_control(struct pg_conn *c, const char *control, enum pg_expect kind)
{
	if (c->lost)
		return false;
	return sent(c, PQsendQueryParams(c->h, control, 0, NULL, NULL, NULL, NULL, 1), control,
		    (struct pg_expected){ .kind = kind });
}

bool pg_send_deferred(struct pg_conn *c)
{
	unsigned n = c->deferred_count;

	c->deferred_count = 0;
	for (unsigned i = 0; i < n; i++)
		if (!pg_send_control(c, c->deferred[i], PG_EXPECT_NOTHING))
			return false;
	return !c->lost;
}

bool pg_send_sync(struct pg_conn *c)
{
	return !c->lost && sent(c, PQpipelineSync(c->h), "sync", (struct pg_expected){ .kind = PG_EXPECT_SYNC });
}

static Oid oid_of(enum db_type type)
{
	switch (type) {
	case DB_I64:
	case DB_NOW:
		return OID_INT8;
	case DB_BLOB:
	case DB_NULL:
		return OID_BYTEA;
	case DB_TEXT:
		return OID_TEXT;
	}
	return 0;
}

/* What sql.h leaves to the driver. A place in the order of commits is the transaction's number, of 64 bits: an event of a
 * transaction that ends later than others of a higher number is below the horizon only then. */
static const struct {
	const char *word, *here;
} own_words[] = {
	{ "gh_pos()", "pg_current_xact_id()::text::bigint" },
	{ "gh_horizon()", "pg_snapshot_xmin(pg_current_snapshot())::text::bigint" },
	{ "gh_next_pos()", "pg_snapshot_xmax(pg_current_snapshot())::text::bigint" },
	{ "gh_history()", "('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint" },
	{ "gh_which_log()", "concat_ws('.', left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),"
		      " (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,"
		      " (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()), pg_relation_filenode('node'))" },
	{ "gh_snapshot()", "pg_current_snapshot()::text" },
	{ "gh_seen(e.pos, ?2)", "pg_visible_in_snapshot(e.pos::text::xid8, $2::text::pg_snapshot)" },
};

static size_t own_word(struct gh_buf *out, const char *at)
{
	for (unsigned i = 0; i < sizeof(own_words) / sizeof(own_words[0]); i++)
		if (!strncmp(at, own_words[i].word, strlen(own_words[i].word))) {
			gh_buf_str(out, own_words[i].here);
			return strlen(own_words[i].word);
		}
	return 0;
}

/* What stands around a statement. Strict: what it changes is counted, and one divided by anything but one row is an error,
 * so that the server skips the rest without asking us. */
#define EVENT_IS_THERE "EXISTS (SELECT 1 FROM event e WHERE e.tenant = $1 AND e.op = $2)"
static const struct {
	const char *before, *where, *after; /* where: instead of the outermost WHERE */
} around[PG_HOWS] = {
	[PG_AS_IS] = { "", " WHERE ", "" },
	[PG_STRICT] = { "WITH changed AS (", " WHERE ",
			" RETURNING 1) SELECT 1 / CASE count(*) WHEN 1 THEN 1 ELSE 0 END FROM changed" },
	[PG_FIRST] = { "", " WHERE CASE WHEN " EVENT_IS_THERE " THEN 1 / ($2 - $2) = 1 ELSE ", " END" },
	[PG_IF_EVENT] = { "WITH changed AS (", " WHERE ",
			  " RETURNING 1) SELECT 1 / CASE WHEN count(*) = 1 OR NOT " EVENT_IS_THERE " THEN 1 ELSE 0 END FROM changed" },
};

/* ?N becomes $N. */
static void dialect(struct gh_buf *out, const char *text, enum pg_how how)
{
	const char *body = strstr(text, "*/") + 3; /* the comment with its name goes first, where logs show it */
	unsigned depth = 0;

	gh_buf_add(out, text, (size_t)(body - text));
	gh_buf_str(out, around[how].before);
	while (*body) {
		size_t word = *body == 'g' ? own_word(out, body) : 0;

		depth += (*body == '(') - (*body == ')');
		if (!depth && !strncmp(body, " WHERE ", 7)) {
			gh_buf_str(out, around[how].where);
			word = 7;
		}
		if (!word)
			gh_buf_char(out, *body == '?' ? '$' : *body);
		body += word ? word : 1;
	}
	gh_buf_str(out, around[how].after);
}

static void name_of(char name[16], const struct pg_stmt *s, enum pg_how how)
{
	snprintf(name, 16, "%c%d", "sxfe"[how], (int)s->id);
}

bool pg_parse(struct pg_conn *c, struct pg_stmt *s, enum pg_how how, const struct db_value *values, unsigned count)
{
	bool *done = &s->prepared[how];
	Oid types[PG_VALUES_MAX];
	struct gh_buf text;
	char name[16];
	int ok;

	if (c->lost || *done)
		return !c->lost;
	for (unsigned i = 0; i < count; i++)
		types[i] = oid_of(values[i].type);
	gh_buf_init(&text, SQL_TEXT_MAX);
	dialect(&text, sql_rows[s->id].text, how);
	name_of(name, s, how);
	ok = !text.failed && PQsendPrepare(c->h, name, text.data, (int)count, types);
	gh_buf_fini(&text);
	*done = true;
	return sent(c, ok, sql_rows[s->id].name, (struct pg_expected){ .kind = PG_EXPECT_PARSED, .how = how, .cmd = s->id });
}

bool pg_send(struct pg_conn *c, struct pg_stmt *s, const struct db_value *values, unsigned count, int64_t now_us,
	     struct pg_expected expected)
{
	const char *at[PG_VALUES_MAX];
	int len[PG_VALUES_MAX], binary[PG_VALUES_MAX];
	int64_t numbers[PG_VALUES_MAX];
	char name[16];

	if (!pg_parse(c, s, expected.how, values, count))
		return false;
	for (unsigned i = 0; i < count; i++) {
		const struct db_value *v = &values[i];

		binary[i] = 1;
		if (v->type == DB_I64 || v->type == DB_NOW) {
			numbers[i] = (int64_t)htobe64((uint64_t)(v->type == DB_NOW ? now_us : v->i));
			at[i] = (const char *)&numbers[i];
			len[i] = sizeof(numbers[i]);
		} else {
			at[i] = v->type == DB_NULL ? NULL : v->p && v->len ? v->p : "";
			len[i] = v->type == DB_NULL ? 0 : (int)v->len;
		}
	}
	name_of(name, s, expected.how);
	return sent(c, PQsendQueryPrepared(c->h, name, (int)count, at, len, binary, 1), sql_rows[s->id].name, expected);
}

bool pg_send_locks(struct pg_conn *c, const char *keys, const char *exclusive)
{
	static const char sql[] = "/* LOCKS */ SELECT CASE WHEN l.x THEN pg_advisory_xact_lock(l.k) ELSE"
				  " pg_advisory_xact_lock_shared(l.k) END FROM unnest($1::bigint[], $2::boolean[]) AS l(k, x)";
	const char *at[] = { keys, exclusive };
	const struct pg_expected nothing = { .kind = PG_EXPECT_NOTHING };
	const struct pg_expected parsed = { .kind = PG_EXPECT_PARSED, .cmd = PG_CMD_LOCKS };

	if (c->lost)
		return false;
	if (!c->locks_prepared) {
		c->locks_prepared = true;
		if (!sent(c, PQsendPrepare(c->h, "locks", sql, 0, NULL), "LOCKS", parsed))
			return false;
	}
	return sent(c, PQsendQueryPrepared(c->h, "locks", 2, at, NULL, NULL, 1), "LOCKS", nothing);
}

/* ---- receiving ---- */

/* Until a result can be had without waiting. */
static enum gh_status wait_for_result(struct pg_conn *c)
{
	for (;;) {
		const int unsent = PQflush(c->h);
		short seen;

		if (unsent < 0)
			return pg_lose(c, "flush", PQerrorMessage(c->h));
		if (!PQisBusy(c->h))
			return GH_OK;
		if (!pg_wait(c->db, PQsocket(c->h), (short)(POLLIN | (unsent ? POLLOUT : 0)), &seen, c->deadline_ns))
			break;
		if ((seen & ~POLLOUT) && !PQconsumeInput(c->h))
			return pg_lose(c, "read", PQerrorMessage(c->h));
	}
	/* The connection goes: the server sees that within client_connection_check_interval, and stops what it was asked. */
	pg_lose(c, "wait", "it took too long, so it is given up");
	pg_miss(c->db);
	return c->callers ? GH_DEADLINE : GH_DATABASE;
}

/* The result of what is expected next. In the pipeline the results of each message end with a NULL, but for a Sync's. */
static enum gh_status take_result(struct pg_conn *c, enum pg_expect kind, PGresult **ret)
{
	enum gh_status st = wait_for_result(c);
	PGresult *r, *end;

	if (st != GH_OK)
		return st;
	r = PQgetResult(c->h);
	if (!r)
		return pg_fail(c, NULL, "result");
	if (kind != PG_EXPECT_SYNC) {
		st = wait_for_result(c);
		end = st == GH_OK ? PQgetResult(c->h) : NULL;
		if (end) { /* another one: out of step, which must not go on */
			PQclear(end);
			st = pg_lose(c, "result", "more results than statements");
		}
	}
	if (PQstatus(c->h) == CONNECTION_BAD)
		st = pg_fail(c, r, "result");
	if (st != GH_OK) {
		PQclear(r);
		return st;
	}
	*ret = r;
	return GH_OK;
}

/* Statements are kept for the connection's life. One that waited for a lock in vain, or came after what has failed, is not
 * there, and is sent again when it is needed. */
static void not_parsed(struct pg_conn *c, const struct pg_expected *e)
{
	if (e->cmd == PG_CMD_LOCKS)
		c->locks_prepared = false;
	else
		c->stmts[e->cmd]->prepared[e->how] = false;
}

enum gh_status pg_next(struct pg_conn *c, struct pg_expected *ret, PGresult **ret_result)
{
	enum gh_status st;

	if (c->lost)
		return GH_DATABASE;
	if (c->asked && c->expected_count)
		gh_metric_add(GH_M_DB_ROUND_TRIPS, 0, 1);
	c->asked = false;
	if (c->expected_at == c->expected_count) {
		c->expected_at = c->expected_count = 0;
		return GH_END;
	}
	*ret = c->expected[c->expected_at++];
	st = take_result(c, ret->kind, ret_result);
	if (st == GH_OK && ret->kind == PG_EXPECT_PARSED && PQresultStatus(*ret_result) != PGRES_COMMAND_OK)
		not_parsed(c, ret);
	return st;
}

enum gh_status pg_drain(struct pg_conn *c, const char *what)
{
	enum gh_status first = GH_OK, st;
	struct pg_expected e;
	PGresult *r;

	while ((st = pg_next(c, &e, &r)) == GH_OK) {
		if (PQresultStatus(r) == PGRES_FATAL_ERROR && first == GH_OK && e.kind != PG_EXPECT_STALE)
			first = pg_fail(c, r, what);
		PQclear(r);
	}
	return st == GH_END ? first : st;
}

enum gh_status pg_simple(struct pg_conn *c, const char *sql, PGresult **ret)
{
	PGresult *r = NULL, *last = NULL;
	enum gh_status st = pg_drain(c, "before");

	if (st != GH_OK)
		return st;
	if (PQpipelineStatus(c->h) != PQ_PIPELINE_OFF && !PQexitPipelineMode(c->h))
		return pg_fail(c, NULL, "pipeline");
	if (!PQsendQuery(c->h, sql))
		return pg_fail(c, NULL, "simple");
	while ((st = wait_for_result(c)) == GH_OK && (r = PQgetResult(c->h))) {
		/* the first that failed is what matters */
		if (last && PQresultStatus(last) == PGRES_FATAL_ERROR) {
			PQclear(r);
			continue;
		}
		PQclear(last);
		last = r;
	}
	if (st == GH_OK && last && PQresultStatus(last) == PGRES_FATAL_ERROR)
		st = pg_fail(c, last, "schema");
	if (!c->lost && !PQenterPipelineMode(c->h) && st == GH_OK)
		st = pg_fail(c, NULL, "pipeline");
	if (ret)
		*ret = last;
	else
		PQclear(last);
	return st;
}
