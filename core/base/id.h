/* 63-bit time-ordered ids (nodes, versions, blobs, operations): 42 bits of milliseconds since 2020-01-01 UTC, 10 of
 * gateway slot, 11 of sequence; never below the last one given, whatever the clock does. Any thread, lock-free. */
#ifndef GH_CORE_BASE_ID_H
#define GH_CORE_BASE_ID_H

#include <stdint.h>

/* Once, before the first id: slot 0..1023; floor = an id that is already in use (0 for none). */
void gh_id_init(unsigned slot, uint64_t floor);
uint64_t gh_id_new(void);
/* Unix microseconds that an id was made at (ms precision). */
int64_t gh_id_time_us(uint64_t id);

/* Whose: the slot it was made with. */
static inline unsigned gh_id_slot(uint64_t id)
{
	return (unsigned)(id >> 11) & 1023;
}

#endif
