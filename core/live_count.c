/* Tenants' counters: added to by loops and workers, read by the sampler. See live.h.
 *
 * Each thread adds to one stripe of the tenant, its own as long as there are at most LIVE_STRIPES of them. `busy` is
 * read by everybody and written once a second: whoever finds it clear sets it and puts the tenant onto the list, a stack
 * that only the sampler takes, whole. The sampler clears it before it reads the stripes, and whoever counts adds before
 * it looks at `busy`: so a count is seen by this visit or brings the next.
 */
#include "core/house.h"
#include "core/live_work.h"

static unsigned stripe_mine(void)
{
	static _Atomic unsigned next;
	static _Thread_local unsigned mine; /* 1 + index */

	if (!mine)
		mine = 1 + atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % LIVE_STRIPES;
	return mine - 1;
}

static void busy_push(struct live_busy *b, struct tenant *t)
{
	struct tenant *first = atomic_load_explicit(&b->first, memory_order_relaxed);

	do
		t->live.next = first;
	while (!atomic_compare_exchange_weak_explicit(&b->first, &first, t, memory_order_release, memory_order_relaxed));
}

void live_count(struct gh_core *c, struct tenant *t, enum live_what what, uint64_t n)
{
	if (!t)
		return;
	atomic_fetch_add(&t->live.stripe[stripe_mine()].n[what], n);
	if (!atomic_load(&t->live.busy) && !atomic_exchange(&t->live.busy, true))
		busy_push(live_busy_of(c), t);
}

static uint64_t sum_of(const struct tenant *t, unsigned what)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < LIVE_STRIPES; i++)
		sum += atomic_load(&t->live.stripe[i].n[what]);
	return sum;
}

static struct live_tenant row_of(struct tenant *t, double passed_s, uint64_t *ret_worked_ns)
{
	struct live_tenant row = { .tenant = t, .name = t->name };
	uint64_t delta[LIVE_WHATS];

	for (unsigned w = 0; w < LIVE_WHATS; w++) {
		const uint64_t sum = sum_of(t, w);

		delta[w] = sum - t->live.seen[w];
		t->live.seen[w] = sum;
	}
	row.requests = (float)((double)delta[LIVE_REQUESTS] / passed_s);
	row.shed = (float)((double)delta[LIVE_SHED] / passed_s);
	row.bytes = (double)(delta[LIVE_IN_BYTES] + delta[LIVE_OUT_BYTES]) / passed_s;
	if (delta[LIVE_WAITS])
		row.wait_ms = (float)((double)delta[LIVE_WAITED_NS] / 1e6 / (double)delta[LIVE_WAITS]);
	*ret_worked_ns = delta[LIVE_WORKED_NS];
	return row;
}

/* A tenant's share is what it had of all the work of that second; where nothing was measured, of all requests. */
void live_busy_collect(struct live_busy *b, struct live_sample *s, double passed_s)
{
	struct tenant *t = atomic_exchange_explicit(&b->first, NULL, memory_order_acquire), *next;
	double worked = 0, requests = 0;

	for (; t; t = next) {
		uint64_t worked_ns;
		struct live_tenant row;

		next = t->live.next; /* whoever counts after the next line may change it */
		atomic_store(&t->live.busy, false);
		row = row_of(t, passed_s, &worked_ns);
		row.share = (float)worked_ns;
		worked += (double)worked_ns;
		requests += (double)row.requests;
		live_top_add(s, &row);
	}
	for (unsigned i = 0; i < s->tenant_count; i++) {
		struct live_tenant *row = &s->tenant[i];

		row->share = worked > 0 ? (float)((double)row->share / worked) :
			     requests > 0 ? (float)((double)row->requests / requests) : 0;
	}
}
