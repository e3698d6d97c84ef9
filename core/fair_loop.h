/* Credit on the loops: what memory answers, and bytes of transfers, need no queue as long as their tenant has not used
 * more than its share of the loop. Everything here belongs to one loop and is touched by its thread alone; the only thing
 * shared is the desk in front of the workers, told of 2 ms of loop time at a time, and only where there is company.
 *
 * Loop time goes to whoever submitted last: from one submission to the next, parsing and sending included, until the
 * loop has nothing to do. A tenant alone on its loop (nobody else for a second) has credit without end. In company each
 * has a purse of 2 ms that is refilled at its share of the loop; who has emptied it waits in the loop's own scheduler,
 * which runs what waits after everybody who is ready and has credit, a short while each pass. So the loop is never idle
 * while something waits, and who is below its share meets one that is at most that short while behind. Where only one is
 * greedy (uses more than a sixteenth of the loop), no share is taken from anybody if it does more: it goes on without
 * credit for a fifth of a millisecond's worth of a pass, and only what is more than that waits.
 */
#ifndef GH_CORE_FAIR_LOOP_H
#define GH_CORE_FAIR_LOOP_H

#include "core/fair.h"
#include "core/run/loop.h"

struct loop_tenant;

/* Something that wants a turn on its loop. Zeroed before its first use; stays put while it waits. */
struct share_turn {
	struct fair_item item; /* first */
	struct share_loop *at;
	struct loop_tenant *whose;
	bool granted; /* its turn has come: the next share_may lets it pass */
	void (*run)(struct share_turn *t);
	/* Evicted: it waits no more. Must not call into the loop's scheduler: it posts, or sets a timer. */
	void (*out)(struct share_turn *t, uint32_t retry_after_s);
};

void share_loops_free(struct share *s);
/* Somebody is served whose tenant is not known yet: the time goes to whom it turns out to be. */
void share_unknown(struct gh_core *c, struct gh_loop *l, uint64_t now_ns);
/* What is done now on this loop is the tenant's, credit or not. */
void share_here(struct gh_core *c, struct gh_loop *l, struct tenant *tenant, uint64_t now_ns);
/* May the tenant use the loop now? OK: yes, and its time runs. WAIT: t->run comes later, not inside, or t->out.
 * OVERSHARE: too many wait, most of them this tenant's. */
GH_MUST_CHECK enum gh_status share_may(struct gh_core *c, struct gh_loop *l, struct tenant *tenant, uint64_t now_ns,
				       struct share_turn *t, uint32_t *ret_retry_s);
/* It waits no more. false: it did not wait. */
bool share_turn_cancel(struct share_turn *t);

/* ---- transfers ---- */

/* A transfer's place in both: its tenant's rate, its turn on the loop. One question at a time. */
struct share_transfer {
	struct share_turn turn; /* first */
	struct gh_timer timer;
	struct gh_loop *loop;
	void (*ready)(void *arg);
	void *arg;
};

/* How many of want bytes may be moved now: OK with *ret_n, at least 1 (all of them where `whole`); or WAIT: ready(arg)
 * comes, never inside, then ask again. Loop thread. */
GH_MUST_CHECK enum gh_status share_transfer_ask(struct share_transfer *x, struct gh_core *c, struct gh_loop *l,
						struct tenant *t, uint64_t want, bool whole, uint64_t *ret_n,
						void (*ready)(void *arg), void *arg);
/* ready(arg) comes after so long: where the desk had no place, or there was nothing to spend. */
void share_transfer_later(struct share_transfer *x, struct gh_loop *l, unsigned wait_ms, void (*ready)(void *arg),
			  void *arg);
void share_transfer_cancel(struct share_transfer *x); /* ready does not come any more */

#endif
