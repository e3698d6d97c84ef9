/* See fair_heap.h. */
#include "policy/fair_heap.h"

#include <stdlib.h>

bool fair_heap_reserve(struct fair_heap *h, uint32_t count)
{
	uint32_t room = h->room ? h->room : 16;

	if (count <= h->room)
		return true;
	while (room < count)
		room *= 2;
	struct fair_heap_node **v = realloc(h->v, room * sizeof(*v));
	if (!v)
		return false;
	h->v = v;
	h->room = room;
	return true;
}

void fair_heap_fini(struct fair_heap *h)
{
	free(h->v);
	*h = (struct fair_heap){ 0 };
}

static bool less(const struct fair_heap_node *a, const struct fair_heap_node *b)
{
	return a->key != b->key ? fair_before(a->key, b->key) : a->order < b->order;
}

static void put(struct fair_heap *h, uint32_t at, struct fair_heap_node *n)
{
	h->v[at] = n;
	n->at = at + 1;
	h->moves++;
}

static uint32_t rise(struct fair_heap *h, uint32_t at, struct fair_heap_node *n)
{
	while (at && less(n, h->v[(at - 1) / 2])) {
		put(h, at, h->v[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(h, at, n);
	return at;
}

static void sink(struct fair_heap *h, uint32_t at, struct fair_heap_node *n)
{
	for (uint32_t c; (c = 2 * at + 1) < h->count; at = c) {
		if (c + 1 < h->count && less(h->v[c + 1], h->v[c]))
			c++;
		if (!less(h->v[c], n))
			break;
		put(h, at, h->v[c]);
	}
	put(h, at, n);
}

void fair_heap_add(struct fair_heap *h, struct fair_heap_node *n, uint64_t key)
{
	n->key = key;
	n->order = h->next_order++;
	(void)rise(h, h->count++, n);
}

void fair_heap_remove(struct fair_heap *h, struct fair_heap_node *n)
{
	if (!n->at)
		return;
	const uint32_t at = n->at - 1;
	struct fair_heap_node *last = h->v[--h->count];
	n->at = 0;
	if (last != n)
		sink(h, rise(h, at, last), last);
}

void fair_heap_rekey(struct fair_heap *h, struct fair_heap_node *n, uint64_t key)
{
	n->key = key;
	sink(h, rise(h, n->at - 1, n), n);
}
