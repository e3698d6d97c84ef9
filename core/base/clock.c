/* The two clocks. Called by everybody; no state, any thread; never blocks (vDSO). */
#include "core/base/clock.h"

#include <time.h>

uint64_t gh_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * GH_S_NS + (uint64_t)ts.tv_nsec;
}

int64_t gh_real_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * GH_S_US + ts.tv_nsec / 1000;
}
