/* A binary heap of nodes that live in their owners; smallest key first, then who came first. Keys are compared by their
 * difference, so they may wrap around; all in one heap lie within half the range. Used by the fair share alone.
 */
#ifndef GH_POLICY_FAIR_HEAP_H
#define GH_POLICY_FAIR_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fair_heap_node {
	uint64_t key, order;
	uint32_t at; /* place in the heap + 1; 0 = in none */
};
struct fair_heap {
	struct fair_heap_node **v;
	uint32_t count, room;
	uint64_t next_order;
	uint64_t moves; /* nodes put somewhere, since the beginning: what it costs */
};

/* a before b on a clock that may wrap around */
static inline bool fair_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* Room for so many nodes, so that adding cannot fail. false: out of memory. */
bool fair_heap_reserve(struct fair_heap *h, uint32_t count);
void fair_heap_fini(struct fair_heap *h);
void fair_heap_add(struct fair_heap *h, struct fair_heap_node *n, uint64_t key); /* room was reserved */
void fair_heap_remove(struct fair_heap *h, struct fair_heap_node *n);            /* in no heap: nothing happens */
void fair_heap_rekey(struct fair_heap *h, struct fair_heap_node *n, uint64_t key);

static inline struct fair_heap_node *fair_heap_top(const struct fair_heap *h)
{
	return h->count ? h->v[0] : NULL;
}

#endif
