/* Gauges of the house itself. See house_gauges.c; the sampler (live.c) owns the struct, zero is a good start. */
#ifndef GH_CORE_HOUSE_GAUGES_H
#define GH_CORE_HOUSE_GAUGES_H

#include <stdint.h>

#include "core/base/status.h"

struct gh_core;

struct house_gauges {
	bool started;
	uint64_t next_ns;
	int64_t clock_apart_us; /* wall clock minus monotonic clock at the last look */
};
void house_gauges_look(struct gh_core *c, struct house_gauges *g);
unsigned house_descriptors_open(void); /* 0: cannot be told */

#endif
