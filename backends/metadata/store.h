/* Inside the metadata room: one database and what its files share. Each .c has one idea: rows (a row into the caller's
 * arena), read_* (questions), plan (a batch into commands), commit (the queue and the group), upkeep*, check, migrate.
 * What core sees is a router over such databases: route.h.
 */
#ifndef GH_BACKENDS_METADATA_STORE_H
#define GH_BACKENDS_METADATA_STORE_H

#include "backends/metadata/driver.h"
#include "backends/metadata/feed_bell.h"
#include "backends/metadata/hurry.h"
#include "backends/metadata/look.h"
#include "backends/metadata/shard.h"

#include <pthread.h>
#include <stdatomic.h>
#include <semaphore.h>

/* The most commits that become one transaction. */
#define GROUP_MAX 64
#define GROUP_OF_ONE 16 /* of each tenant, in company */
#define GROUP_SHORT 4   /* in all, with somebody who comes rarely */

/* What runs under the writer's mark when it is not a batch: upkeep. now_us: the transaction's time. */
typedef enum gh_status db_job_fn(struct db_conn *c, void *arg, int64_t now_us);

/* One change waiting for the writer: on the stack of who waits for it, or part of something that does not wait. */
struct commit_item {
	struct commit_item *next;
	struct db_batch *batch; /* or */
	db_job_fn *job;
	void *arg;
	/* What has to be durable first (meta_batch.before), or NULL. */
	enum gh_status (*before)(void *arg);
	void *before_arg;
	uint64_t deadline_ns;
	/* result, written by the committer before it tells the owner */
	enum gh_status status;
	bool done_before;
	int64_t time_us;
	void (*landed)(struct commit_item *it); /* on the committer, or NULL: the owner waits on */
	sem_t wake;
};

#define COMMIT_SEEN 256 /* tenants whose last commit is remembered; a power of two */

/* States: open -> closed. lock covers what is here but the thread; the writer belongs to the committer without it. */
struct commit_queue {
	pthread_mutex_t lock;
	pthread_cond_t filled, quiet;
	struct commit_item *head, **tail;
	_Atomic uint64_t tenant;   /* whose the last batch was; 0 = there was none. Written under the lock, read anywhere */
	uint64_t company_until_ns; /* batches of several tenants come */
	atomic_bool company;       /* so it was when the last group began; any thread */
	uint64_t groups, short_group; /* how many there were, and which of them was shortened, or waited, last */
	uint64_t expected;            /* a tenant whose batch is about to come; 0 = nobody's */
	uint64_t expected_until_ns;
	struct commit_seen {
		uint64_t tenant, group;
	} seen[COMMIT_SEEN];
	bool rare;       /* the committer's: its group carries somebody who comes rarely */
	unsigned marked; /* the committer's: so many groups more run with marks */
	bool idle;    /* the committer waits to be woken */
	bool holding; /* it waits for who is expected */
	bool closed, runs;
	pthread_t committer;
};

/* Where batches wait whose content is not durable yet. All of it but the thread under the lock. */
struct commit_ahead {
	pthread_mutex_t lock;
	pthread_cond_t filled, quiet;
	struct commit_item *head, **tail;
	bool idle;
	bool closed, runs;
	pthread_t thread;
};

/* One database: a shard with its tenants, the central one, or both. */
struct shard_store {
	const struct db_driver *drv;
	struct db *db;
	bool read_only;
	const struct db_hurry *hurry;
	struct commit_ahead ahead;
	struct commit_queue queue;
	struct look_queue looks;
	struct feed_bell bell;
	uint64_t fold_after; /* upkeep's: the tenant at which it ran out of time; 0 = it has been round */
	_Atomic uint64_t fence_ns; /* batches may be committed until then */
};

/* ---- feed.c ---- */
/* Once the store is open otherwise. err: as meta_open. */
GH_MUST_CHECK enum gh_status feed_open(struct shard_store *m, char *err);
/* In the writer's transaction, before events made before that time are dropped (up to 1000, EVENTS_DROP): no cursor of
 * before may go on. */
GH_MUST_CHECK enum gh_status feed_cut(struct db_conn *c, uint64_t tenant, int64_t drop_before_us, uint64_t id_then);
/* A row as EVENT_COLS has it, without its log's epoch. */
void row_event(struct gh_arena *a, struct db_stmt *s, struct meta_event *e);

/* ---- store.c ---- */
GH_MUST_CHECK enum gh_status driver_for(const struct meta_config *cfg, const struct db_driver **ret, char *err);

/* ---- migrate.c ---- */
/* label: the database in messages. */
GH_MUST_CHECK enum gh_status migrate(struct db_conn *c, bool read_only, const char *label, char *err);

/* ---- commit_queue.c ---- */
void commit_queue_put(struct commit_queue *q, struct commit_item *it, uint64_t now_ns);
/* A batch of the tenant's is on its way here. */
void commit_queue_expect(struct commit_queue *q, uint64_t tenant, uint64_t now_ns);
/* Until when the next group waits for who is expected; 0: it does not. Asked until it says so. */
uint64_t commit_queue_hold_ns(struct commit_queue *q, uint64_t now_ns);
/* The next group, in the order in which it is to run, and those whose deadline has passed; either may be NULL. jobs_alone: a
 * job is a group of its own. */
struct commit_item *commit_queue_take(struct commit_queue *q, bool jobs_alone, uint64_t now_ns,
				      struct commit_item **ret_late);
/* Who goes with the group that runs (items, all of it), linked; NULL = nobody. Not with jobs_alone. */
struct commit_item *commit_queue_join(struct commit_queue *q, struct commit_item *items, uint64_t now_ns);

/* ---- commit_ahead.c ---- */
GH_MUST_CHECK enum gh_status commit_ahead_open(struct shard_store *m); /* starts its thread */
void commit_ahead_close(struct shard_store *m); /* before the queue's; nobody calls any more */
/* it->before is asked, then it goes into the queue; or its owner is told. */
void commit_ahead_put(struct shard_store *m, struct commit_item *it);
/* Returns when nothing waits here. */
void commit_ahead_quiet(struct shard_store *m);

/* ---- commit.c ---- */
/* For a thread that commits, before it does: alone, who wakes it has more to put in first (SCHED_BATCH). In company it does
 * not let the workers of others go first, since whoever waits for one batch waits each time that this thread is woken.
 * *policy: what it has, SCHED_OTHER at first. */
void commit_keep_pace(struct shard_store *m, int *policy);
/* A batch of that tenant's has come to the stage before. */
void commit_expect(struct shard_store *m, uint64_t tenant);
/* A chain of them, linked by next, up to NULL. */
void commit_put(struct shard_store *m, struct commit_item *items);
void commit_tell(struct commit_item *items);
GH_MUST_CHECK enum gh_status commit_queue_open(struct shard_store *m); /* starts the committer */
void commit_queue_close(struct shard_store *m); /* nobody calls any more; what was never opened may be closed */
/* Runs fn in a transaction, under a mark of its own, alone or with others. GH_OK: durable. It may run twice (after a
 * commit that failed), each time from the start. */
GH_MUST_CHECK enum gh_status commit_job(struct shard_store *m, struct meta_call *call, db_job_fn *fn, void *arg);

/* ---- upkeep.c ---- */
db_job_fn fold_run; /* arg: uint64_t *, the tenant */
/* What a tenant's row says of where it is (route.h, move.h). */
struct tenant_mark {
	int64_t state;
	uint64_t epoch;
	int64_t hold_us; /* by the database's clock: until then nobody may change it */
	uint64_t mover;
};
/* In a job. GH_NOTFOUND. */
GH_MUST_CHECK enum gh_status tenant_mark_in(struct db_conn *c, uint64_t tenant, struct tenant_mark *ret);
GH_MUST_CHECK enum gh_status tenant_state_in(struct db_conn *c, uint64_t tenant, int64_t *ret);
/* ret_now_us: the database's clock; may be NULL. */
GH_MUST_CHECK enum gh_status tenant_mark_read(struct shard_store *s, struct meta_call *c, uint64_t tenant,
					      struct tenant_mark *ret, int64_t *ret_now_us);

/* ---- plan.c ---- */
struct plan {
	struct db_cmd *cmds;
	unsigned cmd_count, cmd_cap;
	struct db_value *values;
	unsigned value_count, value_cap;
	bool failed; /* out of memory */
	struct gh_arena *arena; /* for strings that are made here */
	/* enough for a PUT */
	struct db_cmd cmds_here[8];
	struct db_value values_here[96];
};
/* batch and what it points to must outlive the plan. GH_OK, GH_NOMEM, GH_BUG (a batch that makes no sense). */
GH_MUST_CHECK enum gh_status plan_make(struct plan *p, struct gh_arena *arena, const struct meta_batch *batch,
				       struct db_batch *ret);
void plan_free(struct plan *p);

/* ---- rows.c ---- */
struct query { /* a reading connection held, one statement at a time */
	struct shard_store *m;
	struct meta_call *call;
	struct db_conn *conn;
	struct db_stmt *stmt;
};
GH_MUST_CHECK enum gh_status query_open(struct query *q, struct shard_store *m, struct meta_call *call);
/* All statements from here on see one moment. */
GH_MUST_CHECK enum gh_status query_snapshot(struct query *q);
/* Of these each will be prepared, bound to the tenant alone and stepped: they can be asked for together. */
GH_MUST_CHECK enum gh_status query_ahead(struct query *q, uint64_t tenant, const enum sql_id *ids, unsigned count);
GH_MUST_CHECK enum gh_status query_prepare(struct query *q, enum sql_id id);
/* feed.c. What has been committed by now, as a text for meta_stream.seen; where that is too long, a little less than that. */
GH_MUST_CHECK enum gh_status query_stream_now(struct query *q, char seen[META_STREAM_TEXT]);
void query_close(struct query *q);
/* What the caller gets: st, or GH_NOMEM where the arena could not hold the rows. */
enum gh_status query_result(const struct query *q, enum gh_status st);

/* Room for one more of `size` bytes behind count; NULL when the arena is full. *cap starts at 0. */
void *rows_more(struct gh_arena *a, void *rows, unsigned count, unsigned *cap, size_t size);
char *row_str(struct gh_arena *a, struct db_stmt *s, unsigned column, uint16_t *ret_len); /* ret_len may be NULL */
void row_loc(struct db_stmt *s, unsigned column, struct blob_loc *ret);
#define NODE_COLUMNS 16
void row_node(struct gh_arena *a, struct db_stmt *s, unsigned column, struct meta_node *ret);
/* A row of RESOLVE_n: the nodes of a chain, up to the first that is not there. */
void row_chain(struct gh_arena *a, struct db_stmt *s, unsigned n, struct meta_node *nodes, unsigned *ret_found);

#endif
