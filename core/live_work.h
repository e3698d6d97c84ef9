/* What the files of live share: the arithmetic (live_math.c, pure) and the list of tenants that were counted
 * (live_count.c). Nobody outside core/live*.c and its tests includes it. */
#ifndef GH_CORE_LIVE_WORK_H
#define GH_CORE_LIVE_WORK_H

#include "core/live.h"

/* ---- live_math.c: pure ---- */

/* Of what fell into the buckets (not cumulative), interpolated within one; 0 when nothing did. In the last, endless
 * bucket: its lower edge. */
float live_percentile_ms(const uint64_t bucket[GH_METRIC_BUCKETS], unsigned percent);
/* Keeps the LIVE_TENANTS busiest, in order. */
void live_top_add(struct live_sample *s, const struct live_tenant *row);

/* The last samples; the oldest makes room. Single-owner. */
struct live_ring {
	struct live_sample *at;
	unsigned room, count, next;
};
GH_MUST_CHECK enum gh_status live_ring_init(struct live_ring *r, unsigned room);
void live_ring_fini(struct live_ring *r);
void live_ring_push(struct live_ring *r, const struct live_sample *s);
const struct live_sample *live_ring_get(const struct live_ring *r, unsigned i); /* 0 = the oldest */
/* Samples first .. first + count - 1 as one: rates and shares are their mean, what can be bad its worst. */
void live_ring_merge(const struct live_ring *r, unsigned first, unsigned count, struct live_sample *ret);
/* The last `seconds` samples as at most `points` (at least 1); ret has room for points. How many it gave. Groups begin
 * at whole multiples of their length, so that a page that asks again sees the same groups again. */
unsigned live_ring_thin(const struct live_ring *r, unsigned seconds, unsigned points, struct live_sample *ret);

/* ---- live.c ---- */

/* One sample; keep false: only where the counters stand. The sampler's thread, or a test that has none. */
void live_tick(struct live *l, bool keep);

/* ---- live_count.c ---- */

struct live_busy {
	_Atomic(struct tenant *) first;
};
struct live_busy *live_busy_of(struct gh_core *c);
/* Sampler: adds every tenant that was counted since the last call to s->tenant, with rates over passed_s. */
void live_busy_collect(struct live_busy *b, struct live_sample *s, double passed_s);

#endif
