/* The driver contract: how the store's statements (sql.h) reach one kind of database. SQL is written once; a driver
 * binds it, runs it and owns the connections. sqlite.c is one, pgsql.c the other.
 *
 * Threads: a connection is held by one thread at a time. There is one writer (its users take turns by themselves:
 * commit.c) and a pool of readers.
 * Errors come back as statuses, are logged here, where they happened, and mean:
 *   GH_EXISTS   a unique key was there already      GH_NOSPACE   disk or database full
 *   GH_DAMAGED  the file is damaged (named in the log)           GH_DEADLINE  the read took too long
 *   GH_BUSY     others held a lock for too long
 *   GH_DATABASE everything else                     GH_UNKNOWN   where a commit was on its way: it may have happened
 */
#ifndef GH_BACKENDS_METADATA_DRIVER_H
#define GH_BACKENDS_METADATA_DRIVER_H

#include "backends/metadata/sql.h"
#include "core/meta.h"

#define DB_ERR_MAX 512

struct feed_bell;
struct db; /* a database with its connections; defined by the driver */

/* Drivers embed these at the front of their own. */
struct db_conn {
	const struct db_driver *drv;
	/* The writer's, set by commit.c before begin: batches run without marks, which cost a copy of every page that a batch
	 * touches (SQLite), or a transaction within the transaction for each (PostgreSQL). One that fails after it has changed
	 * something spoils the transaction, and all of it runs again with them. */
	bool bare;
	bool spoiled; /* set by batches */
};
struct db_stmt {
	const struct db_driver *drv;
};

/* A value to bind. Bytes stay the caller's until the statement was run. DB_NOW: the time of the transaction. DB_NULL: bytes
 * that are not there. */
enum db_type { DB_I64, DB_BLOB, DB_TEXT, DB_NULL, DB_NOW };
struct db_value {
	enum db_type type;
	uint32_t len;
	union {
		int64_t i;
		const void *p;
	};
};

/* One statement of a batch. exactly_one: if it changes no row, the batch did not happen (GH_STALE). */
struct db_cmd {
	enum sql_id sql;
	unsigned first, count; /* its values */
	bool exactly_one;
	bool unique_is_people; /* a key that is taken is a name of people's: GH_EXISTS; else GH_STALE */
};

/* A batch as the driver sees it: the first command is the event, no decision lies between the others, so that it can
 * be one pipeline. Tenant, slots and gate_exclusive tell a driver with many writers what to lock before it. */
struct db_batch {
	uint64_t tenant;
	const struct meta_slot *slots;
	unsigned slot_count;
	bool gate_exclusive;
	unsigned cmd_count;
	const struct db_cmd *cmds;
	const struct db_value *values;
	/* results */
	enum gh_status status;
	unsigned failed; /* which command gave the status */
	bool done_before; /* its event was there already: GH_OK, and nothing of it ran again */
	int64_t done_us; /* when it was */
};

/* A word in braces of the migrations, and what it is in this database. */
struct db_word {
	const char *word, *here;
};

/* One of several readings that go to the database together (look.c). */
#define DB_LOOK_VALUES (META_LOOK_MAX + 2)
struct db_look {
	enum sql_id sql;
	unsigned count; /* of its values */
	struct db_value values[DB_LOOK_VALUES];
	void (*take)(struct db_look *l, struct db_stmt *row); /* the first row, if there is one; it stays the driver's */
};

struct db_driver {
	const char *name;
	const struct db_word *words; /* up to a NULL */
	bool comes_back; /* a transaction that failed whole, before its commit, is worth another try on a new connection */
	bool jobs_alone; /* what is no batch has a transaction to itself: it excludes every other writer there is */
	bool bare_is_blind; /* whether one that fails without marks was done before is found out only with them */
	/* Opens or makes the database and its writing connection (read_only: a reading one in its place). err: what,
	 * which file, what to do. */
	enum gh_status (*open)(const struct meta_config *cfg, struct db **ret, char *err);
	/* After migration: looks at every table's first row, opens the readers, starts what runs beside. */
	enum gh_status (*start)(struct db *db, char *err);
	void (*close)(struct db **db);
	const char *(*label)(struct db *db); /* for messages: which database; without secrets */

	/* A reader, waiting for one until the deadline (0 = none). */
	enum gh_status (*reader)(struct db *db, uint64_t deadline_ns, struct db_conn **ret);
	void (*reader_done)(struct db *db, struct db_conn *c);
	/* The writer; opens it again after `reset`. */
	enum gh_status (*writer)(struct db *db, struct db_conn **ret);
	/* After a commit that failed: throws the writing connection away. */
	void (*writer_reset)(struct db *db);
	/* Between two groups, when nobody waits for this thread: whatever keeps the log short. */
	void (*writer_idle)(struct db *db);

	/* Prepared once a connection, then reused. The statement is the holder's until reset. */
	enum gh_status (*prepare)(struct db_conn *c, enum sql_id id, struct db_stmt **ret);
	void (*bind)(struct db_stmt *s, unsigned index, const struct db_value *v); /* from 1; errors show in step */
	enum gh_status (*step)(struct db_stmt *s); /* GH_OK: a row is there; GH_END */
	/* Runs a bound statement that gives no rows, some time before the next one that is stepped; what is wrong with it is
	 * told there, or at the commit. NULL: step is as fast. */
	enum gh_status (*run_later)(struct db_stmt *s);
	/* A bound statement with rows, which will be stepped soon, on a reader: it goes out with the next one that is stepped,
	 * so that both are waited for once. What is bound stays until then. Each statement once; all are forgotten by
	 * snapshot_end, stepped or not. NULL: step is as fast. */
	void (*ahead)(struct db_stmt *s);
	/* Many rows in parts, so that the database makes the next while this one is read. Of a statement whose rows come in
	 * the order of column, above what is bound at index, and were bounded to part; called when the first row of a part is
	 * at hand, with the next one's bound where that stands. It is run again from the last row on, and steps go on into
	 * what that brings, a moment of its own. GH_END: there are no more rows than these. NULL: all at once is as fast. */
	enum gh_status (*onward)(struct db_stmt *s, unsigned part, unsigned column, unsigned index);
	int64_t (*get_i64)(struct db_stmt *s, unsigned column); /* from 0; NULL gives 0 */
	const void *(*get_bytes)(struct db_stmt *s, unsigned column, size_t *ret_len); /* until the next step */
	bool (*is_null)(struct db_stmt *s, unsigned column);
	void (*reset)(struct db_stmt *s);
	uint64_t (*changes)(struct db_conn *c); /* rows the last statement changed */
	uint64_t (*changes_total)(struct db_conn *c);

	/* Readings of different callers, on a reader without a snapshot, in one round trip; each is of a moment of its own, and
	 * `take` is called for each that finds something. GH_OK, or what was taken counts for nothing. NULL: one by one is as
	 * fast. */
	enum gh_status (*looks)(struct db_conn *c, struct db_look **looks, unsigned count);

	/* Several reads of one moment. */
	enum gh_status (*snapshot)(struct db_conn *c);
	void (*snapshot_end)(struct db_conn *c);

	/* The writer's transaction; a mark is a place to fall back to. */
	enum gh_status (*begin)(struct db_conn *c);
	enum gh_status (*commit)(struct db_conn *c);
	void (*rollback)(struct db_conn *c);
	enum gh_status (*mark)(struct db_conn *c);
	enum gh_status (*mark_end)(struct db_conn *c, bool keep);
	bool (*in_transaction)(struct db_conn *c); /* an error may have ended it */
	/* Runs batches in the writer's transaction, each as if under a mark of its own, so that one that fails sinks alone.
	 * Locks first what they touch (where there are many writers), then looks for each whether its event is there: done
	 * before. An event's guards need not hold a second time, and no step may run again for it. Else its commands, up to
	 * the first that fails. Each batch has its status then.
	 * last: nothing but commit is called after this, and a driver may have done it already when this returns.
	 * GH_OK: the transaction is well. Else it is lost as a whole. */
	enum gh_status (*batches)(struct db_conn *c, struct db_batch **b, unsigned count, int64_t now_us, bool last);
	int64_t (*now_us)(struct db_conn *c); /* the database's clock */

	/* The order of commits. One that counts itself (NULL: the database does) goes on from there. */
	void (*pos_from)(struct db *db, int64_t pos);
	/* Tells other processes of commits, and hears of theirs. NULL where there are no others. start: from then on bell is
	 * rung (feed_bell.h). poke: something was committed; never blocks. Ends with close. */
	enum gh_status (*listen)(struct db *db, struct feed_bell *bell);
	void (*poke)(struct db *db);
	/* As meta_say. NULL: there are no others. */
	void (*say)(struct db *db, const char *word);

	/* Schema: keeps other migrating programs out until the transaction ends. NULL: begin has done that. */
	enum gh_status (*lock_schema)(struct db_conn *c, char *err);
	/* Several statements, of a migration; words in braces are this database's by now. */
	enum gh_status (*exec)(struct db_conn *c, const char *sql, char *err);
	/* NULL: any table at all. */
	enum gh_status (*has_table)(struct db_conn *c, const char *name, bool *ret);
	/* All that is committed now, into a new file; others go on writing. NULL: the server has tools of its own. */
	enum gh_status (*save)(struct db_conn *c, const char *path, char *err);
	/* The database's own examination of its file. */
	enum gh_status (*check)(struct db_conn *c, meta_finding_fn *fn, void *arg);
};

extern const struct db_driver db_sqlite;
#ifdef HAVE_POSTGRESQL
extern const struct db_driver db_pgsql;
#endif

/* ---- shorthand ---- */

static inline void db_bind_u64(struct db_stmt *s, unsigned index, uint64_t v)
{
	s->drv->bind(s, index, &(struct db_value){ .type = DB_I64, .i = (int64_t)v });
}

static inline void db_bind_i64(struct db_stmt *s, unsigned index, int64_t v)
{
	s->drv->bind(s, index, &(struct db_value){ .type = DB_I64, .i = v });
}

static inline void db_bind_blob(struct db_stmt *s, unsigned index, const void *p, size_t len)
{
	s->drv->bind(s, index, &(struct db_value){ .type = DB_BLOB, .len = (uint32_t)len, .p = p });
}

static inline int64_t db_i64(struct db_stmt *s, unsigned column)
{
	return s->drv->get_i64(s, column);
}

static inline uint64_t db_u64(struct db_stmt *s, unsigned column)
{
	return (uint64_t)s->drv->get_i64(s, column);
}

/* Runs a bound statement that gives no rows. */
static inline enum gh_status db_run(struct db_stmt *s)
{
	enum gh_status st = s->drv->step(s);

	s->drv->reset(s);
	return st == GH_END ? GH_OK : st == GH_OK ? GH_BUG : st;
}

#endif
