/* The store that core sees: a router over databases. One is central; each tenant is on one shard, and central is a shard as
 * well, called main. Embedded, and with nothing but a conninfo, there is one database that is both, and none of what is here
 * costs more than a look at `many`.
 *
 * Where a tenant is stands in central (table route; a tenant without a row is in central's own database) and in the memory of
 * every gateway. What is in memory may be old, so nothing rests on it: every batch requires the tenant's route epoch and that
 * it may be changed (tenant.state) in its event's guard, and a batch that fails so is sent on to where the tenant is now.
 * Readings are as good as the last look at central, four times a second; where that is more than a second ago the shard is
 * asked first whether the tenant is still there.
 *
 * route_table.c: seats, routes, looking; route_open.c: databases are opened; route_tenant.c: a tenant's row is made or changed;
 * move.c: a tenant goes to another shard; route_all.c: calls over all; route_admin.c: shards come and are drained;
 * route.c: the calls about one tenant.
 */
#ifndef GH_BACKENDS_METADATA_ROUTE_H
#define GH_BACKENDS_METADATA_ROUTE_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends/metadata/store.h"

#define SHARD_NAME_MAX 40
#define SEATS_MAX 256
#define OPENERS 4 /* threads that open what is shut */
#define MAIN 1 /* the shard that is central's own database, always in seat 0 */

/* From ROUTE_COPYING on: move.h. */
enum route_step {
	ROUTE_SETTLED = 0,
	ROUTE_MAKING = 1,
	ROUTE_COPYING = 2,
	ROUTE_SWITCHING = 3,
	ROUTE_LANDING = 4,
	ROUTE_CLEARING = 5
};
enum tenant_state { TENANT_HOME = 0, TENANT_COPIED = 1, TENANT_FROZEN = 2, TENANT_ELSEWHERE = 3 };

/* A shard as this gateway has it. store is NULL until it could be opened, then for ever. trouble: why it could not be, or "";
 * it and state under the lock. */
struct seat {
	uint64_t id;
	char name[SHARD_NAME_MAX + 1], identity[40];
	char *conninfo;
	enum meta_shard_state state;
	struct shard_store *_Atomic store;
	atomic_bool taken, tried; /* an opener is at it; one was */
	char trouble[DB_ERR_MAX];
};

/* Where a tenant is. epoch 0: it has no row in table route, and is where it was made, in central's own database. */
struct route {
	uint64_t tenant, epoch;
	unsigned seat;
	enum route_step step;
	bool suspect; /* a batch went stale: look before the next call */
};

/* A row of table route. */
struct route_row {
	struct meta_tenant t; /* tree_gen and rights_epoch are not in it */
	uint64_t shard, target, changed;
	enum route_step step;
};

struct meta_store {
	struct shard_store *central;
	struct meta_config cfg; /* what shards are opened with but for their conninfo */
	struct db_hurry hurry;
	atomic_bool no_more_waiting;
	atomic_flag rescues; /* an opener is at it */
	_Atomic uint64_t fence_ns;
	void (*back)(void *arg); /* told when a database can be reached again; under the lock */
	void *back_arg;
	void (*moved)(void *arg, unsigned shard); /* told when a tenant is somewhere else; under the lock */
	void *moved_arg;
	atomic_bool many;       /* there is more than the one database */
	pthread_rwlock_t lock;  /* what is below, to `clock` */
	struct seat *seat[SEATS_MAX];
	atomic_uint seat_count;
	struct route *routes; /* open addressing by tenant; tenant 0 = free */
	unsigned route_count, route_cap;
	uint64_t clock; /* of the newest row that was seen */
	_Atomic uint64_t fresh_ns;
	pthread_mutex_t nap;
	pthread_cond_t wake;
	bool stop, looks;
	pthread_t looker, opener[OPENERS];
	unsigned openers;
};

/* ---- route_open.c ---- */
/* Opens what is shut, from now on. Returns when each was tried, or took longer than a start may. */
GH_MUST_CHECK enum gh_status openers_start(struct meta_store *m);
void openers_join(struct meta_store *m); /* stop is set; what was never started may be joined */

/* ---- move_rescue.c ---- */
/* Tenants whose mover has died where nobody serves them. One thread at a time. */
void moves_rescue(struct meta_store *m);

/* ---- route_table.c ---- */
/* For the store's own threads. true: it is over. */
bool route_nap(struct meta_store *m, unsigned ms);
GH_MUST_CHECK enum gh_status routes_open(struct meta_store *m, char *err); /* central is open */
void routes_close(struct meta_store *m);
/* Where a tenant is, its route as it was used. GH_OK; GH_DATABASE: its shard is not open; GH_BUSY: it is being moved at this
 * moment. */
GH_MUST_CHECK enum gh_status route_home(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct route *ret,
					struct shard_store **ret_store);
/* The same for who changes something: GH_BUSY also where nobody may for a moment. */
GH_MUST_CHECK enum gh_status route_home_to_write(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct route *ret,
						 struct shard_store **ret_store);
/* Never blocks. NULL: its shard is not open, or has to be asked first (route_home). */
struct shard_store *route_certain(struct meta_store *m, uint64_t tenant);
/* Do batches of it have to tell what they change? */
static inline bool route_is_told(const struct route *r)
{
	return r->step == ROUTE_COPYING || r->step == ROUTE_SWITCHING;
}
void route_suspect(struct meta_store *m, uint64_t tenant);
void route_learn(struct meta_store *m, const struct route_row *row);
/* Looks at central for what is new. */
GH_MUST_CHECK enum gh_status routes_look(struct meta_store *m);
struct seat *seat_of_id(struct meta_store *m, uint64_t id);     /* NULL: none */
struct seat *seat_named(struct meta_store *m, const char *name); /* NULL: none */
struct shard_store *seat_store(struct seat *s); /* NULL: not open */
/* Is this database the shard of that name and identity? err: whose it is. */
GH_MUST_CHECK enum gh_status shard_identity_check(struct shard_store *s, struct meta_call *c, const struct seat *seat,
						  char *err);
GH_MUST_CHECK enum gh_status route_rows(struct meta_store *m, struct meta_call *c, enum sql_id sql, const struct db_value *values,
					unsigned count, struct route_row **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status route_row_get(struct meta_store *m, struct meta_call *c, uint64_t tenant,
					   struct route_row **ret);
/* In a job of central: writes the row in place of the one that it was decided from, which row->changed names (0: there was
 * none), and ticks the clock; row->changed names it then. GH_STALE: another is there by now, and it does not say the same. */
GH_MUST_CHECK enum gh_status route_replace_in(struct db_conn *c, struct route_row *row);
/* The same as a job of its own, and learns it. row->changed stays. */
GH_MUST_CHECK enum gh_status route_replace(struct meta_store *m, struct meta_call *c, const struct route_row *row);
/* Shards whose tenants a loop goes over: those that are open. */
#define EACH_STORE(m, i, s)                                                                                                    \
	for (unsigned i = 0; i < atomic_load(&(m)->seat_count); i++)                                                           \
		for (struct shard_store *s = seat_store((m)->seat[i]); s; s = NULL)

/* ---- route_tenant.c ---- */
/* A batch that makes or changes a tenant's row: central decides about its name and host names, and where it goes. */
GH_MUST_CHECK enum gh_status route_commit_tenant(struct meta_store *m, struct meta_call *c, struct meta_batch *b,
						 const struct meta_tenant *t);

/* ---- shared ---- */
GH_MUST_CHECK enum gh_status job_statement(struct db_conn *c, enum sql_id sql, const struct db_value *values, unsigned count);

#define V_I64(v) ((struct db_value){ .type = DB_I64, .i = (int64_t)(v) })
#define V_BYTES(s) ((struct db_value){ .type = DB_BLOB, .len = (uint32_t)strlen(s), .p = (s) })
#define V_TEXT(s) ((struct db_value){ .type = DB_TEXT, .len = (uint32_t)strlen(s), .p = (s) })

#endif
