/* The login defender: counts failed logins per (tenant, user, address prefix) and per address prefix alone, shared by
 * all doors. Only wrong secrets count, not missing ones. A success clears the triple, not the prefix's count for
 * other users. It never punishes a whole proxy: the prefix alone is refused only at a rate far above a person's
 * (and only for names that keep failing from there, see the rule in defender.c).
 *
 * Pure and single-owner: time is an argument (monotonic seconds); the core holds the mutex around it. Bounded: a fixed
 * table, the stalest entry gives way. Rule of the checklist: at most 10 checked passwords a minute per triple.
 */
#ifndef GH_POLICY_DEFENDER_H
#define GH_POLICY_DEFENDER_H

#include <stdbool.h>
#include <stdint.h>

struct defender;

struct defender_config {
	unsigned slots;             /* table size, default 16384 */
	unsigned triple_per_minute; /* default 10 checked wrong passwords a minute for (tenant, user, prefix) */
	unsigned prefix_per_minute; /* default 120 for one prefix over all names */
	uint64_t key0, key1;        /* random, so that nobody aims at a slot */
};

struct defender *defender_new(const struct defender_config *cfg); /* NULL: out of memory */
void defender_free(struct defender **d);

/* prefix: 8 bytes, IPv4 address or IPv6 /64, made by the caller. user may be a name that does not exist.
 * May a password be checked now? 0 = yes, else seconds until it may (1..3600). */
unsigned defender_ask(struct defender *d, uint64_t now_s, uint64_t tenant, const char *user, uint64_t prefix);
void defender_failed(struct defender *d, uint64_t now_s, uint64_t tenant, const char *user, uint64_t prefix);
/* true: that ended a count. */
bool defender_succeeded(struct defender *d, uint64_t now_s, uint64_t tenant, const char *user, uint64_t prefix);
/* Administrator: forget everything about a user (any prefix), or a prefix in any tenant (user NULL), or all names of
 * the tenant (user NULL, prefix 0). Returns how many. */
unsigned defender_clear(struct defender *d, uint64_t tenant, const char *user, uint64_t prefix);

#endif
