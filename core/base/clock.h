/* Time. Timers and deadlines use gh_mono_ns (never jumps); what is stored uses gh_real_us. */
#ifndef GH_CORE_BASE_CLOCK_H
#define GH_CORE_BASE_CLOCK_H

#include <stdint.h>

uint64_t gh_mono_ns(void);
int64_t gh_real_us(void);

#define GH_MS_NS 1000000ull
#define GH_S_NS 1000000000ull
#define GH_S_US 1000000ll

#endif
