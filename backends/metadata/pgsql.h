/* Inside the PostgreSQL driver: its files share these. pgsql_open.c: what is configured, connections, the pool;
 * pgsql_wire.c: what is sent and what comes back; pgsql_stmt.c: statements and transactions; pgsql_look.c: readings of
 * different callers together; pgsql_batch.c: groups of batches; pgsql_schema.c: migrations; pgsql_listen.c: notes to and from other gateways. Nothing else includes this, or libpq-fe.h.
 *
 * A connection is always in libpq's pipeline mode, but for the moments in which it is set up or migrates. Whatever is sent
 * is noted in `expected`, and results are taken off against that list; each Sync ends a segment, within which the server
 * skips everything after an error. What opens and ends a transaction or a mark is put off (`deferred`) and travels with the
 * next statement, so that it costs no round trip.
 */
#ifndef GH_BACKENDS_METADATA_PGSQL_H
#define GH_BACKENDS_METADATA_PGSQL_H

#include "backends/metadata/driver.h"
#include "backends/metadata/feed_bell.h"
#include "backends/metadata/hurry.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

#define PG_VALUES_MAX 48 /* of one statement */

/* How a statement is put to the server, where what it may change is to be judged there. An error has the server skip all
 * that follows up to the Sync. */
enum pg_how {
	PG_AS_IS,
	PG_STRICT,   /* an error, if it does not change exactly one row */
	PG_FIRST,    /* the event of a batch without a mark: changes one row, or none; an error if it had been there before */
	PG_IF_EVENT, /* a step of such a batch: strict, but where its event is not there */
	PG_HOWS,
};

struct pg_stmt {
	struct db_stmt base;
	struct pg_conn *conn;
	enum sql_id id;
	bool prepared[PG_HOWS]; /* sent to be; see pg_send */
	bool ahead; /* goes out with the next that is stepped */
	bool onward; /* more rows are on their way, behind those at hand */
	unsigned count;
	struct db_value values[PG_VALUES_MAX];
	PGresult *rows; /* of the last run; NULL: not run */
	int row;
};

enum pg_expect {
	PG_EXPECT_NOTHING, /* a result that matters only when it is an error */
	PG_EXPECT_STALE,   /* of something earlier, that nobody asks about any more */
	PG_EXPECT_PARSED,  /* of statement `cmd`, as `how`; or of PG_CMD_LOCKS */
	PG_EXPECT_MARK,    /* skipped when its member failed, and rightly so */
	PG_EXPECT_ROWS,
	PG_EXPECT_SEEN,    /* is the event of that member there? */
	PG_EXPECT_CHANGE,  /* a command of that member */
	PG_EXPECT_COMMIT,
	PG_EXPECT_SYNC,
};

#define PG_CMD_LOCKS SQL_COUNT /* pg_send_locks */

struct pg_expected {
	enum pg_expect kind;
	enum pg_how how;
	unsigned member, cmd;
};

#define PG_AHEAD_MAX 8
#define PG_DEFERRED_MAX 6
#define PG_CONTROL_MAX 96

struct pg_conn {
	struct db_conn base;
	struct db *db;
	PGconn *h;
	struct pg_conn *next; /* in the pool */
	uint64_t deadline_ns; /* of the call that holds it, or our own patience; 0 = none */
	bool callers;         /* it is the call's: when it has passed, nothing is wrong with the server */
	bool fresh;           /* a reader that has not read yet: if it is lost, another does as well */
	bool lost;            /* nothing can be had from it any more */
	bool asked;           /* something was sent since it was last waited for */
	bool patient;         /* what it is asked next takes as long as there is data, and reads all of it */
	bool begun;           /* a transaction, be it only put off */
	bool committed;       /* ... which was committed together with its batches */
	bool locks_prepared;
	uint64_t changed, changed_total;
	char deferred[PG_DEFERRED_MAX][PG_CONTROL_MAX];
	unsigned deferred_count;
	struct pg_stmt *ahead[PG_AHEAD_MAX]; /* since the last snapshot_end */
	unsigned ahead_count;
	struct pg_expected *expected;
	unsigned expected_at, expected_count, expected_cap;
	struct pg_stmt *stmts[SQL_COUNT]; /* made when first used */
};

/* The conninfo's hosts, as lists with commas. Filled when the database is opened. */
struct pg_hosts {
	char *host, *hostaddr, *port; /* "": not said */
	unsigned count;
	uint32_t wait_ms; /* for each address */
	bool whole;       /* the list is left to libpq */
};

/* States: opened (writer only) -> started -> closed. `lock` covers what stands below it; `writer` belongs to whoever holds
 * the turn in commit.c. */
struct db {
	char *conninfo, *label;
	bool read_only;
	unsigned reader_max;
	uint32_t connect_ms, statement_ms, lock_ms;
	struct pg_hosts hosts;
	const struct db_hurry *hurry; /* NULL: nobody ever is in a hurry */
	atomic_bool given_up;         /* in the hurry it was silent */
	struct pg_conn *writer;
	uint64_t clock_asked_ns; /* writer's */
	struct pg_listen *listen; /* NULL: not started */
	atomic_bool missed;       /* it could not be reached, or did not answer: the listener looks for it */
	uint64_t analyze_next;   /* writer's: when so many rows were changed; UINT64_MAX: no more */

	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct pg_conn *idle;
	unsigned open_readers;
	/* after a connection that could not be made: when the next may be tried */
	uint32_t retry_ms;
	uint64_t retry_at_ns;
	/* what was last said about it, and when */
	uint64_t said_ns;
	char said[DB_ERR_MAX];
	/* the database's clock less our monotonic one, how exact that is, and since when */
	int64_t clock_us, clock_slack_us;
	uint64_t clock_at_ns;
};

/* ---- pgsql_wire.c ---- */
/* Log and translate what is wrong with a result, or (NULL) with the connection. A unique key that is taken and a strict
 * command that changed nothing are no failures, and not logged. */
enum gh_status pg_fail(struct pg_conn *c, const PGresult *r, const char *what);
/* The connection is of no use any more. */
enum gh_status pg_lose(struct pg_conn *c, const char *what, const char *text);
/* Each puts something into the pipeline, nothing waits. false: the connection is lost. */
bool pg_defer(struct pg_conn *c, const char *control);
bool pg_send_deferred(struct pg_conn *c);
bool pg_send_control(struct pg_conn *c, const char *control, enum pg_expect kind);
bool pg_send_sync(struct pg_conn *c);
/* Parses the statement on its way, in the way that expected.how says, if this connection has not yet; where an earlier
 * failure may skip that, pg_parse comes before. */
bool pg_parse(struct pg_conn *c, struct pg_stmt *s, enum pg_how how, const struct db_value *values, unsigned count);
bool pg_send(struct pg_conn *c, struct pg_stmt *s, const struct db_value *values, unsigned count, int64_t now_us,
	     struct pg_expected expected);
/* Advisory locks, in this order, whatever else holds them being waited for. */
bool pg_send_locks(struct pg_conn *c, const char *keys, const char *exclusive);
bool pg_expect_more(struct pg_conn *c, struct pg_expected e);
/* The next result that is expected. GH_END: nothing is. */
enum gh_status pg_next(struct pg_conn *c, struct pg_expected *ret, PGresult **ret_result);
/* Takes all off that is expected and of no interest. GH_OK, or the first error. */
enum gh_status pg_drain(struct pg_conn *c, const char *what);
/* One statement or several, outside the pipeline, one round trip. *ret (may be NULL): the last result. */
enum gh_status pg_simple(struct pg_conn *c, const char *sql, PGresult **ret);

/* ---- pgsql_open.c ---- */
enum gh_status pg_open(const struct meta_config *cfg, struct db **ret, char *err);
enum gh_status pg_start(struct db *db, char *err);
void pg_close(struct db **db);
const char *pg_label(struct db *db);
enum gh_status pg_reader(struct db *db, uint64_t deadline_ns, struct db_conn **ret);
void pg_reader_done(struct db *db, struct db_conn *c);
enum gh_status pg_writer(struct db *db, struct db_conn **ret);
void pg_writer_reset(struct db *db);
void pg_writer_idle(struct db *db);
int64_t pg_now_us(struct db_conn *c);
/* A new connection in the place of one that was lost; whoever holds it notices nothing. */
enum gh_status pg_redial(struct pg_conn *c);

/* ---- pgsql_dial.c ---- */
/* Asks libpq what the hosts are; nothing is waited for. false: out of memory. */
bool pg_hosts(struct db *db);
void pg_hosts_free(struct db *db);
/* A bare connection, to the first host that takes it. Blocks as long as connecting may take, or until the end is near (hurry.h).
 * NULL only for want of memory; else its status says whether it is one. why (DB_ERR_MAX bytes): what each attempt failed by. */
PGconn *pg_dial(struct db *db, char *why);
/* Waits for events of a descriptor (poll's), until that time (0: for ever) or until the end is near. *ret: what came. */
bool pg_wait(struct db *db, int fd, short events, short *ret, uint64_t until_ns);

/* ---- pgsql_listen.c ---- */
enum gh_status pg_listen(struct db *db, struct feed_bell *bell);
void pg_poke(struct db *db);
void pg_say(struct db *db, const char *word);
/* A connection could not be made, or nothing came in time: the listener looks for the server until it can be reached. */
void pg_miss(struct db *db);
void pg_listen_end(struct db *db);

/* ---- pgsql_stmt.c ---- */
enum gh_status pg_prepare(struct db_conn *c, enum sql_id id, struct db_stmt **ret);
void pg_stmts_free(struct pg_conn *c);
void pg_stmts_forget(struct pg_conn *c); /* none is prepared any more */
/* Ends the transaction, known or not, so that the connection can be used for another. */
void pg_rollback(struct db_conn *c);

/* ---- pgsql_look.c ---- */
enum gh_status pg_looks(struct db_conn *c, struct db_look **looks, unsigned count);

/* ---- pgsql_batch.c ---- */
enum gh_status pg_batches(struct db_conn *c, struct db_batch **b, unsigned count, int64_t now_us, bool last);
/* What keeps every other writer out: a job is no batch, and says not what it touches. */
bool pg_lock_house(struct pg_conn *c);

/* ---- pgsql_schema.c ---- */
extern const struct db_word pg_words[];
enum gh_status pg_lock_schema(struct db_conn *c, char *err);
enum gh_status pg_exec(struct db_conn *c, const char *sql, char *err);
enum gh_status pg_has_table(struct db_conn *c, const char *name, bool *ret);
/* Takes statistics while tables are young; called between groups. See there. */
void pg_young_tables(struct db *db);
enum gh_status pg_check(struct db_conn *c, meta_finding_fn *fn, void *arg);

/* An answer of the server as one line. */
void pg_one_line(char *out, size_t size, const char *text);

#endif
