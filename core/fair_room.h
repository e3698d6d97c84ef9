/* Inside the fair share at run time: what fair.c (desks), fair_rules.c (weights, pools), fair_rates.c (bytes a second) and
 * fair_loop.c share.
 *
 * Locks: a desk's `lock` covers its scheduler; `rules_lock` covers the table of rules and the names of pools. Never both
 * at once, and nothing is called out under either.
 */
#ifndef GH_CORE_FAIR_ROOM_H
#define GH_CORE_FAIR_ROOM_H

#include "core/house.h"

#define SHARE_LOOPS_MAX 256

struct share_desk {
	struct gh_core *core;
	struct gh_pool **pool;
	pthread_mutex_t lock;
	struct fair *fair;
	bool off, login, stopping;
	_Atomic uint64_t settled_ns; /* when something was last done here */
	atomic_uint afloat;          /* jobs under way without a slot: share_float */
	atomic_uint waiting;         /* jobs that wait for one */
	uint64_t tenant;             /* whose the last job was; under the lock */
	_Atomic uint64_t company_until_ns; /* jobs of several tenants come */
};

struct share_rule {
	uint64_t tenant;
	uint32_t weight, cap;
	char pool[SHARE_POOL_NAME_MAX + 1];
};

struct share {
	struct gh_core *core;
	struct share_config cfg;
	struct share_desk wait, login;
	struct live_source live;
	int64_t shed_seen; /* the sampler's */
	pthread_mutex_t rules_lock;
	struct share_rule *rules; /* by tenant */
	unsigned rule_count, rule_room;
	struct share_pool pools[FAIR_POOLS]; /* [0], the shared one, stays as it was made */
	atomic_uint lent;                    /* slots on top of it, for workers that hang */
	struct share_loop *_Atomic loops[SHARE_LOOPS_MAX]; /* each made and used by its own thread */
};

/* Metric labels: metrics.tbl.h, rows FAIR_*. */
enum { SHARE_IN_SHARED, SHARE_IN_DEDICATED, SHARE_IN_LOGIN, SHARE_IN_LOOP };

/* Slots of a pool that are kept, in company, for who has nothing running there: of the shared one on top of its workers,
 * and at least one; of a dedicated one, where it has enough. */
#define SHARE_KEPT_MAX 4u
static inline unsigned share_kept(unsigned slots, unsigned least)
{
	const unsigned part = slots / 16 < SHARE_KEPT_MAX ? slots / 16 : SHARE_KEPT_MAX;

	return part > least ? part : least;
}

/* As it was set, also where the fair share is off. Takes rules_lock. */
struct fair_tenant_rule share_rule_kept(struct share *s, uint64_t tenant);
void share_waited(struct gh_core *c, struct tenant *t, unsigned class, uint64_t wait_ns);
void share_kick_desk(struct share_desk *d);
void share_shed(struct gh_core *c, struct tenant *t, unsigned where);

#endif
