/* The fair share: who of the waiting may run next. Work-conserving weighted fair queueing of tenants within operation
 * classes, classes among themselves by weight, pools apart. The core keeps it behind one mutex; only operations that
 * queue, and purses that are refilled, touch it.
 *
 * Pure and single-owner: no I/O, clock, threads or locks; time (monotonic nanoseconds) is an argument. Memory: one
 * record a tenant that waits or has debt, in a hash table, bounded; items are the caller's, linked in place. Every
 * operation O(log tenants waiting).
 *
 * Start-time fair queueing: each tenant has a virtual time in each class that advances by cost / weight; the smallest
 * goes first; a tenant that comes back from idleness starts at the class's virtual time, so idling saves nothing up, but
 * what it overdrew it still owes. An item is charged its estimate when it is taken, and the difference when its cost is
 * known (fair_settle): measured worker time, in nanoseconds. Classes share by their own weights in the same way; a class
 * with a reserved minimum of slots may always use so many whatever others wait.
 *
 * Slots: what runs at once in a pool. A dedicated pool has slots of its own, used by its tenants alone, who use no
 * others. A tenant's cap bounds how many of its items run at once. While several tenants come to a pool, its last slots
 * are kept: only who has nothing running there, and is the next anyway or owes its class nothing, may take them. So
 * whoever asks for little does not wait until one who floods gives a slot back; what it takes it pays for like any other.
 * A tenant alone has all.
 *
 * Debt is worked off by the class's service to others, or by the time that slots stand idle while nobody waits, or are
 * kept; it is never more than a minute of work at the tenant's weight.
 *
 * Bound: at most queue_max items wait in a pool, and none longer than its own deadline says. When the queue is full,
 * whoever is most above its share is refused: the tenant with the most waiting items per weight gives up its newest
 * item, or the newcomer is refused if it is that tenant's.
 */
#ifndef GH_POLICY_FAIRSHARE_H
#define GH_POLICY_FAIRSHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAIR_CLASSES 8 /* core's enum vfs_class has to fit */
#define FAIR_POOLS 16  /* pool 0 is everybody's */
#define FAIR_WEIGHT_MAX 1000
#define FAIR_WEIGHT_DEFAULT 100

struct fair_tenant_rule { /* how one tenant is treated; changeable at any time */
	uint32_t weight;  /* 1..FAIR_WEIGHT_MAX */
	uint32_t cap;     /* items running at once; 0 = no cap */
	uint32_t pool;    /* 0 = the shared one */
};
extern const struct fair_tenant_rule fair_tenant_default;
const char *fair_tenant_rule_wrong(const struct fair_tenant_rule *r); /* NULL, or why (static) */

struct fair_config {
	uint32_t slots[FAIR_POOLS];     /* running at once; slots[0] > 0; a pool of 0 slots does not exist */
	uint32_t queue_max[FAIR_POOLS]; /* waiting at once */
	uint32_t kept[FAIR_POOLS];      /* of the slots, in company: for who has nothing running in the pool */
	uint32_t class_weight[FAIR_CLASSES];   /* 0 = 100 */
	uint32_t class_reserved[FAIR_CLASSES]; /* slots of pool 0 that others leave free for it */
	uint64_t estimate_ns[FAIR_CLASSES];    /* cost before it is known; 0 = 1 ms; then a moving average */
};

struct fair_item { /* the caller's, zeroed before its first use */
	uint64_t tenant; /* 0 is the house: one like any other, but nobody's company */
	uint32_t class;
	struct fair_tenant_rule rule; /* as it is when pushed */
	uint64_t queued_ns;
	/* the scheduler's own */
	struct fair_item *next, *prev;
	struct fair_item *newer, *older; /* of all that wait in its pool */
	void *owner;
	uint64_t charged_ns, charged_virtual;
	uint32_t pool;
	unsigned char state;
};

struct fair;
struct fair *fair_new(const struct fair_config *cfg); /* NULL: out of memory, or slots[0] == 0 */
void fair_free(struct fair **f);                      /* nothing may wait or run; leaves NULL */

enum fair_pushed {
	FAIR_RUN,     /* a slot is free and nobody is before it: run it now; it holds its slot */
	FAIR_QUEUED,
	FAIR_REFUSED, /* the newcomer is over its share: refuse it */
	FAIR_EVICTED, /* queued, and *ret_victim, which waited, is out: refuse that one */
};
/* The victim's tenant is the one most above its share. Refused also when memory is out. */
enum fair_pushed fair_push(struct fair *f, struct fair_item *it, uint64_t now_ns, struct fair_item **ret_victim);
/* As fair_push, but it never runs at once: whoever has the slots will come and take. */
enum fair_pushed fair_push_behind(struct fair *f, struct fair_item *it, uint64_t now_ns, struct fair_item **ret_victim);
/* A waiting item that should run now, holding a slot; NULL: none waits, or no slot is free for any that does. Called
 * until NULL after every settle. */
struct fair_item *fair_take(struct fair *f, uint64_t now_ns);
/* It waits no more (deadline, client left). false: it was not waiting. */
bool fair_cancel(struct fair *f, struct fair_item *it);
/* It has run: cost as measured; gives the slot back. */
void fair_settle(struct fair *f, struct fair_item *it, uint64_t cost_ns, uint64_t now_ns);
/* Cost that no slot was held for (loop time, bytes as time): debt that the tenant's next items work off. */
void fair_charge(struct fair *f, uint64_t tenant, uint32_t class, const struct fair_tenant_rule *rule, uint64_t cost_ns,
		 uint64_t now_ns);
/* An honest Retry-After for a refused item: seconds until its tenant's backlog will have run at the rate of late, 1..60. */
uint32_t fair_retry_after_s(const struct fair *f, uint64_t tenant, uint32_t class);

/* A tenant's rule from now on, for what it has waiting too (but its pool: what waits stays where it is). */
void fair_tenant_set(struct fair *f, uint64_t tenant, const struct fair_tenant_rule *rule);
/* A pool's size from now on, and how many of its slots are kept. With 0 slots the pool is closed: what is pushed into it goes to pool 0, what waits in it
 * still runs on the slots that it had. false: pool 0 cannot be closed. Call fair_take until NULL after it. */
bool fair_pool_set(struct fair *f, uint32_t pool, uint32_t slots, uint32_t kept, uint32_t queue_max);

struct fair_sums {
	uint32_t waiting, running, tenants; /* tenants: that wait */
	uint64_t oldest_queued_ns;          /* 0 = nobody waits */
};
/* The item that has waited longest in a pool; NULL: none waits. */
struct fair_item *fair_oldest(const struct fair *f, uint32_t pool);
struct fair_sums fair_sums(const struct fair *f, uint32_t pool);
/* Waiting and running of one tenant, in whatever pools. */
struct fair_sums fair_tenant_sums(const struct fair *f, uint64_t tenant);

#endif
