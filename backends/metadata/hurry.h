/* The end is near: what all databases of a store are told when the program stops (meta_hurry). A wait for one of them then lasts
 * HURRY_MS at most, and one that was silent for so long is not waited for again; so a server that answers still hears our last
 * words, and one that does not keeps nobody. Raised once, by any thread; read by drivers, which wake from a wait by the
 * descriptor. */
#ifndef GH_BACKENDS_METADATA_HURRY_H
#define GH_BACKENDS_METADATA_HURRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HURRY_MS 500

struct db_hurry {
	int fd; /* eventfd; readable for ever once it was raised */
	_Atomic uint64_t since_ns; /* 0: there is no hurry */
};

/* NULL: there never is. */
static inline uint64_t hurry_since(const struct db_hurry *h)
{
	return h ? atomic_load_explicit(&h->since_ns, memory_order_relaxed) : 0;
}

#endif
