/* This gateway among others on the same store: its slot, taken at start, in every id that it makes; its sign of life, every
 * few seconds; and what it must not do when others may have taken it for dead. Embedded stores have one process, and none of
 * this.
 *
 * States: joined -> beating -> left. Between two signs of life lies a third of what a slot lives. If none gets through, no
 * batch is committed any more once the slot may have ended (meta_fence), long before it could be another's; with the next one
 * that gets through all is well again. If the slot was given away after all, another is taken.
 *
 * Threads: join, start and leave by the composition root; the rest from anywhere.
 */
#ifndef GH_CORE_GATEWAY_H
#define GH_CORE_GATEWAY_H

#include <stdbool.h>

#include "core/meta.h"

#define GATEWAY_LIFE_MS 10000u

struct gateway;

struct gateway_config {
	struct meta_store *meta; /* borrowed; shared */
	const char *name, *version;
	uint64_t predecessor; /* token of the last run with this data directory, which is over; 0: unknown */
};

/* Blocks. Begins ids (gh_id_init). GH_EXISTS: a gateway of that name lives. err (512 bytes): in words. */
GH_MUST_CHECK enum gh_status gateway_join(const struct gateway_config *cfg, struct gateway **ret, char *err);
GH_MUST_CHECK enum gh_status gateway_start(struct gateway *g);
/* Gives slot and leases back. NULL inside is fine. */
void gateway_leave(struct gateway **g);

uint64_t gateway_token(const struct gateway *g);
unsigned gateway_slot(const struct gateway *g);
/* No other gateway is known to write: none lives by the last look at the table, with each sign of life, and nothing of another
 * was in the log of late. The first change of one that has just come may not be known yet, like any other
 * that the log has not told. */
bool gateway_alone(const struct gateway *g);
/* Something of another gateway was in the log. Any thread. */
void gateway_met(struct gateway *g);
/* NULL: all is well. Static text. */
const char *gateway_not_ready(const struct gateway *g);

#endif
