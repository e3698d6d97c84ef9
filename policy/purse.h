/* Purses: credit for what needs no queue. A token bucket that may be overdrawn once: spending is allowed while there is
 * credit at all, whatever it costs then. Used for bandwidth (bytes), requests per second, and a tenant's share of a
 * loop's time. Pure, plain value, single-owner; time (monotonic nanoseconds) is an argument.
 */
#ifndef GH_POLICY_PURSE_H
#define GH_POLICY_PURSE_H

#include <stdbool.h>
#include <stdint.h>

struct purse {
	int64_t credit; /* units; negative = overdrawn */
	uint64_t at_ns; /* refilled up to here */
	uint64_t rest;  /* of the division: unit fractions are not lost */
};
struct purse_rule {
	uint64_t per_s; /* units a second; 0 = no limit */
	uint64_t burst; /* most that is saved up; at least 1 */
};

void purse_init(struct purse *p, const struct purse_rule *r, uint64_t now_ns); /* full */
/* Is there credit? No: *ret_wait_ns (at least 1) until there is. Nothing is spent. A clock that stands or goes back
 * refills nothing. */
bool purse_ask(struct purse *p, const struct purse_rule *r, uint64_t now_ns, uint64_t *ret_wait_ns);
/* Spends; may overdraw. */
void purse_spend(struct purse *p, const struct purse_rule *r, uint64_t now_ns, uint64_t units);
/* Gives back what was spent and not used; never above burst. */
void purse_return(struct purse *p, const struct purse_rule *r, uint64_t units);
/* How many units may be moved now: at most want, at least 0 (then *ret_wait_ns). Does not spend. For transfers, so that
 * they slow down smoothly rather than stop and go. */
uint64_t purse_offer(struct purse *p, const struct purse_rule *r, uint64_t now_ns, uint64_t want, uint64_t *ret_wait_ns);

#endif
