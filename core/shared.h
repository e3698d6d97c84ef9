/* The cache that gateways share (core/cache.h) as the core uses it: past its breaker, counted, and with one loader where many miss
 * the same.
 *
 *     if (shared_begin(core, &key, arena, &try, &answer))
 *             ... answer has it ...
 *     else
 *             ... load it, however that goes; then shared_end(core, &try, value, len), with NULL where there is none ...
 *
 * Single flight: the first that misses leads, and others of this process that miss the same wait for what it brings, for
 * SHARED_WAIT_MS at most; then they load it themselves. While the cache is away nobody waits for anybody.
 *
 * CACHE_TREE has no flights: what costs one look-up is not worth a wait, nor the seats of what is dear. There shared_tell alone
 * follows, where something is to be kept.
 *
 * Nothing of this is needed for a right answer: with no cache, or one that gives nothing, shared_begin says no at once.
 *
 * Threads: workers; both block, begin for the cache's budget and SHARED_WAIT_MS at most, end not at all.
 */
#ifndef GH_CORE_SHARED_H
#define GH_CORE_SHARED_H

#include "core/cache.h"

#define SHARED_WAIT_MS 250u

struct gh_core;
struct shared;

struct shared_config {
	const struct cache_ops *ops; /* NULL: none */
	struct cache *cache;         /* borrowed */
	unsigned kinds;              /* bits: which are kept */
	uint32_t keep_s;             /* life of what is put; a little less, by chance, so that not all ends at once */
};

struct shared_try {
	struct cache_key key; /* its bytes stay the caller's, until the end */
	unsigned seat;        /* 1 + that of the flight it leads; 0 = none */
	bool asked;           /* the cache is there: tell it */
};

GH_MUST_CHECK enum gh_status shared_new(const struct shared_config *cfg, struct shared **ret);
void shared_free(struct shared **s);

/* true: *ret, in a; nothing else is to be done. false: it is to be loaded, and shared_end follows. */
bool shared_begin(struct gh_core *c, const struct cache_key *k, struct gh_arena *a, struct shared_try *t,
		  struct cache_answer *ret);
/* value NULL: it was not loaded, or is nothing to be kept. */
void shared_end(struct gh_core *c, struct shared_try *t, const void *value, size_t len);
/* Keep that, perhaps. */
void shared_tell(struct gh_core *c, const struct cache_key *k, const void *value, size_t len);
/* What it gave was well sealed and makes no sense: of another release, or a bug. Counts. */
void shared_refuse(const struct cache_key *k);
/* ... or is known to be over. */
void shared_outdated(const struct cache_key *k);
/* Is that kept, and the cache well? For what costs something to be asked. */
bool shared_is_there(struct gh_core *c, enum cache_kind kind);

#endif
