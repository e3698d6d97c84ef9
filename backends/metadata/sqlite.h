/* Inside the SQLite driver: its files share these (sqlite.c: connections and statements; sqlite_open.c: opening, the
 * pool, the checkpointer). Nothing else includes this, or sqlite3.h. */
#ifndef GH_BACKENDS_METADATA_SQLITE_H
#define GH_BACKENDS_METADATA_SQLITE_H

#include "backends/metadata/driver.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sqlite3.h>

/* Statements that control transactions; prepared like the others, but the driver's own. */
enum sq_control {
	SQ_BEGIN_READ, SQ_BEGIN_WRITE, SQ_COMMIT, SQ_ROLLBACK, SQ_MARK, SQ_MARK_KEEP, SQ_MARK_BACK, SQ_CONTROL_COUNT
};

struct sq_stmt {
	struct db_stmt base;
	struct sq_conn *conn;
	sqlite3_stmt *st; /* NULL until first used */
	const char *name;
	int bind_error;
};

struct sq_conn {
	struct db_conn base;
	struct db *db;
	sqlite3 *h;
	struct sq_conn *next;  /* in the pool */
	uint64_t deadline_ns;  /* of the read that holds it */
	struct sq_stmt stmts[SQL_COUNT];
	sqlite3_stmt *control[SQ_CONTROL_COUNT];
};

/* States: opened (writer only) -> started (pool, checkpointer) -> closed. `lock` covers the pool and the checkpointer's
 * request; `writer` belongs to whoever holds the turn in commit.c. */
struct db {
	char *path;
	bool read_only;
	unsigned reader_count;
	struct sq_conn *writer;
	int64_t pos;           /* of the last event, see gh_pos(); writer's */
	atomic_int_least64_t pos_committed;
	int wal_pages; /* after the last commit; writer's */
	int wal_asked; /* how many there were when pages were last to be copied home; writer's */

	pthread_mutex_t lock;
	pthread_cond_t freed, wanted;
	struct sq_conn *idle;
	unsigned open_readers;
	bool checkpoint_wanted, stop, checkpointer_runs;
	pthread_t checkpointer;
};

/* Log and translate an SQLite result of connection c (what: the statement's name). */
enum gh_status sq_fail(struct sq_conn *c, int rc, const char *what);
enum gh_status sq_conn_open(struct db *db, bool writing, struct sq_conn **ret, char *err);
void sq_conn_close(struct sq_conn **c);

/* sqlite_log.c. The name of the files that a connection is opened with; NULL: the system's own. Any thread. */
const char *sq_log_vfs(void);

enum gh_status sq_open(const struct meta_config *cfg, struct db **ret, char *err);
enum gh_status sq_start(struct db *db, char *err);
void sq_close(struct db **db);
enum gh_status sq_reader(struct db *db, uint64_t deadline_ns, struct db_conn **ret);
void sq_reader_done(struct db *db, struct db_conn *c);
enum gh_status sq_writer(struct db *db, struct db_conn **ret);
void sq_writer_reset(struct db *db);
void sq_writer_idle(struct db *db);
extern const struct db_word sq_words[];
const char *sq_label(struct db *db);
enum gh_status sq_exec(struct db_conn *c, const char *sql, char *err);
enum gh_status sq_has_table(struct db_conn *c, const char *name, bool *ret);
enum gh_status sq_save(struct db_conn *c, const char *path, char *err);
enum gh_status sq_check(struct db_conn *c, meta_finding_fn *fn, void *arg);

#endif
