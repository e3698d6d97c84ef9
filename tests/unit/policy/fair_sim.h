/* A machine for the fair share, on a clock of its own: tenants that send, slots that work. Used by its tests. */
#ifndef GH_TESTS_FAIR_SIM_H
#define GH_TESTS_FAIR_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/fairshare.h"

#define US 1000ull
#define MS 1000000ull
#define S 1000000000ull
#define SIM_SENDERS 64
#define SIM_RUNNING 256

struct sim_item {
	struct fair_item item; /* first */
	unsigned sender;
	uint64_t sent_ns, started_ns, cost_ns, done_ns;
};

struct sim_sender {
	uint64_t tenant;
	uint32_t class;
	struct fair_tenant_rule rule;
	uint64_t cost_ns, cost_spread_ns; /* of an item: cost + 0..spread */
	unsigned backlog;                 /* keeps so many of its own in the machine; or */
	uint64_t every_ns;                /* sends one so often */
	bool away;                        /* sends nothing */
	/* figures */
	uint64_t next_ns;
	unsigned inside, running, running_max;
	uint64_t sent, done, refused, busy_ns, wait_max_ns;
	uint64_t promised_s, promised_at_ns; /* Retry-After of its last refusal */
};

struct sim {
	struct fair *f;
	struct fair_config cfg;
	uint64_t now_ns, seed;
	unsigned senders;
	struct sim_sender sender[SIM_SENDERS];
	unsigned running;
	struct sim_item *run[SIM_RUNNING];
	uint32_t waiting_max;
	uint64_t came[FAIR_POOLS], company_until_ns[FAIR_POOLS]; /* whose the last item was; others come, until then */
	bool lenient; /* idle slots are not asked about */
};

void sim_init(struct sim *s, const struct fair_config *cfg);
void sim_fini(struct sim *s); /* what waits is cancelled, what runs is settled */
struct sim_sender *sim_add(struct sim *s, uint64_t tenant, uint32_t weight, uint64_t cost_ns, unsigned backlog);
void sim_run(struct sim *s, uint64_t until_ns);
void sim_reset_figures(struct sim *s);
uint64_t sim_random(struct sim *s, uint64_t below);
#define SIM_COMPANY (10 * S)
/* Is there a slot that stands idle though something that may use it waits? By counting, not by asking the scheduler. Of
 * slots that are kept nothing is said: who owes something may not use them. */
bool sim_wastes(const struct sim *s);

#endif
