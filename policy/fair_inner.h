/* Inside the fair share: what fairshare.c (who runs next) and fair_table.c (who is known) share. Included by nobody else.
 *
 * A tenant known in a pool has one record there, and in it a flow for each class in which it has something: items that
 * wait or run, or debt. A flow is in at most one heap of its class:
 *   ready    something waits, the tenant is below its cap, and something of it runs in the pool
 *   fresh    the same, but nothing of it runs: the slots that are kept are for these
 *   debtors  nothing waits or runs, but its virtual time is ahead of the class's
 *   none     it waits for its cap, or nothing waits but something runs
 * A flow that is none of all this is freed, and a record without flows.
 */
#ifndef GH_POLICY_FAIR_INNER_H
#define GH_POLICY_FAIR_INNER_H

#include "policy/fair_heap.h"
#include "policy/fairshare.h"

#define FAIR_SCALE 100u /* virtual nanoseconds of a nanosecond at weight 1 */
#define FAIR_DEBT_MAX_NS 60000000000u
#define FAIR_DEBTORS_MAX 65536u /* in a class; who owes least is forgiven */
#define FAIR_ESTIMATE_NS 1000000u
#define FAIR_RATE_NS 4000000000u /* how late "of late" is */
#define FAIR_COMPANY_NS 10000000000u /* so long after another tenant's item a pool has company */

enum { FAIR_IDLE, FAIR_WAITS, FAIR_RUNS }; /* fair_item.state */

struct fair_rate { /* things a second, over two windows */
	uint64_t from_ns;
	uint32_t now, before;
	bool whole; /* `before` is of a whole window */
};

struct fair_flow {
	struct fair_heap_node node; /* first */
	struct fair_tenant *tenant;
	uint32_t class;
	uint32_t waiting, running;
	uint64_t tag; /* its virtual time: when the next of it begins */
	struct fair_item *first, *last;
};

struct fair_tenant {
	struct fair_heap_node backlog; /* first; key: the most waiting per weight is smallest */
	struct fair_tenant *next;      /* of its hash chain */
	uint64_t id;
	uint32_t pool;
	struct fair_tenant_rule rule;
	uint32_t waiting, running;
	struct fair_rate rate;
	struct fair_flow *flows[FAIR_CLASSES];
};

struct fair_class {
	uint64_t virtual_ns; /* the flows' clock: where the one served last began */
	uint64_t tag;        /* the class's own place among classes */
	uint32_t weight, reserved, running, flow_count;
	uint64_t debt_weight; /* of all debtors */
	struct fair_heap ready, fresh, debtors;
};

struct fair_pool {
	uint32_t slots, kept, queue_max, waiting, running;
	bool closed;
	uint64_t came; /* whose the last item was */
	uint64_t company_until_ns;
	uint64_t virtual_ns; /* the classes' clock */
	uint64_t at_ns;
	uint64_t waiting_weight; /* of the tenants that wait */
	uint32_t tenants;
	struct fair_rate rate;
	struct fair_item *oldest, *newest;
	struct fair_heap backlogs;
	struct fair_class classes[FAIR_CLASSES];
};

struct fair {
	uint64_t now_ns; /* the latest that was told */
	uint64_t estimate_ns[FAIR_CLASSES];
	struct fair_pool pools[FAIR_POOLS];
	struct fair_tenant **table;
	uint32_t buckets, known;
};

/* ---- fair_table.c ---- */

struct fair_tenant *fair_tenant_find(const struct fair *f, uint64_t id, uint32_t pool);
/* Found or made. NULL: out of memory. fair_flow_forget follows, sooner or later. */
struct fair_flow *fair_flow_get(struct fair *f, uint64_t id, uint32_t pool, uint32_t class,
				const struct fair_tenant_rule *rule);
/* Puts the flow where it belongs by its counts, tag and cap: into a heap of its class, out of it, or away. */
void fair_flow_place(struct fair *f, struct fair_flow *fl);
/* Debtors that the class's clock has passed are debtors no more. */
void fair_class_reap(struct fair *f, struct fair_class *c);
/* The tenant's count of waiting items, or its weight, is another now. */
void fair_tenant_backlog(struct fair_pool *p, struct fair_tenant *t, uint32_t waiting, uint32_t weight);
uint64_t fair_backlog_key(uint32_t waiting, uint32_t weight);
bool fair_tenant_capped(const struct fair_tenant *t);
/* The tenant has reached or left its cap, or runs something, or nothing any more: places its flows but this one anew. */
void fair_tenant_place(struct fair *f, struct fair_tenant *t, const struct fair_flow *but);
/* Whose turn it is by virtual time; NULL: nothing waits that could run. */
struct fair_flow *fair_class_first(const struct fair_class *c);
void fair_table_fini(struct fair *f);

#endif
