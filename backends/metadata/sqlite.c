/* The SQLite driver: statements and transactions on one connection. Called through db_sqlite; opening, the pool of
 * readers and the checkpointer are in sqlite_open.c.
 *
 * Connections are opened NOMUTEX: one thread at a time holds one. Statements are prepared once a connection and kept.
 * Bytes are bound without a copy: they stay the caller's until reset.
 */
#include "backends/metadata/sqlite.h"

#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/log.h"

#include <errno.h>

static const char *const control_sql[SQ_CONTROL_COUNT] = {
	[SQ_BEGIN_READ] = "BEGIN",	  [SQ_BEGIN_WRITE] = "BEGIN IMMEDIATE", [SQ_COMMIT] = "COMMIT",
	[SQ_ROLLBACK] = "ROLLBACK",	  [SQ_MARK] = "SAVEPOINT op",		[SQ_MARK_KEEP] = "RELEASE op",
	[SQ_MARK_BACK] = "ROLLBACK TO op",
};

static struct sq_conn *conn_of(struct db_conn *c)
{
	return (struct sq_conn *)c;
}

static struct sq_stmt *stmt_of(struct db_stmt *s)
{
	return (struct sq_stmt *)s;
}

/* What the operating system said. SQLite loses it when COMMIT writes the log; the log's file still knows. */
static int errno_of(struct sq_conn *c, int rc)
{
	int err = c->h ? sqlite3_system_errno(c->h) : errno;
	sqlite3_file *log = NULL;

	if (err || rc != SQLITE_IOERR_WRITE || !c->h)
		return err;
	if (sqlite3_file_control(c->h, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || !log || !log->pMethods)
		return 0;
	return log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &err) == SQLITE_OK ? err : 0;
}

enum gh_status sq_fail(struct sq_conn *c, int rc, const char *what)
{
	int os_errno = errno_of(c, rc);
	enum gh_status st = GH_DATABASE;
	char text[256], path[256];

	switch (rc & 0xff) {
	case SQLITE_FULL:
		st = GH_NOSPACE;
		break;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		/* A limit on file sizes sounds like a full disk to us: nothing is wrong with what is there. */
		if (os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG)
			st = GH_NOSPACE;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		st = GH_DAMAGED;
		break;
	case SQLITE_NOMEM:
		st = GH_NOMEM;
		break;
	case SQLITE_INTERRUPT:
		return GH_DEADLINE;
	}
	gh_log(GH_LOG_ERROR, "meta.sql_failed", "status=%s file=%s statement=%s code=%d errno=%d text=%s",
	       gh_status_name(st), gh_log_quote(path, sizeof(path), c->db->path), what, rc, os_errno,
	       gh_log_quote(text, sizeof(text), c->h ? sqlite3_errmsg(c->h) : "no connection"));
	return st;
}

/* ---- statements ---- */

static enum gh_status sq_prepare(struct db_conn *base, enum sql_id id, struct db_stmt **ret)
{
	struct sq_conn *c = conn_of(base);
	struct sq_stmt *s = &c->stmts[id];
	int rc;

	if (!s->st) {
		s->base.drv = &db_sqlite;
		s->conn = c;
		s->name = sql_rows[id].name;
		rc = sqlite3_prepare_v3(c->h, sql_rows[id].text, -1, SQLITE_PREPARE_PERSISTENT, &s->st, NULL);
		if (rc != SQLITE_OK)
			return sq_fail(c, rc, s->name);
	}
	s->bind_error = SQLITE_OK;
	*ret = &s->base;
	return GH_OK;
}

static void bind_value(struct sq_stmt *s, unsigned index, const struct db_value *v, int64_t now_us)
{
	int rc = SQLITE_OK;

	switch (v->type) {
	case DB_I64:
		rc = sqlite3_bind_int64(s->st, (int)index, v->i);
		break;
	case DB_BLOB: /* a NULL pointer would bind NULL */
		rc = sqlite3_bind_blob(s->st, (int)index, v->p && v->len ? v->p : "", (int)v->len, SQLITE_STATIC);
		break;
	case DB_TEXT:
		rc = sqlite3_bind_text(s->st, (int)index, v->p, (int)v->len, SQLITE_STATIC);
		break;
	case DB_NULL:
		rc = sqlite3_bind_null(s->st, (int)index);
		break;
	case DB_NOW:
		rc = sqlite3_bind_int64(s->st, (int)index, now_us);
		break;
	}
	if (rc != SQLITE_OK)
		s->bind_error = rc;
}

static void sq_bind(struct db_stmt *base, unsigned index, const struct db_value *v)
{
	bind_value(stmt_of(base), index, v, 0);
}

static enum gh_status sq_step(struct db_stmt *base)
{
	struct sq_stmt *s = stmt_of(base);
	int rc = s->bind_error;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s->st);
	if (rc == SQLITE_ROW)
		return GH_OK;
	if (rc == SQLITE_DONE)
		return GH_END;
	if (rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_UNIQUE)
		return GH_EXISTS;
	return sq_fail(s->conn, rc, s->name);
}

static void sq_reset(struct db_stmt *base)
{
	sqlite3_reset(stmt_of(base)->st); /* gives the step's error again, which was seen */
}

static int64_t sq_get_i64(struct db_stmt *base, unsigned column)
{
	return sqlite3_column_int64(stmt_of(base)->st, (int)column);
}

static const void *sq_get_bytes(struct db_stmt *base, unsigned column, size_t *ret_len)
{
	sqlite3_stmt *st = stmt_of(base)->st;
	const void *p = sqlite3_column_blob(st, (int)column);

	*ret_len = (size_t)sqlite3_column_bytes(st, (int)column);
	return p ? p : "";
}

static bool sq_is_null(struct db_stmt *base, unsigned column)
{
	return sqlite3_column_type(stmt_of(base)->st, (int)column) == SQLITE_NULL;
}

static uint64_t sq_changes(struct db_conn *c)
{
	return (uint64_t)sqlite3_changes64(conn_of(c)->h);
}

static uint64_t sq_changes_total(struct db_conn *c)
{
	return (uint64_t)sqlite3_total_changes64(conn_of(c)->h);
}

/* ---- transactions ---- */

static int control_run(struct sq_conn *c, enum sq_control which)
{
	sqlite3_stmt **st = &c->control[which];
	int rc = SQLITE_OK;

	if (!*st)
		rc = sqlite3_prepare_v3(c->h, control_sql[which], -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(*st);
	sqlite3_reset(*st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static enum gh_status control(struct db_conn *base, enum sq_control which)
{
	struct sq_conn *c = conn_of(base);
	int rc = control_run(c, which);

	return rc == SQLITE_OK ? GH_OK : sq_fail(c, rc, control_sql[which]);
}

static enum gh_status sq_snapshot(struct db_conn *c)
{
	return control(c, SQ_BEGIN_READ);
}

static void sq_rollback(struct db_conn *c)
{
	if (!sqlite3_get_autocommit(conn_of(c)->h))
		(void)control(c, SQ_ROLLBACK); /* logged; the writer is then thrown away, a reader has lost nothing */
}

static enum gh_status sq_begin(struct db_conn *c)
{
	gh_crash_point("meta.before_begin");
	return control(c, SQ_BEGIN_WRITE);
}

/* A commit that failed for want of space never wrote its last frame, so it did not happen. One that failed to sync may
 * be found in the log after a crash: unknown, until the batch was run again. */
static enum gh_status sq_commit(struct db_conn *c)
{
	enum gh_status st;

	gh_crash_point("meta.before_commit");
	st = control(c, SQ_COMMIT);
	if (st == GH_OK) {
		gh_crash_point("meta.after_commit");
		atomic_store(&conn_of(c)->db->pos_committed, conn_of(c)->db->pos);
	}
	/* A log that could not be synced holds the commit all the same, and a crash may bring it to light. */
	if (st != GH_OK && sqlite3_extended_errcode(conn_of(c)->h) == SQLITE_IOERR_FSYNC)
		st = GH_UNKNOWN;
	return st == GH_DATABASE || st == GH_DEADLINE ? GH_UNKNOWN : st;
}

static enum gh_status sq_mark(struct db_conn *c)
{
	return control(c, SQ_MARK);
}

static enum gh_status sq_mark_end(struct db_conn *c, bool keep)
{
	enum gh_status st = keep ? GH_OK : control(c, SQ_MARK_BACK);

	return st == GH_OK ? control(c, SQ_MARK_KEEP) : st;
}

static bool sq_in_transaction(struct db_conn *c)
{
	return !sqlite3_get_autocommit(conn_of(c)->h);
}

static enum gh_status cmd_run(struct sq_conn *c, const struct db_batch *b, const struct db_cmd *cmd, int64_t now_us)
{
	struct db_stmt *s;
	enum gh_status st = sq_prepare(&c->base, cmd->sql, &s);

	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < cmd->count; i++)
		bind_value(stmt_of(s), i + 1, &b->values[cmd->first + i], now_us);
	st = db_run(s);
	if (st == GH_OK && cmd->exactly_one && sqlite3_changes(c->h) != 1)
		st = GH_STALE;
	return st;
}

/* The event of a batch that was done before. */
static enum gh_status find_event(struct db_conn *base, struct db_batch *b)
{
	struct db_stmt *s;
	enum gh_status st = sq_prepare(base, SQL_EVENT_TIME, &s);

	if (st != GH_OK)
		return st;
	bind_value(stmt_of(s), 1, &b->values[0], 0);
	bind_value(stmt_of(s), 2, &b->values[1], 0);
	st = sq_step(s);
	b->done_before = st == GH_OK;
	b->done_us = st == GH_OK ? sq_get_i64(s, 0) : 0;
	sq_reset(s);
	return st == GH_END ? GH_OK : st;
}

/* An event that did not go in, or was there: of a batch that was done before? */
static enum gh_status event_refused(struct db_conn *base, struct db_batch *b, enum gh_status st)
{
	const enum gh_status found = find_event(base, b);

	if (found != GH_OK)
		return found;
	return b->done_before ? GH_OK : st;
}

static enum gh_status batch_run(struct db_conn *base, struct db_batch *b, int64_t now_us)
{
	enum gh_status st = GH_OK;

	b->done_before = false;
	for (unsigned i = 0; st == GH_OK && i < b->cmd_count; i++) {
		b->failed = i;
		st = cmd_run(conn_of(base), b, &b->cmds[i], now_us);
		if (i > 0)
			continue;
		gh_crash_point("meta.after_event");
		if (st == GH_STALE || st == GH_EXISTS)
			return event_refused(base, b, st);
	}
	if (st == GH_OK)
		gh_crash_point("meta.after_steps");
	return st;
}

static enum gh_status batches_bare(struct db_conn *c, struct db_batch **b, unsigned count, int64_t now_us)
{
	sqlite3 *h = conn_of(c)->h;

	for (unsigned i = 0; i < count; i++) {
		const int changes = sqlite3_total_changes(h);

		b[i]->status = batch_run(c, b[i], now_us);
		if (!sq_in_transaction(c)) /* an error has ended it under the others */
			return b[i]->status == GH_OK ? GH_DATABASE : b[i]->status;
		c->spoiled = b[i]->status != GH_OK && sqlite3_total_changes(h) != changes;
		if (c->spoiled)
			return b[i]->status;
	}
	return GH_OK;
}

static enum gh_status sq_batches(struct db_conn *c, struct db_batch **b, unsigned count, int64_t now_us, bool last)
{
	enum gh_status st = GH_OK;

	(void)last;
	if (c->bare)
		return batches_bare(c, b, count, now_us);
	for (unsigned i = 0; st == GH_OK && i < count; i++) {
		st = sq_mark(c);
		if (st != GH_OK)
			return st;
		b[i]->status = batch_run(c, b[i], now_us);
		if (!sq_in_transaction(c)) /* an error has ended it under the others */
			return b[i]->status == GH_OK ? GH_DATABASE : b[i]->status;
		st = sq_mark_end(c, b[i]->status == GH_OK);
	}
	return st;
}

/* Embedded: the database's clock is ours. */
static int64_t sq_now_us(struct db_conn *c)
{
	(void)c;
	return gh_real_us();
}

static void sq_pos_from(struct db *db, int64_t pos)
{
	db->pos = pos; /* before the first commit */
	atomic_store(&db->pos_committed, pos);
}

const struct db_driver db_sqlite = {
	.name = "sqlite",
	.words = sq_words,
	.open = sq_open,
	.start = sq_start,
	.close = sq_close,
	.label = sq_label,
	.reader = sq_reader,
	.reader_done = sq_reader_done,
	.writer = sq_writer,
	.writer_reset = sq_writer_reset,
	.writer_idle = sq_writer_idle,
	.prepare = sq_prepare,
	.bind = sq_bind,
	.step = sq_step,
	.get_i64 = sq_get_i64,
	.get_bytes = sq_get_bytes,
	.is_null = sq_is_null,
	.reset = sq_reset,
	.changes = sq_changes,
	.changes_total = sq_changes_total,
	.snapshot = sq_snapshot,
	.snapshot_end = sq_rollback,
	.begin = sq_begin,
	.commit = sq_commit,
	.rollback = sq_rollback,
	.mark = sq_mark,
	.mark_end = sq_mark_end,
	.in_transaction = sq_in_transaction,
	.batches = sq_batches,
	.now_us = sq_now_us,
	.pos_from = sq_pos_from,
	.exec = sq_exec,
	.has_table = sq_has_table,
	.save = sq_save,
	.check = sq_check,
};
