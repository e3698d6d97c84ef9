/* The SQLite driver: opening a file (and telling the operator exactly what is wrong with it), the pool of readers, the
 * writer, and the checkpointer.
 *
 * The log (WAL) is kept short by two: the checkpointer, a thread that copies pages home whenever the log has grown by
 * CHECKPOINT_PAGES, while commits go on; and, because a log that is always written to is never copied to its end that
 * way, the thread that has the writer's turn, which does the rest past CHECKPOINT_HARD_PAGES, when its own group has
 * been answered. Neither ever waits for readers (PASSIVE).
 */
#include "backends/metadata/sqlite.h"

#include "core/base/clock.h"
#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define APPLICATION_ID 1195920708 /* "GHMD" */
#define AS_TEXT(x) AS_TEXT_(x)
#define AS_TEXT_(x) #x
#define DEFAULT_READERS 8
#define CHECKPOINT_PAGES 4000	    /* 16 MiB */
#define CHECKPOINT_HARD_PAGES 16000  /* 64 MiB */
#define BUSY_TIMEOUT_MS 5000
#define PROGRESS_OPS 20000 /* virtual machine steps between two looks at the deadline: about a millisecond */

/* ---- one connection ---- */

static int progress(void *arg)
{
	struct sq_conn *c = arg;

	return c->deadline_ns && gh_mono_ns() > c->deadline_ns;
}

static int on_commit(void *arg, sqlite3 *h, const char *name, int pages)
{
	struct sq_conn *c = arg;

	(void)h;
	(void)name;
	c->db->wal_pages = pages;
	return SQLITE_OK;
}

/* Readers see pages through the mapping; what they cache themselves is dropped with every commit of the writer. */
static const char *const pragmas = "PRAGMA busy_timeout = 5000; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
				   "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA foreign_keys = OFF;"
				   "PRAGMA mmap_size = 1073741824;";

static void open_error(struct db *db, sqlite3 *h, int rc, char *err)
{
	const char *text = h ? sqlite3_errmsg(h) : sqlite3_errstr(rc);

	if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB)
		snprintf(err, DB_ERR_MAX,
			 "metadata database %s is damaged (%s); nothing was changed; restore it from a backup, or move it"
			 " and its -wal file away", db->path, text);
	else
		snprintf(err, DB_ERR_MAX, "cannot open metadata database %s: %s", db->path, text);
}

/* ---- the order of commits (sql.h): one writer, so it is the order in which it writes ---- */

static void fn_pos(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	struct sq_conn *c = sqlite3_user_data(ctx);

	(void)argc;
	(void)argv;
	sqlite3_result_int64(ctx, ++c->db->pos);
}

static void fn_end(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	(void)argc;
	(void)argv;
	sqlite3_result_int64(ctx, INT64_MAX); /* what is not committed cannot be seen, and nothing comes from elsewhere */
}

static void fn_history(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	(void)argc;
	(void)argv;
	sqlite3_result_int64(ctx, 0); /* what is restored is another log: meta_feed_renew */
}

static void fn_which_log(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	(void)argc;
	(void)argv;
	sqlite3_result_text(ctx, "0", -1, SQLITE_STATIC); /* nobody asks: there is one process */
}

static void fn_snapshot(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	struct sq_conn *c = sqlite3_user_data(ctx);
	char text[24];

	(void)argc;
	(void)argv;
	snprintf(text, sizeof(text), "%lld", (long long)atomic_load(&c->db->pos_committed));
	sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

static void fn_seen(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	(void)argc;
	sqlite3_result_int(ctx, sqlite3_value_int64(argv[0]) <= sqlite3_value_int64(argv[1]));
}

static int add_functions(struct sq_conn *c)
{
	static const struct {
		const char *name;
		int args;
		void (*fn)(sqlite3_context *ctx, int argc, sqlite3_value **argv);
	} all[] = { { "gh_pos", 0, fn_pos }, { "gh_horizon", 0, fn_end }, { "gh_next_pos", 0, fn_end },
		    { "gh_history", 0, fn_history }, { "gh_which_log", 0, fn_which_log }, { "gh_snapshot", 0, fn_snapshot },
		    { "gh_seen", 2, fn_seen } };
	int rc = SQLITE_OK;

	for (unsigned i = 0; rc == SQLITE_OK && i < sizeof(all) / sizeof(all[0]); i++)
		rc = sqlite3_create_function_v2(c->h, all[i].name, all[i].args, SQLITE_UTF8, c, all[i].fn, NULL, NULL, NULL);
	return rc;
}

/* A new file becomes one with a log once, and while another process is at that SQLite does not wait for it by itself. */
static int be_what(struct sq_conn *c, bool writing)
{
	const struct timespec nap = { .tv_nsec = 5 * GH_MS_NS };
	const uint64_t until_ns = gh_mono_ns() + BUSY_TIMEOUT_MS * GH_MS_NS;
	int rc;

	while ((rc = sqlite3_exec(c->h, writing ? "PRAGMA journal_mode = WAL; PRAGMA cache_size = -32768;" :
						  "PRAGMA query_only = ON; PRAGMA cache_size = -4096;",
				  NULL, NULL, NULL)) != SQLITE_OK) {
		if ((rc & 0xff) != SQLITE_BUSY || gh_mono_ns() > until_ns)
			break;
		nanosleep(&nap, NULL);
	}
	return rc;
}

enum gh_status sq_conn_open(struct db *db, bool writing, struct sq_conn **ret, char *err)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	struct sq_conn *c = calloc(1, sizeof(*c));
	enum gh_status st;
	int rc;

	if (!c) {
		snprintf(err, DB_ERR_MAX, "out of memory");
		return GH_NOMEM;
	}
	c->base.drv = &db_sqlite;
	c->db = db;
	flags |= db->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	rc = sqlite3_open_v2(db->path, &c->h, flags, sq_log_vfs());
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(c->h, pragmas, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = add_functions(c);
	if (rc == SQLITE_OK && !db->read_only)
		rc = be_what(c, writing);
	if (rc != SQLITE_OK) {
		open_error(db, c->h, rc, err);
		st = sq_fail(c, rc, "open");
		sq_conn_close(&c);
		return st;
	}
	sqlite3_busy_timeout(c->h, BUSY_TIMEOUT_MS);
	if (writing && !db->read_only)
		sqlite3_wal_hook(c->h, on_commit, c); /* in the place of automatic checkpoints */
	else
		sqlite3_progress_handler(c->h, PROGRESS_OPS, progress, c);
	*ret = c;
	return GH_OK;
}

void sq_conn_close(struct sq_conn **ret)
{
	struct sq_conn *c = *ret;

	if (!c)
		return;
	for (unsigned i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(c->stmts[i].st);
	for (unsigned i = 0; i < SQ_CONTROL_COUNT; i++)
		sqlite3_finalize(c->control[i]);
	sqlite3_close(c->h);
	free(c);
	*ret = NULL;
}

/* ---- opening ---- */

static off_t file_size(const char *path, const char *suffix)
{
	char name[4096];
	struct stat sb;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &sb) ? -1 : sb.st_size;
}

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static enum gh_status damaged(struct db *db, char *err, const char *what)
{
	snprintf(err, DB_ERR_MAX, "metadata database %s is damaged: %s; nothing was changed; restore it from a backup, or"
		 " move it and its -wal file away", db->path, what);
	return GH_DAMAGED;
}

/* SQLite would take some kinds of ruin for an empty database and begin anew. Looks before it does. */
static enum gh_status look_at_file(struct db *db, char *err)
{
	off_t size = file_size(db->path, ""), wal = file_size(db->path, "-wal");
	unsigned char head[100];
	uint32_t page;
	ssize_t n;
	int fd;

	if (size <= 0 && wal > 0)
		return damaged(db, err, "the file is missing or empty, its -wal file is not");
	if (size < 0 && db->read_only) {
		snprintf(err, DB_ERR_MAX, "no metadata database at %s", db->path);
		return GH_NOTFOUND;
	}
	/* 0600: it holds password hashes. The log's files take the mode from it. */
	fd = open(db->path, db->read_only ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		enum gh_status st = gh_status_of_errno(errno);

		snprintf(err, DB_ERR_MAX, "cannot open metadata database %s: %s", db->path, strerror(errno));
		return st;
	}
	n = size <= 0 ? 0 : pread(fd, head, sizeof(head), 0);
	close(fd);
	if (size <= 0)
		return GH_OK;
	if (n != (ssize_t)sizeof(head) || memcmp(head, "SQLite format 3", 16))
		return damaged(db, err, "its first bytes are not those of an SQLite database");
	page = (uint32_t)head[16] << 8 | head[17];
	page = page == 1 ? 65536 : page;
	if (page < 512 || (page & (page - 1)))
		return damaged(db, err, "its header is nonsense");
	/* With a log beside it the file may be shorter than it will be. */
	if (wal <= 0 && !memcmp(head + 24, head + 92, 4) && (off_t)be32(head + 28) * page > size)
		return damaged(db, err, "it is shorter than its header says");
	if (be32(head + 68) && be32(head + 68) != APPLICATION_ID)
		return damaged(db, err, "it is the database of another program");
	return GH_OK;
}

static void sqlite_global(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* its counter is a lock around every allocation */
	sqlite3_initialize();
}

enum gh_status sq_open(const struct meta_config *cfg, struct db **ret, char *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct db *db = calloc(1, sizeof(*db));
	enum gh_status st;

	pthread_once(&once, sqlite_global);
	if (!db || !(db->path = strdup(cfg->path))) {
		free(db);
		snprintf(err, DB_ERR_MAX, "out of memory");
		return GH_NOMEM;
	}
	db->read_only = cfg->read_only;
	db->reader_count = cfg->readers ? cfg->readers : DEFAULT_READERS;
	pthread_mutex_init(&db->lock, NULL);
	pthread_cond_init(&db->freed, NULL);
	pthread_cond_init(&db->wanted, NULL);
	st = look_at_file(db, err);
	if (st == GH_OK)
		st = sq_conn_open(db, true, &db->writer, err);
	if (st != GH_OK) {
		sq_close(&db);
		return st;
	}
	*ret = db;
	return GH_OK;
}

/* The first row of every table: a file that is damaged is mostly seen at once. */
static enum gh_status look_at_tables(struct db *db, char *err)
{
	sqlite3_stmt *names = NULL;
	sqlite3 *h = db->writer->h;
	int rc = sqlite3_prepare_v2(h, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1, &names, NULL);

	while (rc == SQLITE_OK && (rc = sqlite3_step(names)) == SQLITE_ROW) {
		char *sql = sqlite3_mprintf("SELECT * FROM \"%w\" LIMIT 1", sqlite3_column_text(names, 0));

		rc = sqlite3_exec(h, sql, NULL, NULL, NULL);
		sqlite3_free(sql);
	}
	if (rc != SQLITE_DONE) {
		open_error(db, h, rc, err);
		sqlite3_finalize(names);
		return sq_fail(db->writer, rc, "look at tables");
	}
	sqlite3_finalize(names);
	return GH_OK;
}

/* ---- the checkpointer ---- */

static void checkpoint(struct sq_conn *c)
{
	int pages, done;
	int rc = sqlite3_wal_checkpoint_v2(c->h, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done);

	/* Busy: the other one is at it. Anything else keeps the log, where nothing is lost, and comes again. */
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
		(void)sq_fail(c, rc, "checkpoint");
}

static void *checkpointer_main(void *arg)
{
	struct sq_conn *c = arg;
	struct db *db = c->db;

	pthread_mutex_lock(&db->lock);
	for (;;) {
		while (!db->stop && !db->checkpoint_wanted)
			pthread_cond_wait(&db->wanted, &db->lock);
		if (db->stop)
			break;
		db->checkpoint_wanted = false;
		pthread_mutex_unlock(&db->lock);
		checkpoint(c);
		pthread_mutex_lock(&db->lock);
	}
	pthread_mutex_unlock(&db->lock);
	sq_conn_close(&c);
	return NULL;
}

void sq_writer_idle(struct db *db)
{
	if (db->wal_pages < db->wal_asked)
		db->wal_asked = 0; /* all of it was home, and it began anew */
	if (db->wal_pages - db->wal_asked < CHECKPOINT_PAGES || !db->writer)
		return;
	db->wal_asked = db->wal_pages;
	if (db->wal_pages >= CHECKPOINT_HARD_PAGES) {
		checkpoint(db->writer);
		return;
	}
	pthread_mutex_lock(&db->lock);
	db->checkpoint_wanted = true;
	pthread_cond_signal(&db->wanted);
	pthread_mutex_unlock(&db->lock);
}

enum gh_status sq_start(struct db *db, char *err)
{
	enum gh_status st = look_at_tables(db, err);
	struct sq_conn *c;

	while (st == GH_OK && db->open_readers < db->reader_count) {
		st = sq_conn_open(db, false, &c, err);
		if (st != GH_OK)
			break;
		c->next = db->idle;
		db->idle = c;
		db->open_readers++;
	}
	if (st != GH_OK || db->read_only)
		return st;
	st = sq_conn_open(db, true, &c, err);
	if (st != GH_OK)
		return st;
	sqlite3_wal_hook(c->h, NULL, NULL);
	if (pthread_create(&db->checkpointer, NULL, checkpointer_main, c)) {
		sq_conn_close(&c);
		snprintf(err, DB_ERR_MAX, "cannot start a thread for %s", db->path);
		return GH_NOMEM;
	}
	db->checkpointer_runs = true;
	return GH_OK;
}

void sq_close(struct db **ret)
{
	struct db *db = *ret;

	if (!db)
		return;
	pthread_mutex_lock(&db->lock);
	db->stop = true;
	pthread_cond_signal(&db->wanted);
	pthread_mutex_unlock(&db->lock);
	if (db->checkpointer_runs)
		pthread_join(db->checkpointer, NULL);
	while (db->idle) {
		struct sq_conn *c = db->idle;

		db->idle = c->next;
		sq_conn_close(&c);
	}
	sq_conn_close(&db->writer); /* the last one copies the log home and removes it */
	pthread_cond_destroy(&db->wanted);
	pthread_cond_destroy(&db->freed);
	pthread_mutex_destroy(&db->lock);
	free(db->path);
	free(db);
	*ret = NULL;
}

/* ---- handing out connections ---- */

enum gh_status sq_reader(struct db *db, uint64_t deadline_ns, struct db_conn **ret)
{
	struct timespec until = { (time_t)(deadline_ns / GH_S_NS), (long)(deadline_ns % GH_S_NS) };
	enum gh_status st = GH_OK;
	struct sq_conn *c;

	pthread_mutex_lock(&db->lock);
	while (!db->idle && st == GH_OK) {
		if (!deadline_ns)
			pthread_cond_wait(&db->freed, &db->lock);
		else if (pthread_cond_clockwait(&db->freed, &db->lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT)
			st = GH_DEADLINE;
	}
	c = db->idle;
	if (c) {
		db->idle = c->next;
		c->deadline_ns = deadline_ns;
		*ret = &c->base;
		st = GH_OK;
	}
	pthread_mutex_unlock(&db->lock);
	return st;
}

void sq_reader_done(struct db *db, struct db_conn *base)
{
	struct sq_conn *c = (struct sq_conn *)base;

	pthread_mutex_lock(&db->lock);
	c->next = db->idle; /* the one used last has the warmest cache */
	db->idle = c;
	pthread_cond_signal(&db->freed);
	pthread_mutex_unlock(&db->lock);
}

enum gh_status sq_writer(struct db *db, struct db_conn **ret)
{
	char err[DB_ERR_MAX];

	if (!db->writer) {
		enum gh_status st = sq_conn_open(db, true, &db->writer, err);

		if (st != GH_OK)
			return st;
	}
	*ret = &db->writer->base;
	return GH_OK;
}

void sq_writer_reset(struct db *db)
{
	sq_conn_close(&db->writer);
}

/* ---- schema ---- */

/* Tables are STRICT: a value of the wrong type is refused, not bent. */
const struct db_word sq_words[] = {
	{ "{bigint}", "INTEGER" }, { "{blob}", "BLOB" }, { "{text}", "TEXT" }, { "{double}", "REAL" },
	{ "{keyed}", "STRICT, WITHOUT ROWID" }, { "{plain}", "STRICT" },
	{ "{pgsql}", "--" }, { "{random}", "abs(random() / 2) + 1" },
	{ "{mark}", "PRAGMA application_id = " AS_TEXT(APPLICATION_ID) }, /* so that no other database is taken for ours */
	{ NULL, NULL },
};

const char *sq_label(struct db *db)
{
	return db->path;
}

enum gh_status sq_exec(struct db_conn *base, const char *sql, char *err)
{
	struct sq_conn *c = (struct sq_conn *)base;
	int rc = sqlite3_exec(c->h, sql, NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		return GH_OK;
	open_error(c->db, c->h, rc, err);
	return sq_fail(c, rc, "schema");
}

enum gh_status sq_has_table(struct db_conn *base, const char *name, bool *ret)
{
	struct sq_conn *c = (struct sq_conn *)base;
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(c->h, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND (?1 IS NULL OR name = ?1)",
				    -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	*ret = rc == SQLITE_ROW;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		sqlite3_finalize(st);
		return sq_fail(c, rc, "has table");
	}
	sqlite3_finalize(st);
	return GH_OK;
}

/* One read of one moment, written page by page; commits of others go on beside it. It does not sync. */
enum gh_status sq_save(struct db_conn *base, const char *path, char *err)
{
	struct sq_conn *c = (struct sq_conn *)base;
	sqlite3_stmt *st = NULL;
	int fd, rc = sqlite3_prepare_v2(c->h, "VACUUM INTO ?1", -1, &st, NULL);
	bool synced;

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, path, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	sqlite3_finalize(st);
	if (rc != SQLITE_DONE) {
		snprintf(err, DB_ERR_MAX, "cannot save %.150s to %.150s: %s", c->db->path, path, sqlite3_errmsg(c->h));
		return sq_fail(c, rc, "save");
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	synced = fd >= 0 && !fsync(fd);
	if (!synced)
		snprintf(err, DB_ERR_MAX, "%.300s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return synced ? GH_OK : GH_IO;
}

enum gh_status sq_check(struct db_conn *base, meta_finding_fn *fn, void *arg)
{
	struct sq_conn *c = (struct sq_conn *)base;
	sqlite3_stmt *st = NULL;
	char text[DB_ERR_MAX];
	int rc = sqlite3_prepare_v2(c->h, "PRAGMA integrity_check(100)", -1, &st, NULL);

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(st);
		if (rc != SQLITE_ROW || !strcmp((const char *)sqlite3_column_text(st, 0), "ok"))
			continue;
		snprintf(text, sizeof(text), "%s: %s", c->db->path, (const char *)sqlite3_column_text(st, 0));
		fn(arg, true, text);
	}
	if (rc != SQLITE_DONE) {
		enum gh_status failed = sq_fail(c, rc, "integrity check");

		sqlite3_finalize(st);
		if (failed != GH_DAMAGED)
			return failed;
		snprintf(text, sizeof(text), "%s: %s", c->db->path, sqlite3_errmsg(c->h));
		fn(arg, true, text);
		return GH_OK;
	}
	sqlite3_finalize(st);
	return GH_OK;
}
