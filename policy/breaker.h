/* A circuit breaker for one dependency (or for one tenant's use of it): counts what happened to the calls, opens when
 * too many failed or were too slow, lets a bounded number of probes through after a while, closes when they go well,
 * waits longer when they do not.
 *
 * Pure and single-owner: time (monotonic milliseconds) and randomness are arguments; the core holds a mutex around it.
 * It has the size of a few cache lines and no pointers, so that thousands can lie in a table; all zero with
 * breaker_init. Successes may be told in bulk (breaker_add_good): the core counts them apart, without a lock, and folds
 * them in before anything is decided.
 *
 *   CLOSED     every call may go; a window of the last `window_ms` is kept in BREAKER_SLOTS slots
 *   OPEN       nobody, until `until_ms`
 *   HALF_OPEN  at most `probes` calls at a time, until `probes_needed` went well in a row (closed, window empty) or one
 *              did not (open again, for twice as long)
 *
 * Opens from CLOSED when the window holds at least min_calls and the share of failures is at least fail_percent, or the
 * share of slow calls (slow or failed by time) at least slow_percent; or when `stuck` calls hang at once, however well
 * it went before (calls that hang give no other evidence). Waits base_ms, doubled for each opening in a row up to
 * max_ms, plus jitter of up to a quarter, so that many gateways do not probe in step. The row ends when it has been
 * closed for window_ms. What counts as a failure is the caller's: only those of the dependency.
 *
 * Who has a breaker for a service and one for each tenant's use of it counts into both (breaker_count) and asks
 * breaker_blame which of the two is to open: a tenant whose own shard or data is ill must not shut the others out, and
 * an outage for all is one opening, not one per tenant.
 */
#ifndef GH_POLICY_BREAKER_H
#define GH_POLICY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_SLOTS 10

struct breaker_config {
	uint32_t window_ms;     /* default 10000 */
	uint32_t min_calls;     /* default 20 */
	uint32_t fail_percent;  /* default 50 */
	uint32_t slow_percent;  /* default 80 */
	uint32_t slow_ms;       /* a call that took this long is slow; default 2000; 0 = none is */
	uint32_t stuck;         /* so many calls slow and not back yet open it; default 8; 0 = never */
	uint32_t probes;        /* at once; default 2 */
	uint32_t probes_needed; /* default 3 */
	uint32_t probe_ms;      /* when probes were not settled for so long (their callers died), others may go in their
				 * place; default 30000 */
	uint32_t base_ms;       /* default 1000 */
	uint32_t max_ms;        /* default 60000 */
};
extern const struct breaker_config breaker_defaults;
/* NULL, or which of them is wrong and why (static storage). */
const char *breaker_config_wrong(const struct breaker_config *cfg);

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
enum breaker_outcome { BREAKER_GOOD, BREAKER_FAILED, BREAKER_UNCOUNTED }; /* UNCOUNTED: the caller left, or it was refused
									     for reasons of its own: says nothing */

struct breaker {
	enum breaker_state state;
	bool forced;          /* opened by hand: stays until reset by hand */
	uint32_t openings;    /* in a row */
	uint32_t generation;  /* rises with every change of state: permits of an earlier one do not count */
	uint32_t probing, probed_good;
	uint64_t until_ms, since_ms, probe_started_ms;
	struct breaker_slot {
		uint64_t start_ms;
		uint32_t calls, failed, slow;
	} slots[BREAKER_SLOTS];
};

void breaker_init(struct breaker *b, uint64_t now_ms);

/* A permit: taken right before the call, settled exactly once right after. */
struct breaker_permit {
	uint32_t generation;
	bool probe;
};
/* May a call go now? true: *ret is to be settled. false: *ret_wait_ms until it is worth asking again (at least 1). */
bool breaker_ask(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms, struct breaker_permit *ret,
		 uint32_t *ret_wait_ms);
/* random: 32 uniform bits, for the jitter. true: this settlement changed the state (for log and metrics). */
bool breaker_settle(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms, struct breaker_permit p,
		    enum breaker_outcome outcome, uint32_t took_ms, uint32_t random);
/* Counts a call into the window of CLOSED and decides nothing; nothing in other states. */
void breaker_count(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms, enum breaker_outcome outcome,
		   uint32_t took_ms);
/* n calls that went well and were not slow, in CLOSED; counted into the slot of now. */
void breaker_add_good(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms, uint32_t n);

/* Opens it, or opens it again, on evidence that the caller has. */
void breaker_trip(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms, uint32_t random);

/* There is a sign that the dependency is well again: the pause of an open one ends now, and probes find out. No sign for one
 * that was opened by hand. true: it was waiting. */
bool breaker_hasten(struct breaker *b, uint64_t now_ms);

/* By hand. */
void breaker_force_open(struct breaker *b, uint64_t now_ms);
void breaker_reset(struct breaker *b, uint64_t now_ms);

struct breaker_sums {
	uint32_t calls, failed, slow;
};
struct breaker_sums breaker_window(const struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms);
/* Takes the calls of a tenant's window out of the service's: its trouble is dealt with, and is no evidence against anybody
 * once its own window is empty. Both of the same configuration. */
void breaker_forget(struct breaker *all, const struct breaker *mine);
/* Is that enough to open? */
bool breaker_ill(const struct breaker_config *cfg, struct breaker_sums sums);

/* Whose illness is it? all: the window of the service; mine: the part of it that the tenant in question has in its own;
 * others_open: is a breaker of another tenant for this service open already? The service's, when the others' calls fail
 * as well; the tenant's, when only its own do. BREAKER_NOBODY: not enough evidence for either. */
enum breaker_blame { BREAKER_NOBODY, BREAKER_TENANT, BREAKER_SERVICE };
enum breaker_blame breaker_blame(const struct breaker_config *cfg, struct breaker_sums all, struct breaker_sums mine,
				 bool others_open);
/* The same for calls that hang: how many of the service at this moment, how many of them the tenant's. */
enum breaker_blame breaker_blame_stuck(const struct breaker_config *cfg, uint32_t all, uint32_t mine, bool others_open);
const char *breaker_state_name(enum breaker_state s); /* "half-open" */

#endif
