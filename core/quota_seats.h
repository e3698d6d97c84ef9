/* Seats: how many may be in at a time, and how many are, in one word, so that whoever lowers the first knows the second at
 * that moment. Any thread, no lock. Zero: nobody may. */
#ifndef GH_CORE_QUOTA_SEATS_H
#define GH_CORE_QUOTA_SEATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SEATS_ANY UINT32_MAX /* may: no limit; they are counted all the same */

struct quota_seats {
	_Atomic uint64_t word; /* may, then taken: 32 bits each */
};

static inline uint32_t seats_may_of(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline uint32_t seats_taken_of(uint64_t word)
{
	return (uint32_t)word;
}

/* false: all that there may be are. */
static inline bool seats_take(struct quota_seats *s)
{
	uint64_t was = atomic_load_explicit(&s->word, memory_order_relaxed);

	while (seats_taken_of(was) < seats_may_of(was))
		if (atomic_compare_exchange_weak(&s->word, &was, was + 1))
			return true;
	return false;
}

/* Of one that was taken. */
static inline void seats_leave(struct quota_seats *s)
{
	atomic_fetch_sub(&s->word, 1);
}

static inline uint32_t seats_taken(const struct quota_seats *s)
{
	return seats_taken_of(atomic_load_explicit(&s->word, memory_order_relaxed));
}

/* Who is in stays, though may is less. */
static inline void seats_allow(struct quota_seats *s, uint64_t may)
{
	const uint64_t high = (may < SEATS_ANY ? may : SEATS_ANY) << 32;
	uint64_t was = atomic_load(&s->word);

	while (!atomic_compare_exchange_weak(&s->word, &was, high | seats_taken_of(was)))
		;
}

/* Nobody comes in but for one who leaves, until seats_allow. How many are in. */
static inline uint32_t seats_freeze(struct quota_seats *s)
{
	uint64_t was = atomic_load(&s->word);

	while (seats_may_of(was) > seats_taken_of(was) &&
	       !atomic_compare_exchange_weak(&s->word, &was, (uint64_t)seats_taken_of(was) << 32 | seats_taken_of(was)))
		;
	return seats_taken_of(was);
}

#endif
