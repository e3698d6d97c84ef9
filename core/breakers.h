/* Circuit breakers at run time (policy/breaker.h decides, here they are owned and shared): one for each service behind the
 * core, and one for each tenant's use of it.
 *
 * Every call that an operation makes to a store goes through ASK: a permit is taken right before it and settled right
 * after, never held across a queue or a body. Before an operation is put into the queue for a worker it is asked whether
 * what it needs is shut (breakers_shut): then it is refused on its loop, in microseconds, however many workers hang. What
 * memory can answer is never asked about.
 *
 *     enum gh_status st = ASK(core, SERVICE_METADATA, tenant->id, meta_list(core->meta, ...));
 *
 * What counts: failures of the dependency, and its slowness. Not: what does not exist, a refused right, a full quota or
 * disk, damage to one object, a caller's deadline that was nearly over when the call began (breakers.c, outcome_of).
 *
 * Who is to blame: both breakers see every call. When a tenant's own calls fail among healthy ones, its breaker opens and
 * its neighbours notice nothing. When others fail as well, the service's opens, once, and those of tenants are closed:
 * they stop counting as long as the service has a breaker that is not closed.
 *
 * Calls that hang: each call under way is in a table (breaker_flights.c). A watcher counts one that is slow while it is
 * still out, so that the breaker opens while they hang, and lends the pool a worker for each that is held (fair.h,
 * share_lend): a store that hangs for one tenant cannot eat everybody's workers.
 *
 * Cost on the good path: two loads, a slot in the table of calls, two readings of the clock, a counter of one's own. No
 * lock. With trouble: one mutex, held for a few hundred nanoseconds.
 */
#ifndef GH_CORE_BREAKERS_H
#define GH_CORE_BREAKERS_H

#include <stdatomic.h>

#include "core/base/status.h"
#include "policy/breaker.h"

struct gh_core;
struct breakers;

enum service {
#define X(symbol, name) SERVICE_##symbol,
#include "core/services.tbl.h"
#undef X
	SERVICE_COUNT
};
const char *service_name(enum service s);
/* false: there is none of that name. */
bool service_parse(const char *name, enum service *ret);

GH_MUST_CHECK enum gh_status breakers_new(struct gh_core *c, const struct breaker_config *cfg, struct breakers **ret);
GH_MUST_CHECK enum gh_status breakers_start(struct gh_core *c); /* the watcher's thread; counts into live samples */
void breakers_stop(struct gh_core *c);                           /* before the pools are freed */
void breakers_free(struct breakers **b);                         /* nobody makes calls any more */

/* ---- a call ---- */

struct breaker_pass {
	struct breakers *b;
	uint64_t tenant, started_ns;
	struct breaker_permit of_service, of_tenant;
	unsigned flight; /* 1 + its place in the table of calls; 0 = there was none */
	uint8_t service;
	bool asked; /* it took permits */
};

/* Worker. tenant 0: nobody's in particular. GH_OK: the call may be made, and breakers_leave follows. GH_TRIPPED: not. */
GH_MUST_CHECK enum gh_status breakers_enter(struct gh_core *c, enum service s, uint64_t tenant,
					    struct breaker_pass *ret);
/* For what must be done in any case, a sync of what was put ahead: it only counts. */
void breakers_watch(struct gh_core *c, enum service s, uint64_t tenant, struct breaker_pass *ret);
enum gh_status breakers_leave(struct breaker_pass *p, enum gh_status st); /* gives st back */

#define ASK(core, service, tenant, call) \
	({ \
		struct breaker_pass pass_; \
		enum gh_status asked_ = breakers_enter(core, service, tenant, &pass_); \
		if (asked_ == GH_OK) \
			asked_ = breakers_leave(&pass_, call); \
		asked_; \
	})

/* A call that was made without asking has failed (on a loop, where nothing blocks). */
void breakers_failed(struct gh_core *c, enum service s, uint64_t tenant, enum gh_status st);

/* The store has a sign that the service can be reached again: breakers that wait let probes through now. */
void breakers_hasten(struct gh_core *c, enum service s);

/* ---- before the queue ---- */

/* While a breaker is not closed, at most as many operations as it lets probe are on their way through the queue. */
#define BREAKER_SCOUTS 6
struct breaker_scout {
	atomic_uint *of[BREAKER_SCOUTS];
	unsigned count;
};
/* Any thread; lock-free. GH_OK, or GH_TRIPPED with the seconds until it is worth coming again. services: bits
 * (1 << SERVICE_*). scout: given back with breaker_scout_home when the operation is over, however it ends; NULL: the
 * caller is no probe, and passes when one might. */
GH_MUST_CHECK enum gh_status breakers_shut(struct gh_core *c, unsigned services, uint64_t tenant, uint32_t *ret_retry_s,
					   struct breaker_scout *scout);
void breaker_scout_home(struct breaker_scout *s);
/* Both are closed: what is written ahead may be synced later. */
bool breakers_closed(struct gh_core *c, enum service s, uint64_t tenant);
/* An honest Retry-After for what was refused: 1.. seconds, with jitter. */
uint32_t breakers_retry_s(struct gh_core *c, uint64_t tenant);

/* ---- for administrators ---- */

struct breaker_view {
	enum service service;
	uint64_t tenant; /* 0: the service's */
	enum breaker_state state;
	bool forced;
	struct breaker_sums window;
	uint32_t openings; /* in a row */
	uint64_t wait_ms;  /* until a probe may go; 0 = now, or not open */
};
/* Every service's, and those of tenants that have trouble. */
void breakers_each(struct gh_core *c, void (*fn)(void *arg, const struct breaker_view *v), void *arg);
/* tenant 0: the service's. GH_LIMIT: the table of tenants is full of open ones. */
GH_MUST_CHECK enum gh_status breakers_open(struct gh_core *c, enum service s, uint64_t tenant);
void breakers_reset(struct gh_core *c, enum service s, uint64_t tenant);
/* How many are not closed. */
unsigned breakers_count_open(struct gh_core *c);

#endif
