/* Ids: time, slot, sequence. Called by the core for every node, version, blob and operation.
 *
 * State: one word, (milliseconds << 11 | sequence) of the last id given; it only ever rises, by compare-and-swap. A
 * sequence that runs over carries into the milliseconds, and a clock that steps back is outwaited by counting on, so
 * neither a burst nor a bad clock can repeat an id. The slot is not part of the word: it is constant.
 */
#include "core/base/id.h"

#include <stdatomic.h>

#include "core/base/clock.h"
#include "core/base/status.h"

enum { SEQ_BITS = 11, SLOT_BITS = 10, TIME_SHIFT = SEQ_BITS + SLOT_BITS };

#define EPOCH_2020_US (1577836800ll * GH_S_US)

static _Atomic uint64_t last;
static _Atomic uint64_t slot_bits;

void gh_id_init(unsigned slot, uint64_t floor)
{
	uint64_t floor_ms = floor >> TIME_SHIFT;

	GH_ASSERT(slot < 1u << SLOT_BITS);
	atomic_store(&slot_bits, (uint64_t)slot << SEQ_BITS);
	/* The floor may come from another slot: begin in the millisecond after it. */
	if (floor)
		atomic_store(&last, (floor_ms + 1) << SEQ_BITS);
}

uint64_t gh_id_new(void)
{
	int64_t since_us = gh_real_us() - EPOCH_2020_US;
	uint64_t now = since_us > 0 ? (uint64_t)since_us / 1000 << SEQ_BITS : 0;
	uint64_t seen = atomic_load_explicit(&last, memory_order_relaxed), next;

	do {
		next = now > seen ? now : seen + 1;
	} while (!atomic_compare_exchange_weak_explicit(&last, &seen, next, memory_order_relaxed,
							memory_order_relaxed));
	return next >> SEQ_BITS << TIME_SHIFT | atomic_load_explicit(&slot_bits, memory_order_relaxed) |
	       (next & ((1u << SEQ_BITS) - 1));
}

int64_t gh_id_time_us(uint64_t id)
{
	return (int64_t)(id >> TIME_SHIFT) * 1000 + EPOCH_2020_US;
}
