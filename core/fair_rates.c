/* How much of it: a tenant's bytes a second, and the figures of its share. The rate is a purse in the tenant's seat, behind
 * a flag held for a few instructions; any thread. See fair.h. */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/fair_room.h"

#define RATE_BURST_BYTES (256u * 1024)

/* ---- rates ---- */

void fair_set_rate(struct gh_core *c, struct tenant *t, uint64_t bytes_s)
{
	(void)c;
	atomic_store_explicit(&t->seat.bytes_s, bytes_s, memory_order_relaxed);
}

/* A quarter of a second's worth, at most 256 KiB for the slow and a tenth of a second for the fast. */
static struct purse_rule rate_rule(uint64_t bytes_s)
{
	uint64_t burst = bytes_s / 4;

	if (burst > RATE_BURST_BYTES)
		burst = bytes_s / 10 > RATE_BURST_BYTES ? bytes_s / 10 : RATE_BURST_BYTES;
	return (struct purse_rule){ .per_s = bytes_s, .burst = burst ? burst : 1 };
}

static struct purse *rate_lock(struct share_seat *s, const struct purse_rule *r, uint64_t now_ns)
{
	while (atomic_flag_test_and_set_explicit(&s->rate_lock, memory_order_acquire))
		;
	if (!s->rate_begun) {
		purse_init(&s->rate, r, now_ns);
		s->rate_begun = true;
	}
	return &s->rate;
}

static unsigned wait_of(uint64_t wait_ns)
{
	const uint64_t ms = wait_ns / GH_MS_NS + 1;
	return ms > 1000 ? 1000 : (unsigned)ms; /* the limit may be lifted meanwhile */
}

uint64_t share_rate_offer(struct tenant *t, uint64_t want, uint64_t now_ns, unsigned *ret_wait_ms)
{
	const uint64_t bytes_s = atomic_load_explicit(&t->seat.bytes_s, memory_order_relaxed);
	uint64_t wait = 0;

	if (!bytes_s)
		return want;
	const struct purse_rule r = rate_rule(bytes_s);
	struct purse *p = rate_lock(&t->seat, &r, now_ns);
	const uint64_t n = purse_offer(p, &r, now_ns, want, &wait);
	purse_spend(p, &r, now_ns, n);
	atomic_flag_clear_explicit(&t->seat.rate_lock, memory_order_release);
	*ret_wait_ms = wait_of(wait);
	return n;
}

bool share_rate_take(struct tenant *t, uint64_t bytes, uint64_t now_ns, unsigned *ret_wait_ms)
{
	const uint64_t bytes_s = atomic_load_explicit(&t->seat.bytes_s, memory_order_relaxed);
	uint64_t wait = 0;

	if (!bytes_s)
		return true;
	const struct purse_rule r = rate_rule(bytes_s);
	struct purse *p = rate_lock(&t->seat, &r, now_ns);
	const bool may = purse_ask(p, &r, now_ns, &wait);
	if (may)
		purse_spend(p, &r, now_ns, bytes);
	atomic_flag_clear_explicit(&t->seat.rate_lock, memory_order_release);
	*ret_wait_ms = wait_of(wait);
	return may;
}

void share_rate_return(struct tenant *t, uint64_t bytes)
{
	const uint64_t bytes_s = atomic_load_explicit(&t->seat.bytes_s, memory_order_relaxed);

	if (!bytes_s || !bytes)
		return;
	const struct purse_rule r = rate_rule(bytes_s);
	struct purse *p = rate_lock(&t->seat, &r, 0);
	purse_return(p, &r, bytes);
	atomic_flag_clear_explicit(&t->seat.rate_lock, memory_order_release);
}

/* ---- figures ---- */

/* Upper end of the bucket in which the 99th of a hundred waits lies. */
static unsigned p99_ms(const struct share_seat *seat)
{
	uint64_t n[20], sum = 0, seen = 0;

	for (unsigned i = 0; i < 20; i++)
		sum += n[i] = atomic_load_explicit(&seat->waits[i], memory_order_relaxed);
	for (unsigned i = 0; i < 20 && sum; i++) {
		seen += n[i];
		if (seen * 100 >= sum * 99)
			return (unsigned)(((1u << i) + 9) / 10) * (i > 0);
	}
	return 0;
}

void share_tenant_figures(struct gh_core *c, struct tenant *t, struct share_figures *ret)
{
	struct share *s = c->share;
	const struct fair_tenant_rule r = share_rule_kept(s, t->id);

	pthread_mutex_lock(&s->wait.lock);
	const struct fair_sums sums = fair_tenant_sums(s->wait.fair, t->id);
	pthread_mutex_unlock(&s->wait.lock);
	*ret = (struct share_figures){ .weight = r.weight, .cap = r.cap, .waiting = sums.waiting, .running = sums.running,
				       .wait_p99_ms = p99_ms(&t->seat), .shed = atomic_load(&t->seat.shed),
				       .bytes_s = atomic_load(&t->seat.bytes_s) };
	pthread_mutex_lock(&s->rules_lock);
	snprintf(ret->pool, sizeof(ret->pool), "%s", s->pools[r.pool].name);
	pthread_mutex_unlock(&s->rules_lock);
}
